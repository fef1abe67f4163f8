// host-frame.ts: how frames lie in memory that this half and the addon share: each at a multiple of 16 bytes, with a header of four
// words in the machine's own byte order, so that one is read or written by four plain loads or stores. The addon turns
// them into frames of the wire and back while it copies. The same layout is in native/core/host_frame.h.
import type { Frame } from '../engine/frame';
import { HEADER_BYTES } from '../protocol/constants';

/** Distance between two places where frames may begin, as a shift. */
export const PLACE_SHIFT = 4;
const PLACE_MASK = (1 << PLACE_SHIFT) - 1;

/** Bytes that a frame of `length` takes here. */
export function placeBytes(length: number): number {
  return (length + PLACE_MASK) & ~PLACE_MASK;
}

/** Writes the header of a frame that is posted. `words` is the memory in words, `at` an offset in bytes. */
export function writeHostHeader(frame: Frame, words: Int32Array, at: number): void {
  const word = at >> 2;
  words[word] = frame.flags;
  words[word + 1] = frame.idHigh;
  words[word + 2] = frame.idLow;
  words[word + 3] = frame.headersLength | (frame.bodyLength << 16);
}

/** Lets `frame` stand for the one at `at`. `words` is the same memory in words. */
export function placeHostFrame(frame: Frame, memory: Buffer, words: Int32Array, at: number): void {
  const word = at >> 2;
  const about = words[word];
  const lengths = words[word + 3];
  frame.flags = about & 0xff;
  frame.status = (about >>> 8) & 0xff;
  frame.channel = about >>> 16;
  frame.idHigh = words[word + 1];
  frame.idLow = words[word + 2];
  frame.place(memory, at + HEADER_BYTES, lengths & 0xffff, lengths >>> 16);
}
