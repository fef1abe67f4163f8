// Memory of received frames: used again when nobody looks at it, and never before.
import { looseFrame } from '../../../lib/engine/frame';
import { writeHostHeader } from '../../../lib/native-engine/host-frame';
import { SLAB_BYTES, Slabs, type Slab } from '../../../lib/native-engine/slab';

test('an empty slab is written from its start again', () => {
  const slabs = new Slabs();
  const slab = slabs.current();
  slab.at = 1000;
  slab.live = 2;
  slab.drop();
  expect([slabs.current(), slab.at]).toEqual([slab, 1000]);
  slab.drop();
  expect([slabs.current(), slab.at]).toEqual([slab, 0]);
});

test('a full slab makes way, and comes back when the last frame of it is gone', () => {
  const slabs = new Slabs();
  const full = slabs.current();
  full.live = 1;
  full.at = SLAB_BYTES - 10;
  const second = slabs.current();
  expect(second).not.toBe(full);
  second.live = 1;
  expect(slabs.next()).not.toBe(full);
  full.drop();
  slabs.current().live = 1;
  expect(slabs.next()).toBe(full);
  expect(full.at).toBe(0);
});

test('a slab that is too full for the next frame is left even when there is some room in it', () => {
  const slabs = new Slabs();
  const slab = slabs.current();
  slab.live = 1;
  slab.at = SLAB_BYTES / 2;
  expect(slabs.current()).toBe(slab);
  expect(slabs.next()).not.toBe(slab);
});

/** Writes a frame into the slab as the addon does. */
function write(slab: Slab, at: number, fields: { headers?: string; body: string; id?: number }): void {
  const frame = looseFrame();
  frame.idLow = fields.id ?? 1;
  const headers = fields.headers ?? '';
  frame.headersLength = headers.length;
  frame.bodyLength = fields.body.length;
  writeHostHeader(frame, new Int32Array(slab.memory.buffer), at);
  slab.memory.write(headers + fields.body, at + 16);
  slab.live++;
}

test('a frame has what lies at its place, each time anew', () => {
  const slab = new Slabs().current();
  write(slab, 32, { body: 'first', id: 7 });
  const first = slab.frameAt(32);
  expect([first.idLow, first.headersLength, first.body().toString()]).toEqual([7, 0, 'first']);
  // As long as the one before, but not where that was.
  write(slab, 32, { headers: 'a:b', body: 'other', id: -8 });
  const second = slab.frameAt(32);
  expect([second.idLow, second.headers().toString(), second.body().toString()]).toEqual([-8, 'a:b', 'other']);
  write(slab, 32, { body: 'a longer one', id: 9 });
  expect(slab.frameAt(32).body().toString()).toBe('a longer one');
});

test('frames of the same size at the same place share the view of the body', () => {
  const slab = new Slabs().current();
  write(slab, 0, { body: 'abc' });
  const view = slab.frameAt(0).body();
  write(slab, 0, { body: 'xyz' });
  expect(slab.frameAt(0).body()).toBe(view);
  expect(view.toString()).toBe('xyz');
});

test('a frame whose body outgrew its place is back there the next time', () => {
  const slab = new Slabs().current();
  write(slab, 0, { body: 'abc' });
  slab.frameAt(0).resizeBody(100);
  write(slab, 0, { body: 'abc' });
  const frame = slab.frameAt(0);
  expect([frame.bodyLength, frame.bodyRoom, frame.body().toString()]).toEqual([3, 3, 'abc']);
});

test('frames far behind the start are their own', () => {
  const slab = new Slabs().current();
  const at = SLAB_BYTES - 64;
  write(slab, at, { body: 'far' });
  const frame = slab.frameAt(at);
  expect([frame.body().toString(), slab.frameAt(at) === frame]).toEqual(['far', false]);
});

test('a slab whose memory was transferred away is not used again', () => {
  const slabs = new Slabs();
  const slab = slabs.current();
  structuredClone(slab.memory.buffer, { transfer: [slab.memory.buffer] });
  expect(slab.memory.length).toBe(0);
  expect(slabs.next()).not.toBe(slab);
});
