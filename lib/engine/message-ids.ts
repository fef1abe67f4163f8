// message-ids.ts: the counters behind message_id 0. Each starts at 1 and wraps past 0.
// An engine of one thread counts in this thread; one that other threads use as well takes blocks from a common counter.
// A number is two halves for the frame and a BigInt for the header that post() returns. Both come from the same memory, which has had it
// since the number before was given: to read as one what was written as two halves just now makes the processor wait.
import { HIGH_HALF, LOW_HALF } from '../protocol/header';

/** What a number is given to. The halves are signed. */
export interface Numbered {
  idHigh: number;
  idLow: number;
}

/** Where post() gets the next number. */
export interface MessageIds {
  /** Gives `to` the next number, and returns it. */
  assign(to: Numbered): bigint;
}

/** Counts from 1 on. */
export class IdCounter implements MessageIds {
  readonly #halves = new Int32Array(2);
  readonly #whole = new BigUint64Array(this.#halves.buffer);

  constructor() {
    this.setNext(0, 1);
  }

  setNext(high: number, low: number): void {
    this.#halves[HIGH_HALF] = high;
    this.#halves[LOW_HALF] = low;
  }
  assign(to: Numbered): bigint {
    const halves = this.#halves;
    const id = this.#whole[0];
    to.idHigh = halves[HIGH_HALF];
    to.idLow = halves[LOW_HALF];
    if (++halves[LOW_HALF] === 0 && ++halves[HIGH_HALF] === 0) halves[LOW_HALF] = 1;
    return id;
  }
}

/** The counter of this thread, shared by its engines. */
export const threadIds = new IdCounter();

/** Numbers out of blocks that nobody else has. */
export class BlockIds implements MessageIds {
  readonly #counter = new IdCounter();
  #left = 0;
  readonly #block = new Uint32Array(3);
  readonly #take: (block: Uint32Array) => void;

  /** @param take fills in the first number's high and low half and how many there are; 0 is never among them */
  constructor(take: (block: Uint32Array) => void) {
    this.#take = take;
  }

  assign(to: Numbered): bigint {
    if (this.#left === 0) this.#refill();
    this.#left--;
    return this.#counter.assign(to);
  }
  #refill(): void {
    this.#take(this.#block);
    this.#counter.setNext(this.#block[0], this.#block[1]);
    this.#left = this.#block[2];
  }
}
