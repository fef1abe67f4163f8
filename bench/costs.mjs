#!/usr/bin/env node
// costs.mjs: `npm run bench:costs`: what things cost that are not messages a second: connecting, starting, memory at rest, at its
// ceiling and per idle connection; and per message: system calls, context switches, allocations, JavaScript's heap, the engine's own
// counters. What a tool is missing for is said, and left out. Exit code 1 when a run failed.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { compileCounter, measureAllocations } from './lib/costs/allocations.mjs';
import * as tables from './lib/costs/tables.mjs';
import { measureStartUp } from './lib/costs/start-up.mjs';
import { counterHere, measureSystemCalls } from './lib/costs/system-calls.mjs';
import { benchCommand, listOf, settle } from './lib/options.mjs';
import { FALLBACK, fallback, hasNative, native, NATIVE, smallHeap, yardstick } from './lib/peers.mjs';
import { freshFile, Session, writeFigures } from './lib/session.mjs';
import { spread, summarize, undisturbed } from './lib/statistics.mjs';
import { workloads } from './lib/workloads.mjs';

const ROUNDS = { full: 2, quick: 1 };
const RUN_MS = 800;
const IDLE_STEPS = [1000, 4000];
const here = (relative) => new URL(relative, import.meta.url).href;
const PARTS = { connecting, startUp, ceiling, idle, steady, systemCalls, allocations };
const STEADY = ['one-way-64', 'ping-pong', 'in-flight-256'];
const command = benchCommand('bench:costs', 'Measures connecting, starting, memory, and what a message takes.', ROUNDS)
  .option('--parts <names>', 'comma-separated', listOf(Object.keys(PARTS)), Object.keys(PARTS))
  .parse();
const { rounds, times, ...options } = settle(command.opts(), ROUNDS);
if (!options.quick && options.runMs === undefined) times.runMs = RUN_MS;
const isNativeHere = await hasNative();
const engines = [...(isNativeHere ? [native] : []), fallback];
const session = new Session({ gateSeconds: options.quick ? 0 : options.gate, retries: options.retries });
const missing = [];
const without = (what, reason) => {
  missing.push({ what, reason });
  console.log(`without ${what}: ${reason}`);
};

/** Rows of a part: runs of `cases`, summarised. */
async function rowsOf(cases, count = rounds) {
  const before = session.runs.length;
  await session.measure(cases, count);
  return session.runs.slice(before);
}

async function connecting() {
  const peers = [yardstick, ...engines].map((peer) => ({ ...peer, client: here('lib/cycles.mjs') }));
  const workload = (atOnce) => ({
    name: `cycles-${atOnce}`,
    about: `connect to close, ${atOnce} at a time`,
    kind: 'cycles',
    size: 64,
    connections: 1,
    atOnce,
  });
  const cases = [1, 32].flatMap((atOnce) =>
    ['uds', 'tcp'].map((transport) => ({ workload: workload(atOnce), transport, peers, ...times })),
  );
  return summarize(await rowsOf(cases), yardstick.name);
}

function startUp() {
  const names = engines.map(({ name }) => name);
  return measureStartUp(names, options.quick ? 1 : 5, console.log);
}

async function ceiling() {
  const modules = { client: here('lib/costs/ceiling-client.mjs'), server: here('lib/costs/ceiling-server.mjs') };
  const peers = engines.map((peer) => ({ ...peer, ...modules }));
  const cases = [1024, 61_440].map((size) => ({
    workload: {
      name: `ceiling-${size}`,
      about: `a peer that does not receive, ${size} B`,
      kind: 'ceiling',
      size,
      connections: 1,
    },
    transport: 'uds',
    peers,
    warmMs: 0,
    runMs: 1000,
  }));
  const runs = await rowsOf(cases, 1);
  return runs.filter(({ error }) => error === undefined);
}

