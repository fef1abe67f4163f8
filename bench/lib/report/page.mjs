// page.mjs: bench/RESULTS.md, its plots and the README's block, made of figures. Pure: takes and returns text and data; a part whose
// figures are not there is left out.
import { NATIVE, YARDSTICK } from '../names.mjs';
import { barPlot, linePlot } from '../plots.mjs';
import { short } from '../table.mjs';
import { workloads } from '../workloads.mjs';
import { latency, otherCosts, scaling } from './other-parts.mjs';
import { comparison, readmeTables } from './peers-part.mjs';

const START = '<!-- figures: written by bench/report.mjs -->';
const END = '<!-- end of figures -->';
const PARTS = { peers: comparison, scaling, latency, costs: otherCosts };

export const machineLine = ({ machine, at }) =>
  `${machine.cpus} × ${machine.cpu}, ${machine.platform} ${machine.kernel}, Node ${machine.node.slice(1)}, ${at.slice(0, 10)}.`;

/**
 * The whole page. `figures` has those of peers, scaling, latency and costs, as far as they were measured; `reading` is Markdown that
 * somebody wrote about them.
 */
export function renderPage(figures, reading = null) {
  const measured = Object.keys(PARTS).filter((name) => figures[name] !== undefined);
  const isTrial = measured.some((name) => figures[name].quick);
  const lines = [
    '# What was measured',
    '',
    '<!-- written by bench/report.mjs from bench/results/*.json and reading.md: do not change it by hand -->',
    '',
    ...(isTrial ? ['**A trial with short runs: these are not figures to go by.**', ''] : []),
    'How to measure again: `npm run bench:figures`; what each program does: [CONTRIBUTING.md](../CONTRIBUTING.md).',
    '',
    ...measured.map((name) => `- ${describeSource(name, figures[name])}`),
  ];
  if (reading !== null) lines.push('', reading.trimEnd());
  for (const name of measured) lines.push('', PARTS[name](figures[name]));
  return `${lines.join('\n')}\n`;
}

function describeSource(name, { at, machine, versions, runs, waitedMs = 0 }) {
  const count = (key) => runs.filter((run) => run[key]).length;
  const others = Object.entries(versions ?? {}).map(([key, value]) => `${key} ${value}`);
  const revision =
    machine.revision === null ? '' : ` (${machine.revision}${machine.hasChanges ? ' with changes' : ''})`;
  const parts = [
    `tofu-ampe ${machine.version}${revision}`,
    ...others,
    `${runs.length} runs`,
    `${count('error')} failed`,
    `${count('disturbed')} disturbed by other processes and marked`,
    `${Math.round(waitedMs / 1000)} s of waiting for quiet`,
  ];
  return `bench:${name}: ${machineLine({ machine, at })} ${parts.join(', ')}.`;
}

/** { file name: SVG text } of the plots for which there are figures. */
export function renderPlots({ peers, scaling: scaled, latency: loaded }) {
  const plots = {};
  if (peers !== undefined) {
    plots['throughput-by-size.svg'] = throughputPlot(peers.summary);
    plots['ping-pong-latency.svg'] = pingPongPlot(peers.summary);
  }
  for (const [axis, title] of [
    ['sizes', 'size of the body'],
    ['connections', 'connections, 8 in flight on each'],
  ]) {
    const rows = scaled?.results.find((result) => result.axis === axis)?.rows;
    if (rows !== undefined) plots[`cpu-by-${axis === 'sizes' ? 'size' : axis}.svg`] = costPlot(rows, title);
  }
  if (loaded !== undefined) plots['latency-under-load.svg'] = loadPlot(loaded.rows);
  // What has no point at all would be an empty picture.
  return Object.fromEntries(Object.entries(plots).filter(([, text]) => text !== null));
}

function throughputPlot(summary) {
  const points = summary
    .filter((row) => row.workload.startsWith('one-way') && row.transport === 'tcp' && row.megabytes !== undefined)
    .map(({ workload, peer, megabytes }) => ({
      x: workloads.find(({ name }) => name === workload).size,
      y: megabytes.median,
      least: megabytes.min,
      most: megabytes.max,
      series: peer,
    }));
  if (points.length === 0) return null;
  const title = 'One-way throughput over TCP';
  return linePlot({ title, xLabel: 'bytes of body', yLabel: 'MB/s', points, ...sizeTicks(points) });
}

const sizeTicks = (points) => ({
  xTicks: [...new Set(points.map(({ x }) => x))],
  xFormat: (bytes) => (bytes >= 1024 ? `${Math.round(bytes / 1024)} KiB` : String(bytes)),
  yFormat: short,
});

function pingPongPlot(summary) {
  const bars = [];
  for (const [label, key] of [
    ['p50', 'p50Us'],
    ['p99', 'p99Us'],
    ['p99.9', 'p999Us'],
  ]) {
    for (const row of summary.filter(({ workload, transport }) => workload === 'ping-pong' && transport === 'tcp')) {
      if (row[key] !== undefined)
        bars.push({ label: `${label}, ${row.peer}`, value: row[key].median, series: row.peer });
    }
  }
  if (bars.length === 0) return null;
  return barPlot({ title: 'Ping-pong over TCP, one request in flight', xLabel: 'µs', bars });
}

function costPlot(rows, by) {
  const points = rows
    .filter(({ at, cpuNs }) => at > 0 && cpuNs !== undefined)
    .map(({ at, peer, cpuNs }) => ({ x: at, y: cpuNs.median, least: cpuNs.min, most: cpuNs.max, series: peer }));
  if (points.length === 0) return null;
  const isSize = by.startsWith('size');
  const ticks = isSize
    ? sizeTicks(points)
    : { xTicks: [...new Set(points.map(({ x }) => x))], xFormat: short, yFormat: short };
  const xLabel = isSize ? 'bytes of body' : by;
  return linePlot({ title: `CPU per message, by ${by}`, xLabel, yLabel: 'ns', points, ...ticks });
}

function loadPlot(rows) {
  const bars = [];
  const over = rows[0]?.transport;
  for (const load of ['common', 'common-blocked']) {
    for (const [label, key] of [
      ['p50', 'p50Us'],
      ['p99', 'p99Us'],
      ['p99.9', 'p999Us'],
    ]) {
      for (const row of rows.filter(
        (each) => each.load === load && each.transport === over && each[key] !== undefined,
      )) {
        const suffix = load === 'common' ? '' : ', blocked';
        bars.push({ label: `${label}, ${row.peer}${suffix}`, value: row[key].median, series: row.peer });
      }
    }
  }
  if (bars.length === 0) return null;
  return barPlot({
    title: `Latency at half of the lowest maximum, ${over}`,
    xLabel: 'µs from the intended send time',
    bars,
  });
}

/** The README with its block filled; throws when it has none. The block stays as it is without figures of both that it names. */
export function fillReadme(text, { peers }) {
  const [from, to] = [text.indexOf(START), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the README has no block between ${START} and ${END}`);
  const isThere = (peer) => peers?.summary.some((row) => row.peer === peer);
  if (peers === undefined || peers.quick || !isThere(NATIVE) || !isThere(YARDSTICK)) return text;
  const block = readmeTables(peers, machineLine(peers));
  return `${text.slice(0, from)}${START}\n\n${block}\n\n${text.slice(to)}`;
}
