// heartbeat.ts: notices within moments that a peer is stuck or a cable was pulled. The engine's own keepalive needs a
// minute or more, and cannot see a peer whose kernel lives but whose program hangs.

import { AmpeStatus, OpCode, Reactor, errorToStatus, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import { answerBye, connect, isEndOf, runAlone, tryPost, type Channel, type RecipeOptions } from './support/connection';
import { EchoServices, startServer, type Services } from './services';

/** How often to ask, and when to give up. */
export interface HeartbeatOptions {
  /** Time between two beats; default 5 s. */
  intervalMs?: number | undefined;
  /** A peer that was silent for so many intervals is given up; default 3. */
  misses?: number | undefined;
}

// #region heartbeat
/**
 * Sends a Signal at regular times to a peer that sends Signals back (see EchoServices). When nothing at all was heard
 * for too long it aborts the channel, so whoever waits for something gets the channel_closed they know anyway.
 */
export class Heartbeat implements Disposable {
  readonly #ampe: Ampe;
  readonly #group: ChannelGroup;
  readonly #channel: Channel;
  readonly #misses: number;
  readonly #timer: NodeJS.Timeout;
  #beatId = 0n; // of the beat that was not answered yet; 0: none
  #missed = 0;

  constructor(
    ampe: Ampe,
    group: ChannelGroup,
    channel: Channel,
    { intervalMs = 5_000, misses = 3 }: HeartbeatOptions = {},
  ) {
    this.#ampe = ampe;
    this.#group = group;
    this.#channel = channel;
    this.#misses = misses;
    this.#timer = setInterval(() => this.#beat(), intervalMs);
  }

  /**
   * To be shown every message received.
   * @returns true for the answer to a beat: nobody else needs it
   */
  heard(message: Message): boolean {
    if (message.channelNumber !== this.#channel.channelNumber) return false;
    if (isEndOf(this.#channel, message)) this.stop();
    if (message.isFromEngine) return false;
    this.#missed = 0; // whatever it was, the peer lives
    if (message.opCode !== OpCode.Signal || message.messageId !== this.#beatId) return false;
    this.#beatId = 0n;
    return true;
  }

  /** No more beats. */
  stop(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #beat(): void {
    if (this.#missed++ >= this.#misses) {
      this.stop();
      tryPost(this.#ampe, this.#group, this.#channel, OpCode.ByeSignal);
    } else if (this.#beatId === 0n) {
      this.#send(); // one at a time: a peer that does not read is not sent ever more
    }
  }

  #send(): void {
    using beat = this.#ampe.get();
    beat.opCode = OpCode.Signal;
    beat.channelNumber = this.#channel.channelNumber;
    try {
      this.#beatId = this.#group.post(beat).messageId;
    } catch (error) {
      const status = errorToStatus(error);
      if (status !== AmpeStatus.ChannelClosed && status !== AmpeStatus.ShutdownStarted) throw error;
      this.stop();
    }
  }
}

/**
 * Receives, with a heartbeat, until the channel ends.
 * @param onMessage what is to be done with the peer's messages; what it leaves owned is put
 */
export async function receiveWithHeartbeat(
  ampe: Ampe,
  group: ChannelGroup,
  channel: Channel,
  onMessage: (message: Message) => void,
  options?: HeartbeatOptions,
): Promise<void> {
  using heartbeat = new Heartbeat(ampe, group, channel, options);
  for await (using message of group) {
    if (heartbeat.heard(message)) continue;
    if (isEndOf(channel, message)) return;
    if (message.isFromEngine) continue; // a beat that came back, pool_empty …
    if (message.opCode === OpCode.ByeRequest) answerBye(group, message);
    else onMessage(message);
  }
}
// #endregion

/** Answers so many Signals, then nothing any more, like a program that hangs. */
class HangingServices implements Services {
  readonly #echo = new EchoServices();
  #signals: number;

  constructor(signals: number) {
    this.#signals = signals;
  }

  start(ampe: Ampe, group: ChannelGroup): void {
    this.#echo.start(ampe, group);
  }

  onMessage(message: Message): boolean {
    if (message.opCode === OpCode.Signal && !message.isFromEngine && this.#signals-- <= 0) return true;
    return this.#echo.onMessage(message);
  }

  stop(): void {
    this.#echo.stop();
  }
}

/**
 * Talks to a server that hangs after some beats.
 * @returns how many beats the server had answered when it was given up
 */
export async function run(options: RecipeOptions & HeartbeatOptions & { beats?: number } = {}): Promise<number> {
  const { address = 'tcp|127.0.0.1|0', log = () => undefined, beats = 3, intervalMs = 100, misses = 3 } = options;
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using server = await startServer(ampe, [address], new HangingServices(beats));
  await using group = ampe.create();
  const channel = await connect(ampe, group, server.addresses[0]);
  using heartbeat = new Heartbeat(ampe, group, channel, { intervalMs, misses });
  let answered = 0;
  for await (using message of group) {
    if (heartbeat.heard(message)) log(`beat ${++answered}`);
    if (isEndOf(channel, message)) break;
  }
  log('no answer any more: the channel was closed');
  return answered;
}

runAlone(module, run);
