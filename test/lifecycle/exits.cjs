// exits.cjs: a process that has an engine in some situation, and ends in some way in the middle of it; for exits.test.ts.
// Usage: node exits.cjs INDEX SITUATION END ROUND PATH. The round decides the moment, counted in messages or turns.
const index = process.argv[2];
const api = require(index);
const { assert, ask, connect, greetOnce, listen, send, serve, startWorker, turn, within, endsWithShutdown } =
  require('./program.cjs')(api, index);

const [situation, end, roundText, path] = process.argv.slice(3);
const round = Number(roundText);
/** Spread over the rounds, the same in every run. */
const moment = (below) => (round * 7919) % below;

const reactor = api.Reactor.create({ maxPoolMsgs: 512 });
const ampe = reactor.ampe();
const server = ampe.create();
const group = ampe.create();
const workers = [];

const ends = {
  /** By itself: nothing keeps it any more. */
  unreferenced() {
    for (const worker of workers) worker.unref();
    reactor.unref();
  },
  /** By itself, after all was closed. */
  destroyed() {
    void reactor.destroy().then(async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
      assert.equal(require('node:fs').existsSync(path), false, 'the socket file is still there');
    });
  },
  exit: () => process.exit(7),
  exception() {
    process.nextTick(() => {
      throw new Error('thrown on purpose');
    });
  },
  signal: () => process.kill(process.pid, 'SIGTERM'),
};
const finish = ends[end];

const situations = {
  /** Requests and answers run in both directions. */
  async traffic(address) {
    void endsWithShutdown(serve(ampe, server));
    const channel = await connect(ampe, group, address);
    let left = 1 + moment(300);
    void endsWithShutdown(ask(ampe, group, channel, () => --left === 0 && finish(), round % 2 === 0 ? 500 : 20_000));
  },
  /** Messages wait in the engine, because their receiver does not take them; the last were posted just now. */
  async queued(address) {
    const greeted = greetOnce(ampe, server);
    const channel = await connect(ampe, group, address);
    const back = await greeted;
    for (let left = 1 + moment(200); left > 0; left--) {
      send(ampe, group, channel, 'x'.repeat(60_000));
      if (left % 16 === 0) send(ampe, server, back, 'y'.repeat(60_000));
      if (left % 100 === 99) await turn();
    }
    finish();
  },
  /** Receivers and one that acquires. */
  async waiting(address) {
    const greeted = greetOnce(ampe, server);
    await connect(ampe, group, address);
    await greeted;
    for (let left = 512; left > 0; left--) ampe.get();
    for (const wait of [group.waitReceive(), server.waitReceive(60_000), ampe.acquire()]) void endsWithShutdown(wait);
    for (let turns = moment(4); turns > 0; turns--) await turn();
    finish();
  },
  /** A worker asks, or posts into this thread's group, or is blocked in a receive. */
  async worker(address) {
    const engine = reactor.share();
    const worker = startWorker(inWorker[round % inWorker.length], { engine, address, group: group.share() });
    workers.push(worker);
    let left = 1 + moment(100);
    worker.on('message', () => --left === 0 && finish());
    void endsWithShutdown(serve(ampe, server));
    void endsWithShutdown(serve(ampe, group));
  },
};

/* global Reactor, askSync, attachGroup, connectSync, parentPort, untilShutdown -- what startWorker() gives its work */
/** Each says now and then that it is at work; the engine may be gone before it has begun. */
const inWorker = [
  ({ engine, address }) =>
    untilShutdown(() => {
      const attached = Reactor.attach(engine);
      const own = attached.create();
      askSync(attached, own, connectSync(attached, own, address), () => parentPort.postMessage('answered'));
    }),
  ({ engine, group }) => {
    const post = (abroad) =>
      untilShutdown(() => {
        for (let i = 0; i < 8; i++) abroad.updateReceiver();
        parentPort.postMessage('posted');
        setImmediate(post, abroad);
      });
    untilShutdown(() => {
      Reactor.attach(engine);
      post(attachGroup(group));
    });
  },
  ({ engine }) =>
    untilShutdown(() => {
      const own = Reactor.attach(engine).create();
      for (let i = 0; i < 100; i++) parentPort.postMessage('about to wait');
      own.waitReceiveSync();
    }),
];

void (async () => {
  const address = await within('the listener', listen(ampe, server, round % 2 === 0 ? path : undefined));
  await situations[situation](address);
})();
