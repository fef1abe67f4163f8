// in-worker.cjs: what one worker of workers.cjs does: brings itself into a situation, and ends, or asks to be ended, at its moment.
// Invariant: step() counts one message; once the moment has come it says true when the work has to stop.
const { parentPort, workerData } = require('node:worker_threads');

const { index, situation, end, moment, shared } = workerData;
const api = require(index);
const helpers = require('./program.cjs')(api, index);
const { ask, connect, connectSync, endsWithShutdown, greetOnce, listen, send, serve, turn } = helpers;

let left = moment;
/** `close` lets everything go that would keep this thread. */
function step(close) {
  if (left < 0) return end !== 'terminate';
  if (left-- > 0) return false;
  return ends[end](close);
}
const ends = {
  terminate() {
    parentPort.postMessage('now');
    return false;
  },
  itself(close) {
    close();
    return true;
  },
  exit: () => process.exit(3),
  exception() {
    setImmediate(() => {
      throw new Error('thrown on purpose');
    });
    return true;
  },
};
const isBehindItsMoment = () => left < 0;

function makeOwn(options) {
  const reactor = api.Reactor.create(options);
  return { ampe: reactor.ampe(), close: () => reactor.unref() };
}
/** Nothing keeps a thread but what its groups have open. */
function makeAttached() {
  const ampe = api.Reactor.attach(shared.engine);
  const groups = [];
  const create = ampe.create.bind(ampe);
  ampe.create = () => {
    const group = create();
    groups.push(group);
    return group;
  };
  return { ampe, close: () => groups.forEach((group) => void ampe.destroy(group)) };
}

/** A listener and a client of this thread. */
async function talkToItself({ ampe, close }) {
  const server = ampe.create();
  const group = ampe.create();
  const address = await listen(ampe, server);
  void endsWithShutdown(serve(ampe, server));
  const channel = await connect(ampe, group, address);
  void endsWithShutdown(ask(ampe, group, channel, () => step(close)));
}
async function queue(ampe, group, channel, close) {
  while (!step(close)) {
    send(ampe, group, channel, 'x'.repeat(20_000));
    if (isBehindItsMoment()) await turn();
  }
}

const situations = {
  'own engine, traffic': () => talkToItself(makeOwn()),
  async 'own engine, messages queued'() {
    const { ampe, close } = makeOwn();
    const server = ampe.create();
    const group = ampe.create();
    const address = await listen(ampe, server);
    const greeted = greetOnce(ampe, server);
    const channel = await connect(ampe, group, address);
    await greeted;
    await queue(ampe, group, channel, close);
  },
  async 'own engine, receivers waiting'() {
    const { ampe, close } = makeOwn({ maxPoolMsgs: 1 });
    const server = ampe.create();
    await listen(ampe, server);
    ampe.get();
    const waits = [server.waitReceive(), ampe.create().waitReceive(60_000), ampe.acquire()];
    for (const wait of waits) void endsWithShutdown(wait);
    while (!step(close)) await turn();
  },
  'own engine, blocked in a receive'() {
    const { ampe, close } = makeOwn();
    const group = ampe.create();
    while (!step(close)) {
      if (!isBehindItsMoment()) group.updateReceiver();
      group.waitReceiveSync();
    }
  },
  'attached, a listener and traffic': () => talkToItself(makeAttached()),
  async 'attached, messages queued'() {
    const { ampe, close } = makeAttached();
    const group = ampe.create();
    await queue(ampe, group, await connect(ampe, group, shared.silent), close);
  },
  'attached, receiving without an event loop'() {
    const { ampe, close } = makeAttached();
    const group = ampe.create();
    const channel = connectSync(ampe, group, shared.address);
    while (!step(close)) {
      // Behind the moment nothing comes any more in some rounds: terminated while it is blocked.
      if (moment % 2 === 0 || !isBehindItsMoment()) send(ampe, group, channel, 'x');
      ampe.put(group.waitReceiveSync());
    }
  },
  async "attached, posting into the main thread's group"() {
    const { ampe, close } = makeAttached();
    const group = api.attachGroup(shared.group);
    while (!step(close)) {
      send(ampe, group, shared.channel, 'from a worker');
      group.updateReceiver();
      if (left % 8 === 0) await turn();
    }
  },
};

void situations[situation]();
