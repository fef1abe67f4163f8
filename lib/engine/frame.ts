// frame.ts: where the bytes of one message lie, and how to change them.
// A frame is the engine's side of a message: it has no idea of ownership, which is Message's business.
// Three places are remembered, because text headers and body must not move when the other one grows: a view that
// `bytes()` handed out stays good. In a pool slot all three lie in the slab; in a received frame all three lie in the
// chunk that the socket delivered (nothing was copied); whatever outgrows its place moves to memory of its own.
// Invariant: the lengths in the 16 header bytes are true at any time.
import { readU16, writeU16 } from '../protocol/header';
import {
  AT_BODY_LENGTH,
  AT_HEADERS_LENGTH,
  HEADER_BYTES,
  MAX_BODY_BYTES,
  MAX_TEXT_HEADERS_BYTES,
} from '../protocol/constants';

/** A group as the pool sees it: it has one reserve credit and wants to know when it may read on. */
export interface Reader {
  /** Number of the group. */
  readonly group: number;
  /** Whether its reserve is lent out. Only the pool writes it. */
  reserveLent: boolean;
  /** A message may be free for it now. */
  onCredit(): void;
}

/** Memory that several received frames lie in. It is used again when the last of them is gone. */
export interface SharedMemory {
  /** One frame less. */
  drop(): void;
}

/** Slot number of a frame whose bytes lie outside the pool's slabs. */
export const NO_SLOT = -1;
/** Frames of a slot up to this size are copied with a view that is kept. */
export const SHORT_BYTES = 256;
const NOTHING = Buffer.alloc(0);
/** What Buffer's own functions construct. Calling it spares the checks of subarray(), which cost more than the view. */
const FastBuffer = (
  Buffer as unknown as { [Symbol.species]: new (memory: ArrayBufferLike, at: number, length: number) => Buffer }
)[Symbol.species];

function viewOf(memory: Buffer, at: number, length: number): Buffer {
  return new FastBuffer(memory.buffer, memory.byteOffset + at, length);
}

/** The places of one message's bytes. */
export class Frame {
  headersMemory: Buffer;
  bodyMemory: Buffer;
  /** Whether it counts against maxPoolMsgs. The pool sets and reads it. */
  counted = false;
  /** The group whose reading it was taken for. The pool reads it. */
  reader: Reader | null = null;
  /** Which life of its channel number a received frame came from; 0: none, or the number was set by hand. */
  generation = 0;
  /** A posted frame that came back and counts until the receiver has taken it. The mailbox reads it. */
  countsUntilTaken = false;
  /** What to tell when a frame without a slot is not needed any more. The pool reads it. */
  shared: SharedMemory | null = null;
  #short: Buffer | null = null;
  #bodyView: Buffer | null = null;

  constructor(
    public memory: Buffer,
    public at: number,
    public headersAt: number,
    public headersRoom: number,
    public bodyAt: number,
    public bodyRoom: number,
    readonly slot: number,
    /** The same memory in words of four bytes, where `at` is a multiple of that. */
    readonly words: Int32Array | null = null,
  ) {
    this.headersMemory = memory;
    this.bodyMemory = memory;
  }

  get headersLength(): number {
    return readU16(this.memory, this.at + AT_HEADERS_LENGTH);
  }
  get bodyLength(): number {
    return readU16(this.memory, this.at + AT_BODY_LENGTH);
  }
  /** Bytes on the wire. */
  get byteLength(): number {
    return HEADER_BYTES + this.headersLength + this.bodyLength;
  }
  /** Whether header, text headers and body follow each other in memory as they do on the wire. */
  get contiguous(): boolean {
    const headers = this.headersLength;
    const end = this.at + HEADER_BYTES;
    return (
      (headers === 0 || (this.headersMemory === this.memory && this.headersAt === end)) &&
      (this.bodyLength === 0 || (this.bodyMemory === this.memory && this.bodyAt === end + headers))
    );
  }

  /** Sets the length of the text headers, keeping what fits, and makes room for them. */
  resizeHeaders(length: number): void {
    if (length > this.headersRoom) {
      const room = Math.min(MAX_TEXT_HEADERS_BYTES, Math.max(length, 2 * this.headersRoom, 64));
      const memory = Buffer.allocUnsafe(room);
      this.headersMemory.copy(memory, 0, this.headersAt, this.headersAt + this.headersLength);
      this.headersMemory = memory;
      this.headersAt = 0;
      this.headersRoom = room;
    }
    writeU16(this.memory, this.at + AT_HEADERS_LENGTH, length);
  }

  /** Sets the length of the body, keeping what fits, and makes room for it. */
  resizeBody(length: number): void {
    if (length > this.bodyRoom) {
      const room = Math.min(MAX_BODY_BYTES, Math.max(length, 2 * this.bodyRoom, 64));
      // Room for the binary header in front: the frame then leaves as one piece.
      const memory = Buffer.allocUnsafeSlow(HEADER_BYTES + room);
      this.bodyMemory.copy(memory, HEADER_BYTES, this.bodyAt, this.bodyAt + this.bodyLength);
      this.bodyMemory = memory;
      this.bodyAt = HEADER_BYTES;
      this.bodyRoom = room;
      this.#bodyView = null;
      this.#short = null;
    }
    writeU16(this.memory, this.at + AT_BODY_LENGTH, length);
  }

