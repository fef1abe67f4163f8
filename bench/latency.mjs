#!/usr/bin/env node
// latency.mjs: `npm run bench:latency`: latency under load. First the most a peer can answer is measured (256 requests in flight);
// then requests are sent at a fixed rate whatever comes back, and latency counts from when each should have been sent: at half
// of the peer's own maximum, at half of the lowest maximum of all, and at that rate with the server's JavaScript thread blocked
// for 50 ms every second. Exit code 1 when a message was lost, a peer did not keep up, or a run failed.
import { benchCommand, listOf, settle, TRANSPORTS, wholeNumber } from './lib/options.mjs';
import { FALLBACK, fallback, hasNative, native, NATIVE, YARDSTICK, yardstick } from './lib/peers.mjs';
import { freshFile, Session, writeFigures } from './lib/session.mjs';
import { spread, undisturbed } from './lib/statistics.mjs';
import { number, ranged, textTable } from './lib/table.mjs';

const ROUNDS = { full: 2, quick: 1 };
const RUN_MS = { full: 3000, quick: 1200 };
const CAPACITY_RUN_MS = 700;
const WARM_MS = { full: 1000, quick: 600 }; // at the full rate from the start: what was late at first has to be caught up with
const BLOCK_MS = 50;
const PEERS = [YARDSTICK, NATIVE, FALLBACK];
const base = { size: 64, connections: 1 };
const CAPACITY = { ...base, name: 'capacity', about: 'the most, 256 in flight', kind: 'echo', inFlight: 256 };
const LOADS = [
  { name: 'own-half', about: 'half of its own maximum', rateOf: (peer, most) => most[peer] / 2 },
  { name: 'common', about: 'half of the lowest maximum', rateOf: (_, most) => Math.min(...Object.values(most)) / 2 },
  {
    name: 'common-blocked',
    about: `the same, server blocked ${BLOCK_MS} ms every second`,
    blockMs: BLOCK_MS,
    rateOf: (_, most) => Math.min(...Object.values(most)) / 2,
  },
];

const command = benchCommand('bench:latency', 'Measures latency at a fixed rate of requests.', ROUNDS)
  .option('--transports <names>', 'uds, tcp', listOf(TRANSPORTS), TRANSPORTS)
  .option('--peers <names>', PEERS.join(', '), listOf(PEERS), [YARDSTICK, NATIVE])
  .option('--rate <n>', 'requests a second, instead of halves of what was measured', wholeNumber(100, 10_000_000))
  .parse();
const { transports, rounds, times, ...options } = settle(command.opts(), ROUNDS);
const kind = options.quick ? 'quick' : 'full';
const runMs = options.runMs ?? RUN_MS[kind];
const warmMs = WARM_MS[kind];
const isThere = { [NATIVE]: await hasNative(), [FALLBACK]: true, [YARDSTICK]: true };
const peers = [yardstick, native, fallback].filter(({ name }) => options.peers.includes(name) && isThere[name]);
const session = new Session({ gateSeconds: options.quick ? 0 : options.gate, retries: options.retries });

/** Messages a second of each peer, by name. */
async function capacities(transport) {
  const before = session.runs.length;
  await session.measure(
    [{ workload: CAPACITY, transport, peers, warmMs: times.warmMs, runMs: CAPACITY_RUN_MS }],
    rounds,
  );
  const runs = undisturbed(session.runs.slice(before));
  const most = ({ name }) => spread(runs.filter((run) => run.peer === name).map(({ rate }) => rate))?.median;
  const known = Object.fromEntries(peers.map((peer) => [peer.name, most(peer)]));
  const silent = peers.find(({ name }) => known[name] === undefined);
  if (silent !== undefined) throw new Error(`the maximum of ${silent.name} over ${transport} could not be measured`);
  return known;
}

const rows = [];
for (const transport of transports) {
  const most = await capacities(transport);
  const before = session.runs.length;
  const cases = LOADS.flatMap(({ rateOf, ...load }) =>
    peers.map((peer) => {
      const rate = options.rate ?? Math.round(rateOf(peer.name, most));
      const workload = { ...base, ...load, kind: 'open-loop', rate };
      return { workload, transport, peers: [peer], warmMs, runMs };
    }),
  );
  await session.measure(cases, rounds);
  const runs = undisturbed(session.runs.slice(before)).filter(({ error }) => error === undefined);
  for (const {
    workload,
    peers: [peer],
  } of cases) {
    const good = runs.filter((run) => run.workload === workload.name && run.peer === peer.name);
    const figures = ['p50Us', 'p90Us', 'p99Us', 'p999Us', 'maxUs', 'sentLateP50Us', 'sentLateP99Us', 'cpuNs'];
    const spreads = Object.fromEntries(figures.map((key) => [key, spread(good.map((run) => run[key]))]));
    const { name, about, rate } = workload;
    rows.push({ load: name, about, transport, peer: peer.name, rate, most: most[peer.name], ...spreads });
  }
}

const head = [
  'load',
  'over',
  'peer',
  'requests/s',
  'p50 us',
  'p90 us',
  'p99 us',
  'p99.9 us',
  'most us',
  'sent late p50',
];
const cells = rows.map((row) => [
  row.about,
  row.transport,
  row.peer,
  number(row.rate),
  ...[row.p50Us, row.p90Us].map((values) => number(values?.median)),
  ...[row.p99Us, row.p999Us].map((values) => ranged(values, number)),
  number(row.maxUs?.median),
  number(row.sentLateP50Us?.median),
]);
console.log(`\nlatency from the intended send time, medians of ${rounds} round(s) [least – most]`);
console.log(textTable(head, cells, 3));
const about = {
  quick: options.quick,
  rounds,
  warmMs: times.warmMs,
  runMs,
  blockMs: BLOCK_MS,
  waitedMs: session.waitedMs,
};
console.log(
  `\nfigures: ${writeFigures(options.json ?? freshFile('latency'), 'latency', { ...about, rows, runs: session.runs })}`,
);
process.exitCode = session.failed > 0 ? 1 : 0;
