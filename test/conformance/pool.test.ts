// Protocol section 5: the pool as the application sees it, receiving without messages, sending to a peer that does not
// read, and who gets a freed message. Raw peers flood and stall; nothing here knows how an engine keeps its books.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { AmpeStatus, OpCode, type Message } from 'tofu-ampe';
import {
  WIRE,
  eventually,
  fill,
  rejection,
  rule,
  seen,
  turns,
  within,
  type Cell,
  type FrameInit,
  type RawLink,
  type Side,
} from './support';

/** So large that a few hundred fill every buffer the kernel has for one connection. */
const LARGE = Buffer.alloc(64_000, 'x');
/** Messages of LARGE bytes that no pair of socket buffers takes: 25.6 MB. */
const MORE_THAN_BUFFERS = 400;
/** Turns of the event loop after which whatever can move without the other side has moved. */
const SETTLED = 30;

function requests(first: number, count: number, body: string | Uint8Array = ''): FrameInit[] {
  return Array.from({ length: count }, (_, i) => ({ op: WIRE.Request, id: first + i, body }));
}

/** Every message that get('poolOnly') gives. */
function takeAll(cell: Cell, side: Side): Message[] {
  const all: Message[] = [];
  for (let message = side.ampe.get('poolOnly'); message !== null; message = side.ampe.get('poolOnly')) {
    all.push(cell.keep(message));
  }
  return all;
}

/** Posts as long as the pool gives messages; gives how many it were. The peer must not read. */
async function postUntilFull(side: Side, channel: number): Promise<number> {
  for (let posted = 0; posted < 10 * MORE_THAN_BUFFERS; posted++) {
    let message = side.ampe.get('poolOnly');
    if (message === null) {
      await turns(SETTLED);
      message = side.ampe.get('poolOnly');
    }
    if (message === null) return posted;
    side.group.post(fill(message, { op: 'Request', channel, id: posted + 1, body: LARGE }));
  }
  throw new Error('the pool never ran out although the peer does not read');
}

interface Starved extends RawLink {
  side: Side;
  /** The one message of the pool. */
  held: Message;
  /** Request 1, received by means of the reserve. */
  first: Message;
}

/** A side whose pool and reserve are out, with requests 2 to `count` waiting, pool_empty not told yet. */
async function starve(cell: Cell, count = 3, side: Side = cell.side({ maxPoolMsgs: 1 })): Promise<Starved> {
  const link = await cell.acceptedRaw(side);
  const [held] = takeAll(cell, side);
  link.peer.send(...requests(1, count));
  const first = await side.expect({ op: 'Request', id: 1n });
  return { ...link, side, held: held!, first };
}

async function expectPoolEmpty(side: Side): Promise<void> {
  side.ampe.put(await side.expect({ status: 'pool_empty', origin: 'engine' }));
}

// ── get and put ──

rule('pool-get-pool-only', 'as many as maxPoolMsgs, then null, and one more for each put', (cell) => {
  const side = cell.side({ initialPoolMsgs: 0, maxPoolMsgs: 3 });
  const all = takeAll(cell, side);
  expect(all).toHaveLength(3);
  expect(new Set(all).size).toBe(3);
  expect(side.ampe.get('poolOnly')).toBeNull();
  side.ampe.put(all[0]);
  expect(takeAll(cell, side)).toHaveLength(1);
});

rule(
  'pool-get-always',
  'get() and get("always") give usable messages past the bound, which holds again afterwards',
  (cell) => {
    const side = cell.side({ maxPoolMsgs: 1 });
    const all = [side.message(), side.message(), cell.keep(side.ampe.get('always')), side.message()];
    all.forEach((message, i) => message.body.set(`body ${i}`));
    expect(all.map((message) => message.body.toString())).toEqual(['body 0', 'body 1', 'body 2', 'body 3']);
    expect(side.ampe.get('poolOnly')).toBeNull();
    for (const message of all.slice(1)) side.ampe.put(message);
    // One is still out, and one is all there is.
    expect(side.ampe.get('poolOnly')).toBeNull();
    side.ampe.put(all[0]);
    expect(takeAll(cell, side)).toHaveLength(1);
  },
);

rule('pool-put-resets', 'what comes out again is empty', (cell) => {
  const side = cell.side({ maxPoolMsgs: 1 });
  const [used] = takeAll(cell, side);
  fill(used!, { op: 'Signal', channel: 5, id: 6, more: true, headers: [['a', 'b']], body: 'text' });
  side.ampe.put(used);
  const [again] = takeAll(cell, side);
  expect(seen(again!)).toEqual({
    op: 'Request',
    channel: 0,
    id: 0n,
    more: false,
    origin: 'application',
    status: 'success',
    headers: [],
    body: '',
  });
});

rule('pool-put-bounded', 'five came out of a pool of two: two are kept', (cell) => {
  const side = cell.side({ initialPoolMsgs: 0, maxPoolMsgs: 2 });
  for (const message of [1, 2, 3, 4, 5].map(() => side.message())) side.ampe.put(message);
  expect(side.ampe.stats()).toMatchObject({ poolFree: 2, poolTotal: 2 });
  expect(takeAll(cell, side)).toHaveLength(2);
});

