// Protocol section 6 up to shutdown: who receives what, updateReceiver(), channel numbers and their bound; and the parts
// of the public API that are about the engine as a whole.

import { DefaultOptions, Reactor, attachGroup, type Message, type Options } from 'tofu-ampe';
import { WIRE, eventually, refusal, rejection, rule, seen, turns, within, type Cell, type Side } from './support';
import { runChild, type ChildEnd } from '../lifecycle/child';

rule('receiver-one-at-a-time', 'the second of any kind is refused, the first gets the message', async (cell) => {
  const side = cell.side();
  const firsts: (() => Promise<Message[] | Message | null>)[] = [
    () => side.group.waitReceive(),
    () => side.group.receiveMany(3),
  ];
  for (const first of firsts) {
    const waiting = first();
    expect(await rejection(side.group.waitReceive())).toBe('not_allowed');
    expect(await rejection(side.group.waitReceive(0))).toBe('not_allowed');
    expect(await rejection(side.group.receiveMany(1))).toBe('not_allowed');
    expect(await rejection(side.group[Symbol.asyncIterator]().next())).toBe('not_allowed');
    expect(side.group.tryReceive()).toBeNull();
    side.group.updateReceiver();
    const got = await within('the first receiver', waiting);
    for (const message of Array.isArray(got) ? got : [got]) {
      expect(seen(cell.keep(message!))).toMatchObject({ status: 'receiver_update' });
    }
    side.expectNothing();
  }
});

rule('receiver-one-at-a-time', 'two groups of one engine may wait at once', async (cell) => {
  const one = cell.side();
  const two = one.sibling();
  const waiting = [one.expect({ status: 'receiver_update' }), two.expect({ status: 'receiver_update' })];
  two.group.updateReceiver();
  one.group.updateReceiver();
  await Promise.all(waiting);
});

rule('groups-apart', 'each hears of its own channels only, also of their ends', async (cell) => {
  const one = cell.side();
  const two = one.sibling();
  const a = await cell.acceptedRaw(one);
  const b = await cell.acceptedRaw(two);
  expect(a.channel).not.toBe(b.channel);
  for (let id = 1; id <= 5; id++) {
    a.peer.send({ op: WIRE.Request, id, body: 'a' });
    b.peer.send({ op: WIRE.Request, id, body: 'b' });
  }
  a.peer.close();
  b.peer.close();
  for (const [side, channel, body] of [
    [one, a.channel, 'a'],
    [two, b.channel, 'b'],
  ] as const) {
    const all = await side.collect('channel_closed', (message) => message.status === 'channel_closed');
    expect(all.slice(0, -1).map((message) => message.body)).toEqual(Array(5).fill(body));
    expect(new Set(all.map((message) => message.channel))).toEqual(new Set([channel]));
    side.expectNothing();
  }
});

rule('groups-apart', 'who waits hears of its own after another one was told something', async (cell) => {
  const one = cell.side();
  const two = one.sibling();
  const a = await cell.acceptedRaw(one);
  const b = await cell.acceptedRaw(two);
  const waiting = one.expect({ op: 'Request', id: 1n });
  for (let id = 5; id < 8; id++) {
    const heard = two.expect({ op: 'Request', id: BigInt(id) });
    b.peer.send({ op: WIRE.Request, id });
    await heard;
  }
  a.peer.send({ op: WIRE.Request, id: 1 });
  await waiting;
});

rule('groups-apart', 'the channel of another group can neither be posted to nor aborted', async (cell) => {
  const one = cell.side();
  const two = one.sibling();
  const { peer, channel } = await cell.acceptedRaw(one);
  const request = two.message({ op: 'Request', channel });
  expect(refusal(() => two.group.post(request))).toBe('invalid_channel_group');
  expect(refusal(() => two.post({ op: 'ByeSignal', channel }))).toBe('invalid_channel_group');
  peer.send({ op: WIRE.Request, id: 3 });
  await one.expect({ op: 'Request', id: 3n });
  // The message itself belongs to the engine: the right group takes it.
  one.group.post(request);
  expect(await peer.frame()).toMatchObject({ channel });
});

// ── updateReceiver ──

rule('updater-message', 'everything of the message is kept, whatever opcode it has', async (cell) => {
  const side = cell.side();
  const ops = [
    'Request',
    'Response',
    'Signal',
    'HelloRequest',
    'ByeSignal',
    'WelcomeRequest',
    'WelcomeResponse',
  ] as const;
  for (const op of ops) {
    const message = side.message({ op, channel: 9, id: 1234, headers: [['a', 'b']], body: 'text' });
    side.group.updateReceiver(message);
    expect(message.owned).toBe(false);
    expect(seen(await side.receive())).toEqual({
      op,
      channel: 9,
      id: 1234n,
      more: false,
      origin: 'application',
      status: 'receiver_update',
      headers: [['a', 'b']],
      body: 'text',
    });
  }
});

