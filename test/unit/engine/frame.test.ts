// Frames whose parts do not lie side by side, and frame objects that are used again.
import { looseFrame, NO_SLOT, type Frame } from '../../../lib/engine/frame';
import { Pool } from '../../../lib/engine/pool';
import { encodeFrame } from '../../../lib/protocol/header';

/** A frame as it was received: it stands for the bytes behind the header. */
function received(bytes: Buffer, headersLength: number): Frame {
  const frame = looseFrame();
  frame.place(bytes, 16, headersLength, bytes.length - 16 - headersLength);
  return frame;
}
function viewsOf(frame: Frame): Buffer[] {
  const views: Buffer[] = [];
  frame.addViews(views);
  return views;
}
const bytesOf = (frame: Frame): Buffer => Buffer.concat(viewsOf(frame));

const FIELDS = { channelNumber: 0x1234, messageId: 0x01020304_05060708n };
function name(frame: Frame): void {
  frame.channel = 0x1234;
  frame.idHigh = 0x01020304;
  frame.idLow = 0x05060708;
}

describe('a received frame that loses its text headers', () => {
  // Shorter and longer than the header, which is written over them.
  it.each([1, 5, 15, 16, 17, 100])('of %i bytes leaves as one piece with the rest of it unharmed', (length) => {
    const body = Buffer.alloc(5000, 'b');
    const frame = received(encodeFrame(FIELDS, Buffer.alloc(length, 'h'), body), length);
    name(frame);
    frame.resizeHeaders(0);
    const expected = encodeFrame(FIELDS, undefined, body);
    expect(viewsOf(frame)).toHaveLength(1);
    expect(bytesOf(frame)).toEqual(expected);
    // The frame is as it was: it can be looked at again.
    expect(bytesOf(frame)).toEqual(expected);
    expect([frame.byteLength, frame.body().equals(body)]).toEqual([expected.length, true]);
  });
});

test('a received frame leaves from where it lies, text headers and all', () => {
  const headers = Buffer.from('a:b\r\n');
  const bytes = encodeFrame(FIELDS, headers, Buffer.alloc(5000, 'x'));
  const frame = received(Buffer.from(bytes), headers.length);
  name(frame);
  expect(frame.assemble()).toBe(0);
  expect(bytesOf(frame)).toEqual(bytes);
});

test('text headers that were shortened or replaced leave apart from the body', () => {
  const frame = received(encodeFrame(FIELDS, Buffer.from('a:bb\r\n'), Buffer.from('body')), 6);
  name(frame);
  frame.resizeHeaders(5);
  expect([frame.assemble(), bytesOf(frame)]).toEqual([
    -1,
    encodeFrame(FIELDS, Buffer.from('a:bb\r'), Buffer.from('body')),
  ]);
  frame.resizeHeaders(100);
  frame.headers().fill('h');
  expect([frame.assemble(), bytesOf(frame)]).toEqual([
    -1,
    encodeFrame(FIELDS, Buffer.alloc(100, 'h'), Buffer.from('body')),
  ]);
});

test('a frame without memory of its own is a header', () => {
  const frame = looseFrame();
  name(frame);
  expect([frame.assemble(), bytesOf(frame)]).toEqual([-1, encodeFrame(FIELDS)]);
});

test('a body that outgrew its slot leaves as one piece', () => {
  const frame = new Pool(1, 1).take()!;
  frame.resizeBody(5000);
  frame.body().fill('x');
  const views = viewsOf(frame);
  expect(views).toHaveLength(1);
  expect(views[0]).toEqual(encodeFrame({}, undefined, Buffer.alloc(5000, 'x')));
});

test('a frame object that stands for other bytes has nothing of the former ones', () => {
  const first = encodeFrame({ messageId: 1n }, Buffer.from('a: b\r\n'), Buffer.from('one'));
  const second = encodeFrame({ messageId: 2n }, undefined, Buffer.from('second'));
  const frame = received(first, 6);
  expect(frame.body().toString()).toBe('one');
  frame.resizeBody(100);
  frame.place(second, 16, 0, 6);
  expect(frame.slot).toBe(NO_SLOT);
  expect([frame.headersLength, frame.bodyLength, frame.bodyRoom, frame.assemble()]).toEqual([0, 6, 6, 0]);
  expect(frame.body().toString()).toBe('second');
});

test('a view of the body is kept until the body has another size or place', () => {
  const frame = new Pool(1, 1).take()!;
  frame.resizeBody(10);
  const view = frame.body();
  frame.resizeBody(10);
  expect(frame.body()).toBe(view);
  frame.resizeBody(11);
  expect(frame.body()).toHaveLength(11);
  frame.resizeBody(5000);
  expect(frame.body()).toHaveLength(5000);
});
