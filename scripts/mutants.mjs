#!/usr/bin/env node
// mutants.mjs: would a test notice? Plants the faults of faults.mjs one at a time in a scratch copy of the working tree,
// runs the one conformance rule, or test of the core, that has to notice, and expects it to fail.
// The rules must pass on the copy as it is first: a rule that fails anyway would prove nothing.
// A fault counts as caught only when a case of its rule fails. A file that does not load, a rule without a case, or a run
// that must be killed is a failure of this script's list. Never touches the working tree.
// Usage: node scripts/mutants.mjs [--list | --check] [--only NAME|NUMBER[,…]]
// --check only looks whether every fault still fits its source and its rule is in the table; no test is run.
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonFile, ensureNative } from './ensure-native.mjs';
import { FAULTS } from './faults.mjs';
import { isNative, NativeMutants } from './mutants-native.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const COPIED = ['lib', 'recipes', 'test', 'package.json', 'jest.config.cjs', 'tsconfig.json', 'tsconfig.build.json'];
/** A case has 30 s and fails at its first deadline of 5 s; only a loop that never ends takes longer than this. */
const FAULT_TIMEOUT_MS = 90_000;
const BASELINE_TIMEOUT_MS = 600_000;

/** Tells each case as it ends, and ends the run with the first failure: one is enough. */
const REPORTER = `const { appendFileSync } = require('node:fs');
module.exports = class {
  onTestCaseResult(test, { fullName, status, failureMessages }) {
    if (status !== 'passed' && status !== 'failed') return;
    const failure = failureMessages.join(' ').replace(/\\u001b\\[[0-9;]*m/g, '').split('\\n')[0];
    appendFileSync(process.env.MUTANTS_RESULTS, JSON.stringify({ fullName, status, failure }) + '\\n');
    if (status === 'failed' && process.env.MUTANTS_STOP === '1') process.exit(1);
  }
  onTestResult(test, { testExecError }) {
    if (!testExecError) return;
    const failure = String(testExecError.message).split('\\n')[0];
    appendFileSync(process.env.MUTANTS_RESULTS, JSON.stringify({ status: 'broken', failure }) + '\\n');
  }
};
`;

const fileOf = ({ file }) => (file.startsWith('native/') ? file : `lib/${file}`);
const engineOf = (fault) => fault.engine ?? 'fallback';
const isUnit = ({ suite }) => suite.includes('/');
const testFileOf = ({ suite }) => `test/${suite.includes('/') ? suite : `conformance/${suite}`}.test.ts`;
/** The end of a title as support/rule.ts makes it. */
const titleOf = (fault) => (isUnit(fault) ? fault.rule : ` · ${fault.rule} · ${engineOf(fault)}/`);

function makeCopy() {
  const copy = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ampe-mutants-')));
  for (const name of COPIED) {
    if (existsSync(path.join(root, name))) cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'), 'dir');
  writeFileSync(path.join(copy, 'reporter.cjs'), REPORTER);
  return copy;
}

/** The text with the fault in it; throws when a piece is not there exactly once. */
function withFault(text, fault) {
  return fault.edits.reduce((changed, [find, put]) => {
    const count = changed.split(find).length - 1;
    if (count !== 1) {
      throw new Error(`${fault.name}: found ${count} times in ${fileOf(fault)}, not once: ${JSON.stringify(find)}`);
    }
    return changed.replace(find, () => put);
  }, text);
}

/** Throws unless what has to notice is there: a test of that name, or a rule of that suite in the table. */
function checkRule(fault) {
  const { name, suite, rule } = fault;
  if (isUnit(fault)) {
    const file = isNative(fault) ? `test/native/${suite}.cc` : testFileOf(fault);
    const test = isNative(fault) ? rule.split(/[.*/]/)[0] : rule;
    if (!readFileSync(path.join(root, file), 'utf8').includes(test)) throw new Error(`${name}: ${file} has no ${test}`);
    return;
  }
  const table = readFileSync(path.join(root, 'test', 'conformance', 'rules.ts'), 'utf8');
  const row = table.split('\n').find((line) => line.includes(`id: '${rule}',`)) ?? '';
  if (!row.includes(`suite: '${suite}',`)) throw new Error(`${name}: suite ${suite} has no rule ${rule}`);
}

/** All faults that do not fit the sources any more, told at once and before the long part. */
function checkTexts(faults) {
  const misfits = faults.flatMap((fault) => {
    try {
      withFault(readFileSync(path.join(root, fileOf(fault)), 'utf8'), fault);
      checkRule(fault);
      return [];
    } catch (error) {
      return [error.message];
    }
  });
  if (misfits.length > 0) throw new Error(`faults that do not fit the sources:\n${misfits.join('\n')}`);
}

/** The jest that runs now: it must not outlive this process. */
let running;

/** Runs the cases whose titles match; resolves to what each case did, and whether the run had to be killed. */
function runJest(copy, { files, titles, engines, stop, timeoutMs }) {
  const results = path.join(copy, 'results.jsonl');
  writeFileSync(results, '');
  const cli = path.join('node_modules', 'jest', 'bin', 'jest.js');
  const args = [cli, '--ci', '-w', '1', '--reporters', './reporter.cjs', '-t', `(?:${titles.join('|')})`, ...files];
  const settings = { TOFU_AMPE_ENGINES: engines, MUTANTS_RESULTS: results, MUTANTS_STOP: stop ? '1' : '0' };
  // Faults in native/ are tested without Node: the addon is that of the working tree.
  if (engines.includes('native')) settings.TOFU_AMPE_PREBUILD = addonFile('release');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: copy, stdio: 'ignore', env: { ...process.env, ...settings } });
    running = child;
    let killed = false;
    const deadline = setTimeout(() => {
      killed = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.once('error', reject);
    child.once('exit', () => {
      clearTimeout(deadline);
      const lines = readFileSync(results, 'utf8').split('\n').filter(Boolean);
      resolve({ killed, cases: lines.map((line) => JSON.parse(line)) });
    });
  });
}

