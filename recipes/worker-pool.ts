// worker-pool.ts: a pool of worker threads behind one listener, for services that compute. The main thread receives and hands
// each request to a worker that is free; the worker posts the answer to the client by itself, past the main thread. What a
// worker does is in support/pool-worker.ts.
// Needs the native engine: only there can several threads use one engine. With the fallback engine it says so and ends.
//
//     node dist/recipes/worker-pool.js 'tcp|127.0.0.1|7099'

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker, workerData } from 'node:worker_threads';
import { OpCode, Reactor, attachGroup, type Ampe, type ChannelGroup, type GroupHandle, type Message } from 'tofu-ampe';
import { connect, disconnect, runAlone, type RecipeOptions } from './support/connection';
import type { PoolHandles } from './support/pool-worker';
import { pipelined } from './pipelined-requests';
import { answerHelloOrBye, startServer, type Services } from './services';

/** Header in which a job tells its worker where the answer goes. */
const CHANNEL = 'channel';

/** Where a worker waits for its jobs. */
type Jobs = Pick<ChannelGroup, 'updateReceiver'>;

/** What a {@link WorkerPool} may be told. */
export interface WorkerPoolOptions {
  /**
   * The file that the workers run, as `new Worker()` takes it. Default: `support/pool-worker.js` beside this file. A bundle has no
   * such file beside it: bundle `node_modules/tofu-ampe/dist/recipes/support/pool-worker.js` too, into a file of its own, and name it.
   */
  workerFile?: string | URL | undefined;
}

// #region worker-pool
/**
 * Hands requests to workers. What no worker is free for waits here, in order; a client should not have more requests under way than
 * it can wait for, and says Bye when it has its answers.
 */
export class WorkerPool implements Services {
  readonly #jobs: Jobs[] = [];
  readonly #ended: Promise<unknown>[] = [];
  readonly #free: Jobs[] = [];
  readonly #waiting: Message[] = [];
  readonly #reactor: Reactor;
  readonly #size: number;
  readonly #workerFile: string | URL;
  #group: ChannelGroup | null = null;

  /** @throws Error when the file of the workers is not there, or in a worker of a pool, which would start workers without end */
  constructor(reactor: Reactor, size: number, { workerFile }: WorkerPoolOptions = {}) {
    this.#reactor = reactor;
    this.#size = size;
    this.#workerFile = fileOfWorkers(workerFile);
  }

  /** Resolves when all workers are there. */
  async start(ampe: Ampe, group: ChannelGroup): Promise<void> {
    this.#group = group;
    const control = ampe.create();
    const shared = { engine: this.#reactor.share(), server: group.share(), free: control.share() };
    for (let number = 0; number < this.#size; number++) {
      const handles: PoolHandles = { recipe: 'worker-pool', ...shared, number, channelHeader: CHANNEL };
      const thread = new Worker(this.#workerFile, { workerData: handles });
      const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
      this.#ended.push(ended);
      const handle = await new Promise<GroupHandle>((resolve, reject) => {
        thread.once('message', resolve).once('error', reject);
        void ended.then(() =>
          reject(new Error(`${String(this.#workerFile)} ended too early: is it the file of the workers?`)),
        );
      });
      this.#jobs.push(attachGroup(handle));
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
      const jobs = this.#jobs[Number(word.body.toString())];
      if (jobs !== undefined) this.#free.push(jobs);
      this.#give();
    }
  }

  #give(): void {
    while (this.#free.length > 0 && this.#waiting.length > 0) {
      const job = this.#waiting.shift()!;
      job.textHeaders.reset().append(CHANNEL, String(job.channelNumber));
      this.#free.shift()!.updateReceiver(job); // moved into that worker's queue
    }
  }
}
// #endregion

/** Finds the file, or says what is wrong. */
function fileOfWorkers(named: string | URL | undefined): string | URL {
  if ((workerData as Partial<PoolHandles> | null)?.recipe === 'worker-pool') {
    throw new Error(
      'this is a worker of a WorkerPool, and runs a program that makes another: workerFile names a wrong file',
    );
  }
  // A bundle that is an ES module has no __dirname.
  const file = named ?? (typeof __dirname === 'string' ? join(__dirname, 'support', 'pool-worker.js') : null);
  if (file !== null && existsSync(file)) return file;
  const trouble = file === null ? 'a bundle has none' : `${String(file)} is not there`;
  throw new Error(
    `a WorkerPool needs a file for its workers: ${trouble}; bundled programs name it by the option workerFile`,
  );
}

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

runAlone(module, run);
