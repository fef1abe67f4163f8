#!/usr/bin/env node
// test.mjs: everything that must hold before a commit, in one run: linter, types, build, public types, API pages, jest.
// A failing step does not hide the ones after it. The last line is `N passed, N failed`: jest's tests plus one per step.
// Invariant: exit code 0 only when nothing failed and jest ran at least one test.
// Usage: node scripts/test.mjs [--only step,step] [arguments for jest]
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-test-'));
/** Jest has written its results: a process that is still there after this time has left something open. */
const JEST_END_MS = 20_000;

const steps = {
  lint: () => tool('eslint/bin/eslint.js', '.', '--max-warnings', '0'),
  format: () => tool('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'),
  typecheck: () => tool('typescript/bin/tsc', '-p', 'tsconfig.json'),
  build: () => run([path.join('scripts', 'ensure-build.mjs')]),
  api: () => run([path.join('scripts', 'api.mjs')]),
  docs: () => tool('typedoc/bin/typedoc', '--out', path.join(scratch, 'docs'), '--logLevel', 'Warn'),
  jest: runJest,
};

/** Resolves to what failed and passed; output of the child is forwarded as it is. */
async function run(args) {
  const code = await exitCodeOf(spawnNode(args));
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function tool(file, ...args) {
  return run([path.join('node_modules', file), ...args]);
}

function spawnNode(args) {
  return spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}

function exitCodeOf(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal === null ? code : signal));
  });
}

async function runJest(jestArguments) {
  const resultsFile = path.join(scratch, 'jest.json');
  const cli = path.join('node_modules', 'jest', 'bin', 'jest.js');
  const child = spawnNode([cli, '--ci', '--json', '--outputFile', resultsFile, ...jestArguments]);
  let lingered = false;
  let deadline;
  const watch = setInterval(() => {
    if (deadline !== undefined || !existsSync(resultsFile)) return;
    deadline = setTimeout(() => {
      lingered = true;
      child.kill('SIGKILL');
    }, JEST_END_MS);
  }, 500);
  const code = await exitCodeOf(child);
  clearInterval(watch);
  clearTimeout(deadline);
  if (lingered) console.error('jest had its results but did not end: a test left something open');
  return countJest(resultsFile, code);
}

function countJest(resultsFile, code) {
  if (!existsSync(resultsFile)) {
    console.error(`jest ended (${code}) without results`);
    return { passed: 0, failed: 1 };
  }
  const results = JSON.parse(readFileSync(resultsFile, 'utf8'));
  const passed = results.numPassedTests;
  let failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  if (passed + failed === 0) {
    console.error('jest ran no test');
    failed += 1;
  }
  if (code !== 0 && failed === 0) {
    console.error(`jest ended with ${code} although no test failed`);
    failed += 1;
  }
  return { passed, failed };
}

function parseArguments(args) {
  if (args[0] !== '--only') return { names: Object.keys(steps), jestArguments: args };
  const names = (args[1] ?? '').split(',');
  const unknown = names.find((name) => !Object.hasOwn(steps, name));
  if (unknown !== undefined) throw new Error(`no step "${unknown}"; there are ${Object.keys(steps).join(', ')}`);
  return { names, jestArguments: args.slice(2) };
}

async function main() {
  const { names, jestArguments } = parseArguments(process.argv.slice(2));
  const total = { passed: 0, failed: 0 };
  const failedSteps = [];
  for (const name of names) {
    console.log(`\n== ${name}`);
    const started = Date.now();
    const { passed, failed } = await steps[name](jestArguments);
    console.log(`== ${name}: ${failed === 0 ? 'ok' : 'FAILED'} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    total.passed += passed;
    total.failed += failed;
    if (failed > 0) failedSteps.push(name);
  }
  if (failedSteps.length > 0) console.log(`\nfailed: ${failedSteps.join(', ')}`);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  console.error(`test: ${error.message}`);
  console.log('\n0 passed, 1 failed');
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
