// thread-flood.mjs: a flood from several threads at once: one engine, and in each worker thread a group, a channel and a pool of
// its own. The client of the posting threads' figures; it is also the body of those threads.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { AmpeStatus, OpCode, Reactor, statusName } from 'tofu-ampe';
import { clientAddress } from '../peer/shared/engine.mjs';
import { floodChannel } from '../peer/shared/flood.mjs';
import { OneWaySource } from './one-way.mjs';

/** Resolves with how many messages all threads sent. */
export async function run({ workload, place, begin }) {
  const reactor = Reactor.create({ backend: 'native' });
  const engine = reactor.share();
  const threads = Array.from({ length: workload.connections }, (_, connection) => {
    return new Worker(new URL(import.meta.url), {
      workerData: { engine, place, workload: { ...workload, connection } },
    });
  });
  await Promise.all(threads.map((thread) => nextMessage(thread))); // connected
  for (const thread of threads) thread.postMessage('go');
  setTimeout(begin, workload.warmMs);
  const counts = await Promise.all(threads.map((thread) => nextMessage(thread)));
  return { total: counts.reduce((sum, count) => sum + count, 0) };
}

function nextMessage(thread) {
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}

async function floodFromHere({ engine, place, workload }) {
  const ampe = Reactor.attach(engine);
  const group = ampe.create();
  const hello = ampe.get();
  clientAddress(place).format(hello);
  const { channelNumber } = group.post(hello);
  const answer = await group.waitReceive();
  if (answer.opCode !== OpCode.HelloResponse || answer.status !== AmpeStatus.Success) {
    throw new Error(`no connection: ${statusName(answer.status)}`);
  }
  ampe.put(answer);
  parentPort.postMessage('connected');
  await new Promise((resolve) => parentPort.once('message', resolve));
  const source = new OneWaySource(workload);
  await floodChannel(ampe, group, channelNumber, source);
  parentPort.postMessage(source.sent);
  // The thread stays: its end would end its channel before the peer has everything. The process ends it.
  await group.waitReceive();
}

if (!isMainThread && workerData?.engine !== undefined) await floodFromHere(workerData);
