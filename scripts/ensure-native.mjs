#!/usr/bin/env node
// ensure-native.mjs: makes the addon what the sources in native/ say, and does nothing when it already is.
// cmake-js builds it, without a download, in build/cmake/<variant>; the finished file is put in its place by a rename, so that
// nobody loads half a binary: build/Release/tofu_ampe.node, or build/asan/ and build/tsan/ for the sanitizers' variants.
// Staleness is a hash over sources, settings and compiler, as for dist/. One builder of a variant at a time; others wait for it.
// Usage: node scripts/ensure-native.mjs [--force] [--variant release|asan|tsan] [--optional]
// --optional: a missing tool is said, and is no failure; programs then run on the fallback engine.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nativeFiles } from './build-identity.cjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const ADDON = 'tofu_ampe.node';
const LOCK_POLL_MS = 200;
const LOCK_DEADLINE_MS = 10 * 60_000;

const variants = {
  release: { folder: 'Release', definitions: [] },
  asan: { folder: 'asan', definitions: ['TOFU_SANITIZE=address'] },
  tsan: { folder: 'tsan', definitions: ['TOFU_SANITIZE=thread'] },
};

const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
/** What compiling takes: one of `commands`. */
const tools = [
  { commands: ['cmake'], debian: 'cmake' },
  { commands: compilers, debian: 'g++' },
  { commands: ['ninja', 'make'], debian: 'ninja-build' },
];
/** What the tests take besides: a header that the compiler finds. */
const testHeader = { name: 'gtest/gtest.h', debian: 'libgtest-dev' };

/** Complaints, one for each tool that is missing, with the package it is in; empty when all are there. */
export function missingTools({ tests = false } = {}) {
  const complaints = tools.filter(({ commands }) => !commands.some(isCommand)).map(complaintOf);
  if (tests && complaints.length === 0 && !isHeader(testHeader.name)) {
    complaints.push(
      `the native tests need ${testHeader.name}, which is not there: apt-get install ${testHeader.debian}`,
    );
  }
  return complaints;
}

function isHeader(name) {
  const options = { input: `#include <${name}>\n`, stdio: ['pipe', 'ignore', 'ignore'] };
  return spawnSync(compilers.find(isCommand), ['-x', 'c++', '-E', '-'], options).status === 0;
}

function complaintOf({ commands, debian }) {
  return `the native engine needs ${commands.join(' or ')}, which is not installed: apt-get install ${debian}`;
}

