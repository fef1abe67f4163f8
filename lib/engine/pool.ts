// pool.ts: the messages of one thread: who may have one, and where its bytes lie.
// Two books, kept apart. Credits: how many messages are out, against maxPoolMsgs and the reserves of the groups.
// Slots: memory, in slabs of small slots; a slot whose message outgrew it keeps the larger memory for the next one.
// A received message has a credit and no slot (it views the chunk it arrived in); a returned one may have a slot and
// no credit. Thread: the one that made it. Knows neither sockets nor Message.
// Invariant: general() <= maxPoolMsgs unless the caller insisted (`always`); each reserve lends at most one credit.
import { HEADER_BYTES } from '../protocol/constants';
import { Frame, looseFrame, NO_SLOT, type Reader } from './frame';
import { Queue } from './queue';

/** Room for body and text headers in a slot: small messages lie close together, which the cache rewards. */
const BODY_ROOM = 1024;
const HEADERS_ROOM = 304;
const BODY_AT = HEADER_BYTES;
const HEADERS_AT = BODY_AT + BODY_ROOM;
/** Distance of two slots: an odd number of cache lines, so that neighbours use different sets. */
const SLOT_BYTES = HEADERS_AT + HEADERS_ROOM;
const SLOTS_PER_SLAB = 64;
/** What one channel's unsent answers may hold however few messages are free: sides whose pools are full must not wait for each other. */
const LEAST_SHARE = 1 / 64;
/** What debug mode writes over the bytes of a returned message: easy to recognise in a dump. */
const POISON = 0xdb;

/** One acquire() that waits. */
export interface PoolWaiter {
  grant(frame: Frame): void;
}

export class Pool {
  /** Called when somebody begins to wait for a credit. For engines that learn late what was sent. */
  onWanted: (() => void) | null = null;
  readonly #free: Frame[] = [];
  readonly #lent = new Queue<Reader>();
  readonly #starved = new Queue<Reader>();
  readonly #waiters = new Queue<PoolWaiter>();
  readonly #holders = new Set<Reader>();
  readonly #debug: Map<Frame, string> | null;
  #slots = 0;
  #out = 0; // credits out, those of reserves included
  #total: number; // messages the pool holds: free and out
  #calm = true; // nobody waits and no reserve is lent: credits are numbers only

