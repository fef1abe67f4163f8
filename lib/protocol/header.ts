// header.ts: the fixed header at the front of a frame, read and written in place.
// Layer: protocol. Knows bytes; knows neither messages nor sockets.
// Plain byte reads: on short Uint8Arrays they beat DataView and Buffer's checked readers, and this runs per message.
// Invariant: all integers are big-endian; nothing outside [at, at + HEADER_BYTES) is touched.

import { AmpeError } from './ampe-error';
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
  MORE_BIT,
  OP_CODE_MASK,
  ORIGIN_BIT,
} from './constants';
import { OpCode, Origin } from './op-code';
import { AmpeStatus, rawToStatus } from './status';

/**
 * A snapshot of a message's header: it does not change when the message does, and stays valid after the message moved.
 * @see docs/PROTOCOL.md section 1
 */
export interface BinaryHeader {
  /** The local number of the channel, 1 to 65534; 0: none. */
  readonly channelNumber: number;
  /** What the message is for. */
  readonly opCode: OpCode;
  /** Who made it. */
  readonly origin: Origin;
  /** Whether more messages with the same id follow. */
  readonly more: boolean;
  /** 0 unless the engine has something to tell. */
  readonly status: AmpeStatus;
  /** Unsigned 64 bit integer. */
  readonly messageId: bigint;
}

/** Unsigned 16 bit big-endian integer at `at`. */
export function readU16(memory: Uint8Array, at: number): number {
  return (memory[at] << 8) | memory[at + 1];
}

/** Unsigned 32 bit big-endian integer at `at`. */
export function readU32(memory: Uint8Array, at: number): number {
  return ((memory[at] << 24) | (memory[at + 1] << 16) | (memory[at + 2] << 8) | memory[at + 3]) >>> 0;
}

/** Writes the low 16 bits of `value`. */
export function writeU16(memory: Uint8Array, at: number, value: number): void {
  memory[at] = value >>> 8;
  memory[at + 1] = value;
}

/** Writes the low 32 bits of `value`. */
export function writeU32(memory: Uint8Array, at: number, value: number): void {
  memory[at] = value >>> 24;
  memory[at + 1] = value >>> 16;
  memory[at + 2] = value >>> 8;
  memory[at + 3] = value;
}

// Two halves become a BigInt in shared memory: an element load is compiled code, BigInt() is a call and costs twice as much.
const idHalves = new Uint32Array(2);
const idWhole = new BigUint64Array(idHalves.buffer);
/** Where the halves of a 64 bit integer stand, in words of it. */
export const [HIGH_HALF, LOW_HALF] = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? [1, 0] : [0, 1];

/** A message id from its halves, signed or not. */
export function messageIdOf(high: number, low: number): bigint {
  idHalves[HIGH_HALF] = high;
  idHalves[LOW_HALF] = low;
  return idWhole[0];
}

/** The message id of the header at `at`. */
export function readMessageId(memory: Uint8Array, at: number): bigint {
  return messageIdOf(readU32(memory, at + AT_ID_HIGH), readU32(memory, at + AT_ID_LOW));
}

/** Writes the low 64 bits of `id` as the message id of the header at `at`. */
export function writeMessageId(memory: Uint8Array, at: number, id: bigint): void {
  writeU32(memory, at + AT_ID_HIGH, Number((id >> 32n) & 0xffffffffn));
  writeU32(memory, at + AT_ID_LOW, Number(id & 0xffffffffn));
}

/** A header that is taken apart: flags and status as the wire has them, the id in halves. */
export interface HeaderFields {
  readonly channel: number;
  readonly flags: number;
  readonly status: number;
  readonly idHigh: number;
  readonly idLow: number;
}

