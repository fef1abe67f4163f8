#!/usr/bin/env node
// tofu-ampe.cjs: the command of the package. `doctor` says which engine runs here, why, and what to do for a better one.
// Invariant: a binary that ends the process which loads it does not end this one, and is named.
// Exit code 0: an engine runs; 1: none does; 2: not understood; 3: what was found could not be written.
// Usage: npx tofu-ampe doctor [--json], or --help, or --version
//   --here: examines in this process; for who started it to see how it ends (this command itself, scripts/install.cjs)
'use strict';
const { spawnSync } = require('node:child_process');
const { parseArgs } = require('node:util');

const USAGE = `usage: tofu-ampe doctor [--json]
       tofu-ampe --help | --version
doctor says which engine runs here, why, and what to do for a better one; --json says it to programs.
Exit code 0: an engine runs; 1: none does; 2: wrong usage; 3: the output could not be written.
`;
const EXAMINE_TIMEOUT_MS = 30_000;
const NOT_WRITTEN = 3;

/** The options and the command; null when they are not understood. */
function asked() {
  const options = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
    json: { type: 'boolean' },
    here: { type: 'boolean' },
  };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (values.help || values.version) return values;
    return positionals.length === 1 && positionals[0] === 'doctor' ? values : null;
  } catch {
    return null;
  }
}

/**
 * Examines in a process of its own. The findings; or its `ending`, where that process had no good one; or null: there can be none.
 */
function examineApart(environment = {}) {
  // Deno gives a process that is started like this all permissions: where this one may load no addon, that one would.
  if (globalThis.Deno && globalThis.Deno.permissions.querySync({ name: 'ffi' }).state !== 'granted') return null;
  const args = [...process.execArgv, __filename, 'doctor', '--json', '--here'];
  const env = { ...process.env, ...environment };
  const stdio = ['ignore', 'pipe', 'inherit'];
  const limits = { timeout: EXAMINE_TIMEOUT_MS, killSignal: 'SIGKILL' };
  try {
    const ended = spawnSync(process.execPath, args, { env, stdio, encoding: 'utf8', windowsHide: true, ...limits });
    if (ended.error?.code === 'ETIMEDOUT') return { ending: `did not end within ${EXAMINE_TIMEOUT_MS / 1000} s` };
    if (ended.error) return null;
    if (ended.signal) return { ending: `was ended by ${ended.signal}` };
    return ended.status > 1 || ended.stdout === ''
      ? { ending: `ended with exit code ${ended.status}` }
      : JSON.parse(ended.stdout);
  } catch {
    return null; // it may not be started: Node's permissions
  }
}

/** Each file alone, to tell the bad one. */
function troubleOf(file) {
  const { ending, tried, reason } = examineApart({ TOFU_AMPE_PREBUILD: file }) ?? { reason: 'was not tried' };
  if (ending !== undefined) return `a process that loads it ${ending}`;
  return tried?.[0] ? tried[0].trouble : reason;
}

async function findingsOf(here) {
  const { examine, filesHere } = require('../dist/lib/doctor.js');
  const findings = here ? null : examineApart();
  if (findings === null) return examine();
  const { ending } = findings;
  if (ending === undefined) return findings;
  return examine({ ending, tried: filesHere().map((file) => ({ file, trouble: troubleOf(file) })) });
}

/** Resolves to the exit code: the given one, and that also where who reads has seen enough. */
function print(text, code) {
  return new Promise((resolve) => {
    const onError = (error) => {
      if (error.code === 'EPIPE') return resolve(code);
      process.stderr.write(`tofu-ampe: the output could not be written: ${error.message}\n`);
      resolve(NOT_WRITTEN);
    };
    process.stdout.once('error', onError);
    try {
      process.stdout.write(text, (error) => {
        if (!error) resolve(code);
      });
    } catch (error) {
      onError(error); // Deno throws it
    }
  });
}

async function main() {
  const options = asked();
  if (options === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (options.help) return print(USAGE, 0);
  if (options.version) return print(`${require('../package.json').version}\n`, 0);
  const findings = await findingsOf(options.here);
  const { textOf } = require('../dist/lib/doctor.js');
  const text = options.json ? `${JSON.stringify(findings, null, 2)}\n` : textOf(findings);
  return print(text, findings.engine === null ? 1 : 0);
}

process.stderr.on('error', () => undefined); // nobody is left to be told
main().then((code) => (process.exitCode = code));
