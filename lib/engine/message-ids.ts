// message-ids.ts: the counters behind message_id 0. Each starts at 1 and wraps past 0.
// An engine of one thread counts in this thread; one that other threads use as well takes blocks from a common counter.
// Kept as two halves: a BigInt per message would cost more than the rest of post().
import { AT_ID_HIGH, AT_ID_LOW } from '../protocol/constants';
import { writeU32 } from '../protocol/header';

/** Where post() gets the next number. */
export interface MessageIds {
  /** Writes it into the header at `at`. */
  assign(memory: Buffer, at: number): void;
}

let high = 0;
let low = 0;

/** Writes the next number into the header at `at`. */
export function assignMessageId(memory: Buffer, at: number): void {
  low = (low + 1) >>> 0;
  if (low === 0) {
    high = (high + 1) >>> 0;
    if (high === 0) low = 1;
  }
  writeU32(memory, at + AT_ID_HIGH, high);
  writeU32(memory, at + AT_ID_LOW, low);
}

/** The counter of this thread, shared by its engines. */
export const threadIds: MessageIds = { assign: assignMessageId };

/** Numbers out of blocks that nobody else has. */
export class BlockIds implements MessageIds {
  #high = 0;
  #low = 0;
  #left = 0;
  readonly #block = new Uint32Array(3);
  readonly #take: (block: Uint32Array) => void;

  /** @param take fills in the first number's high and low half and how many there are; 0 is never among them */
  constructor(take: (block: Uint32Array) => void) {
    this.#take = take;
  }

  assign(memory: Buffer, at: number): void {
    if (this.#left === 0) {
      this.#take(this.#block);
      [this.#high, this.#low, this.#left] = this.#block;
    }
    writeU32(memory, at + AT_ID_HIGH, this.#high);
    writeU32(memory, at + AT_ID_LOW, this.#low);
    this.#left--;
    this.#low = (this.#low + 1) >>> 0;
    if (this.#low === 0) this.#high = (this.#high + 1) >>> 0;
  }
}

/** For tests of the wrap: the next number is the one behind this. @internal */
export function setLastMessageId(lastHigh: number, lastLow: number): void {
  high = lastHigh >>> 0;
  low = lastLow >>> 0;
}
