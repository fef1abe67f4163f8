// workloads.mjs: what is measured. `oneWay` floods and counts at the receiver; the others echo with a fixed number of
// requests in flight on each connection and count at the client.
export const workloads = [
  { name: 'one-way-64', about: 'one way, 64 B', oneWay: true, size: 64, connections: 1, inFlight: 0 },
  { name: 'one-way-16k', about: 'one way, 16 KiB', oneWay: true, size: 16_384, connections: 1, inFlight: 0 },
  { name: 'ping-pong', about: 'ping-pong, 64 B', oneWay: false, size: 64, connections: 1, inFlight: 1 },
  { name: 'in-flight-256', about: '256 in flight, 64 B', oneWay: false, size: 64, connections: 1, inFlight: 256 },
  {
    name: 'connections-100',
    about: '100 connections x 8, 64 B',
    oneWay: false,
    size: 64,
    connections: 100,
    inFlight: 8,
  },
];
