// Frames whose parts do not lie side by side, and frame objects that are used again.
import { frameAt, NO_SLOT } from '../../../lib/engine/frame';
import { Pool } from '../../../lib/engine/pool';
import { encodeFrame } from '../../../lib/protocol/header';

function bytesOf(frame: ReturnType<typeof frameAt>): Buffer {
  const views: Buffer[] = [];
  frame.addViews(views);
  return Buffer.concat(views);
}

describe('a received frame that loses its text headers', () => {
  // Shorter and longer than the header, which moves over them.
  it.each([1, 5, 15, 16, 17, 100])('of %i bytes leaves as one piece with the rest of it unharmed', (length) => {
    const body = Buffer.alloc(5000, 'b');
    const fields = { channelNumber: 0x1234, messageId: 0x0102030405060708n };
    const frame = frameAt(encodeFrame(fields, Buffer.alloc(length, 'h'), body), 0);
    frame.resizeHeaders(0);
    const expected = encodeFrame(fields, undefined, body);
    expect(bytesOf(frame)).toEqual(expected);
    // The header has moved: it is still the frame's own, and the frame can be looked at again.
    expect(bytesOf(frame)).toEqual(expected);
    expect(frame.byteLength).toBe(expected.length);
  });
});

test('a body that outgrew its slot leaves as one piece, the slot keeps its header', () => {
  const pool = new Pool(1, 1);
  const frame = pool.take()!;
  frame.resizeBody(5000);
  frame.bodyView(5000).fill('x');
  const { memory, at } = frame;
  const views: Buffer[] = [];
  frame.addViews(views);
  expect(views).toHaveLength(1);
  expect(views[0]).toEqual(encodeFrame({}, undefined, Buffer.alloc(5000, 'x')));
  expect([frame.memory, frame.at]).toEqual([memory, at]);
});

test('a frame object that stands for other bytes has nothing of the former ones', () => {
  const first = encodeFrame({ messageId: 1n }, Buffer.from('a: b\r\n'), Buffer.from('one'));
  const second = encodeFrame({ messageId: 2n }, undefined, Buffer.from('second'));
  const frame = frameAt(first, 0);
  frame.resizeBody(100);
  frame.place(second, 0);
  expect(frame.slot).toBe(NO_SLOT);
  expect([frame.headersLength, frame.bodyLength, frame.contiguous]).toEqual([0, 6, true]);
  expect(frame.bodyView(6).toString()).toBe('second');
});
