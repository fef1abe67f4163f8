// channel-group.ts: the asynchronous two-way exchange an application works with: posting and the waits.
// A thin layer: waiting is here, checks and ownership are in group-poster.ts; everything about channels is the engine's.
// Thread: that which created it. Invariant: one wait at a time; a frame that was taken is handed to exactly one wait.
import { AmpeError, invalidArgument } from './protocol/ampe-error';
import type { BinaryHeader } from './protocol/header';
import { AmpeStatus } from './protocol/status';
import type { Engine, EngineGroup } from './engine/engine';
import { atTurnEnd, turns } from './engine/turn-end';
import { GroupPoster } from './group-poster';
import { Message } from './message';
import { notShared, shutdownStarted } from './refusals';
import { attachedGroup } from './select-engine';
import { refuseWait, Wait, type WaitOptions } from './wait';

/** Messages after which a receiver gives way in any case. */
const TURN_MESSAGES = 1024;
/** Messages between two looks at the clock, where they are so fast that looking would cost. */
const MOST_BETWEEN_LOOKS = 16;
const SLOW_MS = 1 / MOST_BETWEEN_LOOKS;

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
   * @param timeoutMs 0: does not wait, but lets timers and sockets go first when they have not had their turn for long; undefined or
   *   Infinity: for ever
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
   * The next message; blocks the calling thread for it, and everything else of that thread: meant for worker threads.
   * @param timeoutMs 0: does not wait; undefined or Infinity: for ever
   * @returns null when the time is up
   * @throws AmpeError `not_allowed` while another wait is pending and on the fallback engine, `shutdown_started` when group or
   *   engine is destroyed; RangeError for a negative or NaN timeout
   */
  waitReceiveSync(timeoutMs?: number): Message | null;
  /**
   * Puts a message into this group's own receive queue (moved; arrives with status `receiver_update`, origin
   * application), or without one a Signal of the engine with that status.
   * @throws AmpeError `null_message`, `not_allowed` (another engine's), `shutdown_started`; the message stays yours
   * @see docs/PROTOCOL.md section 6
   */
  updateReceiver(message?: Message | null): void;
  /**
   * A handle for {@link attachGroup} in another thread; it may be sent to workers of this process.
   * @throws AmpeError `not_allowed` on the fallback engine, `shutdown_started`
   */
  share(): GroupHandle;
}

/**
 * The posting side of a group that another thread shared. Messages for it come from the Ampe that this thread attached.
 * @throws AmpeError `not_allowed` when {@link Reactor.attach} of its engine was not called in this thread, and on the fallback
 *   engine; TypeError for something else than a handle
 */
export function attachGroup(handle: GroupHandle): Pick<ChannelGroup, 'post' | 'updateReceiver'> {
  if (typeof handle !== 'object' || handle === null) throw invalidArgument('handle', 'a GroupHandle', handle);
  const { engine, group } = attachedGroup(handle);
  return new GroupPoster(engine, group);
}

function rejected<T>(error: unknown): Promise<T> {
  // An abort rejects with signal.reason, which may be anything.
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
  return Promise.reject(error);
}
function otherWait(): AmpeError {
  return new AmpeError(AmpeStatus.NotAllowed, 'not_allowed: another receive is waiting');
}

/** What a receive call takes at once; null: nothing is there. */
type Take<T> = (group: ChannelGroupOfEngine) => T | null;

function takeOne(group: ChannelGroupOfEngine): Message | null {
  return group._takeOne();
}
function takeMany(group: ChannelGroupOfEngine, max: number): Message[] | null {
  let message = group._takeOne();
  if (message === null) return null;
  const messages = [message];
  while (messages.length + 1 <= max && (message = group._takeOne()) !== null) messages.push(message);
  return messages;
}

/** A receive call that waits. */
class Receive<T> extends Wait<T> {
  readonly #group: ChannelGroupOfEngine;
  readonly #take: Take<T>;
  readonly #timedOut: T;
  #takeTurnBack: (() => void) | null = null; // while others have theirs

  constructor(
    group: ChannelGroupOfEngine,
    timeoutMs: number | undefined,
    options: WaitOptions | undefined,
    take: Take<T>,
    timedOut: T,
  ) {
    super(timeoutMs, options);
    this.#group = group;
    this.#take = take;
    this.#timedOut = timedOut;
  }

