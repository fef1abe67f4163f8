// other-parts.mjs: the parts of the page from the figures of bench:scaling, bench:latency and bench:costs. Pure.
import * as costs from '../costs/tables.mjs';
import { markdownTable, number, ranged, short } from '../table.mjs';

const TITLES = {
  connecting: 'Connecting and closing',
  startUp: 'Starting an engine, and its memory at rest',
  ceiling: 'Memory at its ceiling',
  idle: 'Memory of idle connections',
  steady: "Context switches and JavaScript's heap",
  counters: 'What the native engine counts, per message',
  systemCalls: 'System calls',
  allocations: 'Allocations in native code',
};

const PLOTS = [
  ['sizes', '![CPU per message by size of the body](plots/cpu-by-size.svg)'],
  ['connections', '![CPU per message by connections](plots/cpu-by-connections.svg)'],
];

export function scaling({ results, rounds }) {
  const lines = [
    '## How cost grows',
    '',
    `CPU of both processes and all their threads, divided by messages; Unix sockets, medians of ${rounds} rounds with the least and the most.`,
    ...PLOTS.filter(([axis]) => results.some((result) => result.axis === axis)).flatMap(([, shown]) => ['', shown]),
  ];
  for (const { about, unit, rows } of results) {
    const head = [unit, 'peer', 'CPU ns each', 'client', 'server', 'a second', 'MB/s'];
    const cells = rows.map((row) => [
      number(row.at),
      row.peer,
      ranged(row.cpuNs, number),
      number(row.clientCpuNs?.median),
      number(row.serverCpuNs?.median),
      short(row.rate?.median),
      number(row.megabytes?.median),
    ]);
    lines.push('', `By ${about}:`, '', markdownTable(head, cells, 2));
  }
  return lines.join('\n');
}

export function latency({ rows, rounds, runMs, blockMs }) {
  const head = [
    'load',
    'over',
    'peer',
    'requests/s',
    'p50 µs',
    'p90 µs',
    'p99 µs',
    'p99.9 µs',
    'most µs',
    'sent late p50 µs',
  ];
  const cells = rows.map((row) => [
    row.about,
    row.transport,
    row.peer,
    number(row.rate),
    ...[row.p50Us, row.p90Us, row.p99Us, row.p999Us].map((values) => ranged(values, number)),
    number(row.maxUs?.median),
    number(row.sentLateP50Us?.median),
  ]);
  return [
    '## Latency under load',
    '',
    'Requests of 64 B on one connection leave at a fixed rate whatever comes back, and latency counts from when each should have been',
    `sent. The maximum is that with 256 requests in flight. ${number(runMs)} ms for each run, ${rounds} rounds. Blocked: the server's JavaScript`,
    `thread computes for ${blockMs} ms in every second; it is what answers, so one request in ${Math.round(1000 / blockMs)} meets that. The client never`,
    'sleeps, and so has a CPU of its own.',
    '',
    '![Latency at half of the lowest maximum](plots/latency-under-load.svg)',
    '',
    markdownTable(head, cells, 3),
  ].join('\n');
}

export function otherCosts({ results, missing = [] }) {
  const lines = ['## Other costs', '', ...missing.map(({ what, reason }) => `Without ${what}: ${reason}.`)];
  for (const [name, head, rows, left] of costs.parts(results)) {
    lines.push('', `### ${TITLES[name]}`, '', markdownTable(head, rows, left));
  }
  return lines.join('\n');
}
