#!/usr/bin/env node
// figures.mjs: `npm run bench:figures`: all that bench/RESULTS.md shows, measured one program after the other (about 25 minutes on a
// quiet machine), and the page written. With --quick a trial of a few minutes, which goes to bench/out and leaves the page alone.
// A program that fails does not hide the ones after it; the exit code is 1 then.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { Command } from 'commander';
import { listOf } from './lib/options.mjs';
import { root } from './lib/machine.mjs';

const KINDS = ['peers', 'scaling', 'latency', 'costs'];
const LIMIT_MS = 30 * 60_000;
const options = new Command('bench:figures')
  .description('Measures everything that bench/RESULTS.md shows, and writes it.')
  .option('--quick', 'a trial of a few minutes, in bench/out')
  .option('--only <names>', 'comma-separated', listOf(KINDS), KINDS)
  .parse()
  .opts();

const bench = path.join(root, 'bench');
const out = options.quick ? path.join(bench, 'out', 'trial') : bench;
const results = path.join(out, 'results');

function run(script, ...args) {
  const began = performance.now();
  const { status } = spawnSync(process.execPath, [path.join(bench, `${script}.mjs`), ...args], {
    stdio: 'inherit',
    timeout: LIMIT_MS,
  });
  console.log(
    `== ${script}: ${status === 0 ? 'ok' : 'FAILED'} (${Math.round((performance.now() - began) / 1000)} s)\n`,
  );
  if (status !== 0) process.exitCode = 1;
}

for (const kind of options.only) {
  run(kind, '--json', path.join(results, `${kind}.json`), ...(options.quick ? ['--quick'] : []));
}
run('report', '--results', results, '--out', out);
