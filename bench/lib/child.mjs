// child.mjs: the body of a benchmark process: a server or a client of one run. Told by its parent over the fork channel
// what to do; answers `ready` (server) and `result`, or `error`. Ends when the parent hangs up, or by its own deadline.
import { EchoCheck, EchoClient, OneWaySink, OneWaySource } from './drivers.mjs';

const tell = (message) => new Promise((resolve) => process.send(message, resolve));
const fail = (error) => {
  process.exitCode = 1;
  void tell({ error: error?.stack ?? String(error) }).then(() => process.exit(1));
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.on('disconnect', () => process.exit());
process.once('message', (task) => {
  setTimeout(() => fail(new Error(`${task.role} was not done in time`)), task.limitMs).unref();
  (task.role === 'server' ? runServer(task) : runClient(task)).catch(fail);
});

async function runServer(task) {
  const { serve } = await import(task.module);
  const ctx = { ...task.place };
  if (task.workload.oneWay) {
    const sink = new OneWaySink(task.workload, (result) => void tell({ result }));
    ctx.onMessage = (body) => sink.onMessage(body);
  } else {
    const check = new EchoCheck(task.workload);
    ctx.onRequest = (body) => check.onRequest(body);
    process.on('message', () => void tell({ result: { total: check.total } })); // asked when the client is done
  }
  await serve(ctx);
  await tell({ ready: true });
}

async function runClient(task) {
  const { connect } = await import(task.module);
  const { workload } = task;
  if (workload.oneWay) {
    const connection = await connect({ ...task.place });
    const source = new OneWaySource(workload);
    await connection.flood(source);
    await tell({ result: { total: source.sent } });
    return;
  }
  const driver = new EchoClient(workload, (result) => void tell({ result }));
  const connections = [];
  for (let index = 0; index < workload.connections; index++) {
    connections.push(await connect({ ...task.place, onReply: (_, body) => driver.onReply(index, body) }));
  }
  driver.start(connections);
}