/** The header as a plain object. The opcode is the one in the flags, valid or not. */
export function snapshotOf({ channel, flags, status, idHigh, idLow }: HeaderFields): BinaryHeader {
  return {
    channelNumber: channel,
    opCode: (flags & OP_CODE_MASK) as OpCode,
    origin: (flags & ORIGIN_BIT) === 0 ? Origin.application : Origin.engine,
    more: (flags & MORE_BIT) !== 0,
    status: rawToStatus(status),
    messageId: messageIdOf(idHigh, idLow),
  };
}

/** The same of a message that the application posts. */
export function postedHeader(channel: number, flags: number, messageId: bigint): BinaryHeader {
  return {
    channelNumber: channel,
    opCode: (flags & OP_CODE_MASK) as OpCode,
    origin: Origin.application,
    more: (flags & MORE_BIT) !== 0,
    status: AmpeStatus.Success,
    messageId,
  };
}

/** The header at `at`, taken apart. */
export function fieldsAt(memory: Uint8Array, at: number): HeaderFields {
  return {
    channel: readU16(memory, at + AT_CHANNEL),
    flags: memory[at + AT_FLAGS],
    status: memory[at + AT_STATUS],
    idHigh: readU32(memory, at + AT_ID_HIGH),
    idLow: readU32(memory, at + AT_ID_LOW),
  };
}

const nothing = new Uint8Array(0);

/**
 * One whole frame as the wire has it.
 * @param fields fields of the header; what is missing is 0 or false
 * @param headers encoded text headers
 * @param body the body
 * @throws {@link AmpeError} `invalid_headers_len` or `invalid_body_len` when a part is longer than 65535 bytes
 */
export function encodeFrame(
  fields: Partial<BinaryHeader>,
  headers: Uint8Array = nothing,
  body: Uint8Array = nothing,
): Buffer {
  if (headers.byteLength > MAX_TEXT_HEADERS_BYTES) throw new AmpeError(AmpeStatus.InvalidHeadersLen);
  if (body.byteLength > MAX_BODY_BYTES) throw new AmpeError(AmpeStatus.InvalidBodyLen);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + headers.byteLength + body.byteLength);
  writeU16(frame, AT_CHANNEL, fields.channelNumber ?? 0);
  frame[AT_FLAGS] =
    (fields.opCode ?? OpCode.Request) |
    (fields.origin === Origin.engine ? ORIGIN_BIT : 0) |
    (fields.more === true ? MORE_BIT : 0);
  frame[AT_STATUS] = fields.status ?? AmpeStatus.Success;
  writeMessageId(frame, 0, fields.messageId ?? 0n);
  writeU16(frame, AT_HEADERS_LENGTH, headers.byteLength);
  writeU16(frame, AT_BODY_LENGTH, body.byteLength);
  frame.set(headers, HEADER_BYTES);
  frame.set(body, HEADER_BYTES + headers.byteLength);
  return frame;
}

/** A frame taken apart; `headers` and `body` are views of it. */
export interface DecodedFrame {
  readonly header: BinaryHeader;
  readonly headers: Buffer;
  readonly body: Buffer;
}

/**
 * Takes one whole frame apart.
 * @param frame exactly one frame
 * @throws {@link AmpeError} `invalid_message` when the lengths in the header are not those of the bytes
 */
export function decodeFrame(frame: Uint8Array): DecodedFrame {
  const length = frame.byteLength;
  const headersLength = length < HEADER_BYTES ? 0 : readU16(frame, AT_HEADERS_LENGTH);
  const bodyLength = length < HEADER_BYTES ? 0 : readU16(frame, AT_BODY_LENGTH);
  const expected = HEADER_BYTES + headersLength + bodyLength;
  if (length !== expected) {
    throw new AmpeError(AmpeStatus.InvalidMessage, `invalid_message: ${length} bytes, the frame has ${expected}`);
  }
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, length);
  return {
    header: snapshotOf(fieldsAt(frame, 0)),
    headers: bytes.subarray(HEADER_BYTES, HEADER_BYTES + headersLength),
    body: bytes.subarray(HEADER_BYTES + headersLength),
  };
}
