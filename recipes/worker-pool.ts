// worker-pool.ts: a pool of worker threads behind one listener, for services that compute. The main thread receives and hands
// each request to a worker that is free; the worker posts the answer to the client by itself, past the main thread.
// Needs the native engine: only there can several threads use one engine. With the fallback engine it says so and ends.
//
//     node dist/recipes/worker-pool.js 'tcp|127.0.0.1|7099'

import { availableParallelism } from 'node:os';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
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
import { connect, disconnect, runAlone, type RecipeOptions } from './support/connection';
import { pipelined } from './pipelined-requests';
import { answerHelloOrBye, startServer, type Services } from './services';

/** Jobs a worker is given at a time: one it works on, and one that is there when it has finished. */
const JOBS_OF_A_WORKER = 2;
/** Header in which a job tells its worker where the answer goes. Only inside this process: it never reaches a client. */
const CHANNEL = 'channel';

// #region worker
/** What a worker is started with: plain data, which may travel between threads. */
interface PoolHandles {
  recipe: 'worker-pool';
  engine: ReactorHandle;
  /** The server's group: answers are posted there. */
  server: GroupHandle;
  /** Where a worker says that it is free for a job. */
  free: GroupHandle;
  number: number;
}

/** A worker's life: it needs no event loop, so it blocks for its jobs, and ends with the engine. */
function work({ engine, server, free, number }: PoolHandles): void {
  const ampe = Reactor.attach(engine);
  const jobs = ampe.create();
  const clients = attachGroup(server);
  const main = attachGroup(free);
  parentPort!.postMessage(jobs.share());
  for (let places = JOBS_OF_A_WORKER; places > 0; places--) sayFree(ampe, main, number);
  try {
    for (;;) {
      using job = jobs.waitReceiveSync()!;
      answer(ampe, clients, job);
      sayFree(ampe, main, number);
    }
  } catch (error) {
    if (errorToStatus(error) !== AmpeStatus.ShutdownStarted) throw error; // the main thread has destroyed the engine
  }
}

/** Goes straight from this thread to the client's socket. */
function answer(ampe: Ampe, clients: Pick<ChannelGroup, 'post'>, job: Message): void {
  using response = ampe.get();
  response.opCode = OpCode.Response;
  response.channelNumber = Number(job.textHeaders.get(CHANNEL));
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
export function countPrimes(below: number): number {
  let count = 0;
  for (let candidate = 2; candidate < below; candidate++) {
    let divisor = 2;
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor++;
    if (divisor * divisor > candidate) count++;
  }
  return count;
}

// #region worker-pool
/**
 * Hands requests to workers. What no worker is free for waits here, in order; a client should not have more requests under way than
 * it can wait for, and says Bye when it has its answers.
 */
export class WorkerPool implements Services {
  readonly #workers: { thread: Worker; jobs: Pick<ChannelGroup, 'updateReceiver'> }[] = [];
  readonly #ended: Promise<unknown>[] = [];
  readonly #free: number[] = [];
  readonly #waiting: Message[] = [];
  readonly #reactor: Reactor;
  readonly #size: number;
  #group: ChannelGroup | null = null;

  constructor(reactor: Reactor, size: number) {
    this.#reactor = reactor;
    this.#size = size;
  }

  /** Resolves when all workers are there. */
  async start(ampe: Ampe, group: ChannelGroup): Promise<void> {
    this.#group = group;
    const control = ampe.create();
    const shared = { engine: this.#reactor.share(), server: group.share(), free: control.share() };
    for (let number = 0; number < this.#size; number++) {
      const handles: PoolHandles = { recipe: 'worker-pool', ...shared, number };
      const thread = new Worker(__filename, { workerData: handles });
      this.#ended.push(new Promise((resolve) => thread.once('exit', resolve)));
      const handle = await new Promise<GroupHandle>((resolve, reject) => {
        thread.once('message', resolve).once('error', reject);
      });
      this.#workers.push({ thread, jobs: attachGroup(handle) });
    }
    void this.#hearWhoIsFree(control);
  }

  onMessage(message: Message): boolean {
    if (answerHelloOrBye(this.#group!, message)) return true;
    if (message.isFromEngine || message.opCode !== OpCode.Request) return true;
    // A copy: what is kept for later must not be the message that the server's loop puts.
    this.#waiting.push(message.clone());
    this.#give();
    return true;
  }

  /** Jobs under way are finished, but their answers have no way any more. */
  stop(): void {
    for (const message of this.#waiting.splice(0)) message[Symbol.dispose]();
  }

  /** When the engine is destroyed the workers end by themselves. */
  async ended(): Promise<void> {
    await Promise.all(this.#ended);
  }

  async #hearWhoIsFree(control: ChannelGroup): Promise<void> {
    for await (using word of control) {
      this.#free.push(Number(word.body.toString()));
      this.#give();
    }
  }

  #give(): void {
    while (this.#free.length > 0 && this.#waiting.length > 0) {
      const job = this.#waiting.shift()!;
      job.textHeaders.reset().append(CHANNEL, String(job.channelNumber));
      this.#workers[this.#free.shift()!].jobs.updateReceiver(job); // moved into that worker's queue
    }
  }
}
// #endregion

/**
 * A pool, and a client that asks it many things at once.
 * @returns the answers, in the order of the questions
 * @throws (rejects) AmpeError `not_implemented_yet` where there is no native engine
 */
export async function run(
  options: RecipeOptions & { workers?: number; questions?: readonly number[] } = {},
): Promise<number[]> {
  const { address = 'tcp|127.0.0.1|0', log = () => undefined } = options;
  const { workers = availableParallelism(), questions = Array.from({ length: 40 }, (_, i) => 1000 * (i + 1)) } =
    options;
  const reactor = Reactor.create({ backend: 'native' });
  const pool = new WorkerPool(reactor, workers);
  try {
    const ampe = reactor.ampe();
    await using server = await startServer(ampe, [address], pool);
    await using group = ampe.create();
    const channel = await connect(ampe, group, server.addresses[0]);
    const answers = await pipelined(ampe, group, channel, questions.map(String));
    await disconnect(ampe, group, channel);
    log(`${answers.length} answers by ${workers} workers; ${String(answers.at(-1))} primes below ${questions.at(-1)}`);
    return answers.map(Number);
  } finally {
    await reactor.destroy();
    await pool.ended();
  }
}

if (isMainThread) {
  if (require.main === module) runAlone(run);
} else if ((workerData as Partial<PoolHandles> | null)?.recipe === 'worker-pool') {
  work(workerData as PoolHandles); // this file is a worker of the pool's, and not just imported by somebody else's
}
