// The counters behind message_id 0.

import { BlockIds, IdCounter, type MessageIds } from '../../../lib/engine/message-ids';
import { messageIdOf } from '../../../lib/protocol/header';

/** The next number, which the frame and the caller must get alike. */
function nextOf(ids: MessageIds): bigint {
  const frame = { idHigh: 0, idLow: 0 };
  const id = ids.assign(frame);
  expect(messageIdOf(frame.idHigh, frame.idLow)).toBe(id);
  expect([frame.idHigh | 0, frame.idLow | 0]).toEqual([frame.idHigh, frame.idLow]); // signed
  return id;
}
function after(high: number, low: number): bigint[] {
  const ids = new IdCounter();
  ids.setNext(high, low);
  return [nextOf(ids), nextOf(ids), nextOf(ids)];
}

test('starts at 1 and counts on', () => {
  const ids = new IdCounter();
  expect([nextOf(ids), nextOf(ids), nextOf(ids)]).toEqual([1n, 2n, 3n]);
});

test('carries into the high half', () => {
  expect(after(0, 0xffffffff)).toEqual([0xffffffffn, 1n << 32n, (1n << 32n) + 1n]);
});

test('crosses the middle, where the halves become negative', () => {
  expect(after(0x7fffffff, 0xffffffff)).toEqual([(1n << 63n) - 1n, 1n << 63n, (1n << 63n) + 1n]);
  expect(after(0, 0x7fffffff)).toEqual([(1n << 31n) - 1n, 1n << 31n, (1n << 31n) + 1n]);
});

test('wraps past 0, which is no id', () => {
  expect(after(0xffffffff, 0xffffffff)).toEqual([(1n << 64n) - 1n, 1n, 2n]);
});

test('blocks are used up in turn, each number once, across the carry', () => {
  const blocks = [
    [0, 0xfffffffe, 3],
    [7, 1, 1],
    [9, 5, 2],
  ];
  const ids = new BlockIds((block) => block.set(blocks.shift()!));
  const numbers = Array.from({ length: 6 }, () => nextOf(ids));
  const high = (n: bigint): bigint => n << 32n;
  expect(numbers).toEqual([0xfffffffen, 0xffffffffn, high(1n), high(7n) + 1n, high(9n) + 5n, high(9n) + 6n]);
});
