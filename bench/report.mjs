#!/usr/bin/env node
// report.mjs: `npm run bench:report`: writes bench/RESULTS.md, bench/plots/*.svg and the README's table from bench/results/*.json.
// A trial (--quick) gets a page, and never gets into the README. --check writes nothing: exit code 1 when a file is stale.
import fs from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { root } from './lib/machine.mjs';
import { fillReadme, renderPage, renderPlots } from './lib/report/page.mjs';

const KINDS = ['peers', 'scaling', 'latency', 'costs'];
const options = new Command('bench:report')
  .description('Writes bench/RESULTS.md, its plots and the README table from measured figures.')
  .option(
    '--results <folder>',
    'where peers.json, scaling.json, latency.json and costs.json are',
    path.join(root, 'bench/results'),
  )
  .option('--out <folder>', 'where RESULTS.md and plots/ go', path.join(root, 'bench'))
  .option('--readme <file>', 'whose block of figures is filled', path.join(root, 'README.md'))
  .option('--check', 'writes nothing, and tells what is stale')
  .parse()
  .opts();

const figures = {};
for (const kind of KINDS) {
  const file = path.join(options.results, `${kind}.json`);
  if (fs.existsSync(file)) figures[kind] = JSON.parse(fs.readFileSync(file, 'utf8'));
}
const textOf = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : null);
// What people have to say about the figures; everything else on the page is written from the JSON.
const reading = textOf(path.join(options.results, 'reading.md'));
const stale = [];

function put(file, text) {
  if (textOf(file) === text) return;
  stale.push(path.relative('.', file));
  if (options.check) return;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

if (Object.keys(figures).length > 0) {
  put(path.join(options.out, 'RESULTS.md'), renderPage(figures, reading));
  for (const [name, text] of Object.entries(renderPlots(figures))) put(path.join(options.out, 'plots', name), text);
} else if (!options.check) {
  console.error(`no figures in ${path.relative('.', options.results)}: npm run bench:figures measures them`);
  process.exitCode = 1;
}
try {
  put(options.readme, fillReadme(fs.readFileSync(options.readme, 'utf8'), figures));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
for (const file of stale)
  console.log(options.check ? `stale: ${file} (npm run bench:report writes it)` : `written: ${file}`);
if (options.check && stale.length > 0) process.exitCode = 1;
