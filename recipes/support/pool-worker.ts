// pool-worker.ts: what a worker of worker-pool.ts runs. A file of its own, because a worker runs all of its file: nothing else
// of the program may be in it. Others import its types at most.

import { parentPort, workerData } from 'node:worker_threads';
import {
  AmpeStatus,
  OpCode,
  Reactor,
  attachGroup,
  errorToStatus,
  type Ampe,
  type ChannelGroup,
  type GroupHandle,
  type Message,
  type ReactorHandle,
} from 'tofu-ampe';

/** Jobs a worker is given at a time: one it works on, and one that is there when it has finished. */
const JOBS_OF_A_WORKER = 2;

// #region worker
/** What a worker is started with: plain data, which may travel between threads. */
export interface PoolHandles {
  recipe: 'worker-pool';
  engine: ReactorHandle;
  /** The server's group: answers are posted there. */
  server: GroupHandle;
  /** Where a worker says that it is free for a job. */
  free: GroupHandle;
  number: number;
  /** Header in which a job tells where its answer goes. Only inside this process: it never reaches a client. */
  channelHeader: string;
}

/** A worker's life: it needs no event loop, so it blocks for its jobs, and ends with the engine. */
function work({ engine, server, free, number, channelHeader }: PoolHandles): void {
  const ampe = Reactor.attach(engine);
  const jobs = ampe.create();
  const clients = attachGroup(server);
  const main = attachGroup(free);
  parentPort!.postMessage(jobs.share());
  for (let places = JOBS_OF_A_WORKER; places > 0; places--) sayFree(ampe, main, number);
  try {
    for (;;) {
      using job = jobs.waitReceiveSync()!;
      answer(ampe, clients, job, channelHeader);
      sayFree(ampe, main, number);
    }
  } catch (error) {
    if (errorToStatus(error) !== AmpeStatus.ShutdownStarted) throw error; // the main thread has destroyed the engine
  }
}

/** Goes straight from this thread to the client's socket. */
function answer(ampe: Ampe, clients: Pick<ChannelGroup, 'post'>, job: Message, channelHeader: string): void {
  using response = ampe.get();
  response.opCode = OpCode.Response;
  response.channelNumber = Number(job.textHeaders.get(channelHeader));
  response.messageId = job.messageId;
  response.body.set(String(countPrimes(Number(job.body.toString()))));
  try {
    clients.post(response);
  } catch (error) {
    if (errorToStatus(error) !== AmpeStatus.ChannelClosed) throw error; // the client did not wait for it
  }
}

function sayFree(ampe: Ampe, main: Pick<ChannelGroup, 'updateReceiver'>, number: number): void {
  using word = ampe.get();
  word.opCode = OpCode.Signal;
  word.body.set(String(number));
  main.updateReceiver(word);
}
// #endregion

/** The work: something that keeps a processor busy. */
function countPrimes(below: number): number {
  let count = 0;
  for (let candidate = 2; candidate < below; candidate++) {
    let divisor = 2;
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor++;
    if (divisor * divisor > candidate) count++;
  }
  return count;
}

work(workerData as PoolHandles);
