// frame.ts: one message as the engine sees it: its binary header, taken apart, and where its text headers and body lie.
// A frame has no idea of ownership, which is Message's business. The header is numbers in the object and not bytes in
// memory: every message reads and writes it several times, and only once each way it has to be bytes.
// Text headers and body have a place each, because neither must move when the other grows: a view that `bytes()`
// handed out stays good. In a pool slot both lie in the slab; in a received frame both lie where the frame was
// delivered (nothing was copied); whatever outgrows its place moves to memory of its own.
// Invariant: the HEADER_BYTES in front of the body's place, or of text headers that end there, belong to this frame.
import { copyBytes } from '../protocol/copy-bytes';
import { writeU16, writeU32 } from '../protocol/header';
import type { OpCode } from '../protocol/op-code';
import {
  AT_BODY_LENGTH,
  AT_CHANNEL,
  AT_FLAGS,
  AT_HEADERS_LENGTH,
  AT_ID_HIGH,
  AT_ID_LOW,
  AT_STATUS,
  HEADER_BYTES,
  MAX_BODY_BYTES,
  MAX_TEXT_HEADERS_BYTES,
  OP_CODE_MASK,
} from '../protocol/constants';

/** A group as the pool sees it: it has one reserve credit and wants to know when it may read on. */
export interface Reader {
  /** Number of the group. */
  readonly group: number;
  /** Whether its reserve is lent out. Only the pool writes it. */
  reserveLent: boolean;
  /** A message may be free for it now. */
  onCredit(): void;
  /** Channels that it holds back may have fewer unsent answers now. */
  reconsider(): void;
}

/** Memory that several received frames lie in. It is used again when the last of them is gone. */
export interface SharedMemory {
  /** One frame less. */
  drop(): void;
}

/** Slot number of a frame whose bytes lie outside the pool's slabs. */
export const NO_SLOT = -1;
/** The least memory that a place which was outgrown is given. */
const LEAST_ROOM = 64;
const NOTHING = Buffer.alloc(0);
/** What Buffer's own functions construct. Calling it spares the checks of subarray(), which cost more than the view. */
const FastBuffer = (
  Buffer as unknown as { [Symbol.species]: new (memory: ArrayBufferLike, at: number, length: number) => Buffer }
)[Symbol.species];

// The memory that was viewed last: frames come in runs of the same, and `buffer` and `byteOffset` are slow to ask for.
let viewed: Buffer = NOTHING;
let viewedBuffer: ArrayBufferLike = NOTHING.buffer;
let viewedOffset = NOTHING.byteOffset;

function viewOf(memory: Buffer, at: number, length: number): Buffer {
  if (memory !== viewed) {
    viewed = memory;
    viewedBuffer = memory.buffer;
    viewedOffset = memory.byteOffset;
  }
  return new FastBuffer(viewedBuffer, viewedOffset + at, length);
}

/** The header and the places of one message. */
export class Frame {
  channel = 0;
  /** Opcode, origin and `more`, as the wire has them. */
  flags = 0;
  status = 0;
  /** Both halves of the message id, as signed 32 bit integers: these need no memory of their own. */
  idHigh = 0;
  idLow = 0;
  headersLength = 0;
  bodyLength = 0;
  /** Which life of its channel number a received frame came from; 0: none, or the number was set by hand. */
  generation = 0;
  /** On a frame of the engine: the errno name of what the system said, or ''. On others it means nothing. */
  errorCode = '';
  /** Whether it counts against maxPoolMsgs. The pool sets and reads it. */
  counted = false;
  /** A posted frame that came back and counts until the receiver has taken it. The mailbox reads it. */
  countsUntilTaken = false;
  /** The group whose reading it was taken for. The pool reads it. */
  reader: Reader | null = null;
  /** What to tell when a frame without a slot is not needed any more. The pool reads it. */
  shared: SharedMemory | null = null;
  headersMemory: Buffer;
  bodyMemory: Buffer;
  #view: Buffer | null = null;
  #viewLength = 0;

  constructor(
    memory: Buffer,
    public headersAt: number,
    public headersRoom: number,
    public bodyAt: number,
    public bodyRoom: number,
    readonly slot: number,
  ) {
    this.headersMemory = memory;
    this.bodyMemory = memory;
  }

  get opCode(): OpCode {
    return (this.flags & OP_CODE_MASK) as OpCode;
  }
  set opCode(value: number) {
    this.flags = (this.flags & ~OP_CODE_MASK) | value;
  }
  /** Whether it was received from the channel that it is posted to: until it is sent, it is an unsent answer of that. */
  get isAnswer(): boolean {
    return this.reader !== null && this.generation !== 0;
  }
  /** Bytes on the wire. */
  get byteLength(): number {
    return HEADER_BYTES + this.headersLength + this.bodyLength;
  }

