// Whether the memory of returned messages is used again: nothing else tells, because what leaks here is not counted.
import { NO_SLOT } from '../../../lib/engine/frame';
import { Pool } from '../../../lib/engine/pool';

describe('slots of the pool', () => {
  it('go round: a returned slot is given out again', () => {
    const pool = new Pool(0, 2);
    const slots = new Set<number>();
    for (let round = 0; round < 10; round++) {
      const frames = [pool.take()!, pool.take()!];
      for (const frame of frames) {
        slots.add(frame.slot);
        pool.give(frame);
      }
    }
    expect([...slots].sort()).toEqual([0, 1]);
  });

  it('are no more than maxPoolMsgs; what goes past them has memory of its own', () => {
    const pool = new Pool(0, 1);
    expect(pool.take()!.slot).toBe(0);
    expect(pool.takeAlways().slot).toBe(NO_SLOT);
  });
});
