#!/usr/bin/env node
// compare.mjs: `npm run bench:compare -- REV [REV]`: two revisions measured alternately in one run: REV against the files as they are
// here, or one revision against another. Prints ratios with their spread, for whoever changes the hot path.
// The programs and the adapter of this clone measure both, so that nothing but the package differs.
// Exit code 1 when a message was lost, a revision does not build, or a run failed.
import { checkOut } from './lib/revisions.mjs';
import { benchCommand, listOf, runnable, settle, TRANSPORTS } from './lib/options.mjs';
import { freshFile, Session, writeFigures } from './lib/session.mjs';
import { compareTwo, verdictOf } from './lib/statistics.mjs';
import { number, ranged, ratio, textTable } from './lib/table.mjs';
import { workloads } from './lib/workloads.mjs';

const ROUNDS = { full: 7, quick: 2 };
const RUN_MS = 800;
const measurable = workloads.filter(({ kind }) => kind !== 'idle');
const names = measurable.map(({ name }) => name);
const USUAL = ['one-way-64', 'one-way-1k', 'one-way-16k', 'ping-pong', 'in-flight-256', 'connections-100'];
const BACKENDS = ['native', 'fallback'];
const command = benchCommand('bench:compare', 'Compares two revisions of this package, run by run in turn.', ROUNDS)
  .argument('<revision>', 'what git knows it by')
  .argument('[other]', 'another one (default: the files as they are here)')
  .option('--workloads <names>', 'comma-separated', listOf(names), USUAL)
  .option('--transports <names>', 'uds, tcp', listOf(TRANSPORTS), ['uds'])
  .option('--backend <name>', 'native, fallback', listOf(BACKENDS), ['native'])
  .option('--keep', 'leaves what was checked out and built, for the next time')
  .parse();
const { transports, rounds, times, ...options } = settle(command.opts(), ROUNDS);
if (!options.quick && options.runMs === undefined) times.runMs = RUN_MS;
const [revision, other] = command.args;

const made = [];
try {
  const [a, b] = [checkOut(revision), checkOut(other)];
  made.push(a, b);
  if (a.name === b.name) command.error(`both are ${a.name}: there is nothing to compare`);
  const adapter = options.backend[0] === 'native' ? 'tofu-ampe' : 'tofu-ampe-fallback';
  const peers = [a, b].map(({ name, adapterModule }) => ({
    name,
    server: adapterModule(adapter, 'server'),
    client: adapterModule(adapter, 'client'),
  }));
  const chosen = runnable(measurable.filter(({ name }) => options.workloads.includes(name)));
  const session = new Session({ gateSeconds: options.quick ? 0 : options.gate, retries: options.retries });
  const cases = chosen.flatMap((workload) => transports.map((transport) => ({ workload, transport, peers, ...times })));
  const runs = await session.measure(cases, rounds);
  const place = ({ workload }) => chosen.findIndex(({ name }) => name === workload);
  const rows = compareTwo(runs, a.name, b.name).sort((one, another) => place(one) - place(another));
  const disturbed = runs.filter((run) => run.disturbed).length;

  const head = [
    'workload',
    'over',
    `${a.name}: a second`,
    `${b.name}: a second`,
    'ratio',
    'CPU ratio',
    'p50 ratio',
    '',
  ];
  const cells = rows.map((row) => [
    chosen.find(({ name }) => name === row.workload).about,
    row.transport,
    ...(row.failed > 0 ? [`${row.failed} FAILED`, ''] : [ranged(row.a), ranged(row.b)]),
    ratio(row.rate),
    ratio(row.cpu),
    row.p50 === undefined ? '-' : number(row.p50.median, 2),
    verdictOf(row.rate),
  ]);
  console.log(`\n${b.name} over ${a.name}, medians of ${rounds} rounds, ratios within each round [least – most]`);
  console.log(textTable(head, cells, 2));
  if (disturbed > 0)
    console.log(`${disturbed} of ${runs.length} runs were disturbed by others, and left out where one was not`);
  const about = { quick: options.quick, rounds, ...times, backend: options.backend[0], a: a.name, b: b.name };
  console.log(`\nfigures: ${writeFigures(options.json ?? freshFile('compare'), 'compare', { ...about, rows, runs })}`);
  if (session.failed > 0) process.exitCode = 1;
} catch (error) {
  console.error(`bench:compare: ${error.message}`);
  process.exitCode = 1;
} finally {
  if (!options.keep) for (const { remove } of made) remove();
}
