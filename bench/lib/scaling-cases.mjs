// scaling-cases.mjs: what bench:scaling varies, and over which values. Data only. `peers`: 'both' is node:net and the native
// engine; `client` takes the place of the peer's own.
const threadFlood = new URL('thread-flood.mjs', import.meta.url).href;
const IN_FLIGHT = 8;
const CONNECTIONS_FOR_GROUPS = 100;
const CONNECT_SLACK_MS = 40_000;

const echo = (name, about, connections, more) => ({
  name,
  about,
  kind: 'echo',
  size: 64,
  connections,
  inFlight: IN_FLIGHT,
  slackMs: CONNECT_SLACK_MS,
  ...more,
});

export const axes = {
  connections: {
    about: `connections, ${IN_FLIGHT} requests of 64 B in flight on each; a round trip is counted as one message`,
    unit: 'connections',
    points: [1, 10, 100, 1000, 5000].map((at) =>
      echo(`connections-${at}`, `${at} connections x ${IN_FLIGHT}`, at, { at, peers: 'both' }),
    ),
  },
  groups: {
    about: `groups of the client, ${CONNECTIONS_FOR_GROUPS} connections among them, ${IN_FLIGHT} in flight on each`,
    unit: 'groups',
    points: [1, 10, 100].map((at) =>
      echo(`groups-${at}`, `${at} groups`, CONNECTIONS_FOR_GROUPS, { at, groups: at, peers: 'native' }),
    ),
  },
  threads: {
    about: 'posting threads, a one-way flood of 64 B from each on a channel of its own',
    unit: 'threads',
    points: [1, 2, 4].map((at) => ({
      name: `threads-${at}`,
      about: `${at} posting threads`,
      kind: 'one-way',
      size: 64,
      connections: at,
      inFlight: 0,
      at,
      peers: 'native',
      client: threadFlood,
    })),
  },
  sizes: {
    about: 'bytes of body, one-way flood',
    unit: 'bytes',
    points: [0, 16, 64, 256, 1024, 4096, 16_384, 32_768, 65_535].map((at) => ({
      name: `size-${at}`,
      about: `one way, ${at} B`,
      kind: 'one-way',
      size: at,
      connections: 1,
      inFlight: 0,
      at,
      peers: 'both',
    })),
  },
};
