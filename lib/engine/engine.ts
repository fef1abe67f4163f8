// engine.ts: the narrow waist. Public classes stand above, engines below, and neither knows more of the other than this.
// Messages pass as frames: places of bytes, no promises, no events per message. An engine collects posted frames and
// hands them on in batches (`flush`), and has received ones ready in batches of its own behind `take`.
// Thread: everything here is called on one thread, that which created the engine or attached to it. An engine that several
// threads use has an object of this kind in each of them.
import type { AmpeStatus } from '../protocol/status';
import type { Frame } from './frame';
import type { MessageIds } from './message-ids';
import type { Pool } from './pool';

/** Totals since the engine was made; the pool keeps its own. */
export interface EngineCounters {
  channels: number;
  listeners: number;
  groups: number;
  messagesIn: number;
  messagesOut: number;
  bytesIn: number;
  bytesOut: number;
  poolEmptyEpisodes: number;
  protocolViolations: number;
  acceptFailures: number;
}

/** What an engine tells the group of the public side. Both may come during any call of the engine's. */
export interface GroupEvents {
  /** take() may have something, and its last answer was null. */
  onReadable(): void;
  /** The group is closed, by whomever. Once. */
  onClosed(): void;
}

export interface Engine {
  readonly backend: 'native' | 'fallback';
  readonly backendReason: string;
  readonly pool: Pool;
  readonly ids: MessageIds;
  readonly closed: boolean;
  /** What only an engine with a thread of its own can do; null: it cannot. */
  readonly threads: EngineThreads | null;
  /** Called once when the engine is closed, also when that comes from elsewhere. */
  onClosed: (() => void) | null;
  /** @throws AmpeError `shutdown_started` when the engine has gone meanwhile */
  openGroup(events: GroupEvents): EngineGroup;
  /** Hands all posted frames to the sockets now instead of at the end of the tick. */
  flush(): void;
  /** Brings back the credits of what was sent. Urgent: sends what is posted first, for no other credit is in sight. */
  reclaim(urgent: boolean): void;
  counters(): EngineCounters;
  /** Counters of this kind of engine only; null: it has none. */
  ownCounters(): ReadonlyMap<string, number> | null;
  /**
   * Somebody begins (+1) or ends (-1) to wait for a free message. With +1 everything posted is sent; the wait must be ready to
   * be settled before this returns.
   */
  waiting(change: 1 | -1): void;
  /** Whether what goes on in it holds the process. */
  readonly referenced: boolean;
  setReferenced(referenced: boolean): void;
  /** Closes all groups; resolves when every socket is closed. Never waits for a name resolution. Idempotent. */
  destroy(): Promise<void>;
}

/** The side of a group that posts: all that threads have of it that do not own it. */
export interface PostingGroup {
  readonly id: number;
  readonly closed: boolean;
  /** A number for a Hello (false) or Welcome (true) that is about to be posted; 0: none left. */
  openChannel(listener: boolean): number;
  /**
   * Whether nothing is to be refused to that channel, by a quick look; where it says no, refuse() knows.
   * @param generation as of refuse()
   */
  isOpen(channel: number, generation: number): boolean;
  /**
   * Whether a post to that channel is to be refused, and why.
   * @param generation which life of the number the message was received in; 0: none
   */
  refuse(channel: number, generation: number, opCode: number): AmpeStatus;
  /**
   * Takes a frame that was checked just now, by openChannel() or refuse(); never fails. What becomes of it arrives through take()
   * of the owner.
   */
  post(frame: Frame, channel: number, opCode: number): void;
  /** Puts a frame of the application's own into the receive queue. */
  update(frame: Frame): void;
}

/** A group in the thread that owns it. */
export interface EngineGroup extends PostingGroup {
  /** The next frame for the application, which counts against the pool if it came from a peer; null: nothing now. */
  take(): Frame | null;
  /** A receiver begins (+1) or ends (-1) to wait: as Engine.waiting(). */
  waiting(change: 1 | -1): void;
  /** Other threads may post from now on. Only where the engine has `threads`. */
  share(): void;
  /** Closes it; resolves when its sockets are closed and ports and paths are free. Idempotent. */
  destroy(): Promise<void>;
}

/** What an engine with a thread of its own can do besides. */
export interface EngineThreads {
  /** A plain object that attaches another thread. */
  shareEngine(): object;
  /** A plain object that stands for one of the engine's groups in another thread. */
  shareGroup(group: EngineGroup): object;
  /**
   * Blocks the thread until take() may have something.
   * @param timeoutMs Infinity: as long as it takes
   */
  waitSync(timeoutMs: number): void;
}
