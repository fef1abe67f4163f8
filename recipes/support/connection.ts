// connection.ts: what nearly every recipe needs: addresses as text, listening, connecting, asking, and the two ways to
// end a channel. Written for a group with one channel and one loop, where each of these functions may receive.
// Invariant: every message received here is posted, handed to the caller or put; none is kept.

import {
  Address,
  AmpeError,
  AmpeStatus,
  OpCode,
  TcpClientAddress,
  TcpServerAddress,
  UdsClientAddress,
  UdsServerAddress,
  echo,
  errorToStatus,
  statusToError,
  type Ampe,
  type BinaryHeader,
  type ChannelGroup,
  type Message,
  type WaitOptions,
} from 'tofu-ampe';

/** Options every recipe takes. */
export interface RecipeOptions {
  /** `tcp|HOST|PORT` or `uds|PATH`. */
  address?: string | undefined;
  /** Where the recipe tells what happens; default: nowhere, on its own: console.log. */
  log?: ((line: string) => void) | undefined;
}

/** A channel as post() tells it when it opens: its number, and the id by which its end can be recognised. */
export type Channel = Pick<BinaryHeader, 'channelNumber' | 'messageId'>;

/** A listener: its channel, and its address with the real port. */
export interface Listener extends Channel {
  /** The text of the address, as {@link connect} takes it. */
  address: string;
}

/**
 * The address to listen on, from text.
 * @param text `tcp|HOST|PORT` (port 0: any free one) or `uds|PATH`
 * @throws AmpeError `wrong_address`
 */
export function serverAddress(text: string): TcpServerAddress | UdsServerAddress {
  const { path, host, port } = splitAddress(text);
  return path === undefined ? new TcpServerAddress(host, port) : new UdsServerAddress(path);
}

/**
 * The address to connect to, from text.
 * @param text `tcp|HOST|PORT` or `uds|PATH`
 * @throws AmpeError `wrong_address`
 */
export function clientAddress(text: string): TcpClientAddress | UdsClientAddress {
  const { path, host, port } = splitAddress(text);
  return path === undefined ? new TcpClientAddress(host, port) : new UdsClientAddress(path);
}

function splitAddress(text: string): { path?: string; host?: string; port?: number } {
  if (text.startsWith('uds|')) return { path: text.slice('uds|'.length) };
  const [kind, host, port, ...more] = text.split('|');
  if (kind !== 'tcp' || host === undefined || port === undefined || more.length > 0) {
    throw new AmpeError(AmpeStatus.WrongAddress, `no address: ${text}`);
  }
  return { host, port: Number(port) };
}

/**
 * True for the last word about a channel. The id is compared as well, because a Signal that comes back unsent is also
 * a Signal of the engine with status channel_closed. So do not give Signals the id of a Hello.
 */
export function isEndOf(channel: Channel, message: Message): boolean {
  return (
    message.isFromEngine &&
    message.opCode === OpCode.Signal &&
    message.status === AmpeStatus.ChannelClosed &&
    message.channelNumber === channel.channelNumber &&
    message.messageId === channel.messageId
  );
}

/**
 * Listens, for a group that has no other channel yet.
 * @param address as {@link serverAddress} takes it
 * @returns the listener, with the real port where 0 was asked for
 * @throws (rejects) AmpeError `listen_failed`, `invalid_address`, `wrong_address`
 */
export async function listen(ampe: Ampe, group: ChannelGroup, address: string): Promise<Listener> {
  using welcome = ampe.get(); // post() moves it; if anything throws before that, it goes back to the pool
  serverAddress(address).format(welcome);
  const channel = group.post(welcome);
  for await (using message of group) {
    if (message.opCode !== OpCode.WelcomeResponse || message.channelNumber !== channel.channelNumber) continue;
    const failure = message.toError();
    if (failure !== null) throw failure;
    return { ...channel, address: String(Address.parse(message)) };
  }
  throw new AmpeError(AmpeStatus.ShutdownStarted);
}

/**
 * Connects and waits for the HelloResponse. On failure nothing of the attempt is left in the group.
 * @param address as {@link clientAddress} takes it
 * @param options deadline for the answer, default 15 s, and an AbortSignal
 * @throws (rejects) AmpeError with the reason (`connect_failed`, `uds_path_not_found`, `channel_closed` …), signal.reason
 */
export async function connect(
  ampe: Ampe,
  group: ChannelGroup,
  address: string,
  options: WaitOptions & { timeoutMs?: number } = {},
): Promise<Channel> {
  using hello = ampe.get();
  clientAddress(address).format(hello);
  const channel = group.post(hello);
  const remainingMs = countdown(options.timeoutMs ?? 15_000);
  let failure: AmpeError | null = null;
  try {
    for (;;) {
      using message = await group.waitReceive(remainingMs(), options);
      if (message === null) throw new AmpeError(AmpeStatus.ConnectFailed, 'connect_failed: no answer to the Hello');
      if (isEndOf(channel, message)) {
        failure ??= statusToError(AmpeStatus.ChannelClosed); // it was accepted, and closed without an answer
        break;
      }
      if (message.channelNumber !== channel.channelNumber) continue;
      if (message.isFromEngine)
        failure ??= message.toError(); // the Hello came back; the end follows
      else if (message.opCode === OpCode.HelloResponse) return channel;
      else if (message.opCode === OpCode.ByeRequest) answerBye(group, message); // the server does not want us
    }
  } catch (error) {
    await hangUp(ampe, group, channel);
    throw error;
  }
  throw failure!;
}

