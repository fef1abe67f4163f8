// statistics.mjs: medians, spreads, percentiles, and what many runs come to. Pure: knows numbers and the shape of a run.
// A run is { workload, transport, peer, round, … figures … }, with `error` when it failed and `disturbed` when others were busy.

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** { median, min, max, count } of the values that are numbers; undefined when there are none. */
export function spread(values) {
  const numbers = values.filter((value) => Number.isFinite(value));
  if (numbers.length === 0) return undefined;
  return { median: median(numbers), min: Math.min(...numbers), max: Math.max(...numbers), count: numbers.length };
}

/** The value that `share` of the sorted values do not exceed. */
export const quantile = (sorted, share) =>
  sorted[Math.max(0, Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1))];

/** Of latencies in ms, which are sorted in place. */
export function percentilesUs(latenciesMs) {
  const sorted = latenciesMs.sort((a, b) => a - b);
  const at = (share) => quantile(sorted, share) * 1000;
  return { p50Us: at(0.5), p90Us: at(0.9), p99Us: at(0.99), p999Us: at(0.999), maxUs: at(1) };
}

export const keyOf = ({ workload, transport, peer }) => `${workload} ${transport} ${peer}`;

/** The undisturbed runs; of a case that has none, all. */
export function undisturbed(runs) {
  const quiet = new Set(runs.filter((run) => !run.disturbed && run.error === undefined).map(keyOf));
  return runs.filter((run) => !run.disturbed || !quiet.has(keyOf(run)));
}

const FIGURES = [
  ...['rate', 'megabytes', 'p50Us', 'p99Us', 'p999Us', 'cpuNs', 'clientCpuNs', 'serverCpuNs', 'switches'],
  ...['perConnectionKib', 'slopeKib'],
];

/**
 * One row for each workload, transport and peer, in the order of first appearance. `ratio` is the spread, over the rounds,
 * of a run's rate divided by that of the yardstick in the same round; where no round has both, of the medians.
 */
export function summarize(runs, yardstick) {
  const rows = new Map();
  for (const run of undisturbed(runs)) {
    const key = keyOf(run);
    const { workload, transport, peer } = run;
    if (!rows.has(key)) rows.set(key, { workload, transport, peer, runs: [] });
    rows.get(key).runs.push(run);
  }
  return [...rows.values()].map(({ runs: all, ...row }) => {
    const good = all.filter((run) => run.error === undefined);
    const figures = Object.fromEntries(FIGURES.map((name) => [name, spread(good.map((run) => run[name]))]));
    const base = rows.get(keyOf({ ...row, peer: yardstick }))?.runs ?? [];
    return {
      ...row,
      failed: all.length - good.length,
      disturbed: good.filter((run) => run.disturbed).length,
      ...figures,
      ratio: ratioOf(good, base),
    };
  });
}

function ratioOf(runs, base, figure = 'rate') {
  const good = base.filter((run) => run.error === undefined);
  const pairs = runs.map((run) => run[figure] / good.find(({ round }) => round === run.round)?.[figure]);
  const paired = spread(pairs);
  if (paired !== undefined) return paired;
  const [own, other] = [spread(runs.map((run) => run[figure])), spread(good.map((run) => run[figure]))];
  if (own === undefined || other === undefined) return undefined;
  const ratio = own.median / other.median;
  return { median: ratio, min: ratio, max: ratio, count: 0 };
}

/** Of two revisions: one row for each workload and transport, with the ratio B / A of each figure, over the rounds. */
export function compareTwo(runs, a, b) {
  const cases = new Map();
  for (const run of undisturbed(runs)) {
    const { workload, transport } = run;
    const key = `${workload} ${transport}`;
    if (!cases.has(key)) cases.set(key, { workload, transport, of: { [a]: [], [b]: [] }, failed: 0 });
    if (run.error === undefined) cases.get(key).of[run.peer].push(run);
    else cases.get(key).failed++;
  }
  return [...cases.values()].map(({ of, ...row }) => ({
    ...row,
    a: spread(of[a].map((run) => run.rate)),
    b: spread(of[b].map((run) => run.rate)),
    rate: ratioOf(of[b], of[a], 'rate'),
    cpu: ratioOf(of[b], of[a], 'cpuNs'),
    p50: ratioOf(of[b], of[a], 'p50Us'),
    p99: ratioOf(of[b], of[a], 'p99Us'),
  }));
}

/** Fewer rounds agree by chance too often: of five that mean nothing, all do in one of sixteen comparisons. */
const FEWEST_ROUNDS = 5;

/** What a comparison says: whether every round agrees on the direction. */
export function verdictOf(ratio) {
  if (ratio === undefined || ratio.count < FEWEST_ROUNDS) return 'too few rounds to say';
  if (ratio.min > 1) return 'more in every round';
  if (ratio.max < 1) return 'less in every round';
  return 'within the spread';
}