rule('pool-initial', 'stats() tells them before anything was taken', (cell) => {
  for (const initialPoolMsgs of [0, 1, 5]) {
    const side = cell.side({ initialPoolMsgs, maxPoolMsgs: 5 });
    expect(side.ampe.stats()).toMatchObject({ poolFree: initialPoolMsgs, poolTotal: initialPoolMsgs });
  }
});

// ── receiving ──

rule('pool-reading-stops', 'a flood stalls at the sender, and arrives whole when messages come back', async (cell) => {
  const { side, peer, held, first } = await starve(cell, 1);
  peer.send(...requests(2, MORE_THAN_BUFFERS, LARGE));
  await expectPoolEmpty(side);
  await turns(SETTLED);
  expect(peer.socket.writableLength).toBeGreaterThan(0);
  side.expectNothing();
  side.ampe.put(held);
  side.ampe.put(first);
  for (let id = 2; id <= MORE_THAN_BUFFERS + 1; id++) {
    const message = await side.expect({ op: 'Request', id: BigInt(id) });
    expect(message.body.byteLength).toBe(LARGE.length);
    side.ampe.put(message);
  }
});

rule('pool-reading-stops', 'a group that nobody receives from stalls its peer too', async (cell) => {
  const side = cell.side();
  const { peer } = await cell.acceptedRaw(side);
  const other = await cell.acceptedRaw(side);
  peer.send(...requests(1, MORE_THAN_BUFFERS, LARGE));
  await eventually('the flood to begin', () => peer.socket.bytesWritten > 0);
  await turns(10 * SETTLED);
  const stalledAt = peer.socket.writableLength;
  await turns(10 * SETTLED);
  expect(peer.socket.writableLength).toBe(stalledAt);
  expect(stalledAt).toBeGreaterThan(0);
  other.peer.close();
});

rule('pool-bounded-receiving', 'two groups take what they can get, one message is returned at a time', async (cell) => {
  const maxPoolMsgs = 3;
  const each = 30;
  const one = cell.side({ maxPoolMsgs });
  const two = one.sibling();
  for (const side of [one, two]) (await cell.acceptedRaw(side)).peer.send(...requests(1, each));
  const held: Message[] = [];
  let received = 0;
  const takeWhatIsThere = (): boolean => {
    const before = received;
    for (const side of [one, two]) {
      for (let message; (message = side.group.tryReceive()) !== null;) {
        cell.keep(message);
        if (message.isFromEngine) {
          side.ampe.put(message);
          continue;
        }
        received++;
        held.push(message);
        expect(held.length).toBeLessThanOrEqual(maxPoolMsgs + 2);
      }
    }
    return received > before;
  };
  await eventually('the bound to be reached', () => {
    takeWhatIsThere();
    return held.length === maxPoolMsgs + 2;
  });
  await eventually('everything to be received', () => {
    if (!takeWhatIsThere()) one.ampe.put(held.shift());
    return received === 2 * each;
  });
});

rule('pool-bounded-receiving', 'messages got past the bound and sent let nothing in', async (cell) => {
  const { side, peer, channel } = await starve(cell, 20);
  await expectPoolEmpty(side);
  for (let id = 100; id < 110; id++) {
    side.post({ op: 'Signal', channel, id });
    expect(await peer.frame()).toMatchObject({ id: BigInt(id) });
    side.expectNothing();
  }
});

rule('pool-reserve', 'get and acquire do not take it', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 2 });
  const { peer } = await cell.acceptedRaw(side);
  expect(takeAll(cell, side)).toHaveLength(2);
  const waiting = side.ampe.acquire().then((message) => cell.keep(message));
  peer.send(...requests(1, 3));
  const first = await side.expect({ op: 'Request', id: 1n });
  // It comes back to the reserve, not to the one who waits.
  side.ampe.put(first);
  await side.expect({ op: 'Request', id: 2n });
  const pending = Symbol('pending');
  expect(await Promise.race([waiting, turns(SETTLED).then(() => pending)])).toBe(pending);
  await side.ampe.destroy(side.group);
  await side.engine.reactor.destroy();
  expect(await rejection(waiting)).toBe('shutdown_started');
});

rule('pool-reserve', 'a group that hoards does not starve another that returns what it gets', async (cell) => {
  const hoarder = cell.side({ maxPoolMsgs: 1 });
  const other = hoarder.sibling();
  const flood = await cell.acceptedRaw(hoarder);
  const calm = await cell.acceptedRaw(other);
  flood.peer.send(...requests(1, 100));
  calm.peer.send(...requests(1, 20));
  await hoarder.expect({ op: 'Request', id: 1n });
  await hoarder.expect({ op: 'Request', id: 2n });
  for (let id = 1n; id <= 20n; id++) {
    // What the hoarder gets meanwhile it keeps.
    const more = hoarder.group.tryReceive();
    if (more !== null) cell.keep(more);
    other.ampe.put(await other.expect({ op: 'Request', id }));
  }
});

