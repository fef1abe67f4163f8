// pipelined-requests.ts: many requests on their way at once, each answer brought to its asker by message id.
// A round trip then costs its share of one, not a whole one. The peer may answer in any order.

import { AmpeStatus, OpCode, Reactor, statusToError } from 'tofu-ampe';
import type { Ampe, ChannelGroup, Message, WaitOptions } from 'tofu-ampe';
import {
  answerBye,
  connect,
  disconnect,
  isEndOf,
  receive,
  runAlone,
  type Channel,
  type RecipeOptions,
} from './support/connection';
import { EchoServices, startServer } from './services';

interface Asker {
  resolve(answer: Message): void;
  reject(reason: Error): void;
}

// #region request-matcher
/**
 * Requests over one channel, any number at a time. It does not receive: the loop that does hands every message to
 * {@link take}. Every request settles: with its answer, or with the reason why there will be none.
 */
export class RequestMatcher {
  readonly #askers = new Map<bigint, Asker>();
  readonly #ampe: Ampe;
  readonly #group: ChannelGroup;
  readonly #channel: Channel;

  constructor(ampe: Ampe, group: ChannelGroup, channel: Channel) {
    this.#ampe = ampe;
    this.#group = group;
    this.#channel = channel;
  }

  /** How many requests wait for their answer. */
  get pending(): number {
    return this.#askers.size;
  }

  /**
   * Posts a Request as soon as the pool has a message for it, so a peer that is slow to read slows the askers down.
   * @param options an AbortSignal, for the wait for a message; a posted request is not called back
   * @returns the Response, the caller's to put or dispose
   * @throws (rejects) AmpeError: the status the request came back with, or `channel_closed` when no answer can come
   */
  async request(body: string | Uint8Array, options?: WaitOptions): Promise<Message> {
    using request = await this.#ampe.acquire(options);
    request.opCode = OpCode.Request;
    request.channelNumber = this.#channel.channelNumber;
    request.body.set(body);
    const { messageId } = this.#group.post(request);
    return await new Promise<Message>((resolve, reject) => this.#askers.set(messageId, { resolve, reject }));
  }

  /**
   * Looks whether a received message settles requests.
   * @returns true when the message was an answer or a request that came back: then it is no longer the loop's to put
   */
  take(message: Message): boolean {
    if (message.channelNumber !== this.#channel.channelNumber) return false;
    if (isEndOf(this.#channel, message)) {
      this.rejectAll(AmpeStatus.ChannelClosed);
      return false;
    }
    const asker = this.#askers.get(message.messageId);
    if (asker === undefined) return false;
    if (!message.isFromEngine && message.opCode === OpCode.Response) {
      this.#askers.delete(message.messageId);
      asker.resolve(message);
      return true;
    }
    if (!message.isFromEngine || message.opCode !== OpCode.Request) return false;
    this.#askers.delete(message.messageId);
    asker.reject(message.toError()!); // peer_disconnected …: it was not sent
    this.#ampe.put(message);
    return true;
  }

  /** Tells all who wait that no answer will come. */
  rejectAll(status: AmpeStatus): void {
    const askers = [...this.#askers.values()];
    this.#askers.clear();
    for (const asker of askers) asker.reject(statusToError(status)!);
  }
}
// #endregion

/**
 * Sends all bodies as Requests without waiting in between.
 * @param group receives here until all is answered; nobody else may receive meanwhile
 * @returns the bodies of the answers, copied, in the order of the requests
 * @throws (rejects) as {@link RequestMatcher.request}, with the first failure, after all requests have settled
 */
export async function pipelined(
  ampe: Ampe,
  group: ChannelGroup,
  channel: Channel,
  bodies: Iterable<string | Uint8Array>,
): Promise<Buffer[]> {
  const matcher = new RequestMatcher(ampe, group, channel);
  const asked = [...bodies].map(async (body) => {
    using response = await matcher.request(body);
    return Buffer.from(response.body.bytes()); // a copy: the view ends with the message
  });
  const allSettled = new AbortController();
  const settled = Promise.allSettled(asked).then(() => allSettled.abort());
  for (let message; (message = await receive(group, allSettled.signal)) !== null;) {
    if (matcher.take(message)) continue;
    using other = message;
    if (!other.isFromEngine && other.opCode === OpCode.ByeRequest) answerBye(group, other);
  }
  matcher.rejectAll(AmpeStatus.ShutdownStarted); // nobody is left, unless the group was destroyed
  await settled;
  return Promise.all(asked);
}

/**
 * Asks an echo server many things at once.
 * @returns the answers, in the order of the requests
 */
export async function run(options: RecipeOptions & { count?: number } = {}): Promise<string[]> {
  const { address = 'tcp|127.0.0.1|0', log = () => undefined, count = 1000 } = options;
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using server = await startServer(ampe, [address], new EchoServices());

  // #region pipelined
  await using group = ampe.create();
  const channel = await connect(ampe, group, server.addresses[0]);
  const questions = Array.from({ length: count }, (_, index) => `question ${index}`);
  const answers = await pipelined(ampe, group, channel, questions);
  await disconnect(ampe, group, channel);
  // #endregion
  log(`${answers.length} answers`);
  return answers.map(String);
}

runAlone(module, run);
