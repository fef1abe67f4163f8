// Who is served when: mail and frames, channels among themselves, and a mailbox that is told of something while it is being asked.
import type { Frame } from '../../../lib/engine/frame';
import { looseFrame } from '../../../lib/engine/frame';
import { Mailbox, type MailSource } from '../../../lib/engine/mailbox';
import { Pool } from '../../../lib/engine/pool';

/** A channel with `count` frames and no end. */
function sourceOf(count: number, channel = 0): MailSource {
  return {
    ended: false,
    told: false,
    takeFrame: () => (count--, Object.assign(looseFrame(), { channel })),
    hasFrames: () => count > 0,
    unsentAnswers: () => 0,
    takeTail: looseFrame,
  };
}

function hostOf(changes: Partial<ConstructorParameters<typeof Mailbox>[2]>): ConstructorParameters<typeof Mailbox>[2] {
  return {
    reclaim: () => undefined,
    reclaimUnsendable: () => undefined,
    refill: () => false,
    makePoolEmpty: looseFrame,
    ...changes,
  };
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

test('the end of the engine may come with what is reclaimed', () => {
  const pool = new Pool(0, 1);
  const end = (): void => {
    pool.settle(1);
    mailbox.clear();
  };
  const mailbox: Mailbox = new Mailbox(pool, 1, hostOf({ reclaim: end }), () => undefined);
  mailbox.addReady(sourceOf(3));
  pool.release(mailbox.take()!);
  mailbox.take(); // by the reserve
  expect(mailbox.take()).toBeNull();
});

/** Two channels of which one has unsent answers, and a pool of ten with four messages left. */
function unread(host: Parameters<typeof hostOf>[0] = {}) {
  const pool = new Pool(0, 10);
  const taken = Array.from({ length: 6 }, () => pool.take()!);
  const told: string[] = [];
  const mailbox = new Mailbox(pool, 1, hostOf(host), () => told.push('readable'));
  const answers = { unsent: 5 };
  mailbox.addReady({ ...sourceOf(1000, 1), unsentAnswers: () => answers.unsent });
  told.length = 0;
  return { pool, taken, mailbox, answers, told };
}

test('a channel over its share waits, and nothing is told; others do not wait', () => {
  const { mailbox, pool } = unread({
    makePoolEmpty: () => {
      throw new Error('a message was free');
    },
  });
  expect(mailbox.take()).toBeNull();
  mailbox.addReady(sourceOf(2, 2));
  for (let i = 0; i < 2; i++) {
    const frame = mailbox.take()!;
    expect(frame.channel).toBe(2);
    pool.give(frame);
  }
  expect(mailbox.take()).toBeNull();
});

test('a channel over its share goes on with the credit that gives it one more', () => {
  const { mailbox, pool, taken, told } = unread();
  expect(mailbox.take()).toBeNull();
  pool.give(taken.pop()!);
  expect(told).toEqual(['readable']);
  expect(mailbox.take()).toMatchObject({ channel: 1 });
});

test('a channel over its share goes on when its answers count no more', () => {
  const { mailbox, answers, told } = unread();
  mailbox.reconsider();
  expect(mailbox.take()).toBeNull();
  expect(told).toEqual([]); // nobody was held back when it was called
  answers.unsent = 0;
  mailbox.reconsider();
  expect(told).toEqual(['readable']);
  expect(mailbox.take()).toMatchObject({ channel: 1 });
});

test('a channel that is held back is looked at whenever another one has had its turn', () => {
  const { mailbox, pool, answers } = unread();
  expect(mailbox.take()).toBeNull();
  mailbox.addReady(sourceOf(1000, 2));
  const channels: number[] = [];
  for (let n = 0; n < 200; n++) {
    const frame = mailbox.take()!;
    channels.push(frame.channel);
    pool.give(frame);
    if (n === 100) answers.unsent = 0;
  }
  // From the end of the turn in which it is over its share no more.
  expect(channels.indexOf(1)).toBe(128);
});

test('the reserve is not for a channel with more unsent answers than a sixty-fourth of the pool, and one at least', () => {
  const { mailbox, pool, answers } = unread();
  while (pool.take() !== null);
  answers.unsent = 2;
  expect(mailbox.take()).not.toBeNull(); // pool_empty
  expect(mailbox.take()).toBeNull();
  expect(mailbox.reserveLent).toBe(false);
  answers.unsent = 1;
  expect(mailbox.take()).toMatchObject({ channel: 1 });
  expect(mailbox.reserveLent).toBe(true);
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

/** The channels of the frames that are taken until nothing is left; mail has channel 0. */
function channelsOf(mailbox: Mailbox): number[] {
  const channels: number[] = [];
  for (let frame = mailbox.take(); frame !== null; frame = mailbox.take()) channels.push(frame.channel);
  return channels;
}

test('mail and frames are served in turn, as long as there are both', () => {
  const mailbox = new Mailbox(new Pool(0, 100), 1, hostOf({}), () => undefined);
  mailbox.addReady(sourceOf(5, 7));
  for (let n = 0; n < 3; n++) mailbox.addMail(looseFrame());
  expect(channelsOf(mailbox)).toEqual([0, 7, 0, 7, 0, 7, 7, 7]);
  mailbox.addReady(sourceOf(2, 7));
  mailbox.addMail(looseFrame());
  expect(channelsOf(mailbox)).toEqual([0, 7, 7]);
});

test('a channel passes on to the next one after 64 frames', () => {
  const mailbox = new Mailbox(new Pool(0, 1000), 1, hostOf({}), () => undefined);
  mailbox.addReady(sourceOf(130, 1));
  mailbox.addReady(sourceOf(64, 2));
  mailbox.addReady(sourceOf(1, 3));
  const runs = channelsOf(mailbox).reduce<[channel: number, frames: number][]>((all, channel) => {
    const last = all.at(-1);
    if (last?.[0] === channel) last[1]++;
    else all.push([channel, 1]);
    return all;
  }, []);
  expect(runs).toEqual([
    [1, 64],
    [2, 64],
    [3, 1],
    [1, 66],
  ]);
});
