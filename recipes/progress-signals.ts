// progress-signals.ts: a long job. The server tells by Signals how far it is, then answers; all have the message id of
// the Request, so the client knows which job a Signal is about.

import { setImmediate as nextTurn } from 'node:timers/promises';

import {
  AmpeStatus,
  OpCode,
  Reactor,
  errorToStatus,
  statusToError,
  type Ampe,
  type ChannelGroup,
  type Message,
} from 'tofu-ampe';
import {
  answerBye,
  connect,
  disconnect,
  isEndOf,
  runAlone,
  type Channel,
  type RecipeOptions,
} from './support/connection';
import { answerHelloOrBye, startServer, type Services } from './services';

// #region request-with-progress
/**
 * Sends a Request, reports the Signals about it, and waits for its Response.
 * @param onProgress called with the body of each Signal
 * @returns the Response, the caller's to put or dispose
 * @throws (rejects) AmpeError: why the request came back, or `channel_closed` when the channel ended before the answer
 */
export async function requestWithProgress(
  ampe: Ampe,
  group: ChannelGroup,
  channel: Channel,
  body: string | Uint8Array,
  onProgress: (text: string) => void,
): Promise<Message> {
  using request = ampe.get();
  request.opCode = OpCode.Request;
  request.channelNumber = channel.channelNumber;
  request.body.set(body);
  const { messageId } = group.post(request);
  for await (const received of group) {
    const isOurs = !received.isFromEngine && received.messageId === messageId;
    if (isOurs && received.opCode === OpCode.Response) return received;
    using message = received;
    if (isEndOf(channel, message)) throw statusToError(AmpeStatus.ChannelClosed)!;
    if (message.isFromEngine) {
      // The request itself, unsent.
      if (message.opCode === OpCode.Request && message.messageId === messageId) throw message.toError()!;
    } else if (isOurs && message.opCode === OpCode.Signal) {
      onProgress(message.body.toString());
    } else if (message.opCode === OpCode.ByeRequest) {
      answerBye(group, message);
    }
  }
  throw statusToError(AmpeStatus.ShutdownStarted)!;
}
// #endregion

// #region job-services
/** A client, and the signal that ends its jobs. */
interface Client extends Channel {
  gone: AbortController;
}

/** Works on each Request in steps without holding up the loop, and gives up the jobs of clients that leave. */
export class JobServices implements Services {
  readonly #steps: number;
  readonly #clients = new Map<number, Client>();
  readonly #jobs = new Set<Promise<void>>();
  #ampe!: Ampe;
  #group!: ChannelGroup;

  constructor(steps: number) {
    this.#steps = steps;
  }

  start(ampe: Ampe, group: ChannelGroup): void {
    this.#ampe = ampe;
    this.#group = group;
  }

  onMessage(message: Message): boolean {
    const { channelNumber, messageId } = message;
    const client = this.#clients.get(channelNumber);
    if (!message.isFromEngine && message.opCode === OpCode.HelloRequest) {
      this.#clients.set(channelNumber, { channelNumber, messageId, gone: new AbortController() });
    } else if (client !== undefined && (message.opCode === OpCode.ByeRequest || isEndOf(client, message))) {
      client.gone.abort();
      this.#clients.delete(channelNumber);
    }
    if (answerHelloOrBye(this.#group, message)) return true;
    if (!message.isFromEngine && message.opCode === OpCode.Request && client !== undefined) {
      // The message is put when this returns: the job takes along what it needs.
      const job = this.#work(channelNumber, messageId, message.body.toString(), client.gone.signal);
      this.#jobs.add(job);
      void job.finally(() => this.#jobs.delete(job));
    }
    return true;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client.gone.abort();
    await Promise.all(this.#jobs);
  }

  async #work(channelNumber: number, messageId: bigint, text: string, gone: AbortSignal): Promise<void> {
    const say = (message: Message | null, opCode: OpCode, body: string): void => {
      if (message === null || gone.aborted) return;
      message.opCode = opCode;
      message.channelNumber = channelNumber;
      message.messageId = messageId;
      message.body.set(body);
      this.#group.post(message);
    };
    try {
      for (let step = 1; step <= this.#steps; step++) {
        await nextTurn(undefined, { signal: gone }); // here the work would be
        using progress = this.#ampe.get('poolOnly'); // null when messages are short: progress may be left out
        say(progress, OpCode.Signal, `${Math.round((100 * step) / this.#steps)} %`);
      }
      using response = await this.#ampe.acquire({ signal: gone }); // the answer may not
      say(response, OpCode.Response, `${text}: done`);
    } catch (error) {
      if (!gone.aborted && errorToStatus(error) !== AmpeStatus.ShutdownStarted) throw error;
    }
  }
}
// #endregion

/**
 * Has a job of ten steps done.
 * @returns the progress told, and the answer
 */
export async function run(
  options: RecipeOptions & { steps?: number } = {},
): Promise<{ progress: string[]; answer: string }> {
  const { address = 'tcp|127.0.0.1|0', log = () => undefined, steps = 10 } = options;
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using server = await startServer(ampe, [address], new JobServices(steps));
  await using group = ampe.create();
  const channel = await connect(ampe, group, server.addresses[0]);
  const progress: string[] = [];
  using response = await requestWithProgress(ampe, group, channel, 'big job', (text) => {
    progress.push(text);
    log(text);
  });
  const answer = response.body.toString();
  log(answer);
  await disconnect(ampe, group, channel);
  return { progress, answer };
}

runAlone(module, run);
