// ampe.ts: the engine as application code sees it: messages, groups, statistics.
// Thread: that of its Reactor, or one that attached. Invariant: after the engine is destroyed nothing is handed out any more.
import { AmpeError, invalidArgument } from './protocol/ampe-error';
import { AmpeStatus } from './protocol/status';
import { ChannelGroupOfEngine, type ChannelGroup } from './channel-group';
import type { Engine } from './engine/engine';
import type { Frame } from './engine/frame';
import type { PoolWaiter } from './engine/pool';
import { Message } from './message';
import { shutdownStarted } from './refusals';
import { refuseWait, Wait, type WaitOptions } from './wait';

/** What only the native engine counts, since it was made: which of its ways were taken, and how large the batches are. */
export interface NativeStats {
  /** Threads of the application that were woken because something had come for them. */
  doorbells: bigint;
  /** How often the engine's thread was woken because something was posted. */
  wakes: bigint;
  /** Write calls that the posting thread made itself, because the channel was idle. */
  inlineSends: bigint;
  /** Batches of one channel that were left to the engine's thread. */
  queuedRuns: bigint;
  /** Of these, the large ones (from 2 KiB on), which are not copied a second time. */
  queuedBlocks: bigint;
  /** System calls that wrote, inline ones included; messagesOut divided by it is the batch size of sending. */
  sendCalls: bigint;
  /** System calls that read; messagesIn divided by it is the batch size of receiving. */
  readCalls: bigint;
  /** Turns of the loop of the engine's thread. */
  turns: bigint;
  /** How often the engine's thread looked for more work instead of sleeping. */
  spins: bigint;
  /** How often it found some that way. */
  spinHits: bigint;
  /** How often it went to sleep. */
  parks: bigint;
  /** Turns of the loop in an application thread, which spare both threads a switch. */
  drives: bigint;
  /** How often an application thread looked for more messages instead of sleeping. */
  waits: bigint;
  /** How often it found some that way. */
  waitHits: bigint;
  /** Times an application thread fetched what had come for it. */
  batches: bigint;
  /** What it fetched then, all together: runs of frames, and messages of the engine. */
  batchedEvents: bigint;
}

/** Numbers a person can read: the state of now, and totals since the engine was made. */
export interface AmpeStats {
  /** Messages of the pool that are free. At rest the same as poolTotal. */
  poolFree: number;
  /** Messages the pool holds, free and given out; the reserves of groups are not among them. */
  poolTotal: number;
  /** Channels with a socket, or being connected; accepted connections that have not said Hello included. */
  channels: number;
  /** Listeners that are open or opening. */
  listeners: number;
  /** Groups that are not destroyed; on the native engine those of all its threads. */
  groups: number;
  /** Messages from peers that were delivered. */
  messagesIn: bigint;
  /** Messages the kernel has taken whole. */
  messagesOut: bigint;
  /** Bytes of those that came in, the 16 of each binary header included. */
  bytesIn: bigint;
  /** Bytes of those that went out, the 16 of each binary header included. */
  bytesOut: bigint;
  /** How often a receiver stood before waiting frames with no message free. */
  poolEmptyEpisodes: bigint;
  /** Connections that were reset because the peer broke the protocol, unseen ones included. */
  protocolViolations: bigint;
  /** Connections that could not be accepted; on the fallback engine only for want of a channel number. */
  acceptFailures: bigint;
  /** There on the native engine only. */
  native?: NativeStats;
  /** With TOFU_AMPE_DEBUG=1: where messages were taken that are out now, most frequent first. */
  unreturned?: { where: string; count: number }[];
}

