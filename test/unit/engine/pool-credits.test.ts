// Credits that come back later than the memory: what was posted to an engine with a thread of its own.
import type { Reader } from '../../../lib/engine/frame';
import { Pool } from '../../../lib/engine/pool';
import { looseFrame } from '../../../lib/engine/frame';

function readerOf(group: number): Reader & { told: number; reconsidered: number } {
  return {
    group,
    reserveLent: false,
    told: 0,
    reconsidered: 0,
    onCredit() {
      this.told++;
    },
    reconsider() {
      this.reconsidered++;
    },
  };
}

describe('a released message', () => {
  it('gives its memory back at once, and its credit when it is settled', () => {
    const pool = new Pool(0, 1);
    const frame = pool.take()!;
    pool.release(frame);
    expect(pool.take()).toBeNull();
    pool.settle(1);
    expect(pool.take()).toBe(frame);
  });

  it('counts in poolFree until then', () => {
    const pool = new Pool(4, 4);
    for (let i = 0; i < 3; i++) pool.release(pool.take()!);
    expect(pool.free).toBe(1);
    pool.settle(3);
    expect([pool.free, pool.total]).toEqual([4, 4]);
  });

  it('past the bound does not stay in the total', () => {
    const pool = new Pool(0, 2);
    for (let i = 0; i < 5; i++) pool.release(pool.takeAlways());
    expect(pool.total).toBe(5);
    pool.settle(5);
    expect([pool.free, pool.total]).toEqual([2, 2]);
  });

  it('serves those who wait, first come, first served, as many as are settled', () => {
    const pool = new Pool(0, 2);
    pool.release(pool.take()!);
    pool.release(pool.take()!);
    const served: number[] = [];
    for (const n of [1, 2, 3]) pool.wait({ grant: () => served.push(n) });
    pool.settle(2);
    expect(served).toEqual([1, 2]);
  });

  it('lets those who hold channels back look again, once for each batch', () => {
    const pool = new Pool(0, 4);
    const reader = readerOf(1);
    for (let i = 0; i < 4; i++) pool.take();
    pool.addHolder(reader);
    pool.addHolder(reader);
    expect(pool.wanted).toBe(true);
    pool.settle(3);
    pool.settle(1);
    expect([reader.reconsidered, pool.wanted]).toEqual([1, false]);
    pool.addHolder(reader);
    pool.forget(reader);
    pool.settle(0);
    expect([reader.reconsidered, pool.wanted]).toEqual([1, false]);
  });

  it('read by means of a reserve gives the reserve back to its reader', () => {
    const pool = new Pool(0, 1);
    const reader = readerOf(1);
    const other = readerOf(2);
    pool.take();
    expect([pool.takeForReading(other), pool.takeForReading(reader)]).toEqual([true, true]);
    expect(pool.takeForReading(reader)).toBe(false);
    pool.settleFor(reader, 1);
    expect([reader.reserveLent, other.reserveLent]).toEqual([false, true]);
    expect(reader.told).toBe(1);
  });
});

test('who begins to wait is noticed', () => {
  const pool = new Pool(0, 1);
  let wanted = 0;
  pool.onWanted = () => wanted++;
  expect(pool.wanted).toBe(false);
  pool.take();
  pool.wait({ grant: () => undefined });
  pool.starve(readerOf(1));
  expect([pool.wanted, wanted]).toEqual([true, 2]);
});

test('a frame in shared memory tells when it is given back, and has nothing of the pool any more', () => {
  const pool = new Pool(0, 1);
  let dropped = 0;
  const frame = looseFrame();
  frame.shared = { drop: () => void dropped++ };
  pool.count(frame);
  expect(dropped).toBe(0);
  pool.give(frame);
  expect([dropped, pool.free]).toEqual([1, pool.total]);
  expect([frame.counted, frame.reader, frame.countsUntilTaken]).toEqual([false, null, false]);
});
