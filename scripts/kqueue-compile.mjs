#!/usr/bin/env node
// kqueue-compile.mjs: compiles the core for macOS against Apple's real headers, which the zig compiler ships.
// There is no macOS here to run it on: this proves that kqueue_poller.cc and the rest compile, not that they work. Their logic is
// run on Linux over test/native/os/kqueue_shim.
// Which zig: scripts/zig.mjs. Where none can be had this fails.
// Usage: node scripts/kqueue-compile.mjs
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { NoZig, zig, zigEnvironment } from './zig.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const target = 'aarch64-macos.11.0';
const flags = '-std=c++17 -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'.split(' ');
const layers = ['base', 'protocol', 'os', 'core'];
/** What must not be missing among the sources, or else this has compiled nothing of interest. */
const subject = 'native/os/kqueue_poller.cc';

/** The sources macOS would be given, as native/sources.gypi lists them. */
function sources() {
  const { core, core_bsd } = JSON.parse(readFileSync(path.join(root, 'native', 'sources.gypi'), 'utf8')).variables;
  const files = [...core, ...core_bsd].filter((file) => layers.includes(file.split('/')[1]));
  if (!files.includes(subject)) throw new Error(`native/sources.gypi does not list ${subject}`);
  return files;
}

function compile(program, file, folder) {
  const object = path.join(folder, `${file.replaceAll('/', '-')}.o`);
  const args = ['c++', '-target', target, ...flags, '-Inative', '-c', file, '-o', object];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env: zigEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
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
  const { program, version } = zig();
  process.stdout.write(`zig ${version}, target ${target}\n`);
  const failed = await compileAll(program, files);
  process.stdout.write(`${files.length - failed} of ${files.length} files compile for ${target}; nothing was run\n`);
  if (failed > 0) process.exitCode = 1;
} catch (error) {
  if (!(error instanceof NoZig)) throw error;
  process.stderr.write(`kqueue-compile: ${error.message}\n`);
  process.exitCode = 1;
}
