#!/usr/bin/env node
// fuzz.mjs: builds the libFuzzer programs of test/native/fuzz with clang, under ASan and UBSan, and lets each look for inputs that
// break what it checks. The inputs they begin with are made from test/vectors; what they learn stays in build/fuzz/corpus.
// A finding lies in build/fuzz/findings afterwards and becomes a vector. The last line is `N passed, N failed`, by program.
// Usage: node scripts/fuzz.mjs [--seconds N (of all together, default 60)] [name of a target ...]
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isCommand } from './ensure-native.mjs';
import { buildFolder, sanitizerOptions } from './native-test.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = path.join(root, 'build', 'fuzz');
const SUFFIX = '_fuzz';

function targets() {
  const names = readdirSync(path.join(root, 'test', 'native', 'fuzz'));
  return names.filter((name) => name.endsWith(`${SUFFIX}.cc`)).map((name) => path.basename(name, `${SUFFIX}.cc`));
}

function build() {
  if (!isCommand('clang++')) {
    console.error('fuzzing needs clang++, which is not installed: apt-get install clang libclang-rt-dev');
    return false;
  }
  const definitions = { TOFU_FUZZ: 'ON', TOFU_SANITIZE: 'address', CMAKE_CXX_COMPILER: 'clang++' };
  if (!buildFolder(folder, definitions)) return false;
  const maker = path.join(root, 'test', 'native', 'fuzz', 'make_corpus.mjs');
  const ended = spawnSync(process.execPath, [maker, path.join(folder, 'corpus')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return ended.status === 0;
}

/** Runs one program; true when it found nothing. */
function fuzz(name, seconds) {
  const corpus = path.join(folder, 'corpus', name);
  const findings = path.join(folder, 'findings');
  for (const each of [corpus, findings]) mkdirSync(each, { recursive: true });
  const program = path.join(folder, 'test', 'native', `${name}${SUFFIX}`);
  const args = [`-max_total_time=${seconds}`, '-timeout=10', '-print_final_stats=1'];
  const ended = spawnSync(program, [...args, `-artifact_prefix=${findings}/${name}-`, corpus], {
    cwd: folder,
    env: { ...process.env, ...sanitizerOptions },
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const runs = /stat::number_of_executed_units: *(\d+)/.exec(ended.stderr ?? '')?.[1] ?? '0';
  const well = ended.status === 0 && Number(runs) > 0;
  if (!well) process.stderr.write(`${ended.stdout}${ended.stderr ?? ended.error.message}\n`);
  console.log(`${name}: ${well ? 'nothing found' : 'FAILED'}, ${runs} inputs in ${seconds} s`);
  return well;
}

function parseArguments(args) {
  const seconds = args[0] === '--seconds' ? Number(args.splice(0, 2)[1]) : 60;
  const known = targets();
  const unknown = args.find((name) => !known.includes(name));
  if (!(seconds >= 1)) throw new Error('--seconds takes a number');
  if (unknown !== undefined) throw new Error(`no target ${unknown}; there are ${known.join(', ')}`);
  return { seconds, names: args.length > 0 ? args : known };
}

try {
  const { seconds, names } = parseArguments(process.argv.slice(2));
  const each = Math.max(1, Math.floor(seconds / names.length));
  const outcomes = build() ? names.map((name) => fuzz(name, each)) : [false];
  const failed = outcomes.filter((well) => !well).length;
  console.log(`\n${outcomes.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && outcomes.length > 0 ? 0 : 1;
} catch (error) {
  console.error(`fuzz: ${error.message}`);
  process.exitCode = 2;
}