  /** Others have their turn first, whatever comes meanwhile. */
  giveWay(referenced: boolean): void {
    this.#takeTurnBack = atTurnEnd(() => {
      this.#takeTurnBack = null;
      this.onReadable();
    }, referenced);
  }
  onReadable(): void {
    if (this.#takeTurnBack !== null) return;
    const taken = this.#take(this.#group);
    if (taken !== null) this.resolve(taken);
  }
  protected onTimeout(): void {
    // A frame that came in the same turn goes first: a timeout loses nothing.
    this.resolve(this.#take(this.#group) ?? this.#timedOut);
  }
  protected onEnd(): void {
    this.#takeTurnBack?.();
    this.#group._received();
  }
}

/** @internal */
export class ChannelGroupOfEngine implements ChannelGroup {
  readonly #engine: Engine;
  readonly #group: EngineGroup;
  readonly #poster: GroupPoster;
  #receive: Pick<Receive<unknown>, 'onReadable' | 'reject'> | null = null; // while a receiver waits
  #turn = 0; // the last turn of the event loop that was seen here, and what was taken since
  #taken = 0;
  #lookAt = 1; // messages after which the clock is looked at, how many later again, and when it was
  #stride = 1;
  #lookedAt = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#group = engine.openGroup({
      onReadable: () => this.#receive?.onReadable(),
      onClosed: () => this.#receive?.reject(shutdownStarted()),
    });
    this.#poster = new GroupPoster(engine, this.#group);
  }

  post(message: Message): BinaryHeader {
    return this.#poster.post(message);
  }
  updateReceiver(message?: Message | null): void {
    this.#poster.updateReceiver(message);
  }

  tryReceive(): Message | null {
    const message = this.#receive === null ? this._takeOne() : null;
    if (message === null && this.#group.closed) throw shutdownStarted();
    return message;
  }

  waitReceive(timeoutMs?: number, options?: WaitOptions): Promise<Message | null> {
    return this.#wait<Message | null>(timeoutMs, options, takeOne, null);
  }

  receiveMany(max: number, timeoutMs?: number, options?: WaitOptions): Promise<Message[]> {
    if (typeof max !== 'number') return rejected(invalidArgument('max', 'a number', max));
    if (!(max >= 1)) return rejected(new RangeError(`max must be 1 or more, not ${max}`));
    return this.#wait<Message[]>(timeoutMs, options, (group) => takeMany(group, max), []);
  }

  waitReceiveSync(timeoutMs: number = Number.POSITIVE_INFINITY): Message | null {
    const { threads } = this.#engine;
    if (threads === null) throw notShared('waitReceiveSync()');
    const refused = refuseWait(timeoutMs, undefined);
    if (refused !== null) throw refused.error;
    if (this.#group.closed) throw shutdownStarted();
    if (this.#receive !== null) throw otherWait();
    const end = timeoutMs === Number.POSITIVE_INFINITY ? timeoutMs : performance.now() + timeoutMs;
    for (;;) {
      const message = this._takeOne();
      if (message !== null) return message;
      if (this.#group.closed) throw shutdownStarted();
      const restMs = end - performance.now();
      if (!(restMs > 0)) return null;
      threads.waitSync(restMs);
    }
  }
  share(): GroupHandle {
    const { threads } = this.#engine;
    if (threads === null) throw notShared('ChannelGroup.share()');
    if (this.#group.closed) throw shutdownStarted();
    this.#group.share();
    return threads.shareGroup(this.#group) as GroupHandle;
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    const end = { done: true, value: undefined } as const;
    let left = false;
    return {
      next: () => {
        if (left || this.#group.closed) return Promise.resolve(end);
        if (this.#receive !== null) return rejected(otherWait());
        // One promise where a message is there; three if it went through waitReceive().
        const overdue = this.#isOverdue();
        const message = overdue ? null : this._takeOne();
        if (message !== null) return Promise.resolve({ done: false, value: message });
        if (this.#group.closed) return Promise.resolve(end); // the look may have brought the news
        return this.#park<Message | null>(undefined, undefined, takeOne, null, overdue).then(
          (waited) => (waited === null ? end : { done: false, value: waited }),
          (error: unknown) => {
            if (error instanceof AmpeError && error.status === AmpeStatus.ShutdownStarted) return end;
            throw error;
          },
        );
      },
      return: () => {
        left = true;
        return Promise.resolve(end);
      },
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
  _destroy(): Promise<void> {
    return this.#group.destroy();
  }

  /** Settles at once with what is there, else parks until the group is readable. */
  #wait<T>(timeoutMs: number | undefined, options: WaitOptions | undefined, take: Take<T>, timedOut: T): Promise<T> {
    const refused = refuseWait(timeoutMs, options);
    if (refused !== null) return rejected(refused.error);
    if (this.#group.closed) return rejected(shutdownStarted());
    if (this.#receive !== null) return rejected(otherWait());
    const overdue = this.#isOverdue();
    // Who only asks gives way as well, and is answered behind it.
    if (!overdue) {
      const taken = take(this);
      if (taken !== null) return Promise.resolve(taken);
      // The look may have brought the news; nobody tells it twice.
      if (this.#group.closed) return rejected(shutdownStarted());
      if (timeoutMs === 0) return Promise.resolve(timedOut);
    }
    return this.#park(timeoutMs, options, take, timedOut, overdue);
  }
  /** `overdue`: others have their turn first. */
  #park<T>(
    timeoutMs: number | undefined,
    options: WaitOptions | undefined,
    take: Take<T>,
    timedOut: T,
    overdue: boolean,
  ): Promise<T> {
    const receive = new Receive<T>(this, timeoutMs, options, take, timedOut);
    this.#receive = receive;
    if (overdue) receive.giveWay(this.#engine.referenced);
    // What was posted leaves before the wait; the messages this frees may be what the wait is for.
    this.#group.waiting(1);
    return receive.promise;
  }
  /** @internal */
  _takeOne(): Message | null {
    const frame = this.#group.take();
    return frame === null ? null : Message._of(this.#engine.pool, frame);
  }
  /** The wait is over. @internal */
  _received(): void {
    this.#receive = null;
    this.#group.waiting(-1);
  }

  /** Whether timers and sockets have waited long enough for this receiver. */
  #isOverdue(): boolean {
    if (this.#turn !== turns.seen) {
      this.#turn = turns.seen;
      this.#taken = 0;
      this.#lookAt = this.#stride = 1;
    }
    return ++this.#taken >= this.#lookAt && this.#look();
  }
  #look(): boolean {
    const now = performance.now();
    this.#stride = now - this.#lookedAt > SLOW_MS ? 1 : Math.min(2 * this.#stride, MOST_BETWEEN_LOOKS);
    this.#lookedAt = now;
    this.#lookAt = this.#taken + this.#stride;
    return this.#taken >= TURN_MESSAGES || turns.isOverdue(this.#engine.referenced);
  }
}
