// Memory of received frames: used again when nobody looks at it, and never before.
import { SLAB_BYTES, Slabs } from '../../../lib/native-engine/slab';

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
