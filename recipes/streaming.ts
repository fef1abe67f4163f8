// streaming.ts: more than fits into one message, in both directions at once: pieces with one message id and `more`.
// Neither side holds more than a few pieces: acquire() makes the sender wait for the network, and what is received is
// put piece by piece.

import { AmpeStatus, OpCode, Reactor, statusToError, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import {
  answerBye,
  connect,
  disconnect,
  isEndOf,
  runAlone,
  tryPost,
  type Channel,
  type RecipeOptions,
} from './support/connection';
import { answerHelloOrBye, startServer, type Services } from './services';

/** Below the 65535 bytes a body can have; a multiple of the page size. */
export const PIECE_BYTES = 61_440;

// #region send-stream
/**
 * Sends data of any length as one Request: all pieces have the same message id, all but the last have `more`.
 * Waits whenever the pool has no message, that is, while the network or the peer is slower than the source.
 * @param source chunks of any size; an empty source is one empty piece
 * @param signal gives up waiting for a message
 * @returns the message id
 * @throws (rejects) AmpeError `channel_closed` when the channel ended; what the source throws; signal.reason
 */
export async function sendStream(
  ampe: Ampe,
  group: ChannelGroup,
  channel: Channel,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<bigint> {
  let messageId = 0n; // 0: the first post() chooses one
  const send = async (piece: Uint8Array, more: boolean): Promise<void> => {
    using message = await ampe.acquire({ signal });
    message.opCode = OpCode.Request;
    message.channelNumber = channel.channelNumber;
    message.messageId = messageId;
    message.more = more;
    message.body.set(piece);
    messageId = group.post(message).messageId;
  };
  let held: Uint8Array | null = null; // the last piece is known as such only when the source has ended
  for await (const chunk of source) {
    for (let at = 0; at < chunk.byteLength; at += PIECE_BYTES) {
      if (held !== null) await send(held, true);
      held = chunk.subarray(at, at + PIECE_BYTES);
    }
  }
  await send(held ?? new Uint8Array(0), false);
  return messageId;
}
// #endregion

// #region exchange
/**
 * Streams to the peer and, at the same time, receives the stream it answers with.
 * @param onPiece called with each piece of the answer; a view, valid during the call only
 * @throws (rejects) when either stream breaks off; the channel is aborted then, as nothing else tells the peer that
 *   a stream has no end
 */
export async function exchange(
  ampe: Ampe,
  group: ChannelGroup,
  channel: Channel,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onPiece: (piece: Buffer) => void,
): Promise<void> {
  const stopSending = new AbortController();
  let broken: Error | null = null;
  const sending = sendStream(ampe, group, channel, source, stopSending.signal).catch((error: unknown) => {
    broken ??= error as Error;
    tryPost(ampe, group, channel, OpCode.ByeSignal); // ends receiveStream below, too
  });
  try {
    await receiveStream(group, channel, onPiece);
  } catch (error) {
    broken ??= error as Error;
    stopSending.abort(error);
    tryPost(ampe, group, channel, OpCode.ByeSignal);
  }
  await sending;
  if (broken !== null) throw broken as Error;
}

async function receiveStream(group: ChannelGroup, channel: Channel, onPiece: (piece: Buffer) => void): Promise<void> {
  for await (using message of group) {
    if (isEndOf(channel, message)) throw statusToError(AmpeStatus.ChannelClosed)!;
    if (message.isFromEngine) {
      if (message.opCode === OpCode.Request) throw message.toError()!; // a piece came back; the end follows
    } else if (message.opCode === OpCode.Response) {
      onPiece(message.body.bytes());
      if (!message.hasMore) return;
    } else if (message.opCode === OpCode.ByeRequest) {
      answerBye(group, message);
    }
  }
  throw statusToError(AmpeStatus.ShutdownStarted)!;
}
// #endregion

// #region transform-services
/** Answers each stream with a stream: piece by piece, as they come, with the letters in upper case. */
export class UpperCaseServices implements Services {
  #group: ChannelGroup | null = null;

  start(_ampe: Ampe, group: ChannelGroup): void {
    this.#group = group;
  }

  onMessage(message: Message): boolean {
    if (answerHelloOrBye(this.#group!, message)) return true;
    if (message.isFromEngine || message.opCode !== OpCode.Request) return true;
    const bytes = message.body.bytes(); // a view of the message: changed in place, nothing is copied
    for (const [at, byte] of bytes.entries()) {
      if (byte >= 0x61 && byte <= 0x7a) bytes[at] = byte - 0x20;
    }
    message.opCode = OpCode.Response; // id and `more` stay
    this.#group!.post(message);
    return true;
  }

  stop(): void {
    this.#group = null;
  }
}
// #endregion

/**
 * Streams text to a server that answers in upper case.
 * @returns how many bytes came back, and whether they were right
 */
export async function run(
  options: RecipeOptions & { bytes?: number } = {},
): Promise<{ bytes: number; correct: boolean }> {
  const { address = 'tcp|127.0.0.1|0', log = () => undefined, bytes = 1_000_000 } = options;
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using server = await startServer(ampe, [address], new UpperCaseServices());
  await using group = ampe.create();
  const channel = await connect(ampe, group, server.addresses[0]);

  let received = 0;
  let correct = true;
  await exchange(ampe, group, channel, letters(bytes), (piece) => {
    for (const byte of piece) correct &&= byte === 0x41 + (received++ % 26);
  });
  log(`${received} bytes came back, ${correct ? 'all in upper case' : 'some of them wrong'}`);
  await disconnect(ampe, group, channel);
  return { bytes: received, correct };
}

/** The alphabet again and again, in chunks that do not fit the pieces. */
function* letters(bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes; at += 100_003) {
    yield Buffer.from(Array.from({ length: Math.min(100_003, bytes - at) }, (_, index) => 0x61 + ((at + index) % 26)));
  }
}

runAlone(module, run);
