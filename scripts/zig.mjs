// zig.mjs: the cross compiler: which zig, where it comes from, where it lies. The one place where the version stands.
// The official package of PyPI, checked against the hash below, unpacked into build/zig; nothing is installed anywhere else.
// TOFU_ZIG names another zig that is there already; it is used as it is.
// Everything zig compiles on the way (libc++, start-up code) is kept beside it, so that the second build of a target is quick.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const ZIG_VERSION = '0.15.2';
/** Machines that may cross-compile, with the hash of their wheel. */
const wheels = {
  'linux-x64': '806316453d1ede7174ed3fefb8e5348154629089c3bb5fe812dfd0e172fac130',
};
const folder = path.join(root, 'build', 'zig', ZIG_VERSION);

/** zig is not there and cannot be had; the message says what to do. */
export class NoZig extends Error {}

/** What the command prints; `trouble` says what its failure means. */
function run(command, args, options, trouble) {
  const ended = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26, ...options });
  if (ended.error) throw new NoZig(`${trouble}\n${command}: ${ended.error.message}`);
  if (ended.status !== 0) {
    const output = `${ended.stdout}${ended.stderr}`.trim();
    throw new NoZig(`${trouble}\n${command} ended with ${ended.status ?? ended.signal}: ${output}`);
  }
  return ended.stdout;
}

/** Unpacks beside the final place and renames at the end, so that a run that was cut off leaves nothing half. */
function fetchZig() {
  const machine = `${process.platform}-${process.arch}`;
  const hash = wheels[machine];
  if (hash === undefined) throw new NoZig(`no zig is pinned for ${machine}; set TOFU_ZIG to one of ${ZIG_VERSION}`);
  mkdirSync(path.dirname(folder), { recursive: true });
  const scratch = mkdtempSync(`${folder}-`);
  try {
    process.stderr.write(`fetching zig ${ZIG_VERSION} from PyPI\n`);
    const list = path.join(scratch, 'requirements.txt');
    writeFileSync(list, `ziglang==${ZIG_VERSION} --hash=sha256:${hash}\n`);
    const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--no-cache-dir'];
    const trouble = `zig ${ZIG_VERSION} cannot be had (it takes python3 with pip: apt-get install python3-pip); or set TOFU_ZIG`;
    run('python3', [...pip, '--only-binary=:all:', '--require-hashes', '-r', list, '-d', scratch], {}, trouble);
    const wheel = readdirSync(scratch).find((name) => name.endsWith('.whl'));
    run('python3', ['-m', 'zipfile', '-e', path.join(scratch, wheel), scratch], {}, `${wheel} cannot be unpacked`);
    chmodSync(path.join(scratch, 'ziglang', 'zig'), 0o755); // a wheel keeps the mode where zipfile does not look
    try {
      renameSync(path.join(scratch, 'ziglang'), folder);
    } catch (error) {
      if (!existsSync(folder)) throw error; // another run was faster
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The environment zig runs in: its caches are ours. */
export function zigEnvironment() {
  const cache = path.join(root, 'build', 'zig', 'cache');
  return { ...process.env, ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache };
}

/** The compiler's path and version. @throws NoZig */
export function zig() {
  const given = process.env.TOFU_ZIG;
  if (!given && !existsSync(folder)) fetchZig();
  const program = given || path.join(folder, 'zig');
  if (!existsSync(program)) throw new NoZig(`${program} is not there${given ? '' : '; remove its folder'}`);
  const version = run(program, ['version'], { env: zigEnvironment() }, `${program} does not run`).trim();
  return { program, version: given ? `${version} (TOFU_ZIG)` : version };
}
