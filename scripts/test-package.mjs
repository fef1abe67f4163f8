#!/usr/bin/env node
// test-package.mjs: packs the package and uses the tarball as its users do: installed by each package manager in an empty folder with an
// empty HOME, without a compiler, with no network but the registry; loaded in each way; messages exchanged on each engine.
// Prints what was seen; the last line is `N passed, N failed`. It needs the binaries of prebuilds/ (npm run prebuild).
// Usage: node scripts/test-package.mjs [--quick]
//   --quick: npm only, no linters of packages, no types; and of the binaries only that of this system need be there
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installers } from './installers.mjs';
import { targets } from './prebuild-targets.mjs';
import { linter, npmCli } from './programs.mjs';
import { openGate, Room } from './room.mjs';
import { runJest } from './run-jest.mjs';
import { complaintsAbout, describe, pack } from './tarball.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const textOf = (...names) => readFileSync(path.join(root, ...names), 'utf8');
const manifest = JSON.parse(textOf('package.json'));
const entryPoints = Object.keys(manifest.exports)
  .filter((name) => !name.endsWith('.json'))
  .map((name) => path.posix.join(manifest.name, name));

let passed = 0;
let failed = 0;

/** One thing that must hold: `complaint` is null, or says why it does not. */
function check(name, complaint) {
  if (complaint === null) passed++;
  else failed++;
  process.stdout.write(
    `${complaint === null ? 'ok  ' : 'FAIL'} ${name}${complaint === null ? '' : `: ${complaint}`}\n`,
  );
}

/** null, or what a command that should have ended well has said. */
function complaintOf({ code, stdout, stderr }) {
  return code === 0 ? null : `ended with ${code}\n${stdout}${stderr}`;
}

/** Requires and imports each entry point and compares the names. */
const LOADS = `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const names = (all) => Object.keys(all).filter((name) => !['default', 'module.exports', '__esModule'].includes(name)).sort();
for (const name of ${JSON.stringify(entryPoints)}) {
  const [required, imported] = [names(require(name)), names(await import(name))];
  if (required.length === 0 || String(required) !== String(imported)) throw new Error(name + ': ' + required + ' / ' + imported);
}
if (require('${manifest.name}').Reactor !== (await import('${manifest.name}')).Reactor) throw new Error('two copies of one class');
`;

/** What is not as expected in a run of test/package/exchange.mjs. */
function exchangeComplaint(run, backend, reason) {
  if (run.code !== 0) return complaintOf(run);
  const seen = JSON.parse(run.stdout);
  if (seen.backend !== backend || !reason.test(seen.backendReason)) return `${seen.backend}, ${seen.backendReason}`;
  return seen.exchanged.tcp > 0 && seen.exchanged.uds > 0 ? null : run.stdout;
}

/** null when a command ended well and the install script said that, in one line. */
function lineComplaint(run, words) {
  const lines = run.stdout.split('\n').filter((line) => line.startsWith(`${manifest.name}: `));
  return run.code === 0 && lines.length === 1 && lines[0].includes(words)
    ? null
    : `ended with ${run.code}\n${run.stdout}`;
}

/** An installer that passed the gate by would not be watched at all. */
function gateComplaint({ refused, allowed }, { protocol }) {
  if (refused.length > 0) return refused.join(', ');
  return allowed() > 0 || protocol === 'http:' ? null : 'it did not ask for the registry either';
}

