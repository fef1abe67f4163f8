#!/usr/bin/env node
// prebuild.mjs: makes the binaries of the tarball: prebuilds/<platform>-<arch>/tofu-ampe.<tags>.node, by prebuildify, which calls
// scripts/cross-compile.mjs in the place of node-gyp. Each target is built in a folder of its own below build/prebuild, so that the
// addon in use stays where it is, and is checked (scripts/check-prebuilds.mjs) before it counts.
// A target that was built from the same sources with the same settings is left alone.
// Its name in package.json is also that of a hook which npm runs before `npm run build`, where nothing is to be done. npm does not
// tell the two apart; but it runs `preprebuild` only before a `prebuild` that was asked for, and that leaves a note (--asked).
// Usage: node scripts/prebuild.mjs [--force] [--target linux-x64-glibc]...
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildIdentity } from './build-identity.cjs';
import { complaintsAbout } from './check-prebuilds.mjs';
import { targetsNamed } from './prebuild-targets.mjs';
import { zig } from './zig.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const prebuildify = createRequire(import.meta.url).resolve('prebuildify/bin.js');

const note = path.join(root, 'build', 'prebuild', 'asked');

function leaveNote() {
  mkdirSync(path.dirname(note), { recursive: true });
  writeFileSync(note, '');
}

/** Whether npm runs this on its way to another script. With ignore-scripts it runs no hooks at all. */
function isHook() {
  if (process.env.npm_lifecycle_event !== 'prebuild' || process.env.npm_config_ignore_scripts === 'true') return false;
  const wasAsked = existsSync(note);
  rmSync(note, { force: true });
  return !wasAsked;
}

/** Everything the binary depends on. */
function stampOf(target, compiler) {
  const how = ['cross-compile.mjs', 'prebuild-targets.mjs', 'cross/darwin_new_delete.cc'].map((name) =>
    readFileSync(path.join(root, 'scripts', name), 'utf8'),
  );
  const { devDependencies, dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const headers = ['node-addon-api', 'node-api-headers'].map((name) => dependencies[name] ?? devDependencies[name]);
  const all = JSON.stringify([target, compiler, buildIdentity(root), headers, how]);
  return createHash('sha256').update(all).digest('hex');
}

/** Returns whether it went well; what the compiler says goes to standard error. */
function build(target) {
  const work = path.join(root, 'build', 'prebuild', target.name);
  mkdirSync(work, { recursive: true });
  copyFileSync(path.join(root, 'package.json'), path.join(work, 'package.json'));
  const args = ['--napi', '--cwd', work, '--out', root, '--platform', target.platform, '--arch', target.arch];
  if (target.libc) args.push('--libc', target.libc, '--tag-libc');
  if (target.armv) args.push('--armv', target.armv, '--tag-armv');
  args.push('--node-gyp', path.join(root, 'scripts', 'cross-compile.mjs'));
  const ended = spawnSync(process.execPath, [prebuildify, ...args], { cwd: root, stdio: ['ignore', 2, 2] });
  return ended.status === 0;
}

function main() {
  const { values } = parseArgs({
    options: { target: { type: 'string', multiple: true }, force: { type: 'boolean' }, asked: { type: 'boolean' } },
  });
  if (values.asked) {
    leaveNote();
    return 0;
  }
  if (isHook()) return 0;
  const { version } = zig();
  let failed = 0;
  for (const target of targetsNamed(values.target ?? [])) {
    const file = path.join(root, 'prebuilds', target.file);
    const stampFile = path.join(root, 'build', 'prebuild', `${target.name}.stamp`);
    const stamp = stampOf(target, version);
    const isFresh = existsSync(file) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
    if (values.force || !isFresh) {
      rmSync(stampFile, { force: true });
      rmSync(file, { force: true });
      if (!build(target)) {
        process.stderr.write(`prebuild: ${target.name} failed, see above\n`);
        failed++;
        continue;
      }
    }
    const complaints = complaintsAbout(target);
    if (complaints.length === 0) writeFileSync(stampFile, stamp);
    else failed++;
    for (const complaint of complaints) process.stderr.write(`prebuild: ${complaint}\n`);
    const outcome = complaints.length > 0 ? 'NOT AS IT SHOULD BE' : isFresh && !values.force ? 'fresh' : 'built';
    process.stdout.write(`${target.file}: ${outcome}, zig ${version}\n`);
  }
  return failed;
}

try {
  if (main() > 0) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`prebuild: ${error.message}\n`);
  process.exitCode = 1;
}
