// child.mjs: the body of a benchmark process: a server or a client of one run. Told by its parent over the fork channel
// what to do; answers `ready` (server), `connected` and `result`, or `error`. Each answer says what CPU the process has used.
// Ends when the parent hangs up, or by its own deadline. Knows drivers and the shape of a peer, not who the peer is.
import { EchoCheck, EchoClient } from './echo.mjs';
import { stampBody, WARM_UP } from './body.mjs';
import { ManySink, OneWaySink, OneWaySource } from './one-way.mjs';
import { blockEverySecond, OpenLoopClient } from './open-loop.mjs';
import { flatCounters, UsageMeter } from './usage.mjs';

const tell = (answer) => new Promise((resolve) => process.send({ ...answer, cpuMs: ownCpuMs() }, resolve));
const fail = (error) => {
  process.exitCode = 1;
  void tell({ error: error?.stack ?? String(error) }).then(() => process.exit(1));
};
const ownCpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.on('disconnect', () => process.exit());
process.once('message', (task) => {
  setTimeout(() => fail(new Error(`${task.role} was not done in time`)), task.limitMs);
  (task.role === 'server' ? runServer(task) : runClient(task)).catch(fail);
});

/** Calls back with each question the parent asks after the task. */
const onAsked = (handle) => process.on('message', (question) => void handle(question));

function meterOf(peer, { workload }) {
  const engineStats = peer.stats === undefined ? () => null : () => flatCounters(peer.stats());
  return new UsageMeter({ details: workload.details === true, engineStats });
}

async function runServer(task) {
  const peer = await import(task.module);
  const { workload } = task;
  const meter = meterOf(peer, task);
  const ctx = { ...task.place, packages: task.packages };
  const begin = () => {
    meter.begin();
    if (workload.blockMs !== undefined) blockEverySecond(workload.blockMs);
  };
  if (workload.kind === 'cycles' || workload.kind === 'ceiling') {
    // The client counts, and knows that each was answered; or nothing is received at all.
    ctx.onRequest = () => {};
    ctx.peer = task.peer;
    onAsked(() => tell({ result: { rss: process.memoryUsage().rss, usage: meter.end() } }));
  } else if (workload.kind === 'one-way') {
    const done = (result) => void tell({ result: { ...result, usage: meter.end() } });
    const sink =
      workload.connections === 1 ? new OneWaySink(workload, done, begin) : new ManySink(workload, done, begin);
    ctx.onMessage = (body) => sink.onMessage(body);
  } else {
    const check = new EchoCheck(workload, begin);
    ctx.onRequest = (body) => check.onRequest(body);
    onAsked(async ({ ask }) => {
      if (ask === 'memory') await tell({ memory: process.memoryUsage().rss });
      else await tell({ result: { total: check.total, usage: meter.end() } });
    });
  }
  await peer.serve(ctx);
  await tell({ ready: process.memoryUsage().rss });
}

async function runClient(task) {
  const peer = await import(task.module);
  const meter = meterOf(peer, task);
  const place = { ...task.place, packages: task.packages, groups: task.workload.groups };
  const done = (result) => void tell({ result: { ...result, usage: meter.end() } });
  const begin = () => meter.begin();
  const { workload } = task;
  // A module that drives itself: many threads, or connections that come and go.
  if (peer.run !== undefined) return done(await peer.run({ workload, place, begin, peer: task.peer }));
  const run = { 'one-way': flood, echo, 'open-loop': echo, idle }[workload.kind];
  await run({ workload, connect: peer.connect, place, done, begin });
}

async function flood({ workload, connect, place, done, begin }) {
  const connection = await connect(place);
  const source = new OneWaySource(workload, begin);
  await connection.flood(source);
  done({ total: source.sent });
}

async function echo({ workload, connect, place, done, begin }) {
  const Driver = workload.kind === 'echo' ? EchoClient : OpenLoopClient;
  const driver = new Driver(workload, done, begin);
  const connections = [];
  for (let index = 0; index < workload.connections; index++) {
    connections.push(await connect({ ...place, index, onReply: (_, body) => driver.onReply(index, body) }));
  }
  driver.start(connections);
}

/** Connects as many as it is asked for, each with one request answered, and says so. */
async function idle({ workload, connect, place, done }) {
  let connected = 0;
  let answered = () => {};
  onAsked(async ({ connections }) => {
    if (connections === undefined) return done({ total: connected });
    while (connected < connections) {
      const index = connected++;
      const reply = new Promise((resolve) => (answered = resolve));
      const connection = await connect({ ...place, index, onReply: () => answered() });
      const body = Buffer.alloc(workload.size);
      stampBody(body, 0, index, WARM_UP);
      connection.request(body);
      await reply;
    }
    await tell({ connected });
  });
  await tell({ ready: true });
}
