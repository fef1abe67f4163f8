// channel-numbers.ts: hands out channel numbers, each as late after its last use as can be.
// Numbers never used come first, then the one free for longest: while more than 1024 are free, none of the last 1024
// closed is used again. Knows nothing of channels.
import { FIRST_CHANNEL, LAST_CHANNEL } from '../protocol/constants';
import { Queue } from '../engine/queue';

export class ChannelNumbers {
  readonly #released = new Queue<number>();
  #fresh = FIRST_CHANNEL;
  #used = 0;

  /** @param most how many may be in use at a time */
  constructor(readonly most: number) {}

  /** A number, or 0 when none is left. */
  take(): number {
    if (this.#used >= this.most) return 0;
    const number = this.#fresh <= LAST_CHANNEL ? this.#fresh++ : this.#released.shift();
    if (number === undefined) return 0;
    this.#used++;
    return number;
  }
  release(number: number): void {
    this.#used--;
    this.#released.push(number);
  }
}