/** From the install to the exchange on each engine, and without binaries. */
async function tryInstaller({ name, prepare }, tarball, registry) {
  const { command, runtime, links, files = {}, rebuild, undecided } = prepare(tarball.file);
  const room = new Room(name.replaceAll(/\W+/g, '-'));
  const gate = await openGate(registry.hostname);
  try {
    for (const [link, file] of Object.entries(links)) room.link(link, file);
    for (const [file, text] of Object.entries(files)) room.write(file, text);
    room.write('.npmrc', `registry=${registry.href}\n`);
    // A registry without TLS is reached directly; all else goes through the gate.
    const proxy = registry.protocol === 'https:' ? {} : { NO_PROXY: registry.hostname };
    const environment = { HTTP_PROXY: gate.url, HTTPS_PROXY: gate.url, ...proxy };
    const started = Date.now();
    const installed = await room.run(command, { environment });
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    const asksFirst = undecided?.test(installed.stderr) ?? false;
    if (asksFirst) check(`${name}: installs in ${seconds} s, and wants a decision about the script`, null);
    else check(`${name}: installs in ${seconds} s`, complaintOf(installed));
    if (installed.code !== 0 && !asksFirst) return;
    check(`${name}: asks for nothing but the registry`, gateComplaint(gate, registry));
    const folder = realpathSync(path.join(room.project, 'node_modules', manifest.name));
    check(`${name}: compiles nothing`, existsSync(path.join(folder, 'build')) ? 'there is a build folder' : null);
    if (rebuild)
      check(`${name}: says which engine will be used`, lineComplaint(installed, 'the native engine will be used'));
    room.write('loads.mjs', LOADS);
    check(
      `${name}: every entry point is required and imported`,
      complaintOf(await room.run([...runtime, 'loads.mjs'])),
    );
    await tryEngines(room, name, runtime, folder);
    if (!rebuild) return;
    // Without a compiler the script cannot help, and must not stand in the way.
    const again = await room.run(rebuild, { environment });
    check(
      `${name}: gets over an install script that cannot compile`,
      lineComplaint(again, 'the fallback engine will be used'),
    );
  } finally {
    gate.close();
    room.remove();
  }
}

async function tryEngines(room, name, runtime, folder) {
  room.write('exchange.mjs', textOf('test', 'package', 'exchange.mjs'));
  const exchange = (environment) => room.run([...runtime, 'exchange.mjs'], { environment });
  check(`${name}: exchanges on the native engine`, exchangeComplaint(await exchange(), 'native', /prebuilds/));
  const asked = await exchange({ TOFU_AMPE_BACKEND: 'fallback' });
  check(`${name}: exchanges on the fallback engine`, exchangeComplaint(asked, 'fallback', /asked for/));
  const doctor = await room.run([...runtime, path.join(folder, 'bin', 'tofu-ampe.cjs'), 'doctor']);
  check(
    `${name}: the doctor finds the native engine`,
    /^engine: +native\b/m.test(doctor.stdout) ? null : doctor.stdout,
  );
  rmSync(path.join(folder, 'prebuilds'), { recursive: true });
  const without = await exchange();
  check(`${name}: exchanges without the binaries`, exchangeComplaint(without, 'fallback', /^no native engine/));
}

function lint(name, args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [linter(name), ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  check(`${name} has nothing to say`, complaintOf({ code: status, stdout, stderr }));
}

function registryOf() {
  const args = [npmCli(), 'config', 'get', 'registry'];
  return new URL(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout.trim());
}

/** Of this system, whichever its C library is. */
function ofThisSystem({ platform, arch }) {
  return platform === process.platform && arch === process.arch;
}

async function main(quick) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-tarball-'));
  try {
    const tarball = pack(scratch);
    process.stdout.write(`${path.basename(tarball.file)}\n${describe(tarball).join('\n')}\n`);
    const present = new Set(tarball.files.map((file) => file.path.replace(/^prebuilds\//, '')));
    // A developer builds one binary in seconds; the release needs all.
    const expected = quick ? targets.filter((target) => ofThisSystem(target) && present.has(target.file)) : targets;
    if (expected.length === 0) check('there is a binary for this system', 'npm run prebuild makes it');
    const binaries = quick
      ? targets.map(({ file }) => file).filter((file) => present.has(file))
      : targets.map(({ file }) => file);
    const complaints = complaintsAbout(tarball, { manifest, binaries });
    check('the tarball holds what it should and nothing else', complaints.length === 0 ? null : complaints.join('\n'));
    if (!quick) {
      lint('publint', ['run', tarball.file, '--strict']);
      // Without the resolution of Node 10, which knows no `exports`.
      lint('attw', [tarball.file, '--no-emoji', '--profile', 'node16']);
      // Types under node16, nodenext and bundler, and all that jest knows of the tarball.
      const counts = await runJest({ jestArguments: ['test/package/package'] });
      passed += counts.passed;
      failed += counts.failed;
    }
    for (const installer of installers.filter((each) => !quick || each.quick)) {
      await tryInstaller(installer, tarball, registryOf());
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  const unknown = process.argv.slice(2).find((argument) => argument !== '--quick');
  if (unknown !== undefined) throw new Error(`unknown argument ${unknown}; known: --quick`);
  await main(process.argv.includes('--quick'));
} catch (error) {
  process.stderr.write(`test-package: ${error.stack}\n`);
  failed++;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
