// figures.ts: made-up figures in the shape in which the benchmark programs write theirs, for the tests of the report.

const at = '2030-01-02T03:04:05.000Z';
const machine = {
  ...{ version: '1.2.3', revision: 'abcdef', hasChanges: false, node: 'v20.1.2', platform: 'linux x64', kernel: '6.1' },
  ...{ cpu: 'Some CPU', cpus: 2, memoryGib: 8 },
};
const about = { at, machine, quick: false, rounds: 3, warmMs: 400, runMs: 1000, waitedMs: 2000 };
const spread = (median: number): object => ({ median, min: median * 0.9, max: median * 1.1, count: 3 });

const row = (
  peer: string,
  workload: string,
  transport: string,
  rate: number,
): Record<string, unknown> & { peer: string } => ({
  ...{ peer, workload, transport, failed: 0, disturbed: 0 },
  ...{
    rate: spread(rate),
    ratio: spread(rate / 4e6),
    megabytes: spread(rate / 1e4),
    cpuNs: spread(500),
    switches: spread(0.1),
  },
});
const latencies = { p50Us: spread(20), p90Us: spread(30), p99Us: spread(50), p999Us: spread(80), maxUs: spread(900) };
const peersOf = (workload: string, more: object = {}): (Record<string, unknown> & { peer: string })[] =>
  ['uds', 'tcp'].flatMap((transport) => [
    { ...row('node:net', workload, transport, 4e6), ...more },
    { ...row('native', workload, transport, 2e6), ...more },
  ]);
const engine = { sendCalls: 0.01, readCalls: 0.02, somethingNew: 0.5 };
const side = {
  heapBytes: spread(90),
  collections: spread(0.001),
  voluntarySwitches: spread(0.1),
  involuntarySwitches: spread(0.01),
  engine,
};
const scaled = (place: number, peer: string): object => ({
  ...{
    at: place,
    peer,
    cpuNs: spread(500),
    clientCpuNs: spread(200),
    serverCpuNs: spread(300),
    rate: spread(1e6),
    megabytes: spread(64),
  },
});
const axis = (name: string, points: number[]): object => ({
  ...{ axis: name, about: `${name}, made up`, unit: name },
  rows: points.flatMap((place) => [scaled(place, 'node:net'), scaled(place, 'native')]),
});
const load = (name: string, peer: string): object => ({
  ...{ load: name, about: name, transport: 'uds', peer, rate: 1000, most: 2000, ...latencies },
  ...{ sentLateP50Us: spread(1), sentLateP99Us: spread(2), cpuNs: spread(900) },
});
const pair = { client: { engine: 0, node: 0.1 }, server: { engine: 0, node: 0.2 } };

export const figures = {
  peers: {
    ...about,
    ...{ roundsOther: 2, versions: { zeromq: '6.8.0' }, missing: [], runs: [{ error: 'x' }, { disturbed: true }, {}] },
    // The order matters to a test: the first row alone has no native engine.
    summary: [
      ...['one-way-64', 'one-way-1k', 'connections-100'].flatMap((workload) => peersOf(workload)),
      ...peersOf('ping-pong', latencies),
      {
        ...{ peer: 'native', workload: 'idle-1000', transport: 'uds', failed: 0, disturbed: 0 },
        perConnectionKib: spread(4),
      },
    ],
  },
  scaling: { ...about, runs: [], results: [axis('sizes', [0, 64, 65_535]), axis('connections', [1, 100])] },
  latency: {
    ...about,
    ...{ runs: [], blockMs: 50 },
    rows: ['own-half', 'common', 'common-blocked'].flatMap((name) => [load(name, 'node:net'), load(name, 'native')]),
  },
  costs: {
    ...about,
    ...{ runs: [], missing: [{ what: 'system calls', reason: 'made up' }] },
    results: {
      connecting: [row('native', 'cycles-1', 'uds', 1000), row('native', 'cycles-32', 'uds', 9000)],
      startUp: [{ backend: 'native', loadMs: spread(50), firstCreateMs: spread(5), firstListeningMs: spread(9) }],
      ceiling: [{ size: 1024, peer: 'native', messages: 1800, grownKib: 4000, serverGrownKib: 600 }],
      idle: [{ transport: 'uds', peer: 'native', perConnectionKib: spread(4), slopeKib: spread(3) }],
      steady: [
        {
          workload: 'one-way-64',
          about: 'one way, 64 B',
          peer: 'native',
          rate: spread(1e6),
          client: side,
          server: side,
        },
      ],
      allocations: [{ workload: 'one-way-64', about: 'one way, 64 B', peer: 'native', ...pair }],
    },
  },
};