export function isCommand(name) {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Where a variant of the addon is when it is built. */
export function addonFile(variant = 'release') {
  return path.join(root, 'build', variants[variant].folder, ADDON);
}

function sourceFiles() {
  return ['CMakeLists.txt', 'package.json', 'scripts/build-identity.cjs', ...nativeFiles(root)];
}

/** Everything that changes how it is compiled, but not what: another value means a build from scratch. */
function configuration(variant) {
  const compiler = compilers.find(isCommand);
  const { stdout } = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
  const { version } = createRequire(import.meta.url)('cmake-js/package.json');
  const { definitions } = variants[variant];
  return JSON.stringify([root, definitions, process.arch, version, compiler, stdout]);
}

function stampOf(configurationText) {
  const hash = createHash('sha256').update(configurationText);
  for (const file of sourceFiles()) {
    const content = readFileSync(path.join(root, file));
    hash.update(`\n${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function textOf(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

function isFresh(variant, stamp) {
  return existsSync(addonFile(variant)) && textOf(`${addonFile(variant)}.stamp`) === stamp;
}

/** Runs cmake-js; what it says is shown only when it fails. */
function compile(folder, definitions, configurationText) {
  const configured = path.join(folder, 'configuration.json');
  if (textOf(configured) !== configurationText) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(configured, configurationText);
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
  const args = ['build', '--out', folder, ...definitions.map((definition) => `--CD${definition}`)];
  const ended = spawnSync(process.execPath, [cmakeJs, ...args], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (ended.status !== 0) process.stderr.write(`${ended.stdout}${ended.stderr}`);
  return ended.status === 0;
}

function put(file, place) {
  mkdirSync(path.dirname(place), { recursive: true });
  const next = `${place}.next-${process.pid}`;
  copyFileSync(file, next);
  renameSync(next, place);
}

/** Runs `work` while no other process runs it for the same lock; a lock whose process is gone counts for nothing. */
async function alone(lock, work) {
  mkdirSync(path.dirname(lock), { recursive: true });
  const deadline = Date.now() + LOCK_DEADLINE_MS;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isAbandoned(lock)) rmSync(lock, { force: true });
    else if (Date.now() > deadline) throw new Error(`waited too long for another build to end: ${lock}`);
    else await sleep(LOCK_POLL_MS);
  }
  try {
    return work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isAbandoned(lock) {
  const owner = Number(textOf(lock));
  if (!owner) return false; // about to be written, or just removed
  try {
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/**
 * Resolves to what was done: 'fresh' (nothing to do), 'built' or 'failed' (and standard error says why).
 * `werror`: warnings are errors, the default in CI.
 */
export async function ensureNative({ variant = 'release', force = false, werror = Boolean(process.env.CI) } = {}) {
  const complaints = missingTools();
  if (complaints.length > 0) {
    process.stderr.write(`${complaints.join('\n')}\n`);
    return 'failed';
  }
  const text = configuration(variant);
  const stamp = stampOf(text);
  if (!force && isFresh(variant, stamp)) return 'fresh';
  const folder = path.join(root, 'build', 'cmake', werror ? `${variant}-strict` : variant);
  const definitions = [...variants[variant].definitions, ...(werror ? ['TOFU_WERROR=ON'] : [])];
  return alone(path.join(root, 'build', 'cmake', `${variant}.lock`), () => {
    if (!force && isFresh(variant, stamp)) return 'built'; // the other one built the same
    const reason = force ? '' : existsSync(addonFile(variant)) ? ' (the sources have changed)' : ' (nothing built yet)';
    process.stderr.write(`building ${path.relative(root, addonFile(variant))}${reason}\n`);
    if (!compile(folder, definitions, text)) return 'failed';
    if (stampOf(text) !== stamp) {
      // An object may be of the old text and newer than the new one: the next build must not trust it.
      rmSync(folder, { recursive: true, force: true });
      process.stderr.write('the native sources changed while they were compiled: build again\n');
      return 'failed';
    }
    rmSync(`${addonFile(variant)}.stamp`, { force: true });
    put(path.join(folder, 'Release', ADDON), addonFile(variant));
    writeFileSync(`${addonFile(variant)}.stamp`, stamp);
    return 'built';
  });
}

function parseArguments(args) {
  const options = {};
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--force') options.force = true;
    else if (args[i] === '--optional') options.optional = true;
    else if (args[i] === '--variant' && Object.hasOwn(variants, args[i + 1])) options.variant = args[++i];
    else
      throw new Error(
        `unknown argument ${args[i]}; known: --force, --optional, --variant ${Object.keys(variants).join('|')}`,
      );
  }
  return options;
}

/** Whether programs get the fallback engine: asked for, or because a tool is missing, which is said. */
function goesWithout() {
  if (process.env.TOFU_AMPE_BACKEND === 'fallback') return true;
  const complaints = missingTools();
  for (const complaint of complaints) process.stderr.write(`${complaint}; going on without it\n`);
  return complaints.length > 0;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const { optional = false, ...options } = parseArguments(process.argv.slice(2));
    if (!(optional && goesWithout()) && (await ensureNative(options)) === 'failed') {
      process.stderr.write('ensure-native: the build failed, see above\n');
      process.exitCode = 1;
    }
  } catch (error) {
    process.stderr.write(`ensure-native: ${error.message}\n`);
    process.exitCode = 2;
  }
}
