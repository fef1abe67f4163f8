// slab.ts: memory for received frames: what the engine's thread has is copied here in batches, and messages view it in place.
// A slab counts the frames in it that were not taken or not given back. When none is left it is used again from its start:
// memory that is in the cache already, and no work for the garbage collector. So are the objects that stand for frames: where a
// frame begins there is the object that stood for the last one there, and its view of the body is good again if that has the same size.
// Thread: that of its engine. Invariant: nobody looks at bytes of a slab whose count is 0.
import { looseFrame, type Frame, type SharedMemory } from '../engine/frame';
import { PLACE_SHIFT, placeHostFrame } from './host-frame';

/** Twice the greatest frame there is, so that one always fits; small enough for the second-level cache. */
export const SLAB_BYTES = 256 * 1024;
/** A slab with less room than this is not worth a look: batches would get too small. */
const MIN_ROOM_BYTES = 16 * 1024;
/** Empty slabs kept for the next burst. */
const MAX_FREE_SLABS = 4;
/** Frames that begin before this have objects that are kept: about what one batch brings. */
const KEPT_FRAMES_BYTES = 64 * 1024;

export class Slab implements SharedMemory {
  /** Plain memory of its own: not Node's pool, from which others take as well. */
  readonly memory = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the next bytes go. */
  at = 0;
  /** Frames in it that somebody may look at. */
  live = 0;
  readonly #words = new Int32Array(this.memory.buffer, 0, SLAB_BYTES >> 2);
  readonly #frames: (Frame | null)[] = new Array<Frame | null>(KEPT_FRAMES_BYTES >> PLACE_SHIFT).fill(null);
  readonly #slabs: Slabs;

  constructor(slabs: Slabs) {
    this.#slabs = slabs;
  }
  /** The frame at that offset, which is in use from now on; `live` counts it already. */
  frameAt(at: number): Frame {
    const place = at >> PLACE_SHIFT;
    const frame = (place < this.#frames.length ? this.#frames[place] : null) ?? this.#newFrame(place);
    placeHostFrame(frame, this.memory, this.#words, at);
    return frame;
  }
  #newFrame(place: number): Frame {
    const frame = looseFrame();
    frame.shared = this;
    if (place < this.#frames.length) this.#frames[place] = frame;
    return frame;
  }
  drop(): void {
    if (--this.live === 0) this.#slabs.emptied(this);
  }
}

export class Slabs {
  #current = new Slab(this);
  readonly #free: Slab[] = [];

  /** The slab to write into next, with some room in it. */
  current(): Slab {
    const slab = this.#current;
    if (slab.live === 0) slab.at = 0;
    return SLAB_BYTES - slab.at < MIN_ROOM_BYTES ? this.next() : slab;
  }
  /** Another slab, empty, because the current one has not room enough. */
  next(): Slab {
    const taken = this.#current.memory.length === 0; // by the application, which may transfer what it can reach
    if (taken || this.#current.live > 0) this.#current = this.#free.pop() ?? new Slab(this);
    this.#current.at = 0;
    return this.#current;
  }
  /** Called by a slab that has no live frame any more. */
  emptied(slab: Slab): void {
    if (slab !== this.#current && this.#free.length < MAX_FREE_SLABS && slab.memory.length > 0) this.#free.push(slab);
  }
}
