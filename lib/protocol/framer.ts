// framer.ts: cuts a byte stream into frames, in place.
// Knows the wire and nothing else: no sockets, no pool, no channel. A frame that lies whole in a chunk is not copied;
// one that straddles chunks is put together in memory of its own size, allocated when its length is known.
// Invariant: at most one partial frame is held, and it is never longer than the greatest frame.
import {
  AT_BODY_LENGTH,
  AT_FLAGS,
  AT_HEADERS_LENGTH,
  AT_ID_HIGH,
  HEADER_BYTES,
  MORE_BIT,
  OP_CODE_MASK,
} from './constants';
import { OpCode } from './op-code';

/** Where frames go. Each method returns false to stop: everything behind is left alone. */
export interface FrameSink {
  /** Whole data frames (Request, Response, Signal, HelloResponse), one behind the other in [start, end). */
  onFrames(memory: Buffer, start: number, end: number): boolean;
  /** One HelloRequest, ByeRequest or ByeResponse. */
  onControl(memory: Buffer, at: number, end: number, opCode: OpCode): boolean;
  /** A frame that no peer may send. The stream cannot be read further. */
  onViolation(): void;
}

const DATA = 1;
const CONTROL = 2;
/** By opcode: data, control, or (0) never on the wire. */
const KIND = new Uint8Array(16);
KIND[OpCode.Request] = KIND[OpCode.Response] = KIND[OpCode.Signal] = KIND[OpCode.HelloResponse] = DATA;
KIND[OpCode.HelloRequest] = KIND[OpCode.ByeRequest] = KIND[OpCode.ByeResponse] = CONTROL;

/** Whether a header may come from the wire: a known opcode, an id, `more` only on regular messages. */
function kindOf(memory: Buffer, at: number): number {
  const flags = memory[at + AT_FLAGS];
  const opCode = flags & OP_CODE_MASK;
  if ((flags & MORE_BIT) !== 0 && opCode > OpCode.Signal) return 0;
  const id = at + AT_ID_HIGH;
  const hasId =
    (memory[id + 7] | memory[id + 6] | memory[id + 5] | memory[id + 4]) !== 0 ||
    (memory[id] | memory[id + 1] | memory[id + 2] | memory[id + 3]) !== 0;
  return hasId ? KIND[opCode] : 0;
}

function lengthAt(memory: Buffer, at: number): number {
  const h = at + AT_HEADERS_LENGTH;
  const b = at + AT_BODY_LENGTH;
  return HEADER_BYTES + ((memory[h] << 8) | memory[h + 1]) + ((memory[b] << 8) | memory[b + 1]);
}

export class Framer {
  readonly #header = Buffer.allocUnsafe(HEADER_BYTES);
  #partial: Buffer | null = null;
  #have = 0; // bytes of the partial frame that are here

  /** Bytes of a frame that has not arrived whole. */
  get pendingBytes(): number {
    return this.#have;
  }

  /** Takes the next bytes of the stream; false: the sink stopped or the peer broke the protocol. */
  feed(chunk: Buffer, sink: FrameSink): boolean {
    let at = 0;
    if (this.#have > 0) {
      at = this.#complete(chunk, sink);
      if (at < 0) return false;
    }
    return this.#scan(chunk, at, sink);
  }

  /** Cuts what lies whole in the chunk; keeps the rest. */
  #scan(chunk: Buffer, at: number, sink: FrameSink): boolean {
    const end = chunk.length;
    let start = at;
    while (end - at >= HEADER_BYTES) {
      const kind = kindOf(chunk, at);
      if (kind === 0) {
        if (start < at && !sink.onFrames(chunk, start, at)) return false;
        sink.onViolation();
        return false;
      }
      const next = at + lengthAt(chunk, at);
      if (next > end) break;
      if (kind === CONTROL) {
        if (start < at && !sink.onFrames(chunk, start, at)) return false;
        if (!sink.onControl(chunk, at, next, (chunk[at + AT_FLAGS] & OP_CODE_MASK) as OpCode)) return false;
        start = next;
      }
      at = next;
    }
    if (start < at && !sink.onFrames(chunk, start, at)) return false;
    if (at < end) this.#keep(chunk, at);
    return true;
  }

  #keep(chunk: Buffer, at: number): void {
    const have = chunk.length - at;
    let target = this.#header;
    if (have >= HEADER_BYTES) target = this.#partial = Buffer.allocUnsafeSlow(lengthAt(chunk, at));
    target.set(chunk.subarray(at), 0);
    this.#have = have;
  }

  /** Fills the partial frame from a chunk; returns the offset behind what it took, -1 to stop. */
  #complete(chunk: Buffer, sink: FrameSink): number {
    let at = 0;
    if (this.#partial === null) {
      at = this.#fill(this.#header, HEADER_BYTES, chunk, 0);
      if (this.#have < HEADER_BYTES) return at;
      if (kindOf(this.#header, 0) === 0) {
        sink.onViolation();
        return -1;
      }
      this.#partial = Buffer.allocUnsafeSlow(lengthAt(this.#header, 0));
      this.#partial.set(this.#header, 0);
    }
    const frame = this.#partial;
    at = this.#fill(frame, frame.length, chunk, at);
    if (this.#have < frame.length) return at;
    this.#partial = null;
    this.#have = 0;
    const opCode = (frame[AT_FLAGS] & OP_CODE_MASK) as OpCode;
    const go =
      KIND[opCode] === CONTROL ? sink.onControl(frame, 0, frame.length, opCode) : sink.onFrames(frame, 0, frame.length);
    return go ? at : -1;
  }

  #fill(target: Buffer, length: number, chunk: Buffer, at: number): number {
    const count = Math.min(length - this.#have, chunk.length - at);
    target.set(chunk.subarray(at, at + count), this.#have);
    this.#have += count;
    return at + count;
  }
}