  constructor(
    initial: number,
    readonly max: number,
    debug = false,
  ) {
    this.#total = initial;
    this.#debug = debug ? new Map() : null;
    while (this.#slots < initial) this.#addSlab(initial);
  }

  get total(): number {
    return this.#total;
  }
  get free(): number {
    return this.#total - this.#general();
  }

  /** A message for the application, or null when none is free or somebody waits for one. */
  take(): Frame | null {
    if (!this.takeQuickly()) {
      if (!this.hasRoom) return null;
      this.#countOut();
    }
    const frame = this.#storage();
    frame.counted = true;
    return frame;
  }
  /** A message for the application, past the bound when need be. */
  takeAlways(): Frame {
    return this.#handOut(this.#storage());
  }
  wait(waiter: PoolWaiter): void {
    this.#waiters.push(waiter);
    this.#calm = false;
    this.onWanted?.();
  }
  unwait(waiter: PoolWaiter): void {
    this.#waiters.remove(waiter);
    this.#noteCalm();
  }

  /** Takes a credit if it needs no thought: nobody waits and no reserve is lent. False: the other ways know. */
  takeQuickly(): boolean {
    if (!this.#calm || this.#out >= this.max) return false;
    if (++this.#out > this.#total) this.#total = this.#out;
    return true;
  }
  /** Whether one more may go out, and nobody has waited for it longer. */
  get hasRoom(): boolean {
    return this.#calm ? this.#out < this.max : this.#general() < this.max && this.#waiters.length === 0;
  }
  /** How many more may go out. */
  get left(): number {
    return Math.max(0, this.max - this.#general());
  }
  /** Whether a channel may have more unsent answers than its share: not before more messages are out than free. */
  get short(): boolean {
    return 2 * this.#out > this.max;
  }
  /** Whether so many unsent answers of one channel are too many: it may hold as many messages as it leaves to others. */
  exceedsShare(unsentAnswers: number): boolean {
    return unsentAnswers > Math.max(this.left, this.max * LEAST_SHARE, 1);
  }
  /** May `reader` be handed one more received message? Takes the credit; false: it is told by onCredit() later. */
  takeForReading(reader: Reader): boolean {
    if (this.hasRoom) {
      this.#countOut();
      return true;
    }
    if (reader.reserveLent) return false;
    reader.reserveLent = true;
    this.#lent.push(reader);
    this.#calm = false;
    this.#out++;
    return true;
  }
  /** Asks for onCredit() when a message is free for general reading. */
  starve(reader: Reader): void {
    this.#starved.push(reader);
    this.#calm = false;
    this.onWanted?.();
  }
  /** Asks for reconsider() with the next credits, whoever gets them. */
  addHolder(reader: Reader): void {
    this.#holders.add(reader);
    this.#calm = false;
    this.onWanted?.();
  }
  /** Whether a receiver has no message for what waits. */
  get starves(): boolean {
    return this.#starved.length > 0;
  }
  /** Whether somebody waits for a credit. */
  get wanted(): boolean {
    return this.#waiters.length > 0 || this.#starved.length > 0 || this.#holders.size > 0;
  }
  /** The reader's group is gone: its reserve is no longer kept. */
  forget(reader: Reader): void {
    this.#starved.remove(reader);
    this.#holders.delete(reader);
    if (this.#lent.remove(reader)) {
      reader.reserveLent = false;
      this.#grow();
    }
    this.#noteCalm();
  }

  /** The message is the engine's or the application's no more: credit and memory come back. */
  give(frame: Frame): void {
    const { counted, reader } = frame;
    this.release(frame);
    if (!counted) return;
    if (this.#calm && this.#total <= this.max) this.#out--;
    else this.settleFor(reader, 1);
  }
  /** The bytes are needed no more; the credit comes back by settle() or settleFor(). */
  release(frame: Frame): void {
    frame.counted = false;
    frame.countsUntilTaken = false;
    frame.reader = null;
    if (this.#debug !== null) this.#poison(frame);
    if (frame.slot !== NO_SLOT) {
      this.#free.push(frame);
      return;
    }
    frame.shared?.drop();
  }
  /** Credits of messages that were released before, and are sent now. */
  settle(count: number): void {
    if (this.#calm) {
      this.#out -= count;
      if (this.#total > this.max) this.#total = Math.max(this.max, this.#total - count);
      return;
    }
    this.settleFor(null, count);
  }
  /** The same for messages that were read by means of this reader's reserve. */
  settleFor(reader: Reader | null, count: number): void {
    for (; count > 0; count--) this.#credit(reader);
    if (this.#holders.size > 0) this.#tellHolders();
  }
  /** A message that comes back to the application no longer counts; its bytes stay where they are. */
  uncount(frame: Frame): void {
    if (!frame.counted) return;
    frame.counted = false;
    this.settleFor(null, 1);
  }
  /** A message that counts from now on: a posted one that the engine had made, or a received one. */
  count(frame: Frame): void {
    if (frame.counted) return;
    frame.counted = true;
    this.#countOut();
  }

  /** Debug mode: remembers where the application got the message. */
  note(frame: Frame): void {
    this.#debug?.set(frame, new Error().stack?.split('\n').slice(3, 6).join('\n') ?? '');
  }
  unnote(frame: Frame): void {
    this.#debug?.delete(frame);
  }
  get debugging(): boolean {
    return this.#debug !== null;
  }
  /** Debug mode: call sites of messages that are out, most frequent first. */
  outstanding(): { where: string; count: number }[] {
    const sites = new Map<string, number>();
    for (const where of this.#debug?.values() ?? []) sites.set(where, (sites.get(where) ?? 0) + 1);
    return [...sites].map(([where, count]) => ({ where, count })).sort((a, b) => b.count - a.count);
  }

  #general(): number {
    return this.#out - this.#lent.length;
  }
  #grow(): void {
    const general = this.#general();
    if (general > this.#total) this.#total = general;
  }
  #countOut(): void {
    this.#out++;
    if (!this.#calm) this.#grow();
    else if (this.#out > this.#total) this.#total = this.#out;
  }
  #handOut(frame: Frame): Frame {
    frame.counted = true;
    this.#countOut();
    return frame;
  }
  /**
   * A freed message goes to a lent reserve, then to the oldest acquire(), then to general reading. The reserve of the
   * group it was read for comes first: a group that hoards must not live on what another returns. Another group's
   * reserve is refilled only if there is room for the message it lent among the general ones.
   */
  #credit(from: Reader | null): void {
    this.#out--;
    if (this.#calm) {
      if (this.#total > this.max) this.#total--;
      return;
    }
    let reader: Reader | undefined;
    if (from?.reserveLent === true) this.#lent.remove((reader = from));
    else if (this.#general() < this.max) reader = this.#lent.shift();
    if (reader !== undefined) {
      reader.reserveLent = false;
      this.#starved.remove(reader);
      reader.onCredit();
    } else if (this.#total > this.max) this.#total--;
    while (this.#waiters.length > 0 && this.#general() < this.max) {
      this.#waiters.shift()!.grant(this.#handOut(this.#storage()));
    }
    for (let n = this.#starved.length; n > 0 && this.#general() < this.max; n--) this.#starved.shift()!.onCredit();
    this.#noteCalm();
  }
  #tellHolders(): void {
    const holders = [...this.#holders];
    this.#holders.clear();
    this.#noteCalm();
    for (const reader of holders) reader.reconsider();
  }
  #noteCalm(): void {
    this.#calm = this.#lent.length === 0 && !this.wanted;
  }
  #storage(): Frame {
    const frame = this.#free.pop() ?? this.#newStorage();
    frame.clear();
    return frame;
  }
  #newStorage(): Frame {
    if (this.#slots === this.max) return looseFrame();
    this.#addSlab(this.max);
    return this.#free.pop()!;
  }
  #addSlab(limit: number): void {
    const count = Math.min(SLOTS_PER_SLAB, limit - this.#slots);
    const slab = Buffer.alloc(count * SLOT_BYTES);
    for (let i = count - 1; i >= 0; i--) {
      const at = i * SLOT_BYTES;
      this.#free.push(new Frame(slab, at + HEADERS_AT, HEADERS_ROOM, at + BODY_AT, BODY_ROOM, this.#slots + i));
    }
    this.#slots += count;
  }
  #poison(frame: Frame): void {
    this.#debug!.delete(frame);
    frame.headers().fill(POISON);
    frame.body().fill(POISON);
  }
}
