// pool.ts: the messages of one thread: who may have one, and where its bytes lie.
// Two books, kept apart. Credits: how many messages are out, against maxPoolMsgs and the reserves of the groups.
// Slots: memory, in slabs of full-size slots whose pages the operating system provides when they are first touched.
// A received message has a credit and no slot (it views the chunk it arrived in); a returned one may have a slot and
// no credit. Thread: the one that made it. Knows neither sockets nor Message.
// Invariant: general() <= maxPoolMsgs unless the caller insisted (`always`); each reserve lends at most one credit.
import { HEADER_BYTES, MAX_BODY_BYTES, MAX_TEXT_HEADERS_BYTES } from '../protocol/constants';
import { Frame, looseFrame, NO_SLOT } from './frame';
import { Queue } from './queue';

/** Distance of two slots. Not a multiple of a page, so that the headers of neighbours do not compete for one cache set. */
const SLOT_BYTES = 131136;
const BODY_AT = HEADER_BYTES;
const HEADERS_AT = BODY_AT + MAX_BODY_BYTES + 1;
/** 8 MiB of address space at a time: a small user never reserves more. */
const SLOTS_PER_SLAB = 64;
/** What debug mode writes over the bytes of a returned message: easy to recognise in a dump. */
const POISON = 0xdb;

/** A group as the pool sees it: it has one reserve credit and wants to know when it may read on. */
export interface Reader {
  /** Whether its reserve is lent out. Only the pool writes it. */
  reserveLent: boolean;
  /** A message may be free for it now. */
  onCredit(): void;
}

/** One acquire() that waits. */
export interface PoolWaiter {
  grant(frame: Frame): void;
}

export class Pool {
  readonly #free: Frame[] = [];
  readonly #lent = new Queue<Reader>();
  readonly #starved = new Queue<Reader>();
  readonly #waiters = new Queue<PoolWaiter>();
  readonly #debug: Map<Frame, string> | null;
  #slots = 0;
  #out = 0; // credits out, those of reserves included
  #total: number; // messages the pool holds: free and out

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
    if (this.#general() >= this.max || this.#waiters.length > 0) return null;
    return this.#out_(this.#storage());
  }
  /** A message for the application, past the bound when need be. */
  takeAlways(): Frame {
    return this.#out_(this.#storage());
  }
  wait(waiter: PoolWaiter): void {
    this.#waiters.push(waiter);
  }
  unwait(waiter: PoolWaiter): void {
    this.#waiters.remove(waiter);
  }

  /** May `reader` be handed one more received message? Takes the credit; false: it is told by onCredit() later. */
  takeForReading(reader: Reader): boolean {
    if (this.#general() < this.max && this.#waiters.length === 0) {
      this.#out++;
      this.#grow();
      return true;
    }
    if (!reader.reserveLent) {
      reader.reserveLent = true;
      this.#lent.push(reader);
      this.#out++;
      return true;
    }
    return false;
  }
  /** Asks for onCredit() when a message is free for general reading. */
  starve(reader: Reader): void {
    this.#starved.push(reader);
  }
  /** The reader's group is gone: its reserve is no longer kept. */
  forget(reader: Reader): void {
    this.#starved.remove(reader);
    if (this.#lent.remove(reader)) {
      reader.reserveLent = false;
      this.#grow();
    }
  }

  /** The message is the engine's or the application's no more: credit and memory come back. */
  give(frame: Frame): void {
    const counted = frame.counted;
    frame.counted = false;
    if (this.#debug !== null) this.#poison(frame);
    if (frame.slot !== NO_SLOT) this.#free.push(frame);
    if (counted) this.#credit();
  }
  /** A message that comes back to the application no longer counts; its bytes stay where they are. */
  uncount(frame: Frame): void {
    if (!frame.counted) return;
    frame.counted = false;
    this.#credit();
  }
  /** A message that counts from now on: a posted one that the engine had made, or a received one. */
  count(frame: Frame): void {
    if (frame.counted) return;
    frame.counted = true;
    this.#out++;
    this.#grow();
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
  #out_(frame: Frame): Frame {
    frame.counted = true;
    this.#out++;
    this.#grow();
    return frame;
  }
  /** A freed message goes to a lent reserve, then to the oldest acquire(), then to general reading. */
  #credit(): void {
    this.#out--;
    const reader = this.#lent.shift();
    if (reader !== undefined) {
      reader.reserveLent = false;
      this.#starved.remove(reader);
      reader.onCredit();
    } else if (this.#total > this.max) this.#total--;
    while (this.#waiters.length > 0 && this.#general() < this.max) {
      this.#waiters.shift()!.grant(this.#out_(this.#storage()));
    }
    for (let n = this.#starved.length; n > 0 && this.#general() < this.max; n--) this.#starved.shift()!.onCredit();
  }
  #storage(): Frame {
    if (this.#free.length === 0 && this.#slots < this.max) this.#addSlab(this.max);
    const frame = this.#free.pop() ?? looseFrame();
    if (frame.slot !== NO_SLOT) frame.clear();
    return frame;
  }
  #addSlab(limit: number): void {
    const count = Math.min(SLOTS_PER_SLAB, limit - this.#slots);
    const slab = Buffer.from(new ArrayBuffer(count * SLOT_BYTES));
    for (let i = count - 1; i >= 0; i--) {
      const at = i * SLOT_BYTES;
      const slot = this.#slots + i;
      this.#free.push(new Frame(slab, at, at + HEADERS_AT, MAX_TEXT_HEADERS_BYTES, at + BODY_AT, MAX_BODY_BYTES, slot));
    }
    this.#slots += count;
  }
  #poison(frame: Frame): void {
    this.#debug!.delete(frame);
    frame.headersMemory.fill(POISON, frame.headersAt, frame.headersAt + frame.headersLength);
    frame.bodyMemory.fill(POISON, frame.bodyAt, frame.bodyAt + frame.bodyLength);
  }
}