rule('pool-partial-frame', 'half a frame takes nothing from the pool, its other half completes it', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1 });
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  const bytes = Buffer.from([0, 1, 2]);
  const whole = Buffer.alloc(16);
  whole.writeUInt16BE(7, 0);
  whole.writeBigUInt64BE(9n, 4);
  whole.writeUInt16BE(bytes.length, 14);
  await peer.flush(Buffer.concat([whole, bytes.subarray(0, 1)]));
  // The second connection's Hello is read behind the half frame.
  const second = await cell.acceptedRaw(side, listener);
  const all = takeAll(cell, side);
  expect(all).toHaveLength(1);
  second.peer.send({ op: WIRE.Signal, id: 10 });
  const reserve = await side.expect({ op: 'Signal', id: 10n, channel: second.channel });
  side.ampe.put(reserve);
  side.ampe.put(all[0]);
  peer.write(bytes.subarray(1));
  const message = await side.expect({ op: 'Request', id: 9n, channel });
  expect(message.body.bytes()).toEqual(bytes);
});

// ── pool_empty ──

rule('pool-empty-form', 'every field of it', async (cell) => {
  const { side } = await starve(cell);
  const message = await side.receive('pool_empty');
  expect(seen(message)).toEqual({
    op: 'Signal',
    channel: 0,
    id: 0n,
    more: false,
    origin: 'engine',
    status: 'pool_empty',
    headers: [],
    body: '',
  });
});

rule('pool-empty-when-asked', 'not while no frame waits', async (cell) => {
  const { side } = await starve(cell, 1);
  expect(await side.group.waitReceive(0)).toBeNull();
  await turns(SETTLED);
  side.expectNothing();
  expect(side.ampe.stats().poolEmptyEpisodes).toBe(0n);
});

rule('pool-empty-when-asked', 'not while nobody asks, and not before what is in the queue', async (cell) => {
  const { side } = await starve(cell);
  await turns(SETTLED);
  expect(side.ampe.stats().poolEmptyEpisodes).toBe(0n);
  side.group.updateReceiver();
  side.group.updateReceiver();
  await side.expect({ status: 'receiver_update' });
  await side.expect({ status: 'receiver_update' });
  expect(side.ampe.stats().poolEmptyEpisodes).toBe(0n);
  await expectPoolEmpty(side);
  expect(side.ampe.stats().poolEmptyEpisodes).toBe(1n);
});

rule('pool-empty-when-asked', 'also when frames arrive at a receiver that waits already', async (cell) => {
  const { side, peer } = await starve(cell, 1);
  const waiting = side.receive('pool_empty while waiting');
  await turns(2);
  peer.send(...requests(2, 1));
  expect(seen(await waiting)).toMatchObject({ status: 'pool_empty' });
});

rule('pool-empty-once', 'asking again tells nothing; a delivered frame ends the episode', async (cell) => {
  const { side, held, first } = await starve(cell, 4);
  await expectPoolEmpty(side);
  for (let i = 0; i < 10; i++) {
    expect(await side.group.waitReceive(i % 3)).toBeNull();
    expect(side.group.tryReceive()).toBeNull();
    expect(await side.group.receiveMany(5, 0)).toEqual([]);
  }
  expect(side.ampe.stats().poolEmptyEpisodes).toBe(1n);
  side.ampe.put(held);
  const second = await side.expect({ op: 'Request', id: 2n });
  await expectPoolEmpty(side);
  side.expectNothing();
  expect(side.ampe.stats().poolEmptyEpisodes).toBe(2n);
  for (const message of [first, second]) side.ampe.put(message);
  await side.expect({ op: 'Request', id: 3n });
  await side.expect({ op: 'Request', id: 4n });
  side.expectNothing();
});

rule('pool-empty-once', 'an episode goes on over messages that are not frames', async (cell) => {
  const { side } = await starve(cell);
  await expectPoolEmpty(side);
  side.group.updateReceiver();
  await side.expect({ status: 'receiver_update' });
  side.expectNothing();
  await turns(SETTLED);
  side.expectNothing();
  expect(side.ampe.stats().poolEmptyEpisodes).toBe(1n);
});

rule('pool-resume', 'a waiting receiver gets the next frame by the put itself', async (cell) => {
  const { side, held } = await starve(cell);
  await expectPoolEmpty(side);
  const waiting = side.expect({ op: 'Request', id: 2n });
  await turns(SETTLED);
  side.ampe.put(held);
  await waiting;
});

rule('pool-resume', 'dispose, and a post that leaves, resume as well', async (cell) => {
  const { side, held, first, channel, peer } = await starve(cell, 4);
  await expectPoolEmpty(side);
  held[Symbol.dispose]();
  const second = await side.expect({ op: 'Request', id: 2n });
  await expectPoolEmpty(side);
  // Nothing is put from here on: sending frees too. Until it has, pool_empty may be told again.
  side.answer(first, 'Response');
  await side.expect({ op: 'Request', id: 3n, channel });
  side.answer(second, 'Response');
  await side.collect('Request 4', (message) => message.id === 4n);
  expect((await peer.frames(2)).map((one) => one.id)).toEqual([1n, 2n]);
});