rule('updater-message', 'a message of the engine becomes one of the application; id 0 and more stay', async (cell) => {
  const side = cell.side();
  side.group.updateReceiver();
  const fromEngine = await side.expect({ origin: 'engine' });
  fromEngine.more = true;
  side.group.updateReceiver(fromEngine);
  await side.expect({ op: 'Signal', id: 0n, more: true, origin: 'application', status: 'receiver_update' });
});

rule('updater-signal', 'every field of it, for undefined and null', async (cell) => {
  const side = cell.side();
  side.group.updateReceiver();
  side.group.updateReceiver(undefined);
  side.group.updateReceiver(null);
  for (let i = 0; i < 3; i++) {
    expect(seen(await side.receive())).toEqual({
      op: 'Signal',
      channel: 0,
      id: 0n,
      more: false,
      origin: 'engine',
      status: 'receiver_update',
      headers: [],
      body: '',
    });
  }
  side.expectNothing();
});

rule('updater-order', 'both forms share one line', async (cell) => {
  const side = cell.side();
  for (let id = 1; id <= 50; id++) {
    if (id % 3 === 0) side.group.updateReceiver();
    else side.group.updateReceiver(side.message({ op: 'Signal', id }));
  }
  for (let id = 1; id <= 50; id++) {
    await side.expect({ id: id % 3 === 0 ? 0n : BigInt(id), origin: id % 3 === 0 ? 'engine' : 'application' });
  }
});

rule('updater-not-bounded', 'they arrive while the pool is out, and more of them than the pool has', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 2 });
  cell.keep(side.ampe.get('poolOnly')!);
  cell.keep(side.ampe.get('poolOnly')!);
  for (let id = 1; id <= 100; id++)
    side.group.updateReceiver(id % 2 === 0 ? undefined : side.message({ op: 'Signal', id }));
  for (let id = 1; id <= 100; id++)
    await side.expect({ id: id % 2 === 0 ? 0n : BigInt(id), status: 'receiver_update' });
});

rule('updater-refusals', 'the message stays as it was', async (cell) => {
  const side = cell.side();
  const other = cell.side();
  const foreign = other.message({ op: 'Signal', id: 5, body: 'mine' });
  expect(refusal(() => side.group.updateReceiver(foreign))).toBe('not_allowed');
  expect(seen(foreign)).toMatchObject({ id: 5n, body: 'mine', status: 'success' });
  const moved = side.message();
  side.ampe.put(moved);
  expect(refusal(() => side.group.updateReceiver(moved))).toBe('null_message');
  const twice = side.message();
  side.group.updateReceiver(twice);
  expect(refusal(() => side.group.updateReceiver(twice))).toBe('null_message');
  await side.expect({ status: 'receiver_update', origin: 'application' });
  side.expectNothing();
  const last = side.message({ body: 'kept' });
  await side.ampe.destroy(side.group);
  expect(refusal(() => side.group.updateReceiver())).toBe('shutdown_started');
  expect(refusal(() => side.group.updateReceiver(last))).toBe('shutdown_started');
  expect(last.body.toString()).toBe('kept');
});

rule('updater-at-once', 'no wait and no turn of the loop is needed', async (cell) => {
  const side = cell.side();
  side.group.updateReceiver();
  expect(seen(cell.keep(side.group.tryReceive()!))).toMatchObject({ status: 'receiver_update' });
  side.group.updateReceiver();
  side.group.updateReceiver();
  const waited = await side.group.waitReceive(0);
  expect(seen(cell.keep(waited!))).toMatchObject({ status: 'receiver_update' });
  const many = await side.group.receiveMany(5, 0);
  expect(many.map((message) => seen(cell.keep(message)).status)).toEqual(['receiver_update']);
});

// ── channel numbers ──

/** Channels that are open at once while every number is used. */
const AT_ONCE = 50;

rule(
  'channel-number-range',
  'the first numbers, those of listeners and accepted connections included',
  async (cell) => {
    const side = cell.side();
    const listener = await side.listen();
    const { channel } = await cell.acceptedRaw(side, listener);
    const dialled = await cell.dialledRaw(side);
    const numbers = [listener.channel, channel, dialled.channel];
    expect(new Set(numbers).size).toBe(3);
    for (const number of numbers) {
      expect(number).toBeGreaterThanOrEqual(1);
      expect(number).toBeLessThanOrEqual(65_534);
    }
  },
);

const NUMBERS = 65_534;

