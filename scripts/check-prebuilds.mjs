#!/usr/bin/env node
// check-prebuilds.mjs: whether the binaries in prebuilds/ are those the tarball needs: one for each target, nothing else, for the
// right machine, with the right exports, asking no more of the system than we say, made from the sources that are here.
// Nothing is loaded: the files are read (scripts/binary-file.mjs), so that all of them can be checked anywhere.
// Usage: node scripts/check-prebuilds.mjs [--target linux-x64-glibc]...; exit code 1 and a line for each complaint
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readBinary } from './binary-file.mjs';
import { buildIdentity } from './build-identity.cjs';
import { GLIBC_FLOOR, MACOS_FLOOR, targets, targetsNamed } from './prebuild-targets.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
/** Places in the file, no functions, that zig's linker for macOS shows whatever it is told. */
const LINKER_LABELS = ['_mh_dylib_header', '__dso_handle'];
/** What every system of its kind has; of the C++ runtime nothing may be asked for. */
const libraries = {
  glibc: /^(?:lib(?:c|m|dl|pthread|rt)\.so\.\d+|ld-linux[\w-]*\.so\.\d+)$/,
  musl: /^libc\.so$/,
  darwin: /^\/usr\/lib\/lib(?:System\.B|objc\.A)\.dylib$/,
};

/** -1, 0 or 1: versions such as '2.17', number by number. */
function compareVersions(a, b) {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  for (let index = 0; index < Math.max(x.length, y.length); index++) {
    const difference = (x[index] ?? 0) - (y[index] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** What is wrong with the format's own things. */
function complaintsOfFormat(target, binary) {
  if (target.platform === 'darwin') {
    const { minimumSystem } = binary;
    return [
      // Intel processors run what is not signed, those of Apple do not.
      ...(binary.isSigned || target.arch === 'x64' ? [] : ['has no signature']),
      ...(minimumSystem !== null && compareVersions(minimumSystem, MACOS_FLOOR) <= 0
        ? []
        : [`needs macOS ${minimumSystem}, not ${MACOS_FLOOR}`]),
    ];
  }
  const floors = binary.versions.map((version) => /^GLIBC_(.+)$/.exec(version)?.[1]).filter(Boolean);
  const tooNew = floors.filter((version) => compareVersions(version, GLIBC_FLOOR) > 0);
  return [
    ...(binary.isStripped ? [] : ['is not stripped']),
    ...(binary.flags.includes('NODELETE') ? [] : ['can be unmapped (no -z nodelete)']),
    ...(tooNew.length > 0 ? [`needs glibc ${tooNew.sort(compareVersions).at(-1)}, not ${GLIBC_FLOOR}`] : []),
    ...(target.libc === 'musl' && floors.length > 0 ? ['needs glibc, and should need musl'] : []),
  ];
}

/** Everything that is wrong with the binary of a target, as sentences; empty when it is as it should be. */
export function complaintsAbout(target, folder = path.join(root, 'prebuilds'), identity = buildIdentity(root)) {
  const file = path.join(folder, target.file);
  if (!existsSync(file)) return [`${target.file} is missing (npm run prebuild -- --target ${target.name})`];
  let binary;
  try {
    binary = readBinary(file);
  } catch (error) {
    return [`${target.file} cannot be read: ${error.message}`];
  }
  const format = target.platform === 'darwin' ? 'Mach-O' : 'ELF';
  if (binary.format !== format) return [`${target.file} is ${binary.format}, not ${format}`];
  const allowed = format === 'Mach-O' ? [...EXPORTS, ...LINKER_LABELS] : EXPORTS;
  const surplus = binary.exported.filter((name) => !allowed.includes(name));
  const absent = EXPORTS.filter((name) => !binary.exported.includes(name));
  const foreign = binary.imported.filter((name) => /^uv_|v8|node\d/.test(name));
  const unknown = binary.libraries.filter((name) => !libraries[target.libc ?? target.platform].test(name));
  const [, version, hash] = /tofu-ampe@([^#\0]*)#([0-9a-f]+)/.exec(readFileSync(file, 'latin1')) ?? [];
  const complaints = [
    ...(binary.machine === target.arch ? [] : [`is for ${binary.machine}, not ${target.arch}`]),
    ...(surplus.length > 0 ? [`exports ${surplus.length} symbols too many: ${surplus.slice(0, 3).join(', ')}`] : []),
    ...absent.map((name) => `does not export ${name}`),
    ...foreign.map((name) => `uses ${name}, which is not Node-API`),
    ...unknown.map((name) => `needs the library ${name}`),
    ...complaintsOfFormat(target, binary),
    ...(version === identity.version ? [] : [`is of version ${version}, not ${identity.version}`]),
    ...(hash === identity.sourcesHash ? [] : [`was built from other sources (${hash}, not ${identity.sourcesHash})`]),
  ];
  return complaints.map((complaint) => `${target.file} ${complaint}`);
}

/** Files below prebuilds/ that no target has. */
export function strangers(folder = path.join(root, 'prebuilds')) {
  if (!existsSync(folder)) return [];
  const expected = new Set(['README.md', ...targets.map(({ file }) => file)]);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((file) => !expected.has(file))
    .map((file) => `${file} belongs to no target`);
}

function main() {
  const { values } = parseArgs({ options: { target: { type: 'string', multiple: true } } });
  const wanted = targetsNamed(values.target ?? []);
  const complaints = [...wanted.flatMap((target) => complaintsAbout(target)), ...strangers()];
  for (const complaint of complaints) process.stderr.write(`${complaint}\n`);
  process.stdout.write(`${wanted.length} targets, ${complaints.length} complaints\n`);
  return complaints.length === 0 ? 0 : 1;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = main();
  } catch (error) {
    process.stderr.write(`check-prebuilds: ${error.message}\n`);
    process.exitCode = 1;
  }
}
