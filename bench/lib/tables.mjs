// tables.mjs: what a comparison of peers looks like on a terminal. Pure.
import { number, ranged, ratio, textTable } from './table.mjs';

export function peerTable(rows, workloads) {
  const head = ['workload', 'over', 'peer', 'messages/s', 'MB/s', 'ratio', 'p50 us', 'p99 us', 'p99.9 us', 'CPU ns'];
  const cells = rows.map((row) => {
    const { about } = workloads.find(({ name }) => name === row.workload);
    const marks = [row.failed > 0 ? `${row.failed} FAILED` : '', row.disturbed > 0 ? `${row.disturbed} disturbed` : ''];
    return [
      about,
      row.transport,
      [row.peer, ...marks.filter(Boolean)].join(', '),
      row.perConnectionKib ? `${ranged(row.perConnectionKib)} KiB/connection` : ranged(row.rate),
      number(row.megabytes?.median, 1),
      ratio(row.ratio),
      ...[row.p50Us, row.p99Us, row.p999Us].map((values) => number(values?.median, 1)),
      number(row.cpuNs?.median),
    ];
  });
  return textTable(head, cells, 3);
}

/** Rows in the order of the workloads, transports and peers. */
export function inOrder(rows, workloads, transports, peers) {
  const place = (row) => [
    workloads.findIndex(({ name }) => name === row.workload),
    transports.indexOf(row.transport),
    peers.findIndex(({ name }) => name === row.peer),
  ];
  return [...rows].sort((one, other) => {
    const [a, b] = [place(one), place(other)];
    const differs = a.findIndex((value, index) => value !== b[index]);
    return differs < 0 ? 0 : a[differs] - b[differs];
  });
}
