// mailbox.ts: one group's receive queue. Two lines stand before it: mail (statuses, messages that came back, the
// application's own updates, the ends of channels), which needs no pool message, and channels with received frames,
// which do. They are served in turn, so that neither can starve the other, and channels with frames in turn as well.
// A channel whose peer sends and does not read what it is answered is held back before its answers take every message.
// Knows nothing of sockets and threads: what an engine does differently is behind MailSource and MailboxHost.
// Invariant: the last word of a channel is given out after everything else of it; a frame only with a credit.
import { Frame, type Reader } from './frame';
import type { Pool } from './pool';
import { Queue } from './queue';

/** A channel as the mailbox sees it. */
export interface MailSource {
  /** The next received frame; the caller has a credit for it. */
  takeFrame(): Frame;
  /** Whether takeFrame() has more. Asked after each frame: this is where the channel starts to read again. */
  hasFrames(): boolean;
  /** Messages that were received from it, were posted to it, and may still be sent. */
  unsentAnswers(): number;
  /** What is to be told at the end of the channel, in order. */
  takeTail(): Frame;
  /** Whether the channel is over: its tail follows its last frame. */
  readonly ended: boolean;
  /** Whether takeTail() has given the last word. */
  readonly told: boolean;
}

/** The engine as the mailbox sees it. */
export interface MailboxHost {
  /** Brings back the credits of what has left, or can leave now. */
  reclaim(urgent: boolean): void;
  /**
   * A receiver has no message for what waits. Messages that can never be sent stop counting, now and while that lasts: they come back
   * behind what waits, and if they still counted, neither would ever come.
   */
  reclaimUnsendable(): void;
  /** Fetches what has arrived and is not in the mailboxes yet. False: there is nothing. */
  refill(): boolean;
  makePoolEmpty(group: number): Frame;
}

/** Frames taken from one channel before the next one has its turn. */
const FRAMES_PER_TURN = 64;
/** Frames taken from one channel between two looks at its unsent answers, while messages are short. */
const FRAMES_PER_LOOK = 8;

export class Mailbox implements Reader {
  reserveLent = false;
  readonly #pool: Pool;
  readonly #onReadable: () => void;
  readonly #engine: MailboxHost;
  readonly #mail = new Queue<Frame | MailSource>();
  readonly #ready = new Queue<MailSource>();
  /** With frames, and more unsent answers than their share when they were looked at. */
  readonly #held = new Queue<MailSource>();
  #turn = 0; // frames taken from the channel whose turn it is
  #mailTurn = true;
  #starving = false;
  #episode = false; // pool_empty was told and no frame has been delivered since
  #taking = false; // take() looks for a frame: what arrives meanwhile it finds by itself

  constructor(
    pool: Pool,
    readonly group: number,
    engine: MailboxHost,
    onReadable: () => void,
  ) {
    this.#pool = pool;
    this.#onReadable = onReadable;
    this.#engine = engine;
  }