rule(
  'channel-number-range',
  'every number is handed out once before the first is used again, never 0 and never 65535',
  async (cell) => {
    const side = cell.side();
    const handedOut = new Set<number>();
    const nowhere = cell.transport === 'tcp' ? 'tcp||0' : 'uds|';
    while (handedOut.size < NUMBERS) {
      const batch = Math.min(AT_ONCE, NUMBERS - handedOut.size);
      for (let i = 0; i < batch; i++) {
        const { channelNumber } = side.group.post(hello(side, nowhere));
        if (handedOut.has(channelNumber)) throw new Error(`${channelNumber} came twice in ${handedOut.size}`);
        handedOut.add(channelNumber);
      }
      for (let left = 2 * batch; left > 0; left--) {
        side.ampe.put(side.group.tryReceive() ?? (await within('a failed Hello', side.group.waitReceive())));
      }
    }
    expect(handedOut.has(0)).toBe(false);
    expect(handedOut.has(65_535)).toBe(false);
    const again = side.group.post(hello(side, nowhere)).channelNumber;
    expect(handedOut.has(again)).toBe(true);
    await side.expect({ op: 'HelloResponse', status: 'invalid_address', channel: again });
    await side.expectClosed(again);
  },
);

function hello(side: Side, address: string) {
  const message = side.ampe.get();
  message.opCode = 3;
  message.textHeaders.append('~connect_to', address);
  return message;
}

rule('max-channels', 'listeners, live, unseen and quarantined channels count together', async (cell) => {
  const side = cell.side({ maxChannels: 4 });
  const listener = await side.listen();
  const live = await cell.acceptedRaw(side, listener);
  const unseen = await cell.rawClient(listener.address);
  await eventually('the unseen connection', () => side.ampe.stats().channels === 2);
  const server = await cell.rawServer();
  const fourth = side.connect(server.address);
  expect(refusal(() => side.connect(server.address))).toBe('allocation_failed');
  expect(refusal(() => side.post({ op: 'WelcomeRequest', headers: [['~listen_on', cell.freeServerAddress()]] }))).toBe(
    'allocation_failed',
  );
  // An ended channel keeps its number until its last word was received.
  live.peer.close();
  (await server.accept()).close();
  await eventually('the end of the fourth', () => {
    const message = side.group.tryReceive();
    if (message === null) return false;
    const { channel, status } = seen(cell.keep(message));
    return channel === fourth.channelNumber && status === 'channel_closed';
  });
  unseen.close();
});

rule('max-channels', 'a number is free when its last word was received, not before', async (cell) => {
  const side = cell.side({ maxChannels: 1 });
  const server = await cell.rawServer();
  const { peer, channel } = await cell.dialledRaw(side, { server });
  peer.close();
  await turns(50);
  // Ended by now, but nobody has been told.
  expect(refusal(() => side.connect(server.address))).toBe('allocation_failed');
  side.post({ op: 'Request', channel });
  await side.collect('channel_closed', (message) => message.status === 'channel_closed');
  const next = await cell.dialledRaw(side, { server });
  expect(next.channel).toBeGreaterThan(0);
  expect(refusal(() => side.connect(server.address))).toBe('allocation_failed');
});

rule('max-channels-accept', 'one too many is not served, and one is again when a number is free', async (cell) => {
  const side = cell.side({ maxChannels: 2 });
  const listener = await side.listen();
  const first = await cell.acceptedRaw(side, listener);
  const tooMany = await cell.rawClient(listener.address);
  tooMany.send({ op: WIRE.HelloRequest, id: 5 });
  // The first channel works on behind it.
  first.peer.send({ op: WIRE.Request, id: 6 });
  await side.expect({ op: 'Request', id: 6n, channel: first.channel });
  await turns(30);
  side.expectNothing();
  first.peer.close();
  await side.expectClosed(first.channel, first.id);
  // Where the one too many waits in the backlog it is served now; where it was closed, a new one is.
  const served = side.receive('a HelloRequest');
  const again = await cell.rawClient(listener.address);
  again.send({ op: WIRE.HelloRequest, id: 5 });
  expect(seen(await served)).toMatchObject({ op: 'HelloRequest', id: 5n });
});

// ── the engine as a whole ──

rule('fallback-not-allowed', 'all four throw synchronously', (cell) => {
  if (cell.name.engine.backend !== 'fallback') return;
  const side = cell.side();
  expect(refusal(() => side.engine.reactor.share())).toBe('not_allowed');
  expect(refusal(() => side.group.share())).toBe('not_allowed');
  expect(refusal(() => side.group.waitReceiveSync(0))).toBe('not_allowed');
  expect(refusal(() => Reactor.attach({} as never))).toBe('not_allowed');
  expect(refusal(() => attachGroup({} as never))).toBe('not_allowed');
});

type NumberOption = Exclude<keyof Options, 'backend' | 'prebuild'>;
const RANGES: Record<NumberOption, [least: number, most: number]> = {
  initialPoolMsgs: [0, 1024],
  maxPoolMsgs: [1, 100_000],
  connectTimeoutMs: [1, 2 ** 31 - 1],
  handshakeTimeoutMs: [1, 2 ** 31 - 1],
  closeTimeoutMs: [1, 2 ** 31 - 1],
  keepAliveMs: [1, 2 ** 31 - 1],
  udsMode: [0, 0o777],
  maxChannels: [1, 65_534],
};

