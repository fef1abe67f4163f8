// queue.ts: first in, first out, in a ring that doubles when it is full.
// Knows nothing of what it holds. Invariant: a slot outside [head, head + length) holds undefined, so nothing is
// kept alive by a queue it has left.

/** A growing ring. `push` is O(1) amortised, `remove` linear, everything else O(1). */
export class Queue<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(8).fill(undefined);
  #head = 0;
  length = 0;

  push(item: T): void {
    if (this.length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.length++) & (this.#items.length - 1)] = item;
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.length--;
    return item;
  }

  /** The head; undefined: nothing is here. */
  get first(): T | undefined {
    return this.#items[this.#head];
  }
  /** The item `index` places behind the head, which has index 0. */
  at(index: number): T | undefined {
    return index < this.length ? this.#items[(this.#head + index) & (this.#items.length - 1)] : undefined;
  }

  clear(): void {
    while (this.shift() !== undefined);
  }

  /** Removes one item wherever it stands; linear, for rare cancellations only. */
  remove(item: T): boolean {
    for (let n = this.length, found = false; ; n--) {
      if (n === 0) return found;
      const next = this.shift()!;
      if (next === item && !found) found = true;
      else this.push(next);
    }
  }

  #grow(): void {
    const old = this.#items;
    const items = new Array<T | undefined>(old.length * 2).fill(undefined);
    for (let i = 0; i < this.length; i++) items[i] = old[(this.#head + i) & (old.length - 1)];
    this.#items = items;
    this.#head = 0;
  }
}