  /** A frame that needs no pool message. */
  addMail(frame: Frame): void {
    this.#mail.push(frame);
    this.#tellReadable();
  }
  /** The channel has ended and its frames are taken: its tail is next. */
  addTail(source: MailSource): void {
    this.#mail.push(source);
    this.#tellReadable();
  }
  /** The channel has frames now and had none before. */
  addReady(source: MailSource): void {
    this.#ready.push(source);
    this.#tellReadable();
  }
  onCredit(): void {
    this.#starving = false;
    this.#tellReadable();
  }
  /** A channel has fewer unsent answers, although no message has become free. */
  reconsider(): void {
    if (this.#held.length > 0) this.#tellReadable();
  }

  /** The next frame in turn; null: nothing now. */
  take(): Frame | null {
    // A receiver that is told while it is being served would be served twice, and one of the frames be lost.
    this.#taking = true;
    // Nearly always there are frames and nothing else, and a message is free.
    const quick = this.#mail.length === 0 && this.#ready.length > 0 && !this.#pool.short && this.#pool.takeQuickly();
    const frame = quick ? this.#takeFrame() : this.#next();
    this.#taking = false;
    return frame;
  }
  #tellReadable(): void {
    if (!this.#taking) this.#onReadable();
  }
  #next(): Frame | null {
    for (;;) {
      const mailFirst = this.#mailTurn || !this.#hasFrames;
      if (mailFirst && this.#mail.length > 0) {
        this.#mailTurn = false;
        return this.#takeMail();
      }
      this.#mailTurn = true;
      if (this.#hasFrames) {
        const frame = this.#takeReady();
        if (frame !== null) return frame;
      }
      if (this.#mail.length > 0 || this.#engine.refill()) continue;
      if (this.#held.length > 0) this.#pool.addHolder(this);
      const short = this.#ready.length > 0 || (this.#held.length > 0 && !this.#pool.hasRoom);
      return short ? this.#tellPoolEmpty() : null;
    }
  }
  get #hasFrames(): boolean {
    return this.#ready.length > 0 || this.#held.length > 0;
  }

  /** The group is gone: every frame that waits goes back. */
  clear(): void {
    for (let item = this.#mail.shift(); item !== undefined; item = this.#mail.shift()) {
      if (item instanceof Frame) this.#pool.give(item);
    }
    this.#ready.clear();
    this.#held.clear();
    this.#pool.forget(this);
  }

  #takeMail(): Frame {
    const item = this.#mail.at(0)!;
    if (item instanceof Frame) {
      this.#mail.shift();
      if (item.countsUntilTaken) {
        item.countsUntilTaken = false;
        this.#pool.uncount(item);
      }
      return item;
    }
    const frame = item.takeTail();
    if (item.told) this.#mail.shift();
    return frame;
  }
  #takeReady(): Frame | null {
    if (this.#mayTake()) return this.#takeFrame();
    this.#engine.reclaim(true); // what leaves now need not be waited for
    if (this.#mayTake()) return this.#takeFrame();
    if (this.#ready.length === 0) return null;
    this.#engine.reclaimUnsendable();
    return this.#mayTake() ? this.#takeFrame() : null;
  }
  /** The end of the engine may have come with what was reclaimed, and everything is gone then. */
  #mayTake(): boolean {
    return this.#choose() && this.#pool.takeForReading(this);
  }
  /** Sees to it that the first channel may have a message. False: there is none. */
  #choose(): boolean {
    const ready = this.#ready;
    if (this.#turn % FRAMES_PER_LOOK === 0 || this.#pool.left < FRAMES_PER_LOOK) {
      while (ready.length > 0 && this.#exceedsShare(ready.first!)) {
        this.#turn = 0;
        this.#held.push(ready.shift()!);
      }
    }
    if (ready.length === 0) for (let n = this.#held.length; n > 0; n--) this.#lookAtHeld();
    return ready.length > 0;
  }
  #lookAtHeld(): void {
    const source = this.#held.shift();
    if (source !== undefined) (this.#exceedsShare(source) ? this.#held : this.#ready).push(source);
  }
  #exceedsShare(source: MailSource): boolean {
    return this.#pool.short && this.#pool.exceedsShare(source.unsentAnswers());
  }
  /** The next frame of the channel whose turn it is; the credit for it is taken. */
  #takeFrame(): Frame {
    const source = this.#ready.first!;
    const frame = source.takeFrame();
    frame.counted = true;
    frame.reader = this;
    this.#episode = false;
    this.#mailTurn = true;
    const more = source.hasFrames();
    if (!more || ++this.#turn >= FRAMES_PER_TURN) this.#endTurn(source, more);
    return frame;
  }
  #endTurn(source: MailSource, more: boolean): void {
    this.#turn = 0;
    this.#ready.shift();
    this.#lookAtHeld();
    if (more) this.#ready.push(source);
    // Not addTail(): a receiver that waits is being served with the last frame.
    else if (source.ended) this.#mail.push(source);
  }
  #tellPoolEmpty(): Frame | null {
    if (!this.#starving) {
      this.#starving = true;
      this.#pool.starve(this);
    }
    if (this.#episode) return null;
    this.#episode = true;
    return this.#engine.makePoolEmpty(this.group);
  }
}