/** The engine, as application code is given it. All methods belong to the thread that made the engine or attached to it. */
export interface Ampe {
  /**
   * A message, empty. Past the pool's bound if need be.
   * @throws AmpeError `shutdown_started`
   */
  get(strategy?: 'always'): Message;
  /** A message of the pool; null when none is free or somebody waits in acquire(). @throws AmpeError `shutdown_started` */
  get(strategy: 'poolOnly'): Message | null;
  get(strategy?: 'always' | 'poolOnly'): Message | null;
  /**
   * Waits for a message of the pool, first come, first served: what bounds a producer when peers do not read.
   * @param options `timeoutMs` 0: does not wait; undefined or Infinity: for ever
   * @throws (rejects) AmpeError `pool_empty` when the time is up, `shutdown_started`; `signal.reason`; RangeError for a negative or
   *   NaN timeout
   * @see docs/PROTOCOL.md section 5
   */
  acquire(options?: WaitOptions & { timeoutMs?: number | undefined }): Promise<Message>;
  /**
   * Gives a message back. null, undefined and moved messages are ignored.
   * @throws AmpeError `not_allowed` for another engine's message, which stays owned; TypeError for something else
   */
  put(message: Message | null | undefined): void;
  /** A new group. @throws AmpeError `shutdown_started` */
  create(): ChannelGroup;
  /**
   * Destroys a group: its channels are reset, what is unsent is dropped, a waiting receiver gets `shutdown_started`.
   * Resolves when its sockets are closed and its ports and paths are free. Twice is harmless.
   * @throws (rejects) AmpeError `not_allowed` for another engine's group
   * @see docs/PROTOCOL.md section 6
   */
  destroy(group: ChannelGroup): Promise<void>;
  /** What the engine has counted until now; after its end, what it had counted then. Costs some microseconds. */
  stats(): AmpeStats;
}

/** An acquire() that waits. */
class Acquire extends Wait<Message> implements PoolWaiter {
  readonly #engine: Engine;
  readonly #waits: Set<Acquire>;

