// body.mjs: what is in a benchmark's message, so that the other side can tell whether it arrived whole, once and in order.
// Marks stand at the front, at the end and every 4 KiB, where frames are split and spliced; each depends on all of
// sequence, connection and place. Words are little-endian i32. A body of less than MIN_BYTES carries its sequence at most.
export const MIN_BYTES = 20;
const AT_CONNECTION = 4;
const AT_LENGTH = 8;
const AT_KIND = 12;
const MARK_EVERY = 4096;
const SEQUENCE_BYTES = 4;

/** What a message says of the run: it belongs to the warm-up, it is measured, or it is measured and none follows. */
export const WARM_UP = 0;
export const MEASURED = 1;
export const LAST = 2;

const mark = (sequence, connection, at) => Math.imul((sequence + Math.imul(connection, 65_537)) ^ at, 0x9e3779b1);

export function stampBody(body, sequence, connection, kind) {
  const { length } = body;
  if (length < MIN_BYTES) {
    if (length >= SEQUENCE_BYTES) body.writeInt32LE(sequence | 0, 0);
    return;
  }
  const end = length - 4;
  body.writeInt32LE(sequence | 0, 0);
  body.writeInt32LE(connection, AT_CONNECTION);
  body.writeInt32LE(length, AT_LENGTH);
  body.writeInt32LE(kind, AT_KIND);
  for (let at = MARK_EVERY; at < end; at += MARK_EVERY) body.writeInt32LE(mark(sequence, connection, at), at);
  body.writeInt32LE(mark(sequence, connection, end), end);
}

export const connectionOf = (body) => body.readInt32LE(AT_CONNECTION);
export const kindOf = (body) => body.readInt32LE(AT_KIND);

/** Throws unless the body is exactly the one that was sent as number `sequence` of that connection. */
export function checkBody(body, length, sequence, connection) {
  if (!isWhole(body, length, sequence, connection)) {
    const wanted = `wanted message ${sequence} of connection ${connection}, ${length} bytes`;
    throw new Error(`integrity: ${wanted}; ${describe(body)}`);
  }
}

function isWhole(body, length, sequence, connection) {
  if (body.length !== length) return false;
  if (length < MIN_BYTES) return length < SEQUENCE_BYTES || body.readInt32LE(0) === (sequence | 0);
  const end = length - 4;
  let whole =
    body.readInt32LE(0) === (sequence | 0) &&
    body.readInt32LE(AT_CONNECTION) === connection &&
    body.readInt32LE(AT_LENGTH) === length &&
    body.readInt32LE(end) === mark(sequence, connection, end);
  for (let at = MARK_EVERY; whole && at < end; at += MARK_EVERY) {
    whole = body.readInt32LE(at) === mark(sequence, connection, at);
  }
  return whole;
}

function describe(body) {
  if (body.length < MIN_BYTES) return `got ${body.length} bytes`;
  return `got ${body.readInt32LE(0)} of ${connectionOf(body)}, ${body.length} bytes, or wrong content`;
}
