// summary.mjs: medians over the rounds, the ratio to the yardstick, and the table. Pure.
export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** One row for each workload, transport and peer; `ratio` is its median rate over that of the peer named `yardstick`. */
export function summarize(runs, yardstick) {
  const rows = new Map();
  for (const run of runs) {
    const key = `${run.workload} ${run.transport} ${run.peer}`;
    if (!rows.has(key)) rows.set(key, { workload: run.workload, transport: run.transport, peer: run.peer, runs: [] });
    rows.get(key).runs.push(run);
  }
  const result = [...rows.values()].map(({ runs: all, ...row }) => {
    const good = all.filter((run) => run.error === undefined);
    const middle = (key) =>
      good.length > 0 && good[0][key] !== undefined ? median(good.map((run) => run[key])) : undefined;
    return {
      ...row,
      failed: all.length - good.length,
      rate: middle('rate'),
      megabytes: middle('megabytes'),
      p50Us: middle('p50Us'),
      p99Us: middle('p99Us'),
    };
  });
  for (const row of result) {
    const base = result.find(
      (r) => r.workload === row.workload && r.transport === row.transport && r.peer === yardstick,
    );
    if (row.rate !== undefined && base?.rate !== undefined) row.ratio = row.rate / base.rate;
  }
  return result;
}

const number = (value, digits = 0) =>
  value === undefined
    ? '-'
    : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });

export function formatTable(rows, workloads) {
  const cells = [['workload', 'over', 'peer', 'messages/s', 'MB/s', 'ratio', 'p50 us', 'p99 us']];
  for (const row of rows) {
    const { about } = workloads.find((workload) => workload.name === row.workload);
    cells.push([
      about,
      row.transport,
      row.peer,
      row.failed > 0 ? `${row.failed} FAILED` : number(row.rate),
      number(row.megabytes, 1),
      number(row.ratio, 2),
      number(row.p50Us, 1),
      number(row.p99Us, 1),
    ]);
  }
  const widths = cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const pad = (cell, column) => (column < 3 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return cells.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}
