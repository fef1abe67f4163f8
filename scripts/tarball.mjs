// tarball.mjs: packs the package as npm would publish it, and says what of its contents is not as it should be.
// Builds dist/ when it is stale; the binaries are those of prebuilds/, whoever has built them. Knows nothing of how it is used.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuild } from './ensure-build.mjs';
import { npmCli } from './programs.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Seven binaries of 0.14 MB each when packed, and 0.3 MB of all else: what is bigger has got something in by mistake. */
export const MAX_PACKED_BYTES = 1_400_000;

/** Everything that has a reason to be there; each file must match one. */
const REASONS = {
  'built modules and declarations': /^dist\/(?:lib|recipes)\/.+\.(?:js|d\.ts)$/,
  binaries: /^prebuilds\/[\w-]+\/[\w.-]+\.node$/,
  'sources of the addon': /^(?:native\/.+\.(?:cc|h|gypi|map|txt)|binding\.gyp)$/,
  'commands, and what compiles at an install': /^(?:bin|scripts)\/[\w-]+\.c?js$/,
  prose: /^(?:(?:docs|prebuilds)\/)?[\w-]+\.md$/,
  'licence and manifest': /^(?:LICENSE|package\.json)$/,
};

/** Packs into `folder`; returns { file, files: [{ path, size }], packedBytes, unpackedBytes }. @throws Error with npm's words */
export function pack(folder) {
  if (ensureBuild() === 'failed') throw new Error('the build failed, see above');
  // The build is fresh, and prepack would build again.
  const args = [npmCli(), 'pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm pack ended with ${status}:\n${stderr}`);
  const [report] = Object.values(JSON.parse(stdout));
  return {
    file: path.join(folder, report.filename),
    files: report.files.map(({ path: name, size }) => ({ path: name, size })),
    packedBytes: report.size,
    unpackedBytes: report.unpackedSize,
  };
}

/** What the tarball is made of: lines of a table, one per reason. */
export function describe({ files, packedBytes, unpackedBytes }) {
  const lines = Object.entries(REASONS).map(([reason, pattern]) => {
    const those = files.filter((file) => pattern.test(file.path));
    const bytes = those.reduce((sum, { size }) => sum + size, 0);
    return `${String(those.length).padStart(5)} files ${kilobytes(bytes).padStart(9)}  ${reason}`;
  });
  return [...lines, `${kilobytes(packedBytes)} packed, ${kilobytes(unpackedBytes)} unpacked`];
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(0)} kB`;
}

/**
 * Complaints about the contents, none when all is well. `binaries`: those that must be there, below prebuilds/; `manifest`: package.json.
 */
export function complaintsAbout({ files, packedBytes }, { binaries, manifest }) {
  const names = files.map((file) => file.path);
  const complaints = names
    .filter((name) => !Object.values(REASONS).some((pattern) => pattern.test(name)))
    .map((name) => `${name} does not belong into the tarball`);
  const needed = [
    ...['LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'binding.gyp', 'native/sources.gypi'],
    ...targetsOf(manifest),
    ...binaries.map((file) => `prebuilds/${file}`),
  ];
  for (const name of new Set(needed)) {
    if (!names.includes(name)) complaints.push(`${name} is missing in the tarball`);
  }
  const strangers = names.filter(
    (name) => name.endsWith('.node') && !binaries.includes(name.replace(/^prebuilds\//, '')),
  );
  complaints.push(...strangers.map((name) => `${name} is a binary for no target`));
  if (packedBytes > MAX_PACKED_BYTES) {
    complaints.push(`the tarball has ${kilobytes(packedBytes)}, more than ${kilobytes(MAX_PACKED_BYTES)}`);
  }
  return complaints;
}

/** Files that package.json points to. */
function targetsOf({ main, types, bin = {}, exports = {} }) {
  const targets = [main, types, ...(typeof bin === 'string' ? [bin] : Object.values(bin))];
  for (const target of Object.values(exports)) {
    targets.push(...(typeof target === 'string' ? [target] : Object.values(target)));
  }
  return targets.filter(Boolean).map((target) => target.replace(/^\.\//, ''));
}
