#!/usr/bin/env node
// lock.mjs: writes package-lock.json anew from package.json and completes it for platforms other than this one.
// Some registries offer only the binaries of the platforms they serve. npm then leaves the optional packages of the others out
// of the lock file, and `npm ci` refuses such a file on every platform. What is missing is added with the platform its name
// tells, so that npm passes over it here and finds it there; no checksum is known for these, so npm checks none.
// Usage: npm run lock
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'openharmony', 'sunos', 'win32'];
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

/** What the name of a package of binaries, e.g. `@x/core-linux-arm-gnueabihf`, tells of where it runs; null if nothing. */
function platformOf(name) {
  const words = name.split(/[-/]/);
  const system = systems.find((each) => words.includes(each));
  const cpu = processors.find((each) => words.includes(each));
  return system === undefined || cpu === undefined ? null : { cpu: [cpu], os: [system] };
}

/** Adds an entry for each optional dependency that has none; returns the names that were added. */
function complete(packages) {
  const added = [];
  for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (Object.keys(packages).some((place) => place.endsWith(`node_modules/${name}`))) continue;
      const platform = platformOf(name);
      if (platform === null || !/^\d/.test(version))
        throw new Error(`${parent}: cannot tell where ${name}@${version} runs`);
      packages[`node_modules/${name}`] = { version, ...platform, ...(dev ? { dev } : {}), optional: true };
      added.push(name);
    }
  }
  return added;
}

function sorted(packages) {
  return Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Resolves package.json in a folder without node_modules: what is installed here would otherwise decide what is in the file. */
function resolve(scratch) {
  for (const name of ['package.json', '.npmrc']) copyFileSync(path.join(root, name), path.join(scratch, name));
  const running = process.env.npm_execpath;
  const args = ['install', '--package-lock-only', '--ignore-scripts'];
  const options = { cwd: scratch, stdio: 'inherit' };
  const ended = running
    ? spawnSync(process.execPath, [running, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  if (ended.status !== 0) throw new Error(`npm ended with ${ended.status ?? ended.signal}`);
  return JSON.parse(readFileSync(path.join(scratch, 'package-lock.json'), 'utf8'));
}

const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-lock-'));
try {
  const lock = resolve(scratch);
  const added = complete(lock.packages);
  const file = path.join(root, 'package-lock.json');
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: sorted(lock.packages) }, null, 2)}\n`);
  process.stdout.write(`package-lock.json written, ${added.length} packages of other platforms added\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
