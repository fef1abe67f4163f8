// body.mjs: what is in a benchmark's message, so that the other side can tell whether it arrived whole, once and in order.
// Marks stand at the front, at the end and every 4 KiB, where frames are split and spliced; each depends on all of
// sequence, connection and place. Words are little-endian u32; a body has at least MIN_BYTES.
export const MIN_BYTES = 20;
const AT_CONNECTION = 4;
const AT_LENGTH = 8;
const AT_LAST = 12;
const MARK_EVERY = 4096;

const mark = (sequence, connection, at) => Math.imul((sequence + Math.imul(connection, 65_537)) ^ at, 0x9e3779b1);

/** `last` says that no further message follows on this connection. */
export function stampBody(body, sequence, connection, last) {
  const end = body.length - 4;
  body.writeInt32LE(sequence | 0, 0);
  body.writeInt32LE(connection, AT_CONNECTION);
  body.writeInt32LE(body.length, AT_LENGTH);
  body.writeInt32LE(last ? 1 : 0, AT_LAST);
  for (let at = MARK_EVERY; at < end; at += MARK_EVERY) body.writeInt32LE(mark(sequence, connection, at), at);
  body.writeInt32LE(mark(sequence, connection, end), end);
}

export const connectionOf = (body) => body.readUInt32LE(AT_CONNECTION);
export const isLast = (body) => body.readInt32LE(AT_LAST) !== 0;

/** Throws unless the body is exactly the one that was sent as number `sequence` of that connection. */
export function checkBody(body, length, sequence, connection) {
  const end = length - 4;
  let good =
    body.length === length &&
    body.readInt32LE(0) === (sequence | 0) &&
    body.readInt32LE(AT_CONNECTION) === connection &&
    body.readInt32LE(AT_LENGTH) === length &&
    body.readInt32LE(end) === mark(sequence, connection, end);
  for (let at = MARK_EVERY; good && at < end; at += MARK_EVERY) {
    good = body.readInt32LE(at) === mark(sequence, connection, at);
  }
  if (!good)
    throw new Error(
      `integrity: wanted message ${sequence} of connection ${connection}, ${length} bytes; ${describe(body)}`,
    );
}

function describe(body) {
  if (body.length < MIN_BYTES) return `got ${body.length} bytes`;
  return `got ${body.readInt32LE(0)} of ${connectionOf(body)}, ${body.length} bytes, or wrong content`;
}