// ── sending ──

rule(
  'pool-send-counts',
  'poolOnly is null while the peer does not read, and gives again when it does',
  async (cell) => {
    const maxPoolMsgs = 4;
    const side = cell.side({ maxPoolMsgs });
    const { peer, channel } = await cell.dialledRaw(side);
    peer.stopReading();
    const posted = await postUntilFull(side, channel);
    expect(side.ampe.stats().poolFree).toBe(0);
    expect(posted - (Number(side.ampe.stats().messagesOut) - 1)).toBe(maxPoolMsgs);
    peer.startReading();
    expect(await peer.frames(posted)).toHaveLength(posted);
    await eventually('every message to be in the kernel', () => side.ampe.stats().poolFree === maxPoolMsgs);
    expect(takeAll(cell, side)).toHaveLength(maxPoolMsgs);
  },
);

rule('pool-send-counts', 'those that come back do not count any more, even while they are held', async (cell) => {
  const maxPoolMsgs = 4;
  const side = cell.side({ maxPoolMsgs });
  const { peer, channel, id } = await cell.dialledRaw(side);
  peer.stopReading();
  await postUntilFull(side, channel);
  side.post({ op: 'ByeSignal', channel });
  for (let i = 0; i < maxPoolMsgs; i++)
    await side.expect({ op: 'Request', origin: 'engine', status: 'channel_closed' });
  await side.expectClosed(channel, id);
  expect(takeAll(cell, side)).toHaveLength(maxPoolMsgs);
});

rule(
  'pool-send-counts',
  'a message from get("always") counts too, and so does a received one posted back',
  async (cell) => {
    const side = cell.side({ maxPoolMsgs: 2 });
    const { peer, channel } = await cell.dialledRaw(side);
    peer.send(...requests(1, 1, LARGE));
    const received = await side.expect({ op: 'Request', id: 1n });
    peer.stopReading();
    for (let i = 0; i < MORE_THAN_BUFFERS; i++) side.post({ op: 'Request', channel, body: LARGE });
    side.answer(received, 'Response');
    await turns(SETTLED);
    const unsent = MORE_THAN_BUFFERS + 2 - Number(side.ampe.stats().messagesOut);
    expect(unsent).toBeGreaterThan(2);
    expect(side.ampe.get('poolOnly')).toBeNull();
    expect(await rejection(side.ampe.acquire({ timeoutMs: 0 }))).toBe('pool_empty');
    peer.startReading();
    await peer.frames(MORE_THAN_BUFFERS + 1);
  },
);

rule('pool-send-bounded', 'the producer stalls, and every message arrives once the peer reads', async (cell) => {
  const maxPoolMsgs = 4;
  const side = cell.side({ maxPoolMsgs });
  const { peer, channel } = await cell.dialledRaw(side);
  peer.stopReading();
  const base = Number(side.ampe.stats().messagesOut);
  let posted = 0;
  let mostUnsent = 0;
  const producing = (async () => {
    while (posted < MORE_THAN_BUFFERS) {
      const message = await side.ampe.acquire();
      side.group.post(fill(message, { op: 'Request', channel, id: posted + 1, body: LARGE }));
      posted++;
      mostUnsent = Math.max(mostUnsent, posted - (Number(side.ampe.stats().messagesOut) - base));
    }
  })();
  await eventually('the producer to stall', () => side.ampe.stats().poolFree === 0 && posted > maxPoolMsgs);
  await turns(10 * SETTLED);
  const stalledAt = posted;
  await turns(10 * SETTLED);
  expect(posted).toBe(stalledAt);
  expect(stalledAt).toBeLessThan(MORE_THAN_BUFFERS);
  peer.startReading();
  const arrived = await peer.frames(MORE_THAN_BUFFERS);
  expect(arrived.map((one) => Number(one.id))).toEqual(arrived.map((_, i) => i + 1));
  await within('the producer to end', producing);
  expect(mostUnsent).toBeLessThanOrEqual(maxPoolMsgs);
});

rule('pool-slow-peer-alone', 'requests on another channel are answered while one peer reads nothing', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 8 });
  const slow = await cell.dialledRaw(side);
  const quick = await cell.dialledRaw(side);
  slow.peer.stopReading();
  await postUntilFull(side, slow.channel);
  for (let id = 1; id <= 50; id++) {
    side.post({ op: 'Request', channel: quick.channel, id, body: 'ping' });
    expect(await quick.peer.frame()).toMatchObject({ id: BigInt(id) });
    quick.peer.send({ op: WIRE.Response, id });
    side.ampe.put(await side.expect({ op: 'Response', id: BigInt(id), channel: quick.channel }));
  }
  expect(side.ampe.get('poolOnly')).toBeNull();
});

interface Echoing {
  /** Channels of the requests that were answered, in order. */
  answered: number[];
  /** Statuses of what else came. */
  statuses: number[];
}

