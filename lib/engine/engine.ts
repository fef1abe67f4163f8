// engine.ts: the narrow waist. Public classes stand above, engines below, and neither knows more of the other than this.
// Messages pass as frames: places of bytes, no promises, no events per message. An engine collects posted frames and
// hands them on in batches (`flush`), and has received ones ready in batches of its own behind `take`.
// Thread: everything here is called on the thread that created the engine.
import type { ChannelTable } from './channel-table';
import type { Frame } from './frame';
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

export interface Engine {
  readonly backend: 'native' | 'fallback';
  readonly backendReason: string;
  readonly pool: Pool;
  /** Read by post(); written by the engine. */
  readonly channels: ChannelTable;
  readonly closed: boolean;
  /** `onReadable` is called when take() may have something for a group whose last take() gave null. */
  openGroup(onReadable: () => void): EngineGroup;
  /** Hands all posted frames to the sockets now instead of at the end of the tick. */
  flush(): void;
  counters(): EngineCounters;
  /** A receiver or acquire() begins (+1) or ends (-1) to wait. */
  waiting(change: 1 | -1): void;
  setReferenced(referenced: boolean): void;
  /** Resolves when every socket is closed. Never waits for a name resolution. Idempotent. */
  destroy(): Promise<void>;
}

export interface EngineGroup {
  readonly id: number;
  readonly closed: boolean;
  /** A number for a Hello (false) or Welcome (true) that is about to be posted; 0: none left. */
  openChannel(listener: boolean): number;
  /** Takes a checked frame; never fails. What becomes of it arrives through take(). */
  post(frame: Frame): void;
  /** Puts a frame of the application's own into the receive queue. */
  update(frame: Frame): void;
  /** The next frame for the application, which counts against the pool if it came from a peer; null: nothing now. */
  take(): Frame | null;
  /** Resolves when its sockets are closed and ports and paths are free. Idempotent. */
  destroy(): Promise<void>;
}
