// channel.ts: what a thread knows of one channel or listener of its own groups: received frames that nobody has taken yet, and
// how far its end has come. The socket and the state machine are the engine thread's.
// Owner: the engine object until the engine's thread has told the last of it, then its group until the last word is taken.
// Invariant: the end is acknowledged after the last received frame was taken, and posts behind the acknowledgement wait here.
import { ORIGIN_BIT } from '../protocol/constants';
import { OpCode } from '../protocol/op-code';
import type { AmpeStatus } from '../protocol/status';
import type { Frame } from '../engine/frame';
import type { MailSource } from '../engine/mailbox';
import { ListNode } from '../engine/node-list';
import type { Pool } from '../engine/pool';
import { Queue } from '../engine/queue';
import type { NativeGroup } from './group';
import type { Tally } from './inbox';
import { placeBytes } from './host-frame';
import type { Slab } from './slab';

/** Taken bytes that are acknowledged together: half of what the engine's thread sends ahead for a channel. */
const ACKNOWLEDGE_BYTES = 32 * 1024;

/** Whole frames side by side in a slab. */
interface Run {
  readonly slab: Slab;
  at: number;
  frames: number;
  next: Run | null;
}

/** What a channel may ask of the engine. */
export interface EngineOfChannel {
  readonly pool: Pool;
  /** Where received frames that the application is given are counted. */
  readonly delivered: Tally;
  /** The receiver has taken that many bytes more. */
  acknowledge(channel: NativeChannel, bytes: number): void;
  /** Everything received is taken: what is unsent may come back. */
  acknowledgeEnd(channel: NativeChannel): void;
  lastWord(channel: NativeChannel): Frame;
  unsentAnswers(channel: NativeChannel): number;
}

export class NativeChannel extends ListNode implements MailSource {
  told = false;
  /** The mailbox need not look: onLast() tells it. */
  readonly ended = false;
  /** Its end is acknowledged: what is posted now stays in this thread. */
  acknowledged = false;
  /** What the system said when it ended, an errno name, or ''. */
  errorCode = '';
  readonly #engine: EngineOfChannel;
  readonly #delivered: Tally;
  #first: Run | null = null;
  #newest: Run | null = null;
  #taken = 0; // bytes taken and not acknowledged
  #over = false; // no more frames will come
  #late: Queue<Frame> | null = null;
  #lateStatus: AmpeStatus = 0;

  /** The two halves of the id are those of the message that opened the channel. */
  constructor(
    engine: EngineOfChannel,
    readonly group: NativeGroup,
    readonly channel: number,
    readonly generation: number,
    readonly idHigh: number,
    readonly idLow: number,
  ) {
    super();
    this.#engine = engine;
    this.#delivered = engine.delivered;
  }

  // ── what the engine's thread tells ──

  onFrames(slab: Slab, at: number, frames: number): void {
    slab.live += frames;
    const run: Run = { slab, at, frames, next: null };
    if (this.#first === null) {
      this.#first = this.#newest = run;
      this.group.mailbox.addReady(this);
    } else this.#newest = this.#newest!.next = run;
  }
  onEnded(): void {
    this.#over = true;
    if (this.#first === null) this.#acknowledgeEnd();
  }
  onLast(status: AmpeStatus, errorCode: string): void {
    this.#lateStatus = status;
    this.errorCode = errorCode;
    this.group.mailbox.addTail(this);
  }

  // ── the mailbox takes ──

  takeFrame(): Frame {
    const run = this.#first!;
    const frame = run.slab.frameAt(run.at);
    frame.generation = this.generation;
    const length = frame.byteLength;
    run.at += placeBytes(length);
    const delivered = this.#delivered;
    delivered.frames++;
    delivered.bytes += length;
    this.#taken += length;
    if (this.#taken >= ACKNOWLEDGE_BYTES) this.#acknowledgeTaken();
    if (--run.frames === 0) this.#endRun(run);
    return frame;
  }
  #endRun(run: Run): void {
    this.#first = run.next;
    if (run.next === null && this.#over) this.#acknowledgeEnd();
  }
  #acknowledgeTaken(): void {
    const taken = this.#taken;
    this.#taken = 0;
    this.#engine.acknowledge(this, taken);
  }
  hasFrames(): boolean {
    return this.#first !== null;
  }
  unsentAnswers(): number {
    return this.#engine.unsentAnswers(this);
  }
  takeTail(): Frame {
    const frame = this.#late?.shift();
    if (frame === undefined) {
      this.told = true;
      return this.#engine.lastWord(this);
    }
    frame.errorCode = this.errorCode;
    frame.flags |= ORIGIN_BIT;
    frame.status = this.#lateStatus;
    frame.generation = this.generation;
    this.#engine.pool.uncount(frame);
    return frame;
  }

  // ── the end ──

  /** A post behind the acknowledgement: it comes back before the last word. */
  postLate(frame: Frame, opCode: number): void {
    if (opCode === OpCode.ByeSignal) this.#engine.pool.give(frame);
    else (this.#late ??= new Queue<Frame>()).push(frame);
  }
  /** The group is gone: nothing of this is wanted any more. */
  clear(): void {
    for (let run = this.#first; run !== null; run = run.next) {
      for (; run.frames > 0; run.frames--) run.slab.drop();
    }
    this.#first = this.#newest = null;
    for (let frame = this.#late?.shift(); frame !== undefined; frame = this.#late?.shift()) {
      this.#engine.pool.give(frame);
    }
  }
  #acknowledgeEnd(): void {
    this.acknowledged = true;
    this.#engine.acknowledgeEnd(this);
  }
}
