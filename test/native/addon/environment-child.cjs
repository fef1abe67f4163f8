// environment-child.cjs: a process, and workers in it, that use the bare addon and end in every way; for environments.test.ts.
// Usage: node environment-child.cjs ADDON PROGRAM. As a worker: workerData says what to do.
const assert = require('node:assert/strict');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const census = require('../../lifecycle/census.cjs');

const options = {
  connectTimeoutMs: 5_000,
  handshakeTimeoutMs: 5_000,
  closeTimeoutMs: 5_000,
  keepAliveMs: 60_000,
  udsMode: 0o600,
  maxChannels: 100,
  poller: 'best',
  spinUs: -1,
};
const ROUNDS = 50;
const slab = new Uint8Array(65_536);
const records = new Uint32Array(8 + 8 * 64);
const frame = new Uint8Array(16);

/** Ports that were given up: an immediate may still be on its way to one. */
const left = new Set();

function drain(addon, port) {
  const kinds = [];
  const count = addon.drain(port, slab, 0, records);
  for (let index = 0; index < count; index++) kinds.push(records[8 + 8 * index]);
  return kinds;
}

/** A port whose doorbell rings again and again: what it is told makes it tell itself the next thing. */
function keepRinging(addon, engine) {
  const onDoorbell = (port) => {
    if (left.has(port)) return;
    if (drain(addon, port).includes(addon.tables.recordKinds.engineGone)) return;
    addon.update(port, group, frame, 0, frame.length);
    if (!addon.park(port)) setImmediate(onDoorbell, port);
  };
  const port = engine === 0 ? addon.create(options, onDoorbell) : addon.attach(engine, onDoorbell);
  left.delete(port);
  const group = addon.openGroup(port);
  addon.setReferenced(port, true);
  addon.park(port);
  addon.update(port, group, frame, 0, frame.length);
  return port;
}

function leave(addon, port) {
  left.add(port);
  addon.detach(port);
}

/** Blocks until everything is closed. */
function destroy(addon, port) {
  addon.command(port, addon.tables.commands.destroyEngine, 0, 0, 0);
  while (!drain(addon, port).includes(addon.tables.recordKinds.engineGone)) addon.waitSync(port, 1000);
  leave(addon, port);
}

const inWorker = {
  /** Is terminated while its doorbell rings. */
  ringing: () => undefined,
  /** Is terminated while the thread is blocked in native code, or about to be. */
  waiting(addon, port) {
    setImmediate(() => {
      for (;;) {
        drain(addon, port);
        addon.waitSync(port, -1);
      }
    });
  },
  /** Ends by itself, with everything open. */
  ending(addon, port) {
    setImmediate(() => addon.setReferenced(port, false));
  },
  /** Leaves tidily. */
  leaving(addon, port, owner) {
    setImmediate(() => (owner ? destroy(addon, port) : leave(addon, port)));
  },
  throwing() {
    setImmediate(() => {
      throw new Error('thrown on purpose');
    });
  },
};

function runWorker() {
  const { addonFile, engine, end } = workerData;
  const addon = require(addonFile);
  const port = keepRinging(addon, engine);
  parentPort.postMessage('ready');
  inWorker[end](addon, port, engine === 0);
}

/** One worker from start to end; `delay` turns of this loop lie between its word and its termination. */
async function oneWorker(addonFile, engine, end, delay) {
  const worker = new Worker(__filename, { workerData: { addonFile, engine, end } });
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  const errors = [];
  worker.on('error', (error) => errors.push(error.message));
  await new Promise((resolve) => worker.once('message', resolve));
  if (end === 'ringing' || end === 'waiting') {
    for (let turn = 0; turn < delay; turn++) await new Promise((resolve) => setImmediate(resolve));
    await worker.terminate();
  }
  await gone;
  const expected = end === 'throwing' ? ['thrown on purpose'] : [];
  if (errors.join() !== expected.join()) throw new Error(`worker that ends by ${end}: ${errors.join()}`);
}

async function manyWorkers(addonFile, engine, end) {
  await oneWorker(addonFile, engine, end, 0);
  const before = census();
  for (let round = 0; round < ROUNDS; round++) await oneWorker(addonFile, engine, end, round % 5);
  assert.deepEqual(census(), before);
}

const programs = {
  exit: (addonFile) => {
    keepRinging(require(addonFile), 0);
    setImmediate(() => process.exit(7));
  },
  uncaught: (addonFile) => {
    keepRinging(require(addonFile), 0);
    setImmediate(() => {
      throw new Error('thrown on purpose');
    });
  },
  signal: (addonFile) => {
    keepRinging(require(addonFile), 0);
    setImmediate(() => process.kill(process.pid, 'SIGTERM'));
  },
  end: (addonFile) => {
    const addon = require(addonFile);
    addon.setReferenced(keepRinging(addon, 0), false);
  },
  'exit with a worker that waits': (addonFile) => {
    const addon = require(addonFile);
    const engine = addon.engineOf(keepRinging(addon, 0));
    const worker = new Worker(__filename, { workerData: { addonFile, engine, end: 'waiting' } });
    worker.once('message', () => process.exit(7));
  },
  'owner leaves first': async (addonFile) => {
    const addon = require(addonFile);
    const port = keepRinging(addon, 0);
    const worker = new Worker(__filename, { workerData: { addonFile, engine: addon.engineOf(port), end: 'ringing' } });
    await new Promise((resolve) => worker.once('message', resolve));
    destroy(addon, port);
    await worker.terminate();
  },
  'a doorbell that throws': (addonFile) => {
    const addon = require(addonFile);
    process.once('uncaughtException', (error) => console.log(`uncaught: ${error.message}`));
    const port = addon.create(options, (rung) => {
      addon.detach(rung);
      throw new Error('thrown on purpose');
    });
    const group = addon.openGroup(port);
    addon.setReferenced(port, true);
    addon.park(port);
    addon.update(port, group, frame, 0, frame.length);
  },
};
for (const end of Object.keys(inWorker)) {
  programs[`workers of their own: ${end}`] = (addonFile) => manyWorkers(addonFile, 0, end);
  programs[`workers attached: ${end}`] = async (addonFile) => {
    const addon = require(addonFile);
    const port = keepRinging(addon, 0);
    await manyWorkers(addonFile, addon.engineOf(port), end);
    destroy(addon, port);
  };
}

if (isMainThread) {
  const [addonFile, program] = process.argv.slice(2);
  void (async () => {
    await programs[program](addonFile);
    console.log('reached the end');
  })();
} else {
  runWorker();
}