/** Answers every request with its own message from now on, with LARGE in it, until the side is gone. */
function echoLarge(side: Side): Echoing {
  const told: Echoing = { answered: [], statuses: [] };
  const serve = async (): Promise<void> => {
    for await (const message of side.group) {
      if (message.isFromEngine) {
        told.statuses.push(message.status);
        side.ampe.put(message);
        continue;
      }
      told.answered.push(message.channelNumber);
      message.opCode = OpCode.Response;
      message.body.set(LARGE);
      side.group.post(message);
    }
  };
  serve().catch((error: unknown) => told.statuses.push((error as { status: number }).status));
  return told;
}

const count = (all: readonly number[], channel: number): number => all.filter((one) => one === channel).length;

interface Ignoring {
  maxPoolMsgs: number;
  /** How many peers send requests and read no answer; and how many requests each. */
  peers?: number;
  requested?: number;
}

/** A side that answers such peers, who have as many answers unread as they are given, and one that reads. */
async function beIgnored(cell: Cell, { maxPoolMsgs, peers = 1, requested = MORE_THAN_BUFFERS }: Ignoring) {
  const side = cell.side({ maxPoolMsgs });
  const listener = await side.listen();
  const slow: RawLink[] = [];
  while (slow.length < peers) slow.push(await cell.acceptedRaw(side, listener));
  const other = await cell.acceptedRaw(side, listener);
  const told = echoLarge(side);
  for (const { peer } of slow) peer.stopReading().send(...requests(1, requested));
  const sentBefore = Number(side.ampe.stats().messagesOut);
  const unsent = (): number => told.answered.length - (Number(side.ampe.stats().messagesOut) - sentBefore);
  // At least so many; how many more depends on when the kernel has taken its last.
  const heldBack = (): Promise<void> =>
    eventually(
      'more unread answers than free messages',
      () => unsent() > maxPoolMsgs / 2 && side.ampe.stats().poolFree > 0,
    );
  return { side, slow: slow.map(({ peer }) => peer), other, told, heldBack };
}

async function expectAnswers(peer: RawLink['peer'], count: number): Promise<void> {
  for (let id = 1; id <= count; id++) {
    peer.send({ op: WIRE.Request, id });
    expect(await peer.frame()).toMatchObject({ id: BigInt(id) });
  }
}

rule('pool-fair-share', 'a peer that reads no answer is held back, others are served as before', async (cell) => {
  const { slow, other, told, heldBack } = await beIgnored(cell, { maxPoolMsgs: 20 });
  await heldBack();
  expect(told.answered.length).toBeLessThan(MORE_THAN_BUFFERS);
  await expectAnswers(other.peer, 50);
  expect([count(told.answered, other.channel), told.statuses]).toEqual([50, []]);
  await heldBack();
  slow[0].startReading();
  const answers = await slow[0].frames(MORE_THAN_BUFFERS);
  expect(answers.map((one) => Number(one.id))).toEqual(answers.map((_, i) => i + 1));
  expect(told.statuses).toEqual([]);
});

rule('pool-fair-share', 'nor does it take the reserve when the application has all the rest', async (cell) => {
  const { side, slow, other, heldBack } = await beIgnored(cell, { maxPoolMsgs: 20 });
  await heldBack();
  expect(takeAll(cell, side).length).toBeGreaterThan(0);
  await expectAnswers(other.peer, 20);
  slow[0].startReading();
  await slow[0].frames(MORE_THAN_BUFFERS);
});

rule('pool-fair-share', 'several such peers leave something for the others', async (cell) => {
  const { side, slow, other } = await beIgnored(cell, { maxPoolMsgs: 64, peers: 4 });
  await eventually('all to have their share', () => side.ampe.stats().poolFree < 8);
  await expectAnswers(other.peer, 20);
  for (const peer of slow) peer.startReading();
  for (const peer of slow) await peer.frames(MORE_THAN_BUFFERS);
  await eventually('every message to be back', () => side.ampe.stats().poolFree === side.ampe.stats().poolTotal);
});

rule('pool-fair-share', 'one that dies while it is held back brings back what it did not get', async (cell) => {
  const { side, slow, told, heldBack } = await beIgnored(cell, { maxPoolMsgs: 20, requested: 2 * MORE_THAN_BUFFERS });
  await heldBack();
  slow[0].reset();
  await eventually('the last word', () => told.statuses.at(-1) === AmpeStatus.ChannelClosed);
  expect(told.answered.length).toBeLessThanOrEqual(2 * MORE_THAN_BUFFERS);
  await eventually('every message to be back', () => side.ampe.stats().poolFree === side.ampe.stats().poolTotal);
});

rule('pool-fair-share', 'one that ends while its only frame is held back has one last word', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 4 });
  const { peer } = await cell.acceptedRaw(side);
  const told = echoLarge(side);
  peer.stopReading();
  for (let sent = 1; told.answered.length >= sent - 1 && sent <= MORE_THAN_BUFFERS; sent++) {
    peer.send({ op: WIRE.Request, id: sent });
    for (let look = 0; look < 10 && told.answered.length < sent; look++) await turns(SETTLED);
    if (told.answered.length < sent) break;
  }
  expect(told.answered.length).toBeLessThan(MORE_THAN_BUFFERS);
  peer.socket.end();
  await eventually('the last word', () => told.statuses.includes(AmpeStatus.ChannelClosed));
  await eventually('every message to be back', () => side.ampe.stats().poolFree === side.ampe.stats().poolTotal);
  await turns(SETTLED);
  expect(told.statuses.filter((status) => status === AmpeStatus.ChannelClosed)).toHaveLength(1);
});

