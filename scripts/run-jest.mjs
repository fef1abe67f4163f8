// run-jest.mjs: runs jest as a child process and counts, for the scripts that sum up.
// Knows nothing of what is tested. Invariant: a run without results, without a test, or that does not end, has failed.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** Jest has written its results: a process that is still there after this time has left something open. */
const JEST_END_MS = 20_000;

/** Resolves to the exit code or the name of the signal. */
export function exitCodeOf(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal === null ? code : signal));
  });
}

/** Runs jest, by the given Node, and resolves to how many tests passed and failed; what jest says is forwarded as it is. */
export async function runJest({ jestArguments = [], environment = {}, node = process.execPath } = {}) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-jest-'));
  try {
    return await runIn(scratch, node, jestArguments, { ...process.env, ...environment });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function runIn(scratch, node, jestArguments, env) {
  const resultsFile = path.join(scratch, 'counts.json');
  const cli = path.join('node_modules', 'jest', 'bin', 'jest.js');
  const child = spawn(node, [cli, '--ci', ...jestArguments], {
    cwd: root,
    env: { ...env, TOFU_AMPE_COUNTS: resultsFile },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
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
  const counts = JSON.parse(readFileSync(resultsFile, 'utf8'));
  const { passed } = counts;
  let { failed } = counts;
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