/**
 * Sends one Request and waits for its answer. Other messages that arrive meanwhile are put: who wants them, or several
 * answers at a time, uses a loop of its own (see pipelined-requests.ts).
 * @param options deadline for the answer, default 15 s, and an AbortSignal
 * @returns the Response, now the caller's to put or dispose
 * @throws (rejects) AmpeError with the reason when the request came back or the channel ended; when it takes too long,
 *   an Error; signal.reason
 */
export async function ask(
  ampe: Ampe,
  group: ChannelGroup,
  channel: Channel,
  body: string | Uint8Array,
  options: WaitOptions & { timeoutMs?: number } = {},
): Promise<Message> {
  using request = ampe.get();
  request.opCode = OpCode.Request;
  request.channelNumber = channel.channelNumber;
  request.body.set(body);
  const { messageId } = group.post(request);
  const remainingMs = countdown(options.timeoutMs ?? 15_000);
  for (;;) {
    const message = await group.waitReceive(remainingMs(), options);
    if (message === null) throw new Error('no answer in time');
    if (!message.isFromEngine && message.opCode === OpCode.Response && message.messageId === messageId) return message;
    using other = message;
    if (isEndOf(channel, other)) throw statusToError(AmpeStatus.ChannelClosed)!; // sent, but never answered
    if (other.isFromEngine) {
      if (other.messageId === messageId && other.status !== AmpeStatus.Success) throw other.toError()!;
    } else if (other.opCode === OpCode.ByeRequest) {
      answerBye(group, other);
    }
  }
}

/**
 * Ends a channel in good order: everything posted before is sent, the peer answers, and when this resolves the channel
 * is gone. Past the deadline it is aborted.
 * @returns true when it ended within the deadline
 */
export async function disconnect(
  ampe: Ampe,
  group: ChannelGroup,
  channel: Channel,
  timeoutMs = 10_000,
): Promise<boolean> {
  if (!tryPost(ampe, group, channel, OpCode.ByeRequest)) return true;
  if (await receiveUntilEnd(group, channel, timeoutMs)) return true;
  await hangUp(ampe, group, channel);
  return false;
}

/** Aborts a channel and waits for its end. Unsent messages are put; harmless when the channel is closed already. */
export async function hangUp(ampe: Ampe, group: ChannelGroup, channel: Channel): Promise<void> {
  if (tryPost(ampe, group, channel, OpCode.ByeSignal)) await receiveUntilEnd(group, channel);
}

/** Receives and puts everything until the channel has ended; false when the time is up. */
export async function receiveUntilEnd(group: ChannelGroup, channel: Channel, timeoutMs?: number): Promise<boolean> {
  const remainingMs = countdown(timeoutMs ?? Infinity);
  for (;;) {
    using message = await group.waitReceive(remainingMs());
    if (message === null) return false;
    if (isEndOf(channel, message)) return true;
    // A ByeRequest needs no answer here: our own Bye or ByeSignal was posted before.
  }
}

/**
 * Answers a peer's ByeRequest with that very message. Refused when our own ByeRequest was posted before: the two have
 * crossed, and the peer's counts as the answer to ours.
 */
export function answerBye(group: ChannelGroup, message: Message): void {
  message.opCode = echo(message.opCode);
  try {
    group.post(message);
  } catch (error) {
    if (errorToStatus(error) !== AmpeStatus.ChannelClosed) throw error;
  }
}

/**
 * Posts a message without content, such as a ByeRequest or ByeSignal.
 * @returns false when the channel, the group or the engine is closed, so that there is nothing to say any more
 */
export function tryPost(ampe: Ampe, group: ChannelGroup, channel: Channel, opCode: OpCode): boolean {
  try {
    using message = ampe.get();
    message.opCode = opCode;
    message.channelNumber = channel.channelNumber;
    group.post(message);
    return true;
  } catch (error) {
    const status = errorToStatus(error);
    if (status === AmpeStatus.ChannelClosed || status === AmpeStatus.ShutdownStarted) return false;
    throw error;
  }
}

/**
 * The next message, for loops that end in good order.
 * @returns null when the signal has aborted, or the group or its engine was destroyed
 */
export async function receive(group: ChannelGroup, signal?: AbortSignal): Promise<Message | null> {
  try {
    return await group.waitReceive(undefined, { signal });
  } catch (error) {
    if (signal?.aborted || errorToStatus(error) === AmpeStatus.ShutdownStarted) return null;
    throw error;
  }
}

/** A function that tells how many milliseconds are left, never less than 0. */
export function countdown(timeoutMs: number): () => number {
  const end = performance.now() + timeoutMs;
  return () => Math.max(0, end - performance.now());
}

/**
 * Runs a recipe on the address given on the command line, if its file is the program, and not part of another one.
 * @param module the recipe's own; that of a program has the id `.`. This says the same as `require.main === module`, and also where
 *   a bundler has left no `require`.
 */
export function runAlone(module: { readonly id: string }, run: (options: RecipeOptions) => Promise<unknown>): void {
  if (module.id !== '.') return;
  run({ address: process.argv[2], log: console.log }).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
