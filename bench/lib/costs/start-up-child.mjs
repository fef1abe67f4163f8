// start-up-child.mjs: a fresh process that loads the package, makes engines of the backend it is told, and tells the times and the
// memory as one line of JSON. Run with --expose-gc, so that memory is what is kept and not what is left lying about.
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const LATER_ENGINES = 20;
const SETTLE_MS = 100;
const backend = process.argv[2];

async function residentKib() {
  globalThis.gc();
  await sleep(SETTLE_MS);
  globalThis.gc();
  return process.memoryUsage().rss / 1024;
}

const start = performance.now();
const { Reactor, TcpServerAddress } = await import('tofu-ampe');
const loadMs = performance.now() - start;

/** An engine with a group and a listener: from nothing until it listens. */
async function startEngine() {
  const began = performance.now();
  const reactor = Reactor.create({ backend });
  const createMs = performance.now() - began;
  const ampe = reactor.ampe();
  const group = ampe.create();
  const welcome = ampe.get();
  new TcpServerAddress('127.0.0.1', 0).format(welcome);
  group.post(welcome);
  ampe.put(await group.waitReceive());
  return { reactor, createMs, listeningMs: performance.now() - began };
}

const beforeKib = await residentKib();
const first = await startEngine();
const withFirstKib = await residentKib();
const later = [];
for (let i = 0; i < LATER_ENGINES; i++) later.push(await startEngine());
const withAllKib = await residentKib();
const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const figures = {
  loadMs,
  firstCreateMs: first.createMs,
  firstListeningMs: first.listeningMs,
  laterCreateMs: middle(later.map(({ createMs }) => createMs)),
  laterListeningMs: middle(later.map(({ listeningMs }) => listeningMs)),
  firstKib: withFirstKib - beforeKib,
  laterKib: (withAllKib - withFirstKib) / LATER_ENGINES,
};
await Promise.all([first, ...later].map(({ reactor }) => reactor.destroy()));
process.stdout.write(`${JSON.stringify(figures)}\n`);
