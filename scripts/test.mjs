#!/usr/bin/env node
// test.mjs: everything that must hold before a commit, in one run: linter, types, builds, public types, API pages, native tests,
// jest. A failing step does not hide the ones after it; a missing system tool is said at once, with the name of its package.
// The last line is `N passed, N failed`: the tests of jest and ctest plus one per other step.
// Invariant: exit code 0 only when nothing failed and jest ran at least one test.
// Usage: node scripts/test.mjs [--js | --only step,step] [arguments for jest]; --js: what needs nothing but Node
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureNative, missingTools } from './ensure-native.mjs';
import { nativeTest } from './native-test.mjs';
import { exitCodeOf, runJest } from './run-jest.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-test-'));

const steps = {
  lint: () => tool('eslint/bin/eslint.js', '.', '--max-warnings', '0'),
  format: () => tool('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'),
  typecheck: () => tool('typescript/bin/tsc', '-p', 'tsconfig.json'),
  build: () => run([path.join('scripts', 'ensure-build.mjs')]),
  api: () => run([path.join('scripts', 'api.mjs')]),
  native: runNative,
  docs: () => tool('typedoc/bin/typedoc', '--out', path.join(scratch, 'docs'), '--logLevel', 'Warn'),
  jest: (jestArguments) => runJest({ jestArguments }),
};

const NEED_NATIVE = ['/test/native/', '/test/threads/paths', '/test/unit/native-engine/', '/test/package/native-'];
/** Without a compiler: no test of the addon, and the suites that run on several engines run on the one in TypeScript. */
const WITHOUT_NATIVE = {
  names: ['build', 'jest'],
  jestArguments: NEED_NATIVE.map((place) => `--testPathIgnorePatterns=${place}`),
  environment: { TOFU_AMPE_ENGINES: 'fallback,fallback-stream', TOFU_AMPE_BACKEND: 'fallback' },
};

/** Resolves to what failed and passed; output of the child is forwarded as it is. */
async function run(args) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await exitCodeOf(child);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function tool(file, ...args) {
  return run([path.join('node_modules', file), ...args]);
}

/** The addon counts as one, the tests of the core one by one. */
async function runNative() {
  const built = (await ensureNative()) !== 'failed';
  const { passed, failed } = nativeTest();
  return { passed: passed + (built ? 1 : 0), failed: failed + (built ? 0 : 1) };
}

function parseArguments(args) {
  if (args[0] === '--js') {
    Object.assign(process.env, { ...WITHOUT_NATIVE.environment, ...process.env });
    return { names: WITHOUT_NATIVE.names, jestArguments: [...args.slice(1), ...WITHOUT_NATIVE.jestArguments] };
  }
  if (args[0] !== '--only') return { names: Object.keys(steps), jestArguments: args };
  const names = (args[1] ?? '').split(',');
  const unknown = names.find((name) => !Object.hasOwn(steps, name));
  if (unknown !== undefined) throw new Error(`no step "${unknown}"; there are ${Object.keys(steps).join(', ')}`);
  return { names, jestArguments: args.slice(2) };
}

async function main() {
  const { names, jestArguments } = parseArguments(process.argv.slice(2));
  const complaints = names.includes('native') ? missingTools({ tests: true }) : [];
  if (complaints.length > 0) throw new Error(`${complaints.join('\n')}\nnpm run test:js needs nothing but Node`);
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