  /** A view of the body. A slot keeps its last one: messages of one kind have one size, and a view costs 40 ns. */
  bodyView(length: number): Buffer {
    if (this.slot === NO_SLOT) return viewOf(this.bodyMemory, this.bodyAt, length);
    if (this.#bodyView?.length !== length) this.#bodyView = viewOf(this.bodyMemory, this.bodyAt, length);
    return this.#bodyView!;
  }

  /** Lets a frame without a slot stand for the bytes of a received one, in place. */
  place(memory: Buffer, at: number): void {
    const headers = (memory[at + AT_HEADERS_LENGTH] << 8) | memory[at + AT_HEADERS_LENGTH + 1];
    this.memory = memory;
    this.headersMemory = memory;
    this.bodyMemory = memory;
    this.at = at;
    this.headersAt = at + HEADER_BYTES;
    this.headersRoom = headers;
    this.bodyAt = at + HEADER_BYTES + headers;
    this.bodyRoom = (memory[at + AT_BODY_LENGTH] << 8) | memory[at + AT_BODY_LENGTH + 1];
  }

  /** Zeroes the binary header; lengths included. */
  clear(): void {
    const { words, memory, at } = this;
    this.generation = 0;
    if (words !== null) {
      const word = at >>> 2;
      words[word] = words[word + 1] = words[word + 2] = words[word + 3] = 0;
      return;
    }
    for (let i = at; i < at + HEADER_BYTES; i++) memory[i] = 0; // fill() costs ten times as much
  }

  /** Copies the frame, `length` bytes of it, as it goes over the wire; `target` has SHORT_BYTES to spare. */
  copyTo(target: Buffer, to: number, length: number): void {
    if (length <= SHORT_BYTES && this.slot !== NO_SLOT && this.headersLength === 0 && this.bodyMemory === this.memory) {
      // A view that exists costs 13 ns to copy, making one 35 more: what it holds too much is overwritten by the next.
      this.#short ??= this.memory.subarray(this.at, this.at + SHORT_BYTES);
      target.set(this.#short, to);
      return;
    }
    const { memory, at } = this;
    if (this.contiguous) {
      target.set(new Uint8Array(memory.buffer, memory.byteOffset + at, length), to);
      return;
    }
    const headers = this.headersLength;
    for (let i = 0; i < HEADER_BYTES; i++) target[to + i] = memory[at + i];
    to += HEADER_BYTES;
    target.set(this.headersMemory.subarray(this.headersAt, this.headersAt + headers), to);
    target.set(this.bodyMemory.subarray(this.bodyAt, this.bodyAt + this.bodyLength), to + headers);
  }

  /**
   * Puts the binary header in front of a body that stands alone, where there is always room for it.
   * @returns where the whole frame lies in `bodyMemory` then; -1: it has text headers elsewhere, or is contiguous already
   */
  headTheBody(): number {
    if (this.headersLength !== 0 || this.contiguous) return -1;
    const to = this.bodyAt - HEADER_BYTES;
    // The places overlap when a received message lost short text headers; copy() knows that.
    this.memory.copy(this.bodyMemory, to, this.at, this.at + HEADER_BYTES);
    if (this.bodyMemory === this.memory) {
      this.at = to; // what is left of the old header is none any more
      this.headersAt = this.bodyAt;
      this.headersRoom = 0;
    }
    return to;
  }

  /** The frame as views, in wire order, for a gathering write. */
  addViews(views: Buffer[]): void {
    if (this.contiguous) {
      views.push(this.memory.subarray(this.at, this.at + this.byteLength));
      return;
    }
    const headers = this.headersLength;
    const body = this.bodyLength;
    const whole = this.headTheBody();
    if (whole >= 0) {
      views.push(this.bodyMemory.subarray(whole, this.bodyAt + body));
      return;
    }
    views.push(this.memory.subarray(this.at, this.at + HEADER_BYTES));
    if (headers > 0) views.push(this.headersMemory.subarray(this.headersAt, this.headersAt + headers));
    if (body > 0) views.push(this.bodyMemory.subarray(this.bodyAt, this.bodyAt + body));
  }
}

/** A frame over the bytes of a received one, in place. */
export function frameAt(memory: Buffer, at: number): Frame {
  const frame = new Frame(memory, at, 0, 0, 0, 0, NO_SLOT);
  frame.place(memory, at);
  return frame;
}

/** An empty frame outside the pool's slabs: memory comes with the first byte of text headers or body. */
export function looseFrame(): Frame {
  const frame = new Frame(Buffer.alloc(HEADER_BYTES), 0, 0, 0, 0, 0, NO_SLOT);
  frame.headersMemory = NOTHING;
  frame.bodyMemory = NOTHING;
  return frame;
}
