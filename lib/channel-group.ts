// channel-group.ts: the asynchronous two-way exchange an application works with: post() and the waits.
// A thin layer: checks, ownership and waiting are here; everything about channels is the engine's.
// Thread: that which created it. Invariant: one wait at a time; a message is the caller's until post() has succeeded.
import { AT_CHANNEL, AT_FLAGS, AT_ID_HIGH, AT_STATUS, ORIGIN_BIT } from './protocol/constants';
import { AmpeError, invalidArgument } from './protocol/ampe-error';
import { readU16, readU32, snapshotOf, writeU16, type BinaryHeader } from './protocol/header';
import { OpCode } from './protocol/op-code';
import { PostChannelState, refuseChannel, refuseMessage } from './protocol/post-check';
import { AmpeStatus, statusName } from './protocol/status';
import type { Engine, EngineGroup } from './engine/engine';
import { looseFrame, type Frame } from './engine/frame';
import { assignMessageId } from './engine/message-ids';
import { Message } from './message';
import { refuseWait, Wait, type WaitOptions } from './wait';

/** How long an always-ready receiver may keep timers and sockets waiting, and how many messages it may take meanwhile. */
const TURN_MS = 1;
const TURN_MESSAGES = 1024;

declare const groupHandleBrand: unique symbol;
/** A group as it travels to another thread. */
export interface GroupHandle {
  readonly [groupHandleBrand]: true;
}

/**
 * Asynchronous two-way exchange of messages over any number of channels. Made by {@link Ampe.create}.
 * One receive queue, fed by peers, by the engine (statuses, messages that come back) and by {@link updateReceiver}.
 * `for await` receives until the group or its engine is destroyed; leaving the loop leaves the group open.
 * @see docs/PROTOCOL.md sections 3, 4 and 6
 */
export interface ChannelGroup extends AsyncIterable<Message>, AsyncDisposable {
  /**
   * Hands a message to the engine, never waits, and is never refused for fullness. On success the message is moved:
   * touching it throws. What becomes of it is told by messages.
   * @returns a snapshot of its header with the channel number and message id it was given
   * @throws AmpeError naming the refusal, the message stays yours and unchanged; TypeError for something else than a message
   * @see docs/PROTOCOL.md section 3
   */
  post(message: Message): BinaryHeader;
  /**
   * Waits for the next message.
   * @param timeoutMs 0: does not wait; undefined or Infinity: for ever
   * @returns null when the time is up
   * @throws (rejects) AmpeError `not_allowed` while another wait is pending, `shutdown_started` when group or engine is
   *   destroyed; RangeError for a negative or NaN timeout; `signal.reason`
   */
  waitReceive(timeoutMs?: number, options?: WaitOptions): Promise<Message | null>;
  /** The next message if there is one; null also while another wait is pending. @throws AmpeError `shutdown_started` */
  tryReceive(): Message | null;
  /**
   * Waits for the first message and takes what else is there, at most `max`.
   * @returns an empty array when the time is up
   * @throws (rejects) RangeError for `max` below 1, otherwise as {@link waitReceive}
   */
  receiveMany(max: number, timeoutMs?: number, options?: WaitOptions): Promise<Message[]>;
  /**
   * Blocks the calling thread; meant for worker threads.
   * @throws AmpeError `not_allowed` on the fallback engine
   */
  waitReceiveSync(timeoutMs?: number): Message | null;
  /**
   * Puts a message into this group's own receive queue (moved; arrives with status `receiver_update`, origin
   * application), or without one a Signal of the engine with that status.
   * @throws AmpeError `null_message`, `not_allowed` (another engine's), `shutdown_started`; the message stays yours
   * @see docs/PROTOCOL.md section 6
   */
  updateReceiver(message?: Message | null): void;
  /** A handle for {@link attachGroup} in another thread. @throws AmpeError `not_allowed` on the fallback engine */
  share(): GroupHandle;
}

/**
 * The posting side of a group that another thread shared.
 * @throws AmpeError `not_allowed` on the fallback engine, which lives in one thread
 */
export function attachGroup(handle: GroupHandle): Pick<ChannelGroup, 'post' | 'updateReceiver'> {
  if (typeof handle !== 'object' || handle === null) throw invalidArgument('handle', 'a GroupHandle', handle);
  throw notShared('attachGroup()');
}

