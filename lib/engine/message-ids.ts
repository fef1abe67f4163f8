// message-ids.ts: the counters behind message_id 0. Each starts at 1 and wraps past 0.
// An engine of one thread counts in this thread; one that other threads use as well takes blocks from a common counter.
// Kept as two halves: a BigInt per message would cost more than the rest of post().

/** What a number is given to. The halves are signed. */
export interface Numbered {
  idHigh: number;
  idLow: number;
}

/** Where post() gets the next number. */
export interface MessageIds {
  assign(to: Numbered): void;
}

let high = 0;
let low = 0;

/** Gives the next number. */
export function assignMessageId(to: Numbered): void {
  low = (low + 1) | 0;
  if (low === 0) {
    high = (high + 1) | 0;
    if (high === 0) low = 1;
  }
  to.idHigh = high;
  to.idLow = low;
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

  assign(to: Numbered): void {
    if (this.#left === 0) {
      this.#take(this.#block);
      this.#high = this.#block[0] | 0;
      this.#low = this.#block[1] | 0;
      this.#left = this.#block[2];
    }
    to.idHigh = this.#high;
    to.idLow = this.#low;
    this.#left--;
    this.#low = (this.#low + 1) | 0;
    if (this.#low === 0) this.#high = (this.#high + 1) | 0;
  }
}

/** For tests of the wrap: the next number is the one behind this. @internal */
export function setLastMessageId(lastHigh: number, lastLow: number): void {
  high = lastHigh | 0;
  low = lastLow | 0;
}