rule('pool-fair-share', 'what was not received from the channel does not hold it back', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 8 });
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  await postUntilFull(side, channel);
  for (let id = 1; id <= 20; id++) {
    peer.send({ op: WIRE.Request, id });
    side.ampe.put(await side.expect({ op: 'Request', id: BigInt(id) }));
  }
});

rule('pool-dead-peer', 'all its requests are answered in vain, the channel ends, others are served', async (cell) => {
  const requests = 300; // many times the pool, and little enough to be read ahead
  const side = cell.side({ maxPoolMsgs: 8 });
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  const other = await cell.acceptedRaw(side, listener);
  for (let id = 1; id <= requests; id++) peer.send({ id, body: 'asked' });
  peer.reset();
  await peer.ended();
  let asked = 0;
  let returned = 0;
  for (let open = true; open;) {
    const message = await side.receive('the end of the dead channel');
    if (message.status === AmpeStatus.PoolEmpty) side.ampe.put(message);
    else if (message.isFromEngine) {
      if (message.status === AmpeStatus.ChannelClosed && message.opCode === OpCode.Signal) open = false;
      else returned++;
      side.ampe.put(message);
    } else {
      expect(message.channelNumber).toBe(channel);
      asked++;
      message.opCode = OpCode.Response;
      side.group.post(message);
    }
  }
  // A socket may drop what had arrived when it is reset; what was delivered is answered, and has its outcome.
  expect(returned).toBeGreaterThanOrEqual(asked - Number(side.ampe.stats().messagesOut));
  other.peer.send({ id: 1, body: 'still there' });
  side.ampe.put(await side.expect({ channel: other.channel, body: 'still there' }));
});

// ── acquire ──

rule('acquire-fifo', 'each put serves exactly the one who waits longest', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 2 });
  const held = takeAll(cell, side);
  const served: number[] = [];
  const waiting = [0, 1, 2].map((i) =>
    side.ampe.acquire().then((message) => {
      served.push(i);
      return cell.keep(message);
    }),
  );
  await turns(SETTLED);
  expect(served).toEqual([]);
  side.ampe.put(held[0]);
  side.ampe.put(held[1]);
  await within('two of three', Promise.all(waiting.slice(0, 2)));
  await turns(SETTLED);
  expect(served).toEqual([0, 1]);
  side.ampe.put(await waiting[1]);
  await within('the third', waiting[2]!);
  expect(served).toEqual([0, 1, 2]);
});

rule('acquire-fifo', 'it does not wait while a message is free, and gives an empty one', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1 });
  const message = cell.keep(await within('a free message', side.ampe.acquire({ timeoutMs: 0 })));
  expect(seen(message)).toMatchObject({ op: 'Request', channel: 0, id: 0n, body: '', headers: [] });
});

rule('acquire-wait-options', 'a wait that ends gives up its place', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1 });
  const [held] = takeAll(cell, side);
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = side.ampe.acquire({ signal: controller.signal });
  const timedOut = side.ampe.acquire({ timeoutMs: 5 });
  const last = side.ampe.acquire({ timeoutMs: Infinity }).then((message) => cell.keep(message));
  expect(await rejection(timedOut)).toBe('pool_empty');
  controller.abort(reason);
  await expect(within('the abort', aborted)).rejects.toBe(reason);
  side.ampe.put(held);
  expect((await within('the last', last)).owned).toBe(true);
  await expect(side.ampe.acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(await rejection(side.ampe.acquire({ timeoutMs: 0 }))).toBe('pool_empty');
});

rule('pool-freed-goes-first', 'reserve before acquire', async (cell) => {
  const { side, held, first } = await starve(cell, 3);
  let acquired: Message | null = null;
  const acquiring = side.ampe.acquire().then((message) => (acquired = cell.keep(message)));
  await expectPoolEmpty(side);
  // Two frames wait; each message freed lets one of them in.
  side.ampe.put(held);
  const second = await side.expect({ op: 'Request', id: 2n });
  side.ampe.put(first);
  const third = await side.expect({ op: 'Request', id: 3n });
  await turns(SETTLED);
  expect(acquired).toBeNull();
  // Two are out again: the next one fills the reserve, the one after that is for the one who waits.
  side.ampe.put(second);
  await turns(SETTLED);
  expect(acquired).toBeNull();
  side.ampe.put(third);
  await within('the acquire', acquiring);
});

rule('pool-freed-goes-first', 'acquire before general reading', async (cell) => {
  const { side, held, first } = await starve(cell, 4);
  const acquiring = side.ampe.acquire().then((message) => cell.keep(message));
  await expectPoolEmpty(side);
  // Nobody receives now: the first fills the reserve, the second is not kept for the frames that wait.
  side.ampe.put(held);
  side.ampe.put(first);
  expect(side.ampe.get('poolOnly')).toBeNull();
  await within('the acquire', acquiring);
  await side.expect({ op: 'Request', id: 2n });
  await expectPoolEmpty(side);
});