  constructor(engine: Engine, waits: Set<Acquire>, options: WaitOptions & { timeoutMs?: number | undefined }) {
    super(options.timeoutMs, options);
    this.#engine = engine;
    this.#waits = waits;
    waits.add(this);
    engine.pool.wait(this);
    engine.waiting(1);
  }
  grant(frame: Frame): void {
    this.#waits.delete(this);
    this.resolve(Message._of(this.#engine.pool, frame));
  }
  protected onTimeout(): void {
    this.reject(poolEmpty());
  }
  protected onEnd(): void {
    if (this.#waits.delete(this)) this.#engine.pool.unwait(this);
    this.#engine.waiting(-1);
  }
}

const ampes = new WeakMap<Engine, AmpeOfEngine>();

/** @internal */
export class AmpeOfEngine implements Ampe {
  readonly #engine: Engine;
  readonly #waits = new Set<Acquire>();

  private constructor(engine: Engine) {
    this.#engine = engine;
    // First those who wait for messages: the engine gives back what is unsent, and nobody shall be handed that.
    engine.onClosed = () => {
      for (const wait of [...this.#waits]) wait.reject(shutdownStarted());
    };
  }
  /** The only one of this engine in this thread. */
  static of(engine: Engine): AmpeOfEngine {
    let ampe = ampes.get(engine);
    if (ampe === undefined) ampes.set(engine, (ampe = new AmpeOfEngine(engine)));
    return ampe;
  }

  get(strategy?: 'always'): Message;
  get(strategy: 'poolOnly'): Message | null;
  get(strategy: 'always' | 'poolOnly' = 'always'): Message | null {
    const engine = this.#engine;
    if ((strategy !== 'always' && strategy !== 'poolOnly') || engine.closed) throw refuseToGet(strategy);
    const { pool } = engine;
    const frame = pool.take() ?? this.#takeScarce(strategy);
    return frame === null ? null : Message._of(pool, frame);
  }
  #takeScarce(strategy: 'always' | 'poolOnly'): Frame | null {
    const always = strategy === 'always';
    const { pool } = this.#engine;
    this.#engine.reclaim(!always); // what leaves now need not be waited for
    return pool.take() ?? (always ? pool.takeAlways() : null);
  }

  acquire(given?: (WaitOptions & { timeoutMs?: number | undefined }) | null): Promise<Message> {
    const options = given ?? {};
    const refused = refuseWait(options.timeoutMs, options);
    // An abort rejects with signal.reason, which may be anything.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    if (refused !== null) return Promise.reject(refused.error);
    if (this.#engine.closed) return Promise.reject(shutdownStarted());
    const message = this.get('poolOnly');
    if (message !== null) return Promise.resolve(message);
    // The look may have brought the news; nobody tells it twice.
    if (this.#engine.closed) return Promise.reject(shutdownStarted());
    if (options.timeoutMs === 0) return Promise.reject(poolEmpty());
    return new Acquire(this.#engine, this.#waits, options).promise;
  }

  put(message: Message | null | undefined): void {
    if (message instanceof Message && message._pool === this.#engine.pool) message[Symbol.dispose]();
    else refuseToPut(message);
  }

  create(): ChannelGroup {
    if (this.#engine.closed) throw shutdownStarted();
    return new ChannelGroupOfEngine(this.#engine);
  }

  async destroy(group: ChannelGroup): Promise<void> {
    if (!(group instanceof ChannelGroupOfEngine)) throw invalidArgument('group', 'a ChannelGroup', group);
    if (group._engine !== this.#engine) {
      throw new AmpeError(AmpeStatus.NotAllowed, 'not_allowed: the group belongs to another engine');
    }
    await group._destroy();
  }

  stats(): AmpeStats {
    const { pool } = this.#engine;
    this.#engine.reclaim(true); // so that poolFree is of now
    const counters = this.#engine.counters();
    const own = this.#engine.ownCounters();
    return {
      poolFree: pool.free,
      poolTotal: pool.total,
      channels: counters.channels,
      listeners: counters.listeners,
      groups: counters.groups,
      messagesIn: BigInt(counters.messagesIn),
      messagesOut: BigInt(counters.messagesOut),
      bytesIn: BigInt(counters.bytesIn),
      bytesOut: BigInt(counters.bytesOut),
      poolEmptyEpisodes: BigInt(counters.poolEmptyEpisodes),
      protocolViolations: BigInt(counters.protocolViolations),
      acceptFailures: BigInt(counters.acceptFailures),
      ...(own === null ? {} : { native: nativeStats(own) }),
      ...(pool.debugging ? { unreturned: pool.outstanding() } : {}),
    };
  }

  /** @internal */
  _destroy(): Promise<void> {
    return this.#engine.destroy();
  }
}

const NATIVE_STATS = [
  'doorbells',
  'wakes',
  'inlineSends',
  'queuedRuns',
  'queuedBlocks',
  'sendCalls',
  'readCalls',
  'turns',
  'spins',
  'spinHits',
  'parks',
  'drives',
  'waits',
  'waitHits',
  'batches',
  'batchedEvents',
] as const satisfies readonly (keyof NativeStats)[];
function nativeStats(counters: ReadonlyMap<string, number>): NativeStats {
  const entries = NATIVE_STATS.map((name) => [name, BigInt(counters.get(name) ?? 0)] as const);
  return Object.fromEntries(entries) as unknown as NativeStats;
}
function refuseToGet(strategy: unknown): Error {
  if (strategy === 'always' || strategy === 'poolOnly') return shutdownStarted();
  return invalidArgument('strategy', "'always' or 'poolOnly'", strategy);
}
/** What put() does with anything but a message of its own engine. */
function refuseToPut(message: Message | null | undefined): void {
  if (message === null || message === undefined) return;
  if (!(message instanceof Message)) throw invalidArgument('message', 'a Message', message);
  if (message.owned) throw new AmpeError(AmpeStatus.NotAllowed, 'not_allowed: the message belongs to another engine');
}
function poolEmpty(): AmpeError {
  return new AmpeError(AmpeStatus.PoolEmpty, 'pool_empty: no message was returned in time');
}
