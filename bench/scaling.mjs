#!/usr/bin/env node
// scaling.mjs: `npm run bench:scaling`: how the cost of a message grows: ns of CPU of both processes, all threads, for more
// connections, groups, posting threads and bytes. Exit code 1 when a message was lost or a run failed.
import { benchCommand, listOf, settle } from './lib/options.mjs';
import { hasNative, native, yardstick } from './lib/peers.mjs';
import { axes } from './lib/scaling-cases.mjs';
import { freshFile, Session, writeFigures } from './lib/session.mjs';
import { spread, undisturbed } from './lib/statistics.mjs';
import { number, ranged, textTable } from './lib/table.mjs';

const ROUNDS = { full: 2, quick: 1 };
const RUN_MS = 700;
const command = benchCommand('bench:scaling', 'Measures how the cost of a message grows.', ROUNDS)
  .option('--axes <names>', 'comma-separated', listOf(Object.keys(axes)), Object.keys(axes))
  .parse();
const { rounds, times, ...options } = settle(command.opts(), ROUNDS);
if (!options.quick && options.runMs === undefined) times.runMs = RUN_MS;
const engines = (await hasNative()) ? [native] : [];
const known = { native: engines, both: [yardstick, ...engines] };

const session = new Session({ gateSeconds: options.quick ? 0 : options.gate, retries: options.retries });
const cases = options.axes.flatMap((axis) =>
  axes[axis].points.map(({ peers, client, ...workload }) => ({
    workload,
    transport: 'uds',
    peers: known[peers].map((peer) => (client === undefined ? peer : { ...peer, client })),
    ...times,
  })),
);
const runs = await session.measure(cases, rounds);

const results = options.axes.map((axis) => ({
  axis,
  about: axes[axis].about,
  unit: axes[axis].unit,
  rows: rowsOf(axis),
}));
function rowsOf(axis) {
  const rows = [];
  for (const { name, at } of axes[axis].points) {
    for (const { name: peer } of known.both) {
      const good = undisturbed(runs).filter((run) => run.workload === name && run.peer === peer && !run.error);
      if (good.length === 0) continue;
      const figures = ['cpuNs', 'clientCpuNs', 'serverCpuNs', 'rate', 'megabytes'];
      rows.push({ at, peer, ...Object.fromEntries(figures.map((key) => [key, spread(good.map((run) => run[key]))])) });
    }
  }
  return rows;
}

for (const { about, unit, rows } of results) {
  const head = [unit, 'peer', 'CPU ns/message', 'client', 'server', 'messages/s'];
  const cells = rows.map((row) => [
    number(row.at),
    row.peer,
    ranged(row.cpuNs, number),
    number(row.clientCpuNs.median),
    number(row.serverCpuNs.median),
    ranged(row.rate),
  ]);
  console.log(`\n${about}\n${textTable(head, cells, 2)}`);
}
const figures = { quick: options.quick, rounds, ...times, waitedMs: session.waitedMs, results, runs };
console.log(`\nfigures: ${writeFigures(options.json ?? freshFile('scaling'), 'scaling', figures)}`);
process.exitCode = session.failed > 0 ? 1 : 0;
