// turn-end.ts: when everything else of this turn of the event loop has had its time, and whether it waits for that too long.
// Knows the event loop only. Invariant: what is not referenced neither holds the process nor waits for something else to happen.

// Taken when this is loaded: what tests of an application put in their place is meant for its timers, and would stop an engine.
const { setImmediate, clearImmediate, setTimeout, clearTimeout } = globalThis;
/** Calls back behind what the event loop has to do now. */
export const immediately: (callback: () => void) => unknown = setImmediate;
/** Calls back when what runs now has returned. */
export const nextTick: (callback: () => void) => void = process.nextTick.bind(process);

/**
 * Calls back behind everything else of this turn.
 * @param referenced whether this holds the process; an immediate that does not would wait for the next event of another
 * @returns takes it back
 */
export function atTurnEnd(callback: () => void, referenced: boolean): () => void {
  const atEnd = (): void => {
    turns.noteEnd();
    callback();
  };
  if (referenced) {
    const immediate = setImmediate(atEnd);
    return () => clearImmediate(immediate);
  }
  const timer = setTimeout(atEnd, 1).unref();
  return () => clearTimeout(timer);
}

/** How long messages that are always there may keep timers and sockets waiting. */
const TURN_MS = 1;

/**
 * The turns of this thread's event loop, as far as anybody looks. That something calls from outside JavaScript does not mean
 * that a turn is over: Node calls a thousand times in one as long as each call finds the next one asked for. So the end of
 * a turn is waited for when none was seen for a while, and what lasts until then lasts too long.
 */
class Turns {
  /** Grows with each end that was seen. */
  seen = 0;
  #seenAt = 0;
  #watchedAt = 0; // since when an end is waited for
  #watching = false;

  /** Whoever asks gives way then. `referenced`: as for atTurnEnd(). */
  isOverdue(referenced: boolean): boolean {
    const now = performance.now();
    if (this.#watching) return now - this.#watchedAt > TURN_MS;
    if (now - this.#seenAt > TURN_MS) {
      this.#watching = true;
      this.#watchedAt = now;
      atTurnEnd(() => undefined, referenced); // which notes it
    }
    return false;
  }
  noteEnd(): void {
    this.seen++;
    this.#seenAt = performance.now();
    this.#watching = false;
  }
}
export const turns = new Turns();