rule('options-checked', 'least and most pass, one less, one more and what is no integer do not', async (cell) => {
  const { backend } = cell.name.engine;
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    for (const value of [least, most]) await Reactor.create({ backend, [name]: value }).destroy();
    const bad = [least - 1, 1.5, NaN, Infinity, -1];
    if (most === 2 ** 31 - 1 || name === 'maxChannels' || name === 'udsMode') bad.push(most + 1);
    for (const value of bad) expect(refusal(() => Reactor.create({ backend, [name]: value }))).toBe('RangeError');
    for (const value of ['5', null, 5n, {}, true]) {
      expect(refusal(() => Reactor.create({ backend, [name]: value } as unknown as Options))).toBe(
        'TypeError ERR_INVALID_ARG_TYPE',
      );
    }
    await Reactor.create({ backend, [name]: undefined }).destroy();
  }
});

rule('options-checked', 'options themselves, the backend, and two that contradict each other', async (cell) => {
  const create = (options: unknown) => () => Reactor.create(options as Options);
  expect(refusal(create(5))).toBe('TypeError ERR_INVALID_ARG_TYPE');
  expect(refusal(create(null))).toBe('TypeError ERR_INVALID_ARG_TYPE');
  expect(refusal(create({ backend: 'best' }))).toBe('RangeError');
  expect(refusal(create({ backend: 7 }))).toBe('TypeError ERR_INVALID_ARG_TYPE');
  expect(refusal(create({ initialPoolMsgs: 3, maxPoolMsgs: 2 }))).toBe('RangeError');
  expect(refusal(create({ initialPoolMsgs: DefaultOptions.maxPoolMsgs + 1 }))).toBe('RangeError');
  const side = cell.side({ maxPoolMsgs: 1 });
  expect(side.ampe.stats().poolTotal).toBe(1);
  expect(side.engine.reactor.backend).toBe(cell.name.engine.backend);
  expect(side.engine.reactor.backendReason).not.toBe('');
  expect(Object.isFrozen(DefaultOptions)).toBe(true);
});

rule('stats', 'what went through one connection, and what is open', async (cell) => {
  const side = cell.side();
  const second = side.sibling();
  expect(side.ampe.stats()).toMatchObject({ channels: 0, listeners: 0, groups: 2, messagesIn: 0n, bytesOut: 0n });
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  const hello = 16n + BigInt('who:raw\r\n'.length);
  expect(side.ampe.stats()).toMatchObject({ channels: 1, listeners: 1, messagesIn: 1n, bytesIn: hello });
  peer.send({ op: WIRE.Request, id: 1, body: '12345' }, { op: WIRE.Request, id: 2, headers: 'a:b\r\n' });
  await side.expect({ id: 1n });
  await side.expect({ id: 2n });
  expect(side.ampe.stats()).toMatchObject({ messagesIn: 3n, bytesIn: hello + 37n + 5n, messagesOut: 0n });
  side.post({ op: 'Response', channel, id: 1, body: '123' });
  await peer.frame();
  await eventually('the response to be counted', () => side.ampe.stats().messagesOut === 1n);
  expect(side.ampe.stats()).toMatchObject({ bytesOut: 19n, protocolViolations: 0n, poolEmptyEpisodes: 0n });
  peer.send({ op: WIRE.ByeSignal });
  await side.expectClosed(channel);
  expect(side.ampe.stats()).toMatchObject({ channels: 0, protocolViolations: 1n });
  await second.ampe.destroy(second.group);
  expect(side.ampe.stats().groups).toBe(1);
});

// ── the process ──

async function childEnd(cell: Cell, program: string): Promise<ChildEnd> {
  const environment = { TOFU_AMPE_BACKEND: cell.name.engine.backend, ...cell.name.engine.environment };
  return runChild(program, { environment }).ended;
}

rule(
  'ref-unref',
  'an idle engine, and an unreferenced one with a listener and a receiver, let the process end',
  async (cell) => {
    const idle = `const reactor = Reactor.create(); reactor.ampe().create(); console.log('idle');`;
    expect(await childEnd(cell, idle)).toMatchObject({ code: 0, stdout: 'idle\n' });
    const unreferenced = `
    const reactor = Reactor.create().unref();
    const ampe = reactor.ampe();
    const group = ampe.create();
    await listen(ampe, group);
    void group.waitReceive().then(() => console.log('received'));
    console.log('waiting');`;
    expect(await childEnd(cell, unreferenced)).toMatchObject({ code: 0, stdout: 'waiting\n' });
  },
);
