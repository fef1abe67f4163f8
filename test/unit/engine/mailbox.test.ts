// A mailbox that is told of something while it is being asked: whoever is being served must not be served twice.
import type { Frame } from '../../../lib/engine/frame';
import { looseFrame } from '../../../lib/engine/frame';
import { Mailbox, type MailSource } from '../../../lib/engine/mailbox';
import { Pool } from '../../../lib/engine/pool';

/** A channel with `count` frames and no end. */
function sourceOf(count: number): MailSource {
  return {
    ended: false,
    told: false,
    takeFrame: () => (count--, looseFrame()),
    hasFrames: () => count > 0,
    takeTail: looseFrame,
  };
}

function hostOf(changes: Partial<ConstructorParameters<typeof Mailbox>[2]>): ConstructorParameters<typeof Mailbox>[2] {
  return { reclaim: () => undefined, refill: () => false, makePoolEmpty: looseFrame, ...changes };
}

test('what refill() brings is taken by the one who asks, who is not told of it besides', () => {
  const pool = new Pool(0, 10);
  const brought = [looseFrame(), looseFrame()];
  let told = 0;
  const mailbox: Mailbox = new Mailbox(
    pool,
    1,
    hostOf({
      refill: () => {
        const frame = brought.shift();
        if (frame !== undefined) mailbox.addMail(frame);
        return frame !== undefined;
      },
    }),
    () => told++,
  );
  const taken: Frame[] = [];
  for (let frame = mailbox.take(); frame !== null; frame = mailbox.take()) taken.push(frame);
  expect([taken.length, told]).toEqual([2, 0]);
});

test('a credit that comes by the asking itself is used, and nobody is told', () => {
  const pool = new Pool(0, 1);
  let told = 0;
  const mailbox = new Mailbox(pool, 1, hostOf({ reclaim: () => pool.settle(1) }), () => told++);
  mailbox.addReady(sourceOf(3));
  expect(told).toBe(1);
  const first = mailbox.take()!;
  pool.release(first);
  expect(mailbox.take()).not.toBeNull(); // by the reserve
  expect(mailbox.take()).not.toBeNull(); // by what reclaim() brought
  expect(told).toBe(1);
});

test('a credit that refill() brings is looked at before pool_empty is told', () => {
  const pool = new Pool(0, 1);
  let late = 1;
  const host = hostOf({
    refill: () => {
      const settled = late > 0;
      if (settled) pool.settle(late);
      late = 0;
      return settled;
    },
    makePoolEmpty: () => {
      throw new Error('a message was free');
    },
  });
  const mailbox = new Mailbox(pool, 1, host, () => undefined);
  mailbox.addReady(sourceOf(3));
  pool.release(mailbox.take()!);
  mailbox.take();
  expect(mailbox.take()).not.toBeNull();
});

test('a message that came back counts until it is taken', () => {
  const pool = new Pool(0, 1);
  const mailbox = new Mailbox(pool, 1, hostOf({}), () => undefined);
  const frame = pool.take()!;
  frame.countsUntilTaken = true;
  mailbox.addMail(frame);
  expect(pool.free).toBe(0);
  expect(mailbox.take()).toBe(frame);
  expect([pool.free, frame.counted, frame.countsUntilTaken]).toEqual([1, false, false]);
});
