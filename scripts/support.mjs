#!/usr/bin/env node
// support.mjs: where the package was seen to work: keeps etc/support.jsonl, and writes the table of the README from it.
// A line of that file is one run of scripts/test-runtimes.mjs: what ran, how, on which sources, and what came out. Nothing else writes it:
// what nobody has seen is not in the table. Invariant: what stands outside the two marks of the README is never touched.
// Usage: node scripts/support.mjs [--check]   (--check writes nothing and fails when the README is stale)
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const file = path.join(root, 'etc', 'support.jsonl');
const page = path.join(root, 'README.md');
const BEGIN = '<!-- support: written by scripts/support.mjs -->';
const END = '<!-- end of support -->';

/** All runs, in the order of the table: { id, platform, runtime, version, engine, how, outcome, ok, date, package, sources }. */
export function readRuns(from = file) {
  if (!existsSync(from)) return [];
  const lines = readFileSync(from, 'utf8').split('\n');
  return lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line));
}

/** Puts new runs in the place of earlier ones of the same cell and engine; `order` is that of the cells' ids. */
export function merge(earlier, runs, order) {
  const keyOf = ({ id, engine }) => `${id} ${engine}`;
  const kept = earlier.filter((run) => !runs.some((each) => keyOf(each) === keyOf(run)) && order.includes(run.id));
  return [...kept, ...runs].sort(
    (a, b) => order.indexOf(a.id) - order.indexOf(b.id) || b.engine.localeCompare(a.engine),
  );
}

export function writeRuns(runs, to = file) {
  writeFileSync(to, runs.map((run) => `${JSON.stringify(run)}\n`).join(''));
}

/** The table: a row per platform, runtime and way of testing; both engines of a row where they were tested alike. */
export function table(runs) {
  const rows = new Map();
  for (const run of runs) {
    const key = [run.platform, run.runtime, run.version].join('\n');
    const row = rows.get(key) ?? { ...run, native: '-', fallback: '-' };
    row[run.engine] = `${run.ok ? '' : '**failed**: '}${run.how}${run.outcome ? `, ${run.outcome}` : ''}`;
    rows.set(key, row);
  }
  const dates = [...new Set(runs.map((run) => run.date))].sort();
  const when = dates.length > 1 ? `${dates[0]} to ${dates.at(-1)}` : (dates[0] ?? 'never');
  return [
    '| platform | runtime | native engine | fallback engine |',
    '| --- | --- | --- | --- |',
    ...[...rows.values()].map(
      (row) => `| ${row.platform} | ${row.runtime} ${row.version}`.trimEnd() + ` | ${row.native} | ${row.fallback} |`,
    ),
    '',
    `Runs of \`npm run test:runtimes\`, ${when}.`,
  ].join('\n');
}

/** The text with the table between its marks. @throws Error when it has no such marks */
export function fill(text, runs) {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the page has no block between ${BEGIN} and ${END}`);
  return `${text.slice(0, begin)}${BEGIN}\n\n${table(runs)}\n\n${text.slice(end)}`;
}

/** Writes the README's table; returns whether it was stale. */
export function fillReadme({ check = false } = {}) {
  const text = readFileSync(page, 'utf8');
  const filled = fill(text, readRuns());
  if (filled !== text && !check) writeFileSync(page, filled);
  return filled !== text;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check');
  if (fillReadme({ check }) && check) {
    process.stderr.write('stale: the table of support in README.md (node scripts/support.mjs writes it)\n');
    process.exitCode = 1;
  }
}
