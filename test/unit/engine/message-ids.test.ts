// The counter behind message_id 0. Each test file has its own copy of the module, so the first number is seen here.

import { assignMessageId, BlockIds, setLastMessageId } from '../../../lib/engine/message-ids';
import { messageIdOf } from '../../../lib/protocol/header';

function nextId(): bigint {
  const header = { idHigh: 0, idLow: 0 };
  assignMessageId(header);
  return messageIdOf(header.idHigh, header.idLow);
}

test('starts at 1 and counts on', () => {
  expect([nextId(), nextId(), nextId()]).toEqual([1n, 2n, 3n]);
});

test('carries into the high half', () => {
  setLastMessageId(0, 0xffffffff);
  expect([nextId(), nextId()]).toEqual([1n << 32n, (1n << 32n) + 1n]);
});

test('wraps past 0, which is no id', () => {
  setLastMessageId(0xffffffff, 0xfffffffe);
  expect([nextId(), nextId()]).toEqual([(1n << 64n) - 1n, 1n]);
});

test('blocks are used up in turn, each number once, across the carry', () => {
  const blocks = [
    [0, 0xfffffffe, 3],
    [7, 1, 1],
    [9, 5, 2],
  ];
  const ids = new BlockIds((block) => block.set(blocks.shift()!));
  const header = { idHigh: 0, idLow: 0 };
  const numbers = Array.from({ length: 6 }, () => {
    ids.assign(header);
    return messageIdOf(header.idHigh, header.idLow);
  });
  const high = (n: bigint): bigint => n << 32n;
  expect(numbers).toEqual([0xfffffffen, 0xffffffffn, high(1n), high(7n) + 1n, high(9n) + 5n, high(9n) + 6n]);
});
