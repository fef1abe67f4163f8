// workers.cjs: many workers one after the other, each with an engine of its own or attached to the main thread's, in some
// situation, and ended in some way in the middle of it; for workers.test.ts.
// Usage: node workers.cjs INDEX SITUATION END ROUNDS. With engines of their own the main thread does not load the addon.
// Invariant: after the last worker the process has the descriptors and threads that it had after the first.
const path = require('node:path');
const { Worker } = require('node:worker_threads');

const index = process.argv[2];
const api = require(index);
const helpers = require('./program.cjs')(api, index);
const { assert, census, censusIs, connect, draws, endsWithShutdown, eventually, listen, send, serve, turn, within } =
  helpers;

const [situation, end, rounds] = process.argv.slice(3);
const draw = draws();

/** Exit code and error of a worker that ended so. */
const outcomes = {
  terminate: [1, ''],
  itself: [0, ''],
  exit: [3, ''],
  exception: [1, 'thrown on purpose'],
};

/** One worker from start to end. */
async function oneWorker(shared, moment) {
  const workerData = { index, situation, end, moment, shared };
  const worker = new Worker(path.join(__dirname, 'in-worker.cjs'), { workerData });
  const errors = [];
  worker.on('error', (error) => errors.push(error.message));
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  if (end === 'terminate') {
    // Now and then before it is ready: while it starts, while it loads the addon, while it connects.
    if (moment % 4 === 0) for (let turns = moment * 50; turns > 0; turns--) await turn();
    else await within('the moment', Promise.race([new Promise((resolve) => worker.once('message', resolve)), gone]));
    void worker.terminate();
  }
  const code = await within('the worker to end', gone);
  // Node's word for a worker that is terminated before it has begun is 0.
  const isEarly = end === 'terminate' && moment % 4 === 0 && code === 0;
  assert.deepEqual([isEarly ? 1 : code, errors.join()], outcomes[end]);
}

/** `settled` is awaited before anything is counted: channels of an ended worker may take a moment to close. */
async function manyWorkers(shared, settled) {
  await oneWorker(shared, 1);
  await settled();
  const before = census();
  for (let round = 0; round < Number(rounds); round++) await oneWorker(shared, draw(60));
  await settled();
  await censusIs(before);
}

/** With an engine of this thread, which must be as good afterwards as it was before. */
async function withAnEngine(work) {
  const reactor = api.Reactor.create();
  const ampe = reactor.ampe();
  const [server, silent, group] = [ampe.create(), ampe.create(), ampe.create()];
  const address = await listen(ampe, server);
  const shared = { engine: reactor.share(), group: group.share(), address, silent: await listen(ampe, silent) };
  void endsWithShutdown(serve(ampe, server));
  shared.channel = await connect(ampe, group, address);
  void endsWithShutdown(serve(ampe, group));
  void endsWithShutdown(greetSlowly(ampe, silent));
  const open = () => `${ampe.stats().groups} groups, ${ampe.stats().channels} channels`;
  const before = open();
  const settled = () =>
    eventually(
      'groups and channels of the workers to be gone',
      () => open() === before,
      () => `${before} before, ${open()} now`,
    );
  await work(shared, settled);
  const last = ampe.create();
  send(ampe, last, await connect(ampe, last, address), 'still there?');
  const answer = await within('an answer', last.waitReceive());
  assert.equal(answer.body.toString(), 'still there?');
  await reactor.destroy();
}

/** Answers Hellos; takes other messages only now and then, so that they queue up. */
async function greetSlowly(ampe, group) {
  for await (const received of group) {
    if (!received.isFromEngine && received.opCode === api.OpCode.HelloRequest) {
      received.opCode = api.OpCode.HelloResponse;
      group.post(received);
    } else ampe.put(received);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

void (async () => {
  await (situation.startsWith('own') ? manyWorkers({}, () => undefined) : withAnEngine(manyWorkers));
  console.log('all ended');
})();
