// flush-pace.ts: how many messages are posted before they leave without waiting for the end of the tick.
// The first of a tick leave early, so that the peer works on them while this thread makes more; each batch is twice the one before, up to
// where the call itself costs next to nothing. Without that two sides that answer each other take turns, and one of them always waits.
// Knows numbers only.
import { availableParallelism } from 'node:os';

/** The most: about what the buffer of a socket takes of small messages. */
export const MOST_FRAMES = 1024;
/** The first batch of a tick. Where one processor does everything the peer gains nothing by starting early. */
export const FIRST_FRAMES = availableParallelism() > 1 ? 8 : MOST_FRAMES;

/** The batch behind one of `frames`. */
export function nextBatch(frames: number): number {
  return Math.min(MOST_FRAMES, frames * 2);
}
