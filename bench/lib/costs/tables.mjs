// tables.mjs: the figures of bench:costs as tables for a terminal, or by another formatter for a page. Pure.
import { number, ranged, ratio, textTable } from '../table.mjs';

/** Allocations of the engine, both processes. */
export const sumOfEngine = ({ client, server }) => number(client.engine + server.engine, 6);

const small = (value) => (value === undefined ? '-' : number(value, value >= 10 ? 1 : 4));

function connecting(rows) {
  const head = ['connect, Hello, HelloResponse, Bye', 'over', 'peer', 'a second', 'ratio', 'CPU us'];
  const about = (name) => (name.endsWith('-1') ? 'one after the other' : `${name.slice('cycles-'.length)} at a time`);
  const cells = rows.map((row) => [
    about(row.workload),
    row.transport,
    row.peer,
    ranged(row.rate),
    ratio(row.ratio),
    number(row.cpuNs?.median / 1000, 1),
  ]);
  return [head, cells, 3];
}

function startUp(rows) {
  const head = ['engine', 'load ms', 'create ms', 'listening ms', 'later ones ms', 'first KiB', 'later ones KiB'];
  const ms = (values) => ranged(values, (value) => number(value, 2));
  const cells = rows.map((row) => [
    row.backend,
    ms(row.loadMs),
    ms(row.firstCreateMs),
    ms(row.firstListeningMs),
    ms(row.laterListeningMs),
    ranged(row.firstKib, number),
    ranged(row.laterKib, number),
  ]);
  return [head, cells, 1];
}

function ceiling(rows) {
  const head = [
    'a producer against a peer that never receives',
    'engine',
    'messages accepted',
    'sender grew MiB',
    'receiver MiB',
  ];
  const cells = rows.map((row) => [
    `${number(row.size)} B`,
    row.peer,
    number(row.messages),
    number(row.grownKib / 1024, 1),
    number(row.serverGrownKib / 1024, 1),
  ]);
  return [head, cells, 2];
}

function idle(rows) {
  const head = ['idle connections', 'peer', 'KiB each, the first 1,000', 'KiB each, from 1,000 to 4,000'];
  const cells = rows.map((row) => [
    row.transport,
    row.peer,
    ranged(row.perConnectionKib, (value) => number(value, 1)),
    ranged(row.slopeKib, (value) => number(value, 1)),
  ]);
  return [head, cells, 2];
}

function steady(rows) {
  const head = ['per message', 'peer', 'side', 'heap B', 'collections', 'switches: voluntary', 'involuntary'];
  const cells = rows.flatMap((row) =>
    ['client', 'server'].map((role) => [
      row.about,
      row.peer,
      role,
      number(row[role].heapBytes?.median),
      number(row[role].collections?.median, 6),
      small(row[role].voluntarySwitches?.median),
      small(row[role].involuntarySwitches?.median),
    ]),
  );
  return [head, cells, 3];
}

const LEFT_OUT = ['poolFree', 'poolTotal', 'channels', 'listeners', 'groups', 'bytesIn', 'bytesOut'];
/** The engine's own counters, per message; names come from stats(), so that new ones appear by themselves. */
function counters(rows) {
  const native = rows.filter((row) => row.client.engine && 'sendCalls' in row.client.engine);
  const names = Object.keys(native[0]?.client.engine ?? {}).filter((name) => !LEFT_OUT.includes(name));
  const interesting = names.filter((name) => native.some((row) => row.client.engine[name] || row.server.engine[name]));
  const head = ['counter', ...native.flatMap(({ about }) => [`${about}: client`, 'server'])];
  const cells = interesting.map((name) => [
    name,
    ...native.flatMap((row) => [small(row.client.engine[name]), small(row.server.engine[name])]),
  ]);
  return [head, cells, 1];
}

function systemCalls({ counter, rows }) {
  const head = [`system calls per message (${counter})`, 'peer', 'client', 'server'];
  const cells = rows.map((row) => [row.about, row.peer, number(row.client, 4), number(row.server, 4)]);
  return [head, cells, 2];
}

function allocations(rows) {
  const head = ['allocations per message', 'engine, client', 'engine, server', 'Node, client', 'Node, server'];
  const sides = ({ client, server }) => [client.engine, server.engine, client.node, server.node];
  return [head, rows.map((row) => [row.about, ...sides(row).map((value) => number(value, 6))]), 1];
}

const PARTS = { connecting, startUp, ceiling, idle, steady, systemCalls, allocations };

/** [part, head, rows, left] of each part that was measured. */
export function parts(results) {
  const found = [];
  for (const [name, make] of Object.entries(PARTS)) {
    if (!results[name] || results[name].length === 0) continue;
    found.push([name, ...make(results[name])]);
    if (name === 'steady' && counters(results.steady)[1].length > 0)
      found.push(['counters', ...counters(results.steady)]);
  }
  return found;
}

export const all = (results) =>
  parts(results)
    .map(([, head, rows, left]) => `\n${textTable(head, rows, left)}`)
    .join('\n');
