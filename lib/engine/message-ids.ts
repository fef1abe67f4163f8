// message-ids.ts: the counter behind message_id 0, one for each thread, shared by its engines.
// Starts at 1 and wraps past 0. Kept as two halves: a BigInt per message would cost more than the rest of post().
import { AT_ID_HIGH, AT_ID_LOW } from '../protocol/constants';
import { writeU32 } from '../protocol/header';

let high = 0;
let low = 0;

/** Writes the next number into the header at `at`. */
export function assignMessageId(memory: Buffer, at: number): void {
  low = (low + 1) >>> 0;
  if (low === 0) {
    high = (high + 1) >>> 0;
    if (high === 0) low = 1;
  }
  writeU32(memory, at + AT_ID_HIGH, high);
  writeU32(memory, at + AT_ID_LOW, low);
}

/** For tests of the wrap: the next number is the one behind this. @internal */
export function setLastMessageId(lastHigh: number, lastLow: number): void {
  high = lastHigh >>> 0;
  low = lastLow >>> 0;
}
