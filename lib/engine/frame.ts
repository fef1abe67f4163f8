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

/** Slot number of a frame whose bytes lie outside the pool's slabs. */
export const NO_SLOT = -1;
const NOTHING = Buffer.alloc(0);

/** The places of one message's bytes. */
export class Frame {
  headersMemory: Buffer;
  bodyMemory: Buffer;
  /** Whether it counts against maxPoolMsgs. The pool sets and reads it. */
  counted = false;
  /** Which life of its channel number a received frame came from; 0: none, or the number was set by hand. */
  generation = 0;

  constructor(
    public memory: Buffer,
    public at: number,
    public headersAt: number,
    public headersRoom: number,
    public bodyAt: number,
    public bodyRoom: number,
    readonly slot: number,
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
      const memory = Buffer.allocUnsafe(room);
      this.bodyMemory.copy(memory, 0, this.bodyAt, this.bodyAt + this.bodyLength);
      this.bodyMemory = memory;
      this.bodyAt = 0;
      this.bodyRoom = room;
    }
    writeU16(this.memory, this.at + AT_BODY_LENGTH, length);
  }

  /** Zeroes the binary header; lengths included. */
  clear(): void {
    this.memory.fill(0, this.at, this.at + HEADER_BYTES);
    this.generation = 0;
  }

  /** Copies the frame as it goes over the wire; returns the offset behind it. */
  copyTo(target: Buffer, to: number): number {
    const headers = this.headersLength;
    const body = this.bodyLength;
    const { memory, at } = this;
    if (
      headers === 0 &&
      body <= 48 &&
      (body === 0 || (this.bodyMemory === memory && this.bodyAt === at + HEADER_BYTES))
    ) {
      for (let i = 0; i < HEADER_BYTES + body; i++) target[to + i] = memory[at + i];
      return to + HEADER_BYTES + body;
    }
    if (this.contiguous) {
      const length = HEADER_BYTES + headers + body;
      target.set(memory.subarray(at, at + length), to);
      return to + length;
    }
    for (let i = 0; i < HEADER_BYTES; i++) target[to + i] = memory[at + i];
    to += HEADER_BYTES;
    if (headers > 0) target.set(this.headersMemory.subarray(this.headersAt, this.headersAt + headers), to);
    to += headers;
    if (body > 0) target.set(this.bodyMemory.subarray(this.bodyAt, this.bodyAt + body), to);
    return to + body;
  }

  /** The frame as views, in wire order, for a gathering write. */
  addViews(views: Buffer[]): void {
    if (this.contiguous) {
      views.push(this.memory.subarray(this.at, this.at + this.byteLength));
      return;
    }
    views.push(this.memory.subarray(this.at, this.at + HEADER_BYTES));
    const headers = this.headersLength;
    const body = this.bodyLength;
    if (headers > 0) views.push(this.headersMemory.subarray(this.headersAt, this.headersAt + headers));
    if (body > 0) views.push(this.bodyMemory.subarray(this.bodyAt, this.bodyAt + body));
  }
}

/** A frame over the bytes of a received one, in place. */
export function frameAt(memory: Buffer, at: number): Frame {
  const headers = (memory[at + AT_HEADERS_LENGTH] << 8) | memory[at + AT_HEADERS_LENGTH + 1];
  const body = (memory[at + AT_BODY_LENGTH] << 8) | memory[at + AT_BODY_LENGTH + 1];
  const headersAt = at + HEADER_BYTES;
  return new Frame(memory, at, headersAt, headers, headersAt + headers, body, NO_SLOT);
}

/** An empty frame outside the pool's slabs: memory comes with the first byte of text headers or body. */
export function looseFrame(): Frame {
  const frame = new Frame(Buffer.alloc(HEADER_BYTES), 0, 0, 0, 0, 0, NO_SLOT);
  frame.headersMemory = NOTHING;
  frame.bodyMemory = NOTHING;
  return frame;
}