rule('pool-only-null-while-waiting', 'also in the very tick of the put', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1 });
  const [held] = takeAll(cell, side);
  const acquiring = side.ampe.acquire();
  expect(side.ampe.get('poolOnly')).toBeNull();
  side.ampe.put(held);
  expect(side.ampe.get('poolOnly')).toBeNull();
  const acquired = cell.keep(await within('the acquire', acquiring));
  side.ampe.put(acquired);
  expect(takeAll(cell, side)).toHaveLength(1);
});

// ── engine messages, ends and deadlines ──

rule(
  'pool-engine-messages',
  'refusals, returns and last words arrive with nothing free, and are held for nothing',
  async (cell) => {
    const side = cell.side({ maxPoolMsgs: 2 });
    const gone = await cell.rawServer();
    await gone.close();
    const { peer, channel, id } = await cell.dialledRaw(side);
    const all = takeAll(cell, side);
    expect(all).toHaveLength(2);
    // Three that fail to connect, and ten that are unsent when their channel is aborted: all held to the end.
    const failing = [1, 2, 3].map(() => side.connect(gone.address));
    const told = new Map<number, string[]>();
    for (let i = 0; i < 6; i++) {
      const message = seen(await side.receive('the end of a failed connect'));
      told.set(message.channel, [...(told.get(message.channel) ?? []), message.op]);
    }
    expect(told).toEqual(new Map(failing.map((header) => [header.channelNumber, ['HelloResponse', 'Signal']])));
    peer.stopReading();
    for (let i = 0; i < MORE_THAN_BUFFERS; i++) side.post({ op: 'Request', channel, body: LARGE });
    await turns(SETTLED);
    const unsent = MORE_THAN_BUFFERS + 1 - Number(side.ampe.stats().messagesOut);
    expect(unsent).toBeGreaterThan(2);
    side.post({ op: 'ByeSignal', channel });
    for (let i = 0; i < unsent; i++) await side.expect({ op: 'Request', origin: 'engine', status: 'channel_closed' });
    await side.expectClosed(channel, id);
    expect(side.ampe.get('poolOnly')).toBeNull();
    side.ampe.put(all[0]);
    side.ampe.put(all[1]);
    expect(takeAll(cell, side)).toHaveLength(2);
  },
);

rule('pool-end-behind-backlog', 'the peer is gone long before, its frames come first', async (cell) => {
  const count = 40;
  const { side, peer, channel, id, held, first } = await starve(cell, 1);
  peer.send(...requests(2, count, LARGE));
  peer.halfClose();
  await expectPoolEmpty(side);
  await turns(SETTLED);
  side.expectNothing();
  side.ampe.put(held);
  side.ampe.put(first);
  const all = await side.collect('channel_closed', (message) => message.status === 'channel_closed');
  expect(all.filter((one) => one.status === 'success').map((one) => Number(one.id))).toEqual(
    Array.from({ length: count }, (_, i) => i + 2),
  );
  expect(all.at(-1)).toMatchObject({ channel, id });
});

rule('pool-deadlines-stand-still', 'the close deadline of an unread channel does not run', async (cell) => {
  const count = 60;
  const side = cell.side({ maxPoolMsgs: 1, closeTimeoutMs: 300 });
  const other = await cell.acceptedRaw(side);
  const { peer, channel, id, held, first } = await starve(cell, 1, side);
  peer.send(...requests(2, count, LARGE), { op: WIRE.ByeResponse, id: 99 });
  await expectPoolEmpty(side);
  side.post({ op: 'ByeRequest', channel, id: 99 });
  await peer.frame('the ByeRequest');
  // The same deadline on a channel that is read, started later, is the clock of this case.
  side.post({ op: 'ByeRequest', channel: other.channel });
  await side.expectClosed(other.channel, other.id);
  await turns(SETTLED);
  expect(peer.ending).toBeNull();
  side.expectNothing();
  side.ampe.put(held);
  side.ampe.put(first);
  const all = await side.collect('channel_closed', (message) => message.status === 'channel_closed');
  expect(all.filter((one) => one.op === 'Request').map((one) => Number(one.id))).toEqual(
    Array.from({ length: count }, (_, i) => i + 2),
  );
  expect(all.at(-2)).toMatchObject({ op: 'ByeResponse', id: 99n, origin: 'application' });
  expect(all.at(-1)).toMatchObject({ channel, id });
});

rule('pool-deadlines-stand-still', 'a Hello that waits for a message is not closed as silent', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1, handshakeTimeoutMs: 200 });
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  const [held] = takeAll(cell, side);
  peer.send(...requests(1, 1));
  const first = await side.expect({ op: 'Request', channel });
  const late = await cell.rawClient(listener.address);
  late.send({ op: WIRE.HelloRequest, id: 55 });
  await expectPoolEmpty(side);
  // A silent connection that came later is the clock.
  const silent = await cell.rawClient(listener.address);
  await silent.ended('the handshake deadline of the silent connection');
  expect(late.ending).toBeNull();
  side.ampe.put(held);
  side.ampe.put(first);
  await side.expect({ op: 'HelloRequest', id: 55n });
});