async function idle() {
  const workload = {
    ...workloads.find(({ kind }) => kind === 'idle'),
    name: 'idle-4000',
    about: 'idle connections, up to 4,000',
    connections: IDLE_STEPS.at(-1),
    steps: IDLE_STEPS,
  };
  const peers = [yardstick, ...engines, ...(isNativeHere ? [smallHeap] : [])];
  const cases = [{ workload: { ...workload, slackMs: 40_000 }, transport: 'uds', peers, ...times }];
  return summarize(await rowsOf(cases, options.quick ? 1 : 2), yardstick.name);
}

const steadyCases = () =>
  workloads
    .filter(({ name }) => STEADY.includes(name))
    .map((workload) => ({
      workload: { ...workload, details: true },
      transport: 'uds',
      peers: [yardstick, ...engines],
      ...times,
    }));

async function steady() {
  const runs = undisturbed(await rowsOf(steadyCases(), options.quick ? 1 : 2)).filter(
    ({ error }) => error === undefined,
  );
  const rows = [];
  for (const { workload, peers } of steadyCases()) {
    for (const { name } of peers) {
      const good = runs.filter((run) => run.workload === workload.name && run.peer === name);
      if (good.length > 0)
        rows.push({ workload: workload.name, about: workload.about, peer: name, ...steadyFigures(good) });
    }
  }
  return rows;
}

/** Per message, of both sides. */
function steadyFigures(runs) {
  const per = (role, pick) => spread(runs.map((run) => pick(run.usage[role]) / run.messages));
  const sides = {};
  for (const role of ['client', 'server']) {
    const counters = Object.keys(runs[0].usage[role].engine ?? {});
    sides[role] = {
      heapBytes: per(role, ({ heapBytes }) => heapBytes),
      collections: per(role, ({ collections }) => collections),
      voluntarySwitches: per(role, ({ voluntarySwitches }) => voluntarySwitches),
      involuntarySwitches: per(role, ({ involuntarySwitches }) => involuntarySwitches),
      engine: Object.fromEntries(counters.map((name) => [name, per(role, ({ engine }) => engine[name])?.median])),
    };
  }
  return { rate: spread(runs.map(({ rate }) => rate)), ...sides };
}

async function systemCalls() {
  const counter = counterHere();
  if (counter === null) return without('system calls', 'neither perf (allowed to count them) nor strace is there');
  const rows = [];
  for (const { workload, transport, peers } of steadyCases()) {
    for (const peer of peers) {
      const counted = await measureSystemCalls(counter, { peer, workload: { ...workload, details: false }, transport });
      console.log(
        `system calls per message, ${workload.about}, ${peer.name}: ${(counted.client + counted.server).toFixed(3)}`,
      );
      rows.push({ workload: workload.name, about: workload.about, peer: peer.name, ...counted });
    }
  }
  return { counter: counter.name, rows };
}

async function allocations() {
  if (!isNativeHere) return without('allocations', 'there is no native engine');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ampe-allocations-'));
  try {
    const library = compileCounter(folder);
    const rows = [];
    for (const { workload, transport } of steadyCases()) {
      const task = { peer: native, workload: { ...workload, details: false }, transport };
      const counted = await measureAllocations(library, folder, task);
      console.log(`allocations per message in native code, ${workload.about}: ${tables.sumOfEngine(counted)}`);
      rows.push({ workload: workload.name, about: workload.about, peer: NATIVE, ...counted });
    }
    return rows;
  } catch (error) {
    return without('allocations', error.message);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const results = {};
for (const part of options.parts) {
  try {
    results[part] = await PARTS[part]();
  } catch (error) {
    console.error(`${part}: FAILED ${error.message}`);
    process.exitCode = 1;
  }
}
console.log(tables.all(results));
const figures = {
  quick: options.quick,
  rounds,
  ...times,
  missing,
  waitedMs: session.waitedMs,
  results,
  runs: session.runs,
};
console.log(`\nfigures: ${writeFigures(options.json ?? freshFile('costs'), 'costs', figures)}`);
if (session.failed > 0) process.exitCode = 1;
if (!isNativeHere) console.log(`only ${FALLBACK} was measured`);
