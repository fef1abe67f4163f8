// workloads.mjs: what is measured, in all programs here. Data only.
// `one-way` floods and counts at the receiver; `echo` keeps `inFlight` requests open on each connection and counts at the
// client; `idle` opens connections and looks at the server's memory. `sameCpu`: every process on one CPU, so that no wake-up
// crosses CPUs: on two, ping-pong has two speeds, as the scheduler puts the two sides on one CPU or on both.
const KIB = 1024;
const oneWay = (name, label, size) => ({
  name,
  about: `one way, ${label}`,
  kind: 'one-way',
  size,
  connections: 1,
  inFlight: 0,
});
const echo = (name, about, connections, inFlight, more = {}) => ({
  name,
  about,
  kind: 'echo',
  size: 64,
  connections,
  inFlight,
  ...more,
});

export const IDLE_CONNECTIONS = 1000;

export const workloads = [
  oneWay('one-way-64', '64 B', 64),
  oneWay('one-way-1k', '1 KiB', KIB),
  oneWay('one-way-16k', '16 KiB', 16 * KIB),
  oneWay('one-way-60k', '60 KiB', 60 * KIB),
  echo('ping-pong', 'ping-pong, 64 B', 1, 1),
  echo('ping-pong-one-cpu', 'ping-pong, all on one CPU', 1, 1, { sameCpu: true }),
  echo('in-flight-256', '256 in flight, 64 B', 1, 256),
  echo('in-flight-256-one-cpu', '256 in flight, all on one CPU', 1, 256, { sameCpu: true }),
  echo('connections-100', '100 connections x 8, 64 B', 100, 8),
  { ...echo('idle-1000', '1,000 idle connections', IDLE_CONNECTIONS, 1), kind: 'idle', steps: [IDLE_CONNECTIONS] },
];
