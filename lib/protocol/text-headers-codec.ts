// text-headers-codec.ts: text headers as bytes, "name:value\r\n" repeated; one field at a time.
// Layer: protocol. Knows bytes and strings; where they are kept and how long they may get is the caller's matter.
// Writing is strict, reading takes what any peer sends: no bytes make the reader throw.
// Invariant: what encodeField wrote, nextField reads back, but for blanks around the value.

import { AmpeError, invalidArgument } from './ampe-error';
import { AmpeStatus } from './status';

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** One field that was read, and where the next one starts. */
export interface TextField {
  readonly name: string;
  readonly value: string;
  readonly next: number;
}

/**
 * The bytes of one text header.
 * @param name trimmed of blanks and line ends; not empty then, and without colon and line ends
 * @param value taken as it is; not empty, without line ends
 * @throws {@link AmpeError} `invalid_message` with code `ERR_AMPE_BAD_NAME` or `ERR_AMPE_BAD_VALUE`
 * @throws TypeError `ERR_INVALID_ARG_TYPE` when one of them is no string
 */
export function encodeField(name: string, value: string): Buffer {
  if (typeof name !== 'string') throw invalidArgument('name', 'a string', name);
  if (typeof value !== 'string') throw invalidArgument('value', 'a string', value);
  const trimmed = trimName(name);
  if (trimmed === '') throw badField('ERR_AMPE_BAD_NAME', 'the name is empty');
  if (value === '') throw badField('ERR_AMPE_BAD_VALUE', 'the value is empty');
  if (/[:\r\n]/.test(trimmed)) throw badField('ERR_AMPE_BAD_NAME', 'the name has a colon or a line end in it');
  if (/[\r\n]/.test(value)) throw badField('ERR_AMPE_BAD_VALUE', 'the value has a line end in it');
  return Buffer.from(`${trimmed}:${value}\r\n`, 'utf8');
}

function badField(code: string, why: string): AmpeError {
  return new AmpeError(AmpeStatus.InvalidMessage, `invalid_message: text header: ${why}`, { code });
}

// Not String.trim, which takes more than these four; not a regular expression, whose `+$` is quadratic in blanks.
function trimName(name: string): string {
  let start = 0;
  let end = name.length;
  while (start < end && isNamePadding(name.charCodeAt(start))) start++;
  while (end > start && isNamePadding(name.charCodeAt(end - 1))) end--;
  return name.slice(start, end);
}

function isNamePadding(code: number): boolean {
  return code === SPACE || code === TAB || code === CR || code === LF;
}

/**
 * Reads the text header at `at`; start at 0 and go on at `next` until null.
 * @param memory holds the text headers
 * @param at where to read on
 * @param end where the text headers end
 * @returns the field, or null at the end or at a field with an empty name, which ends the reading
 */
export function nextField(memory: Uint8Array, at: number, end: number): TextField | null {
  let start = at;
  while (start + 1 < end && memory[start] === CR && memory[start + 1] === LF) start += 2;
  if (start >= end) return null;
  let colon = -1;
  let stop = start;
  for (; stop < end; stop++) {
    const byte = memory[stop];
    if (byte === COLON && colon < 0) colon = stop;
    else if (byte === CR && stop + 1 < end && memory[stop + 1] === LF) break;
  }
  const next = Math.min(stop + 2, end);
  if (colon === start) return null;
  if (colon < 0) return { name: textOf(memory, start, stop), value: '', next };
  let from = colon + 1;
  let to = stop;
  while (from < to && isBlank(memory[from])) from++;
  while (to > from && isBlank(memory[to - 1])) to--;
  return { name: textOf(memory, start, colon), value: textOf(memory, from, to), next };
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function textOf(memory: Uint8Array, from: number, to: number): string {
  const bytes = Buffer.isBuffer(memory) ? memory : Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  return bytes.toString('utf8', from, to);
}
