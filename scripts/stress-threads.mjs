#!/usr/bin/env node
// stress-threads.mjs: the oracle of test/threads over and over, each round a process, an engine and a seed of its own; also under
// a sanitizer, with the addon built for it. Node itself is not instrumented, so ThreadSanitizer misunderstands what it does
// between its own threads: only reports in which the addon appears count, and those end the run.
// Invariant: ends at the first round that the oracle or a sanitizer objects to, and says how to have it again.
// Usage: node scripts/stress-threads.mjs [--seconds 60] [--posts 40000] [--seed N] [--variant release|asan|tsan]
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { addonFile, ensureNative } from './ensure-native.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const index = path.join(root, 'dist', 'lib', 'index.js');
const oracle = path.join(root, 'test', 'threads', 'oracle.cjs');
const ADDON = path.basename(addonFile());

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    posts: { type: 'string' },
    seed: { type: 'string', default: String(randomInt(1, 2 ** 30)) },
    variant: { type: 'string', default: 'release' },
  },
});
const { variant } = values;
const posts = values.posts ?? (variant === 'release' ? '40000' : '4000');
const reports = mkdtempSync(path.join(os.tmpdir(), 'ampe-stress-'));

/** What loads the addon of that variant into a Node that knows nothing of sanitizers. */
function environment() {
  const base = { ...process.env, TOFU_AMPE_BACKEND: 'native' };
  if (variant === 'release') return base;
  const library = variant === 'tsan' ? 'libtsan.so' : 'libasan.so';
  const files = [library, 'libstdc++.so.6'].map((name) => {
    return spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
  });
  const log = `log_path=${path.join(reports, 'report')}`;
  const options = {
    ASAN_OPTIONS: `detect_leaks=0:${log}`,
    UBSAN_OPTIONS: `print_stacktrace=1:${log}`,
    TSAN_OPTIONS: `exitcode=0:${log}`,
  };
  return { ...base, ...options, LD_PRELOAD: files.join(' '), TOFU_AMPE_PREBUILD: addonFile(variant) };
}

/** Reports of sanitizers about our code. */
function complaints() {
  const texts = readdirSync(reports).map((name) => readFileSync(path.join(reports, name), 'utf8'));
  return texts.flatMap((text) => text.split(/^={18}$/m)).filter((report) => report.includes(ADDON));
}

async function main() {
  if ((await ensureNative({ variant })) === 'failed') throw new Error('the addon could not be built');
  const env = environment();
  const end = performance.now() + 1000 * Number(values.seconds);
  let rounds = 0;
  for (let seed = Number(values.seed); rounds === 0 || performance.now() < end; seed++, rounds++) {
    const { status, signal } = spawnSync(process.execPath, [oracle, index, posts, String(seed)], {
      stdio: 'inherit',
      env,
    });
    const found = complaints();
    for (const report of found) console.error(report);
    if (status === 0 && found.length === 0) continue;
    console.error(`the round ended with ${status ?? signal} and ${found.length} reports; again:`);
    console.error(`  node scripts/stress-threads.mjs --seconds 0 --posts ${posts} --seed ${seed} --variant ${variant}`);
    process.exitCode = 1;
    return;
  }
  console.log(`${rounds} rounds (${variant}), nothing lost, doubled or out of order`);
}

try {
  await main();
} catch (error) {
  console.error(`stress-threads: ${error.message}`);
  process.exitCode = 2;
} finally {
  rmSync(reports, { recursive: true, force: true });
}
