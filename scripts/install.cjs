#!/usr/bin/env node
// install.cjs: runs when the package is installed, where that is allowed; everything works without it. Where no binary of the package
// loads it compiles one, by the node-gyp of the npm that runs this, with the headers of a dependency: nothing is downloaded.
// Invariants: the exit code is 0; one line says which engine will be used; build/Release gets a whole binary that was loaded once, by
// a rename, or none; the compiler has a bounded time and leaves no process behind. In a clone of the repository it does nothing.
// TOFU_AMPE_COMPILE_TIMEOUT_MS: that time. npm_config_build_from_source (npm install --build-from-source): compile in any case.
'use strict';
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const packageRoot = path.resolve(__dirname, '..');
const build = path.join(packageRoot, 'build');
const place = path.join(build, 'Release', 'tofu_ampe.node');
const log = path.join(build, 'install.log');
const COMPILE_TIMEOUT_MS = Number(process.env.TOFU_AMPE_COMPILE_TIMEOUT_MS) || 10 * 60_000;
const PROBE_TIMEOUT_MS = 30_000;

/** What cannot be done, in words that fit behind "the fallback engine will be used: ". */
class Cannot extends Error {}

/** The binary a program would run, null when none loads. In a process of its own: a binary that is no good may end it. */
function loadedBinary(prebuild) {
  const env = { ...process.env, TOFU_AMPE_BACKEND: '', TOFU_AMPE_POLLER: '', TOFU_AMPE_PREBUILD: prebuild ?? '' };
  const args = [path.join(packageRoot, 'bin', 'tofu-ampe.cjs'), 'doctor', '--json', '--here'];
  const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: PROBE_TIMEOUT_MS });
  if (status !== 0) return null;
  const { engine, tried } = JSON.parse(stdout);
  return engine === 'native' ? tried.find(({ trouble }) => trouble === null).file : null;
}

/** Runs a program in a process group of its own, so that whatever it starts can be ended with it. Resolves to its trouble, or null. */
function run(command, args, cwd, output) {
  const ownGroup = process.platform !== 'win32';
  const child = spawn(command, args, { cwd, stdio: ['ignore', output, output], detached: ownGroup });
  let trouble = null;
  const end = (why) => {
    trouble ??= why;
    try {
      process.kill(ownGroup ? -child.pid : child.pid, 'SIGKILL');
    } catch {
      // it is over already
    }
  };
  const timer = setTimeout(() => end(`took longer than ${COMPILE_TIMEOUT_MS / 1000} s`), COMPILE_TIMEOUT_MS);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(`was stopped by ${signal}`));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(`could not be started: ${error.message}`));
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(trouble ?? (code === 0 ? null : `failed (${code ?? signal})`));
    });
  });
}

/** Compiles and puts the binary in its place. @throws Cannot */
async function compile() {
  if (process.platform === 'win32') throw new Cannot('there is no native engine for Windows yet');
  const nodeGyp = process.env.npm_config_node_gyp;
  if (!nodeGyp || !fs.existsSync(nodeGyp)) throw new Cannot('no binary fits, and there is no node-gyp to compile one');
  const scratch = path.join(build, `install-${process.pid}`);
  try {
    const { work, args, file } = require('./node-gyp.cjs').prepare(scratch, os.availableParallelism());
    const output = fs.openSync(log, 'w');
    const trouble = await run(process.execPath, [nodeGyp, ...args], work, output);
    fs.closeSync(output);
    if (trouble !== null) throw new Cannot(`no binary fits, and compiling one ${trouble}`);
    if (loadedBinary(file) === null) throw new Cannot('no binary fits, and the one that was compiled does not load');
    fs.mkdirSync(path.dirname(place), { recursive: true });
    const next = `${place}.next-${process.pid}`; // not named as an addon is
    fs.copyFileSync(file, next);
    fs.renameSync(next, place);
    fs.rmSync(log);
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

/** The line that tells the outcome. */
async function outcome() {
  const wantsCompiler = /^(?:true|(?:.*,)?tofu-ampe(?:,.*)?)$/.test(process.env.npm_config_build_from_source ?? '');
  try {
    const file = wantsCompiler ? null : loadedBinary();
    if (file !== null) return `the native engine will be used (${path.relative(packageRoot, file)})`;
    await compile();
    return `the native engine will be used, compiled here (${path.relative(packageRoot, place)})`;
  } catch (error) {
    const why = error instanceof Cannot ? error.message : `the install script failed (${error.message})`;
    const file = wantsCompiler ? loadedBinary() : null;
    if (file !== null) return `the native engine will be used (${path.relative(packageRoot, file)}); ${why}`;
    return `the fallback engine will be used: ${why}; npx tofu-ampe doctor says more`;
  }
}

// The tarball holds built modules, a clone their sources.
if (!fs.existsSync(path.join(packageRoot, 'lib', 'index.ts'))) {
  outcome()
    .then((line) => process.stdout.write(`tofu-ampe: ${line}\n`))
    .catch(() => undefined)
    .finally(() => (process.exitCode = 0));
}