// ── what a person sees ──

rule(
  'debug-mode',
  'stats() tells where unreturned messages were taken, and returned bytes are overwritten',
  async (cell) => {
    process.env.TOFU_AMPE_DEBUG = '1';
    cell.atEnd(() => delete process.env.TOFU_AMPE_DEBUG);
    const side = cell.side();
    const takenHere = (): Message => side.ampe.get();
    const all = [takenHere(), takenHere(), takenHere()].map((message) => cell.keep(message));
    const unreturned = (): { where: string; count: number }[] => side.ampe.stats().unreturned ?? [];
    expect(unreturned().reduce((sum, site) => sum + site.count, 0)).toBe(3);
    expect(unreturned().every((site) => site.where.includes('pool.test'))).toBe(true);
    const { peer } = await cell.acceptedRaw(side);
    peer.send({ op: WIRE.Request, id: 1, headers: 'k:v\r\n', body: 'received' });
    all.push(await side.expect({ op: 'Request' }));
    all[0]!.body.set('mine');
    all[0]!.textHeaders.append('name', 'value');
    const views = [
      all[0]!.body.bytes(),
      all[0]!.textHeaders.bytes(),
      all[3]!.body.bytes(),
      all[3]!.textHeaders.bytes(),
    ];
    const texts = views.map((view) => view.toString());
    expect(texts).toEqual(['mine', 'name:value\r\n', 'received', 'k:v\r\n']);
    for (const message of all) side.ampe.put(message);
    views.forEach((view, i) => {
      expect(new Set(view).size).toBe(1);
      expect(view.toString()).not.toBe(texts[i]);
    });
    expect(unreturned()).toEqual([]);
  },
);

rule('debug-mode', 'without it nothing is recorded', (cell) => {
  const side = cell.side();
  side.message();
  expect(side.ampe.stats().unreturned).toBeUndefined();
});

rule('diagnostics', 'pool-empty, channel-closed and protocol-violation are published once each', async (cell) => {
  const events: [string, Record<string, unknown>][] = [];
  for (const name of ['tofu-ampe:pool-empty', 'tofu-ampe:channel-closed', 'tofu-ampe:protocol-violation']) {
    const listener = (event: unknown): number => events.push([name, event as Record<string, unknown>]);
    subscribe(name, listener);
    cell.atEnd(() => unsubscribe(name, listener));
  }
  const { side, peer, channel, id, held, first } = await starve(cell, 2);
  expect(events).toEqual([]);
  await expectPoolEmpty(side);
  side.expectNothing();
  expect(events).toMatchObject([['tofu-ampe:pool-empty', { poolTotal: 1 }]]);
  side.ampe.put(held);
  side.ampe.put(first);
  await side.expect({ op: 'Request', id: 2n });
  peer.send({ op: WIRE.WelcomeRequest });
  await side.expectClosed(channel, id);
  expect(events.slice(1)).toMatchObject([
    ['tofu-ampe:protocol-violation', { channelNumber: channel }],
    ['tofu-ampe:channel-closed', { channelNumber: channel }],
  ]);
});

rule('pool-returned-counts', 'a producer cannot outrun the receiver of what comes back', async (cell) => {
  const side = cell.side({ initialPoolMsgs: 4, maxPoolMsgs: 4 });
  const { peer, channel } = await cell.dialledRaw(side);
  peer.close();
  await eventually('the end of the channel to be noticed', () => {
    const probe = side.ampe.get('poolOnly');
    if (probe === null) return true; // all four have come back and wait for the receiver
    probe.opCode = OpCode.Signal;
    probe.channelNumber = channel;
    side.group.post(probe);
    return false;
  });
  expect(side.ampe.get('poolOnly')).toBeNull();
  await side.expect({ op: 'Signal', status: 'peer_disconnected' });
  const freed = side.ampe.get('poolOnly');
  expect(freed).not.toBeNull();
  side.ampe.put(freed);
  await side.collect('the end of the channel', (message) => message.status === 'channel_closed');
});

rule('pool-resume', 'an answer that leaves only when the receiver waits again wakes that receiver', async (cell) => {
  const { server, client, clientChannel } = await cell.pair({ server: { initialPoolMsgs: 1, maxPoolMsgs: 1 } });
  const REQUESTS = 64;
  const serving = (async () => {
    for (let answered = 0; answered < REQUESTS;) {
      const message = await server.group.waitReceive();
      if (message === null || message.isFromEngine) {
        server.ampe.put(message);
      } else {
        message.opCode = OpCode.Response;
        server.group.post(message); // its message is free only once it has left: with the next wait
        answered++;
      }
    }
  })();
  for (let i = 0; i < REQUESTS; i++) client.post({ op: 'Request', channel: clientChannel });
  for (let i = 0; i < REQUESTS; i++) client.ampe.put(await client.expect({ op: 'Response', channel: clientChannel }));
  await within('all requests to be answered', serving);
});
