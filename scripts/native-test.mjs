#!/usr/bin/env node
// native-test.mjs: builds the core without Node together with its GoogleTest programs and runs them by ctest.
// Each configuration has a build folder of its own below build/tests, so that going back and forth compiles nothing again.
// The last line is `N passed, N failed`, counted from ctest's own report.
// Usage: node scripts/native-test.mjs [--sanitize address|thread] [arguments for ctest, e.g. -R framer]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isCommand, missingTools } from './ensure-native.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** What a report of a sanitizer ends with, and that it ends the program. */
export const sanitizerOptions = {
  ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  TSAN_OPTIONS: 'second_deadlock_stack=1:halt_on_error=1',
};

const FAILED = { passed: 0, failed: 1 };

/** Runs a program that may say a lot; what it said is shown only when it fails. */
function quietly(command, args) {
  const ended = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (ended.status === 0) return true;
  process.stderr.write(`${command} ${args.join(' ')}\n${ended.stdout ?? ''}${ended.stderr ?? ended.error.message}\n`);
  return false;
}

/** Configures and builds one folder; `definitions` are CMake's. Returns whether it went well. */
export function buildFolder(folder, definitions) {
  // A folder that was configured for another place, e.g. in a copied tree, is of no use to CMake.
  const cache = path.join(folder, 'CMakeCache.txt');
  if (existsSync(cache) && !readFileSync(cache, 'utf8').includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`)) {
    rmSync(folder, { recursive: true, force: true });
  }
  mkdirSync(folder, { recursive: true });
  const generator = isCommand('ninja') ? ['-G', 'Ninja'] : [];
  const set = Object.entries(definitions).map(([name, value]) => `-D${name}=${value}`);
  const jobs = String(os.availableParallelism());
  return (
    quietly('cmake', ['-S', root, '-B', folder, ...generator, ...set]) &&
    quietly('cmake', ['--build', folder, '--parallel', jobs])
  );
}

/** The attribute of the first element of that name. */
function attribute(xml, name) {
  const match = new RegExp(`<testsuite\\b[^>]*?\\b${name}="(\\d+)"`).exec(xml);
  if (match === null) throw new Error(`ctest's report has no ${name}`);
  return Number(match[1]);
}

function countReport(file, code) {
  if (!existsSync(file)) {
    console.error(`ctest ended (${code}) without a report`);
    return FAILED;
  }
  const xml = readFileSync(file, 'utf8');
  const tests = attribute(xml, 'tests');
  // A test that was left out has not passed.
  const failed = attribute(xml, 'failures') + attribute(xml, 'disabled') + attribute(xml, 'skipped');
  if (tests === 0 || (code !== 0 && failed === 0)) {
    console.error(tests === 0 ? 'ctest ran no test' : `ctest ended with ${code} although no test failed`);
    return { passed: tests - failed, failed: failed + 1 };
  }
  return { passed: tests - failed, failed };
}

/** What ctest says of tests that do not simply pass. */
function withoutPassed(text) {
  return text.replaceAll(/^ *(?:Start +\d+: .*|\d+\/\d+ Test +#\d+: .* Passed .*)\n/gm, '');
}

/** Builds and runs; returns the counts. `sanitize` is '', 'address' or 'thread'. */
export function nativeTest({ sanitize = '', ctestArguments = [] } = {}) {
  const complaints = missingTools({ tests: true });
  if (complaints.length > 0) {
    console.error(complaints.join('\n'));
    return FAILED;
  }
  const folder = path.join(root, 'build', 'tests', sanitize || 'plain');
  console.log(`building ${path.relative(root, folder)}`);
  const definitions = { TOFU_TESTS: 'ON', TOFU_WERROR: process.env.CI ? 'ON' : 'OFF', TOFU_SANITIZE: sanitize };
  if (!buildFolder(folder, definitions)) return FAILED;
  const report = path.join(folder, 'report.xml');
  rmSync(report, { force: true });
  const jobs = String(os.availableParallelism());
  const args = ['--test-dir', folder, '--output-on-failure', '--output-junit', report, '--parallel', jobs];
  const ended = spawnSync('ctest', [...args, ...ctestArguments], {
    cwd: root,
    env: { ...process.env, ...sanitizerOptions },
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (ctestArguments.length > 0) process.stdout.write(`${ended.stdout}${ended.stderr}`);
  else if (ended.status !== 0) process.stdout.write(`${withoutPassed(ended.stdout)}${ended.stderr}`);
  return countReport(report, ended.status ?? ended.signal);
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const sanitize = args[0] === '--sanitize' ? args.splice(0, 2)[1] : '';
  if (!['', 'address', 'thread'].includes(sanitize)) {
    console.error('native-test: --sanitize address or --sanitize thread');
    process.exitCode = 2;
  } else {
    const { passed, failed } = nativeTest({ sanitize, ctestArguments: args });
    console.log(`\n${passed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  }
}