async function checkBaseline(copy, faults) {
  if (faults.length === 0) return;
  if (faults.some((fault) => engineOf(fault).startsWith('native')) && (await ensureNative()) === 'failed') {
    throw new Error('the addon does not build');
  }
  const files = [...new Set(faults.map(testFileOf))];
  const missing = files.find((file) => !existsSync(path.join(copy, file)));
  if (missing !== undefined) throw new Error(`there is no ${missing}`);
  const titles = [...new Set(faults.map(titleOf))];
  const engines = [...new Set(faults.map(engineOf))].join(',');
  const { killed, cases } = await runJest(copy, {
    files,
    titles,
    engines,
    stop: false,
    timeoutMs: BASELINE_TIMEOUT_MS,
  });
  const failed = cases.filter(({ status }) => status !== 'passed');
  for (const { fullName, failure } of failed) console.error(`without any fault: ${fullName ?? 'a file'}: ${failure}`);
  if (killed) throw new Error('the rules took too long without any fault');
  if (failed.length > 0) throw new Error(`${failed.length} failed without any fault`);
  const withoutCase = titles.find((title) => !cases.some(({ fullName }) => fullName.includes(title)));
  if (withoutCase !== undefined) throw new Error(`no case ran for "${withoutCase.trim()}"`);
}

/** What became of one fault: the case that caught it, or why none did. */
async function tryFault(copy, core, fault) {
  const target = path.join(copy, fileOf(fault));
  const original = readFileSync(target, 'utf8');
  writeFileSync(target, withFault(original, fault));
  try {
    if (isNative(fault)) return await core.tryPlanted(fault, FAULT_TIMEOUT_MS);
    const { killed, cases } = await runJest(copy, {
      files: [testFileOf(fault)],
      titles: [titleOf(fault)],
      engines: engineOf(fault),
      stop: true,
      timeoutMs: FAULT_TIMEOUT_MS,
    });
    const caught = cases.find(({ status }) => status === 'failed');
    if (caught !== undefined) return { caught: true, by: caught.fullName };
    const broken = cases.find(({ status }) => status === 'broken');
    if (broken !== undefined) return { caught: false, by: `DOES NOT LOAD: ${broken.failure}` };
    if (killed) return { caught: false, by: `KILLED after ${FAULT_TIMEOUT_MS} ms without a verdict` };
    return { caught: false, by: cases.length === 0 ? 'NO CASE RAN' : `SURVIVED ${cases.length} cases` };
  } finally {
    writeFileSync(target, original);
  }
}

function chooseFaults(args) {
  const names = new Set();
  for (const { name } of FAULTS) {
    if (names.has(name)) throw new Error(`two faults are called ${name}`);
    names.add(name);
  }
  if (args.length === 0) return FAULTS;
  if (args[0] !== '--only' || args.length !== 2)
    throw new Error('usage: mutants.mjs [--list | --check] [--only NAME|NUMBER[,…]]');
  return args[1].split(',').map((wanted) => {
    const found = FAULTS.find(({ name }, index) => name === wanted || String(index + 1) === wanted);
    if (found === undefined) throw new Error(`there is no fault ${wanted}; --list shows them`);
    return found;
  });
}

async function main(args) {
  if (args[0] === '--list') {
    FAULTS.forEach(({ name, file, suite, rule }, index) => {
      console.log(
        `${String(index + 1).padStart(3)}  ${name.padEnd(32)}${fileOf({ file }).padEnd(42)}${suite}: ${rule}`,
      );
    });
    return;
  }
  const onlyCheck = args[0] === '--check';
  const faults = chooseFaults(onlyCheck ? args.slice(1) : args);
  checkTexts(faults);
  if (onlyCheck) {
    console.log(`${faults.length} faults fit the sources`);
    return;
  }
  const copy = makeCopy();
  let core = null;
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      running?.kill('SIGKILL');
      core?.running?.kill('SIGKILL');
      rmSync(copy, { recursive: true, force: true });
      process.exit(1);
    });
  }
  try {
    const ofCore = faults.filter(isNative);
    if (ofCore.length > 0) await (core = new NativeMutants(root, copy)).checkBaseline(ofCore);
    await checkBaseline(
      copy,
      faults.filter((fault) => !isNative(fault)),
    );
    let escaped = 0;
    for (const fault of faults) {
      const { caught, by } = await tryFault(copy, core, fault);
      if (!caught) escaped++;
      console.log(
        `${caught ? 'caught ' : 'ESCAPED'}  ${fault.name.padEnd(32)}→ ${caught ? by : `${by} of ${fault.rule}`}`,
      );
    }
    console.log(`\n${faults.length - escaped} of ${faults.length} faults caught`);
    if (escaped > 0) process.exitCode = 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`mutants: ${error.message}`);
  process.exitCode = 1;
}
