#!/usr/bin/env node
// ensure-build.mjs: makes dist/ what the sources say, and does nothing when it already is.
// Staleness is a hash over the sources and the compiler's settings, kept in dist/.stamp: times lie after a checkout or a copy.
// The compiler writes to a folder of its own, which then takes the place of the old one: a failed build leaves the last good
// one alone, files of deleted sources vanish, and two builders at once do not mix their output.
// What the loader compares with a binary (scripts/build-identity.cjs) is written into lib/native-engine/build-identity.js, and
// written anew, without compiling, when only native/ has changed.
// Usage: node scripts/ensure-build.mjs [--force]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIdentity } from './build-identity.cjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');
const stampFile = path.join(dist, '.stamp');
const identityFile = path.join('lib', 'native-engine', 'build-identity.js');
const sourceFolders = ['lib', 'recipes', 'demo'];
const settings = ['package.json', 'tsconfig.json', 'tsconfig.build.json'];

function sourceFiles() {
  const found = [...settings];
  for (const folder of sourceFolders) {
    if (!existsSync(path.join(root, folder))) continue;
    for (const name of readdirSync(path.join(root, folder), { recursive: true })) {
      if (name.endsWith('.ts')) found.push(path.join(folder, name));
    }
  }
  return found.sort();
}

function stampOf(files, compilerVersion) {
  const hash = createHash('sha256').update(compilerVersion);
  for (const file of files) {
    const content = readFileSync(path.join(root, file));
    hash.update(`\n${file.replaceAll('\\', '/')} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function builtStamp() {
  return existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : null;
}

function compile(outDir) {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const args = [compiler, '-p', path.join(root, 'tsconfig.build.json'), '--outDir', outDir, '--noEmitOnError'];
  return spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] }).status === 0;
}

/** Puts the freshly compiled folders in the place of the old ones; renames only, so that readers hardly notice. */
function replaceBuilt(fresh, old) {
  rmSync(stampFile, { force: true });
  mkdirSync(old, { recursive: true });
  for (const folder of sourceFolders) {
    const target = path.join(dist, folder);
    if (existsSync(target)) renameSync(target, path.join(old, folder));
    if (existsSync(path.join(fresh, folder))) renameSync(path.join(fresh, folder), target);
  }
}

/** The compiled module with null in it becomes one that names the sources. */
function writeIdentity(folder) {
  const file = path.join(folder, identityFile);
  const text = readFileSync(file, 'utf8');
  const assignment = /^exports\.BUILD_IDENTITY = (?:null|\{.*\});$/m;
  if (!assignment.test(text)) throw new Error(`${file} does not assign BUILD_IDENTITY as expected`);
  const next = text.replace(assignment, `exports.BUILD_IDENTITY = ${JSON.stringify(buildIdentity(root))};`);
  if (next === text) return false;
  writeFileSync(`${file}.next-${process.pid}`, next);
  renameSync(`${file}.next-${process.pid}`, file);
  return true;
}

/** Returns what was done: 'fresh' (nothing to do), 'built' or 'failed'. */
export function ensureBuild({ force = false } = {}) {
  const { version } = createRequire(import.meta.url)('typescript/package.json');
  const stamp = stampOf(sourceFiles(), version);
  const before = builtStamp();
  if (!force && before === stamp) return writeIdentity(dist) ? 'built' : 'fresh';
  const reason = force ? '' : before === null ? ' (nothing built yet)' : ' (the sources have changed)';
  process.stderr.write(`building dist/${reason}\n`);
  const fresh = path.join(dist, `.fresh-${process.pid}`);
  const old = path.join(dist, `.old-${process.pid}`);
  try {
    mkdirSync(fresh, { recursive: true });
    if (!compile(fresh)) return 'failed';
    writeIdentity(fresh);
    if (!force && builtStamp() === stamp) return 'built'; // another process was quicker: what it built is the same
    replaceBuilt(fresh, old);
    writeFileSync(stampFile, stamp);
    return 'built';
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const unknown = process.argv.slice(2).find((argument) => argument !== '--force');
  if (unknown !== undefined) {
    process.stderr.write(`ensure-build: unknown argument ${unknown}; known: --force\n`);
    process.exitCode = 2;
  } else if (ensureBuild({ force: process.argv.includes('--force') }) === 'failed') {
    process.stderr.write('ensure-build: the build failed, see above\n');
    process.exitCode = 1;
  }
}
