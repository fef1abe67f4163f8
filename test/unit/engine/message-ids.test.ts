// The counter behind message_id 0. Each test file has its own copy of the module, so the first number is seen here.

import { assignMessageId, setLastMessageId } from '../../../lib/engine/message-ids';
import { readMessageId } from '../../../lib/protocol/header';

function nextId(): bigint {
  const header = Buffer.alloc(16);
  assignMessageId(header, 0);
  return readMessageId(header, 0);
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
