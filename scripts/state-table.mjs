#!/usr/bin/env node
// state-table.mjs: writes the picture and the table of channel states in docs/ARCHITECTURE.md from the table the engine runs.
// Knows lib/protocol/channel-state.ts only, which imports nothing: it is compiled in memory, so no build is needed.
// Invariant: what stands outside the two marks is never touched.
// Usage: node scripts/state-table.mjs [--check]   (--check writes nothing and fails when the page is out of date)
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const source = path.join(root, 'lib', 'protocol', 'channel-state.ts');
const page = path.join(root, 'docs', 'ARCHITECTURE.md');
const BEGIN = '<!-- state-table: written by scripts/state-table.mjs -->';
const END = '<!-- end of state-table -->';

async function channelTable() {
  const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const module = await import(`data:text/javascript;base64,${Buffer.from(outputText).toString('base64')}`);
  return module.CHANNEL_TABLE;
}

/** Columns: what arrives, what is posted, what the socket says. An event that is missing here would be missing there. */
const EVENTS = 'connected hello data byeRequest byeResponse postBye postAnswer byeOut eof gone'.split(' ');

function eventsOf(table) {
  const unknown = Object.values(table)
    .flatMap((row) => Object.keys(row))
    .find((event) => !EVENTS.includes(event));
  if (unknown !== undefined) throw new Error(`the channel table has a new event, '${unknown}': give it a column`);
  return EVENTS;
}

/** Changes of state; eof and gone lead to `ended` from everywhere and would only fill the picture. */
function diagram(table) {
  const arrows = new Map();
  for (const [state, row] of Object.entries(table)) {
    for (const [event, [next, action]] of Object.entries(row)) {
      if (next === state || event === 'eof' || event === 'gone' || action === 'violation') continue;
      const arrow = `  ${state} --> ${next}`;
      arrows.set(arrow, [...(arrows.get(arrow) ?? []), action === 'none' ? event : `${event} / ${action}`]);
    }
  }
  const lines = [...arrows].map(([arrow, labels]) => `${arrow}: ${labels.join(', ')}`);
  const starts = ['  [*] --> connecting', '  [*] --> greeting'];
  const ends = ['  finishing --> ended: eof, gone', '  ended --> [*]'];
  return ['```mermaid', 'stateDiagram-v2', ...starts, ...lines, ...ends, '```'];
}

function grid(table) {
  const events = eventsOf(table);
  const cell = (state, entry) => {
    if (entry === undefined) return '';
    const [next, action] = entry;
    const words = [next === state ? '' : `→ ${next}`, action === 'none' ? '' : `*${action}*`];
    return words.filter((word) => word !== '').join(' ') || 'stays';
  };
  const rows = Object.entries(table).map(
    ([state, row]) => `| **${state}** | ${events.map((event) => cell(state, row[event])).join(' | ')} |`,
  );
  return [`| state | ${events.join(' | ')} |`, `| --- |${' --- |'.repeat(events.length)}`, ...rows];
}

const check = process.argv[2] === '--check';
const text = readFileSync(page, 'utf8');
const begin = text.indexOf(BEGIN);
const end = text.indexOf(END);
if (begin < 0 || end < begin) throw new Error(`docs/ARCHITECTURE.md lacks the marks "${BEGIN}" and "${END}"`);
const table = await channelTable();
const written = [BEGIN, '', ...diagram(table), '', ...grid(table), '', ''].join('\n');
const wanted = text.slice(0, begin) + written + text.slice(end);
if (wanted === text) process.stdout.write('docs/ARCHITECTURE.md shows the channel states as they are\n');
else if (check) {
  process.stderr.write('docs/ARCHITECTURE.md is out of date: run node scripts/state-table.mjs\n');
  process.exitCode = 1;
} else {
  writeFileSync(page, wanted);
  process.stdout.write('docs/ARCHITECTURE.md: channel states written\n');
}
