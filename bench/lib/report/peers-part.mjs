// peers-part.mjs: the part of the page, and of the README, that compares with others: from the figures of bench:peers. Pure.
import { FALLBACK, FOR_AWAIT, NATIVE, YARDSTICK } from '../names.mjs';
import { markdownTable, number, ranged, ratio, short } from '../table.mjs';
import { workloads } from '../workloads.mjs';

const OVER = { uds: 'Unix socket', tcp: 'TCP' };
const IN_README = ['one-way-64', 'one-way-1k', 'one-way-16k', 'one-way-60k', 'in-flight-256', 'connections-100'];
const aboutOf = (name) => workloads.find((workload) => workload.name === name)?.about ?? name;
const unique = (values) => [...new Set(values)];
const find = (summary, workload, transport, peer) =>
  summary.find((row) => row.workload === workload && row.transport === transport && row.peer === peer);
const ratioAlone = (row) => (row?.ratio === undefined ? '-' : number(row.ratio.median, 2));

/** Markdown of the comparison: an overview, then every figure with its spread. */
export function comparison({ summary, rounds, roundsOther, runMs, warmMs, missing = [] }) {
  const rates = summary.filter(({ rate }) => rate !== undefined);
  const lines = [
    '## Against others',
    '',
    `Two fresh processes for each run, ${number(warmMs)} ms of warm-up and ${number(runMs)} ms measured; every message is checked on`,
    `each side that receives it. Peers alternate within each of ${rounds} rounds (${roundsOther} for all but ${YARDSTICK} and the native engine).`,
    `Figures are medians, with the least and the most; the ratio is to ${YARDSTICK} in the same round, its median and spread.`,
    `${YARDSTICK} is framing by hand that does nothing else (\`bench/lib/net-framing.mjs\`).`,
    ...missing.map(({ name, reason }) => `Without ${name}: ${reason}.`),
    '',
    '![Throughput by size of the body](plots/throughput-by-size.svg)',
    '',
    '![Latency of ping-pong](plots/ping-pong-latency.svg)',
  ];
  for (const workload of unique(rates.map((row) => row.workload))) {
    const rows = rates.filter((row) => row.workload === workload);
    lines.push('', `### ${capital(aboutOf(workload))}`, '', rateTable(rows));
  }
  const idle = summary.filter(({ perConnectionKib }) => perConnectionKib !== undefined);
  if (idle.length > 0) lines.push('', '### 1,000 idle connections', '', idleTable(idle));
  return lines.join('\n');
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
const marked = (row) =>
  [row.peer, row.failed > 0 ? `**${row.failed} failed**` : '', row.disturbed > 0 ? 'disturbed' : '']
    .filter(Boolean)
    .join(', ');

function rateTable(rows) {
  const hasLatency = rows.some(({ p50Us }) => p50Us !== undefined);
  const latency = hasLatency ? ['p50 µs', 'p99 µs', 'p99.9 µs'] : ['MB/s'];
  const head = ['over', 'peer', 'a second', 'ratio', ...latency, 'CPU ns each', 'switches each'];
  const cells = rows.map((row) => [
    OVER[row.transport],
    marked(row),
    ranged(row.rate),
    ratio(row.ratio),
    ...(hasLatency
      ? [row.p50Us, row.p99Us, row.p999Us].map((values) => ranged(values, (value) => number(value, 1)))
      : [number(row.megabytes?.median, 0)]),
    number(row.cpuNs?.median),
    number(row.switches?.median, 3),
  ]);
  return markdownTable(head, cells, 2);
}

function idleTable(rows) {
  const cells = rows.map((row) => [
    OVER[row.transport],
    marked(row),
    ranged(row.perConnectionKib, (kib) => number(kib, 1)),
  ]);
  return markdownTable(['over', 'peer', 'KiB of the server for each'], cells, 2);
}

/** The README's table: the native engine beside node:net, the fallback engine and zeromq.js. */
export function readmeTables({ summary, rounds }, machineLine) {
  const transports = unique(summary.map(({ transport }) => transport));
  const head = [
    '',
    ...transports.flatMap((each) => [`${OVER[each]}, native`, '× node:net', 'fallback ×', 'zeromq.js ×']),
  ];
  const rows = IN_README.filter((name) => summary.some(({ workload }) => workload === name)).map((name) => [
    aboutOf(name),
    ...transports.flatMap((transport) => {
      const of = (peer) => find(summary, name, transport, peer);
      return [
        `${short(of(NATIVE)?.rate?.median)}/s`,
        ...[NATIVE, FALLBACK, 'zeromq.js'].map((peer) => ratioAlone(of(peer))),
      ];
    }),
  ]);
  const text = [
    `${machineLine} Two processes; medians of ${rounds} rounds in which peers alternate; every message is checked on each side`,
    'that receives it. The ratios are to framing by hand on `node:net` that does nothing else; absolute figures drift from machine to',
    'machine.',
    '',
    markdownTable(head, rows),
    '',
    ...latencyLines(summary, transports),
    ...forAwaitLine(summary),
    'All figures with their spread, how cost grows, latency under load, memory: [bench/RESULTS.md](bench/RESULTS.md).',
  ];
  return text.join('\n');
}

function latencyLines(summary, transports) {
  const names = [YARDSTICK, NATIVE, FALLBACK, 'zeromq.js', 'ws'];
  const rows = [];
  for (const name of ['ping-pong', 'ping-pong-one-cpu']) {
    for (const transport of transports) {
      const cells = names.map((peer) => {
        const row = find(summary, name, transport, peer);
        return row?.p50Us === undefined ? '-' : `${number(row.p50Us.median)} / ${number(row.p99Us.median)}`;
      });
      if (cells.some((cell) => cell !== '-')) rows.push([`${aboutOf(name)}, ${OVER[transport]}`, ...cells]);
    }
  }
  return rows.length === 0 ? [] : [markdownTable(['p50 / p99, µs', ...names], rows), ''];
}

function forAwaitLine(summary) {
  const row = find(summary, 'one-way-64', 'uds', FOR_AWAIT);
  if (row?.rate === undefined) return [];
  return [
    `The flood of 64 B received with \`for await\` instead of \`waitReceive\` and \`tryReceive\`: ${short(row.rate.median)}/s on a Unix socket.`,
    '',
  ];
}
