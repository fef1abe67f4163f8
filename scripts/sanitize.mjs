#!/usr/bin/env node
// sanitize.mjs: the tests under the compiler's sanitizers. `address`: ASan and UBSan, the core's test programs and then the
// conformance suite with an addon built the same way; `thread`: TSan, the core's test programs.
// Node itself is not instrumented: the sanitizer's library is loaded before it, and leaks are looked for in the test programs only.
// A report anywhere, in child processes too, is a failure. The last line is `N passed, N failed`.
// Usage: node scripts/sanitize.mjs address|thread [--only native|conformance] [arguments for jest]
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonFile, ensureNative } from './ensure-native.mjs';
import { nativeTest } from './native-test.mjs';
import { runJest } from './run-jest.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const reports = path.join(root, 'build', 'sanitizer-reports');

function libraryFile(name) {
  const { stdout } = spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' });
  if (!path.isAbsolute(stdout?.trim() ?? '')) throw new Error(`gcc does not know where ${name} is`);
  return stdout.trim();
}

/** Of the simulated worlds, which are slow here: all of them are gone through without a sanitizer, in `npm test`. */
const SIM_SEEDS = '500';

/** What runs the addon in a Node that knows nothing of sanitizers. */
function environment() {
  const options = `log_path=${path.join(reports, 'report')}`;
  return {
    // The C++ library too, or ASan cannot see its functions when the addon comes.
    LD_PRELOAD: ['libasan.so', 'libstdc++.so.6'].map(libraryFile).join(' '),
    ASAN_OPTIONS: `detect_leaks=0:${options}`,
    UBSAN_OPTIONS: `print_stacktrace=1:${options}`,
    TOFU_AMPE_PREBUILD: addonFile('asan'),
    TOFU_AMPE_ENGINES: 'native,native-poll',
  };
}

async function conformance(jestArguments) {
  if ((await ensureNative({ variant: 'asan' })) === 'failed') return { passed: 0, failed: 1 };
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const counts = await runJest({
    jestArguments: jestArguments.length > 0 ? jestArguments : ['test/conformance/'],
    environment: environment(),
  });
  const found = readdirSync(reports);
  for (const name of found) console.error(`${name}:\n${readFileSync(path.join(reports, name), 'utf8')}`);
  return { passed: counts.passed, failed: counts.failed + found.length };
}

async function main([kind, ...args]) {
  if (kind !== 'address' && kind !== 'thread') throw new Error('which one? address or thread');
  const only = args[0] === '--only' ? args.splice(0, 2)[1] : '';
  const total = { passed: 0, failed: 0 };
  const add = (name, { passed, failed }) => {
    console.log(`== ${name} under ${kind}: ${passed} passed, ${failed} failed`);
    total.passed += passed;
    total.failed += failed;
  };
  process.env.TOFU_SIM_SEEDS ??= SIM_SEEDS;
  if (only !== 'conformance') add('native', nativeTest({ sanitize: kind }));
  if (only !== 'native' && kind === 'address') add('conformance', await conformance(args));
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`sanitize: ${error.message}`);
  console.log('\n0 passed, 1 failed');
  process.exitCode = 2;
}