  /** Empties the message; its places stay. */
  clear(): void {
    this.channel = this.flags = this.status = this.idHigh = this.idLow = 0;
    this.headersLength = this.bodyLength = 0;
    this.generation = 0;
  }
  /** Takes over the binary header of another one. */
  copyHeader(from: Frame): void {
    this.channel = from.channel;
    this.flags = from.flags;
    this.status = from.status;
    this.idHigh = from.idHigh;
    this.idLow = from.idLow;
    this.generation = from.generation;
    this.errorCode = from.errorCode;
  }

  /** Sets the length of the text headers, keeping what fits, and makes room for them. */
  resizeHeaders(length: number): void {
    if (length > this.headersRoom) {
      const room = Math.min(MAX_TEXT_HEADERS_BYTES, Math.max(length, 2 * this.headersRoom, LEAST_ROOM));
      const memory = Buffer.allocUnsafe(room);
      this.headersMemory.copy(memory, 0, this.headersAt, this.headersAt + this.headersLength);
      this.headersMemory = memory;
      this.headersAt = 0;
      this.headersRoom = room;
    }
    this.headersLength = length;
  }
  /** Sets the length of the body, keeping what fits, and makes room for it. */
  resizeBody(length: number): void {
    if (length > this.bodyRoom) this.#moveBody(length);
    this.bodyLength = length;
  }
  #moveBody(length: number): void {
    const room = Math.min(MAX_BODY_BYTES, Math.max(length, 2 * this.bodyRoom, LEAST_ROOM));
    const memory = Buffer.allocUnsafeSlow(HEADER_BYTES + room);
    this.bodyMemory.copy(memory, HEADER_BYTES, this.bodyAt, this.bodyAt + this.bodyLength);
    this.bodyMemory = memory;
    this.bodyAt = HEADER_BYTES;
    this.bodyRoom = room;
    this.#view = null;
  }

  /** A view of the body. The last one is kept: messages of one kind have one size, and a view costs 40 ns. */
  body(): Buffer {
    const length = this.bodyLength;
    const view = this.#view;
    if (view !== null && this.#viewLength === length) return view;
    this.#viewLength = length;
    return (this.#view = viewOf(this.bodyMemory, this.bodyAt, length));
  }
  headers(): Buffer {
    return viewOf(this.headersMemory, this.headersAt, this.headersLength);
  }

  /** Lets a frame without a slot stand for a received one: text headers and body behind each other at `at`. */
  place(memory: Buffer, at: number, headersLength: number, bodyLength: number): void {
    const bodyAt = at + headersLength;
    if (this.bodyAt !== bodyAt || this.bodyMemory !== memory) {
      this.bodyMemory = memory;
      this.bodyAt = bodyAt;
      this.#view = null;
    }
    this.headersMemory = memory;
    this.headersAt = at;
    this.headersLength = this.headersRoom = headersLength;
    this.bodyLength = this.bodyRoom = bodyLength;
  }

  /** Writes the binary header as the wire has it. */
  writeHeader(target: Uint8Array, at: number): void {
    writeU16(target, at + AT_CHANNEL, this.channel);
    target[at + AT_FLAGS] = this.flags;
    target[at + AT_STATUS] = this.status;
    writeU32(target, at + AT_ID_HIGH, this.idHigh);
    writeU32(target, at + AT_ID_LOW, this.idLow);
    writeU16(target, at + AT_HEADERS_LENGTH, this.headersLength);
    writeU16(target, at + AT_BODY_LENGTH, this.bodyLength);
  }
  /** Copies text headers and body, in this order. */
  copyContent(target: Uint8Array, at: number): void {
    const { headersLength } = this;
    if (headersLength > 0) copyBytes(target, this.headers(), at);
    if (this.bodyLength > 0) copyBytes(target, this.body(), at + headersLength);
  }
  /** Copies the frame as it goes over the wire. */
  copyTo(target: Uint8Array, at: number): void {
    this.writeHeader(target, at);
    this.copyContent(target, at + HEADER_BYTES);
  }

  /**
   * Makes the frame lie in one piece as it goes over the wire, if only its binary header is missing for that.
   * @returns where it lies in `bodyMemory`; -1: its parts lie apart
   */
  assemble(): number {
    const { headersLength, bodyAt } = this;
    const at = bodyAt - headersLength - HEADER_BYTES;
    const apart =
      headersLength > 0 && (this.headersMemory !== this.bodyMemory || this.headersAt + headersLength !== bodyAt);
    if (apart || at < 0) return -1;
    this.writeHeader(this.bodyMemory, at);
    return at;
  }
  /** The frame as views, in wire order, for a gathering write. They are good until the frame changes. */
  addViews(views: Buffer[]): void {
    const at = this.assemble();
    if (at >= 0) {
      views.push(viewOf(this.bodyMemory, at, this.byteLength));
      return;
    }
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    this.writeHeader(header, 0);
    views.push(header);
    if (this.headersLength > 0) views.push(this.headers());
    if (this.bodyLength > 0) views.push(this.body());
  }
}

/** An empty frame outside the pool's slabs: memory comes with the first byte of text headers or body. */
export function looseFrame(): Frame {
  return new Frame(NOTHING, 0, 0, 0, 0, NO_SLOT);
}
