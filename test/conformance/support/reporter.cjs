// Jest reporter of the conformance suite: collects which case of which rule passed on which cell, writes the table
// to coverage/conformance.json and .md, and fails the run when a rule has no case or a case misses a cell.
// It judges only a whole run (every conformance file, no test filtered out); otherwise it does nothing.
// Invariant: it reads outcomes from jest itself, so a case can only count when it really passed.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const Module = require('node:module');
const { transformFileSync } = require('@swc/core');

const SUITE = path.resolve(__dirname, '..');

/** Loads a TypeScript file which imports nothing (rules.ts, engines.ts). */
function loadTypeScript(file) {
  const { code } = transformFileSync(file, {
    configFile: false,
    swcrc: false,
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  });
  const loaded = new Module(file);
  loaded._compile(code, file);
  return loaded.exports;
}

function collect(results, parseTitle) {
  const cases = new Map();
  for (const file of results.testResults) {
    if (path.dirname(file.testFilePath) !== SUITE) continue;
    for (const test of file.testResults) {
      const parsed = parseTitle(test.title);
      if (parsed === null) continue;
      const key = `${parsed.ruleId}\n${parsed.title}`;
      const entry = cases.get(key) ?? { ...parsed, file: path.basename(file.testFilePath), cells: [], failed: [] };
      (test.status === 'passed' ? entry.cells : entry.failed).push(parsed.cell);
      cases.set(key, entry);
    }
  }
  return [...cases.values()];
}

function judge(rules, cases, cellsOf) {
  const problems = [];
  const table = rules.map((rule) => {
    const required = cellsOf(rule.cells, undefined, rule.only).map((cell) => cell.label);
    const own = cases.filter((one) => one.ruleId === rule.id);
    if (own.length === 0 && required.length > 0) problems.push(`${rule.id}: no case`);
    for (const one of own) {
      const missing = required.filter((label) => !one.cells.includes(label));
      if (missing.length > 0) problems.push(`${rule.id}: '${one.title}' did not pass on ${missing.join(', ')}`);
    }
    return { ...rule, required, cases: own.map(({ title, file, cells }) => ({ title, file, cells })) };
  });
  return { problems, table };
}

function toMarkdown(table) {
  const lines = ['| section | rule | case | cells that ran |', '| --- | --- | --- | --- |'];
  for (const rule of table) {
    const cases = rule.cases.length > 0 ? rule.cases : [{ title: '**none**', file: '-', cells: [] }];
    for (const one of cases) {
      lines.push(`| ${rule.section} | ${rule.id} | ${one.file}: ${one.title} | ${one.cells.join(', ')} |`);
    }
  }
  return lines.join('\n') + '\n';
}

/** A run counts as whole when every conformance file ran and no test of them was filtered out or focused away. */
function isWholeRun(results) {
  const ran = results.testResults.filter((file) => path.dirname(file.testFilePath) === SUITE);
  const names = new Set(ran.map((file) => path.basename(file.testFilePath)));
  const all = fs.readdirSync(SUITE).filter((name) => name.endsWith('.test.ts'));
  const filtered = ran.some((file) => file.testResults.some((test) => test.status === 'pending'));
  return all.every((name) => names.has(name)) && !filtered;
}

class ConformanceReporter {
  constructor(globalConfig) {
    this.outDir = path.join(globalConfig.rootDir, 'coverage');
  }

  onRunComplete(_contexts, results) {
    if (!isWholeRun(results)) return;
    const { RULES } = loadTypeScript(path.join(SUITE, 'rules.ts'));
    const { cellsOf, parseTitle } = loadTypeScript(path.join(__dirname, 'engines.ts'));
    const { problems, table } = judge(RULES, collect(results, parseTitle), cellsOf);
    fs.mkdirSync(this.outDir, { recursive: true });
    fs.writeFileSync(path.join(this.outDir, 'conformance.json'), JSON.stringify(table, null, 2) + '\n');
    fs.writeFileSync(path.join(this.outDir, 'conformance.md'), toMarkdown(table));
    const cases = table.reduce((sum, rule) => sum + rule.cases.length, 0);
    process.stderr.write(`conformance: ${table.length} rules, ${cases} cases, ${problems.length} problems\n`);
    for (const problem of problems) process.stderr.write(`  ${problem}\n`);
    if (problems.length > 0) this.error = new Error(`conformance table incomplete: ${problems.length} problems`);
  }

  getLastError() {
    return this.error;
  }
}

module.exports = ConformanceReporter;
module.exports.judge = judge;
module.exports.collect = collect;
module.exports.isWholeRun = isWholeRun;