/** @internal */
export function notShared(what: string): AmpeError {
  return new AmpeError(AmpeStatus.NotAllowed, `not_allowed: ${what} needs the native engine`);
}
/** @internal */
export function shutdownStarted(): AmpeError {
  return new AmpeError(AmpeStatus.ShutdownStarted, 'shutdown_started: the group or its engine is destroyed');
}
function rejected<T>(error: unknown): Promise<T> {
  // An abort rejects with signal.reason, which may be anything.
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
  return Promise.reject(error);
}

/** @internal */
export class ChannelGroupOfEngine implements ChannelGroup {
  readonly #engine: Engine;
  readonly #group: EngineGroup;
  readonly #onDestroyed: () => void;
  #onReadable: (() => void) | null = null;
  #onClosed: ((error: AmpeError) => void) | null = null;
  #taken = 0; // messages taken since the event loop last had a turn, as far as we know
  #turnStart = 0;

  constructor(engine: Engine, onDestroyed: () => void) {
    this.#engine = engine;
    this.#group = engine.openGroup(() => this.#onReadable?.());
    this.#onDestroyed = onDestroyed;
  }

  post(message: Message): BinaryHeader {
    const frame = this.#own(message);
    const { memory, at } = frame;
    const flags = memory[at + AT_FLAGS];
    const idIsZero = (readU32(memory, at + AT_ID_HIGH) | readU32(memory, at + AT_ID_HIGH + 4)) === 0;
    let channel = readU16(memory, at + AT_CHANNEL);
    let refused = refuseMessage(flags, idIsZero, channel, frame.headersLength, frame.bodyLength);
    const opCode = flags & 0x0f;
    if (refused === AmpeStatus.Success) {
      if (channel !== 0) refused = this.#refuseChannel(channel, frame.generation, opCode);
      else if ((channel = this.#group.openChannel(opCode === OpCode.WelcomeRequest)) === 0) {
        refused = AmpeStatus.AllocationFailed;
      }
    }
    if (refused !== AmpeStatus.Success) throw this.#refusal(refused, message);
    message._take();
    memory[at + AT_FLAGS] = flags & ~ORIGIN_BIT & 0x3f;
    memory[at + AT_STATUS] = 0;
    writeU16(memory, at + AT_CHANNEL, channel);
    if (idIsZero) assignMessageId(memory, at);
    if (opCode === OpCode.ByeRequest || opCode === OpCode.ByeResponse) {
      this.#engine.channels.setState(channel, PostChannelState.byePosted);
    }
    const header = snapshotOf(memory, at);
    if (!frame.counted) this.#engine.pool.count(frame);
    this.#group.post(frame);
    return header;
  }

  tryReceive(): Message | null {
    if (this.#group.closed) throw shutdownStarted();
    if (this.#onReadable !== null) return null;
    return this.#take();
  }

  waitReceive(timeoutMs?: number, options?: WaitOptions): Promise<Message | null> {
    return this.#wait<Message | null>(timeoutMs, options, () => this.#take(), null);
  }

  receiveMany(max: number, timeoutMs?: number, options?: WaitOptions): Promise<Message[]> {
    if (typeof max !== 'number') return rejected(invalidArgument('max', 'a number', max));
    if (!(max >= 1)) return rejected(new RangeError(`max must be 1 or more, not ${max}`));
    const takeMany = (): Message[] | null => {
      let message = this.#take();
      if (message === null) return null;
      const messages = [message];
      while (messages.length < max && (message = this.#take()) !== null) messages.push(message);
      return messages;
    };
    return this.#wait<Message[]>(timeoutMs, options, takeMany, []);
  }

  waitReceiveSync(): Message | null {
    throw notShared('waitReceiveSync()');
  }
  share(): GroupHandle {
    throw notShared('ChannelGroup.share()');
  }

  updateReceiver(message?: Message | null): void {
    if (message === undefined || message === null) {
      if (this.#group.closed) throw shutdownStarted();
      const signal = looseFrame();
      signal.memory[AT_FLAGS] = OpCode.Signal | ORIGIN_BIT;
      signal.memory[AT_STATUS] = AmpeStatus.ReceiverUpdate;
      this.#group.update(signal);
      return;
    }
    const frame = this.#own(message);
    message._take();
    frame.memory[frame.at + AT_FLAGS] &= ~ORIGIN_BIT;
    frame.memory[frame.at + AT_STATUS] = AmpeStatus.ReceiverUpdate;
    this.#group.update(frame);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    const end = { done: true, value: undefined } as const;
    return {
      next: () =>
        this.waitReceive().then(
          (message) => (message === null ? end : { done: false, value: message }),
          (error: unknown) => {
            if (error instanceof AmpeError && error.status === AmpeStatus.ShutdownStarted) return end;
            throw error;
          },
        ),
      return: () => Promise.resolve(end),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this._destroy();
  }

  /** @internal */
  get _engine(): Engine {
    return this.#engine;
  }
  /** @internal */
  async _destroy(): Promise<void> {
    const destroyed = this.#group.destroy();
    this.#onClosed?.(shutdownStarted());
    this.#onDestroyed();
    await destroyed;
  }

  /** The frame of a message that may be moved into this group; the first row of the checks. */
  #own(message: Message | null | undefined): Frame {
    if (message === null || message === undefined) {
      throw new AmpeError(AmpeStatus.NullMessage, 'null_message: there is no message');
    }
    if (!(message instanceof Message)) throw invalidArgument('message', 'a Message', message);
    const frame = message._live();
    if (this.#group.closed) throw shutdownStarted();
    if (message._pool !== this.#engine.pool) {
      throw new AmpeError(AmpeStatus.NotAllowed, 'not_allowed: the message belongs to another engine');
    }
    return frame;
  }
  #refuseChannel(channel: number, generation: number, opCode: number): AmpeStatus {
    const { channels } = this.#engine;
    const earlierLife = generation !== 0 && generation !== channels.generation[channel];
    const state = channels.state[channel] ?? PostChannelState.unknown;
    return refuseChannel(
      (earlierLife ? PostChannelState.closed : state) as PostChannelState,
      earlierLife || channels.group[channel] === this.#group.id,
      opCode,
    );
  }
  #refusal(status: AmpeStatus, message: Message): AmpeError {
    const { channelNumber, messageId } = message;
    return new AmpeError(status, `${statusName(status)}: post() on channel ${channelNumber}`, {
      channelNumber,
      messageId,
    });
  }

  #take(): Message | null {
    const frame = this.#group.take();
    return frame === null ? null : Message._of(this.#engine.pool, frame);
  }

  /** Settles at once with what is there, else parks until the group is readable. */
  #wait<T>(
    timeoutMs: number | undefined,
    options: WaitOptions | undefined,
    take: () => T | null,
    timedOut: T,
  ): Promise<T> {
    const refused = refuseWait(timeoutMs, options);
    if (refused !== null) return rejected(refused.error);
    if (this.#group.closed) return rejected(shutdownStarted());
    if (this.#onReadable !== null) {
      return rejected(new AmpeError(AmpeStatus.NotAllowed, 'not_allowed: another receive is waiting'));
    }
    const overdue = this.#isOverdue();
    if (!overdue || timeoutMs === 0) {
      const taken = take();
      if (taken !== null) return Promise.resolve(taken);
      if (timeoutMs === 0) return Promise.resolve(timedOut);
    }
    return this.#park(timeoutMs, options, take, timedOut, overdue);
  }

  #park<T>(
    timeoutMs: number | undefined,
    options: WaitOptions | undefined,
    take: () => T | null,
    timedOut: T,
    overdue: boolean,
  ): Promise<T> {
    this.#taken = 0;
    let turn: NodeJS.Immediate | undefined;
    const wait = new Wait<T>(
      timeoutMs,
      options,
      (expired) => {
        // A frame that came in the same turn goes first: a timeout loses nothing.
        expired.resolve(take() ?? timedOut);
      },
      () => {
        this.#onReadable = null;
        this.#onClosed = null;
        if (turn !== undefined) clearImmediate(turn);
        this.#engine.waiting(-1);
      },
    );
    this.#engine.waiting(1);
    const onReadable = (): void => {
      const taken = take();
      if (taken !== null) wait.resolve(taken);
    };
    this.#onReadable = onReadable;
    this.#onClosed = (error) => wait.reject(error);
    if (overdue) turn = setImmediate(onReadable);
    // What was posted leaves before the wait; the messages this frees may be what the wait is for.
    this.#engine.flush();
    return wait.promise;
  }

  /** Whether timers and sockets have waited long enough for this receiver. */
  #isOverdue(): boolean {
    const taken = this.#taken++;
    if (taken === 0) {
      this.#turnStart = performance.now();
      return false;
    }
    if (taken >= TURN_MESSAGES) return true;
    return (taken & 15) === 0 || (taken & (taken - 1)) === 0 ? performance.now() - this.#turnStart > TURN_MS : false;
  }
}
