// Protocol section 3: each row of the table of post(), on live channels, and what a successful post does.

import { AmpeError, AmpeStatus, OpCode, type Message } from 'tofu-ampe';
import { WIRE, refusal, rule, seen, type Cell, type MessageInit, type OpCodeName, type Side } from './support';

/** The post is refused with `status`, and the message stays the caller's with everything it had. */
function expectRefused(side: Side, init: MessageInit, status: string): void {
  const message = side.message(init);
  const before = seen(message);
  expect(refusal(() => side.group.post(message))).toBe(status);
  expect(message.owned).toBe(true);
  expect(seen(message)).toEqual(before);
  side.ampe.put(message);
}

/** The channel still carries messages in both directions. */
async function expectAlive(cell: Cell, side: Side, channel: number, peer: Awaited<ReturnType<Cell['rawClient']>>) {
  peer.send({ id: 4321, body: 'in' });
  side.ampe.put(await side.expect({ channel, id: 4321n, body: 'in' }));
  side.post({ op: 'Signal', channel, id: 1234, body: `out ${cell.transport}` });
  expect(await peer.frame()).toMatchObject({ id: 1234n, proto: WIRE.Signal });
}

const CONNECTED: readonly OpCodeName[] = [
  'Request',
  'Response',
  'Signal',
  'HelloResponse',
  'ByeRequest',
  'ByeResponse',
];

// ── row 1 ──

rule('post-refusal-keeps-message', 'the message is unchanged and can be corrected and posted', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const message = side.message({ op: 'Response', channel, more: true, headers: [['k', 'v']], body: 'kept' });
  message.messageId = 0n;
  const before = seen(message);
  expect(refusal(() => side.group.post(message))).toBe('invalid_message_id');
  expect(seen(message)).toEqual(before);
  expect(message.owned).toBe(true);
  message.messageId = 5n;
  side.group.post(message);
  expect(message.owned).toBe(false);
  expect(await peer.frame()).toMatchObject({ proto: WIRE.Response | 0x20, id: 5n, headers: 'k:v\r\n' });
});

rule('post-refusal-keeps-message', 'the error says which message was refused and what is wrong with it', (cell) => {
  const side = cell.side();
  const message = side.message({ op: 'Request', id: 7 });
  expect(() => side.group.post(message)).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(
        /^invalid_channel_number: the channel number .+; post\(\) of a Request on channel 0$/,
      ),
      code: 'ERR_AMPE_INVALID_CHANNEL_NUMBER',
      channelNumber: 0,
      messageId: 7n,
    }),
  );
  side.ampe.put(message);
});

rule('post-1-null-message', 'posted, put, disposed, updated, null, undefined', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const init: MessageInit = { op: 'Request', channel, id: 2 };
  const posted = side.message(init);
  side.group.post(posted);
  const put = side.message(init);
  side.ampe.put(put);
  const disposed = side.message(init);
  disposed[Symbol.dispose]();
  const updated = side.message(init);
  side.group.updateReceiver(updated);
  for (const dead of [posted, put, disposed, updated])
    expect(refusal(() => side.group.post(dead))).toBe('null_message');
  expect(refusal(() => side.group.post(null as unknown as Message))).toBe('null_message');
  expect(refusal(() => side.group.post(undefined as unknown as Message))).toBe('null_message');
  expect(await peer.frame()).toMatchObject({ id: 2n });
  expect(peer.rest.length).toBe(0);
  await side.expect({ status: 'receiver_update' });
});

rule('post-1-shutdown', 'a group being destroyed, a destroyed group, a destroyed engine', async (cell) => {
  const side = cell.side();
  const other = side.sibling();
  const message = side.message({ op: 'Request', channel: 1 });
  const destroyed = side.ampe.destroy(side.group);
  expect(refusal(() => side.group.post(message))).toBe('shutdown_started');
  await destroyed;
  expect(refusal(() => side.group.post(message))).toBe('shutdown_started');
  expect(message.owned).toBe(true);
  const ending = side.engine.reactor.destroy();
  expect(refusal(() => other.group.post(message))).toBe('shutdown_started');
  await ending;
  expect(refusal(() => other.group.post(message))).toBe('shutdown_started');
  expect(message.owned).toBe(true);
});

rule('post-1-foreign-message', 'a message of another engine stays its owner’s', async (cell) => {
  const { server, client, clientChannel } = await cell.pair();
  const foreign = server.message({ op: 'Request', channel: clientChannel, body: 'foreign' });
  expect(refusal(() => client.group.post(foreign))).toBe('not_allowed');
  expect(foreign.owned).toBe(true);
  expect(foreign.body.toString()).toBe('foreign');
});

// ── rows 2 to 6 ──

rule('post-2-op-code', 'WelcomeResponse, on channel 0, on a channel, on a listener', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  for (const number of [0, channel, listener.channel]) {
    expectRefused(
      side,
      { op: 'WelcomeResponse', channel: number, id: 3, headers: [['~listen_on', 'x']] },
      'invalid_op_code',
    );
  }
  const message = side.message({ channel });
  for (const wrong of [10, 15, 16, -1, 1.5, NaN, 255]) {
    expect(refusal(() => (message.opCode = wrong as OpCode))).toBe('invalid_op_code');
  }
  expect(message.opCode).toBe(OpCode.Request);
  await expectAlive(cell, side, channel, peer);
});

rule('post-3-message-id', 'Response, HelloResponse, ByeResponse without an id', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  for (const op of ['Response', 'HelloResponse', 'ByeResponse'] as const) {
    expectRefused(side, { op, channel }, 'invalid_message_id');
  }
  await expectAlive(cell, side, channel, peer);
});

rule('post-4-more', 'Hello, Bye and Welcome with more', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  for (const op of ['HelloResponse', 'ByeRequest', 'ByeResponse', 'ByeSignal'] as const) {
    expectRefused(side, { op, channel, id: 3, more: true }, 'invalid_more_usage');
  }
  for (const [op, name] of [
    ['HelloRequest', '~connect_to'],
    ['WelcomeRequest', '~listen_on'],
  ] as const) {
    expectRefused(side, { op, id: 3, more: true, headers: [[name, cell.freeServerAddress()]] }, 'invalid_more_usage');
  }
  await expectAlive(cell, side, channel, peer);
});

rule('post-5-channel-zero', 'every opcode that needs a channel', (cell) => {
  const side = cell.side();
  for (const op of [...CONNECTED, 'ByeSignal'] as const) {
    expectRefused(side, { op, channel: 0, id: 3 }, 'invalid_channel_number');
  }
});

rule('post-5-channel-given', 'Hello and Welcome on a live channel, a listener, an unknown number', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  for (const number of [channel, listener.channel, 60000]) {
    for (const [op, name] of [
      ['HelloRequest', '~connect_to'],
      ['WelcomeRequest', '~listen_on'],
    ] as const) {
      const headers = [[name, listener.address]] as const;
      expectRefused(side, { op, channel: number, headers }, 'invalid_channel_number');
    }
  }
  await expectAlive(cell, side, channel, peer);
  await cell.acceptedRaw(side, listener);
});

rule('post-6-headers-length', '65535 bytes travel, 65536 cannot even be made', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const message = side.message({ op: 'Request', channel, rawHeaders: Buffer.alloc(65535, 'x') });
  expect(refusal(() => message.textHeaders.setBytes(Buffer.alloc(65536)))).toBe('invalid_headers_len');
  expect(message.textHeaders.byteLength).toBe(65535);
  side.group.post(message);
  expect((await peer.frame()).headers.length).toBe(65535);
});

rule('post-6-no-address', 'Hello and Welcome without any header; a body does not help', (cell) => {
  const side = cell.side();
  for (const op of ['HelloRequest', 'WelcomeRequest'] as const) {
    expectRefused(side, { op }, 'wrong_address');
    expectRefused(side, { op, body: '~connect_to:tcp|127.0.0.1|1\r\n' }, 'wrong_address');
  }
  expect(side.ampe.stats()).toMatchObject({ channels: 0, listeners: 0 });
});

rule('post-6-body-length', '65535 bytes travel, 65536 cannot even be made', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const message = side.message({ op: 'Request', channel, body: Buffer.alloc(65535, 7) });
  expect(refusal(() => message.body.append('x'))).toBe('invalid_body_len');
  expect(refusal(() => message.body.set(Buffer.alloc(65536)))).toBe('invalid_body_len');
  expect(refusal(() => message.body.reserve(65536))).toBe('invalid_body_len');
  expect(message.body.byteLength).toBe(65535);
  side.group.post(message);
  expect((await peer.frame()).body).toEqual(Buffer.alloc(65535, 7));
});

// ── rows 7 to 9 ──

rule('post-7-unknown-channel', 'never handed out, or handed out by another engine', async (cell) => {
  const { server, client, clientChannel, listener, helloId } = await cell.pair();
  expect(helloId).not.toBe(0n);
  for (const op of [...CONNECTED, 'ByeSignal'] as const) {
    expectRefused(client, { op, channel: 65534, id: 3 }, 'invalid_channel_number');
  }
  // The server has handed out two numbers, the client one: a number only the server knows means nothing here.
  const next = await cell.join(server, client, listener);
  const third = server.sibling();
  const known = new Set([clientChannel, next.clientChannel]);
  const foreign = [listener.channel, next.serverChannel].filter((number) => !known.has(number));
  expect(foreign.length).toBeGreaterThan(0);
  for (const channel of foreign) expectRefused(client, { op: 'Request', channel }, 'invalid_channel_number');
  expect(third.group.tryReceive()).toBeNull();
});

rule('post-7-unseen-channel', 'an accepted connection before its HelloRequest', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const peer = await cell.rawClient(listener.address);
  // A second connection behind the first proves that the first was accepted.
  const later = await cell.acceptedRaw(side, listener);
  const near = Array.from({ length: 64 }, (_, i) => i + 1).filter((n) => n !== later.channel && n !== listener.channel);
  for (const channel of near) {
    for (const op of ['Request', 'ByeSignal'] as const) expectRefused(side, { op, channel }, 'invalid_channel_number');
  }
  peer.send({ op: WIRE.HelloRequest, id: 6 });
  const hello = await side.expect({ op: 'HelloRequest', id: 6n });
  side.post({ op: 'Signal', channel: hello.channelNumber, id: 9 });
  expect(await peer.frame()).toMatchObject({ id: 9n });
});

rule('post-7-other-group', 'channels and listeners of a sibling group', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  const sibling = side.sibling();
  for (const number of [channel, listener.channel]) {
    for (const op of [...CONNECTED, 'ByeSignal'] as const) {
      expectRefused(sibling, { op, channel: number, id: 3 }, 'invalid_channel_group');
    }
  }
  await expectAlive(cell, side, channel, peer);
});

rule('post-8-closed', 'after channel_closed was delivered, ByeSignal included', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.close();
  await side.expectClosed(channel, id);
  for (const op of [...CONNECTED, 'ByeSignal'] as const) expectRefused(side, { op, channel, id: 3 }, 'channel_closed');
});

rule('post-8-closed', 'a listener after its channel_closed', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  side.post({ op: 'ByeSignal', channel: listener.channel });
  await side.expectClosed(listener.channel, listener.id);
  for (const op of ['Request', 'ByeSignal'] as const) {
    expectRefused(side, { op, channel: listener.channel }, 'channel_closed');
  }
});

rule('post-8-own-bye', 'behind the own ByeRequest and behind the own ByeResponse', async (cell) => {
  const side = cell.side();
  for (const bye of ['ByeRequest', 'ByeResponse'] as const) {
    const { peer, channel, id } = await cell.acceptedRaw(side);
    side.post({ op: bye, channel, id: 5 });
    for (const op of CONNECTED) expectRefused(side, { op, channel, id: 3 }, 'channel_closed');
    expect(await peer.frame()).toMatchObject({ proto: WIRE[bye] });
    for (const op of CONNECTED) expectRefused(side, { op, channel, id: 3 }, 'channel_closed');
    side.post({ op: 'ByeSignal', channel });
    await side.expectClosed(channel, id);
    expect(peer.rest.length).toBe(0);
  }
});

rule('post-9-listener', 'everything but ByeSignal; the listener lives on', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (const op of CONNECTED) expectRefused(side, { op, channel: listener.channel, id: 3 }, 'not_allowed');
  await cell.acceptedRaw(side, listener);
  side.post({ op: 'ByeSignal', channel: listener.channel });
  await side.expectClosed(listener.channel, listener.id);
});

rule('post-9-listener', 'also while it is being set up', async (cell) => {
  const side = cell.side();
  const address = cell.freeServerAddress();
  const { channelNumber } = side.post({ op: 'WelcomeRequest', headers: [['~listen_on', address]] });
  for (const op of CONNECTED) expectRefused(side, { op, channel: channelNumber, id: 3 }, 'not_allowed');
  await side.expect({ op: 'WelcomeResponse', status: 'success', channel: channelNumber });
});

rule('post-9-no-number', 'maxChannels reached: Hello and Welcome are refused, and work again later', async (cell) => {
  const side = cell.side({ maxChannels: 2 });
  const first = await side.listen();
  const second = await side.listen();
  for (const [op, name] of [
    ['HelloRequest', '~connect_to'],
    ['WelcomeRequest', '~listen_on'],
  ] as const) {
    expectRefused(side, { op, headers: [[name, cell.freeServerAddress()]] }, 'allocation_failed');
  }
  side.post({ op: 'ByeSignal', channel: first.channel });
  await side.expectClosed(first.channel);
  const third = await side.listen();
  expect(third.channel).not.toBe(second.channel);
});

// ── order ──

rule('post-check-order', 'each fault hides the ones behind it', async (cell) => {
  const side = cell.side();
  const other = cell.side();
  const listener = await side.listen();
  const { channel, id, peer } = await cell.acceptedRaw(side, listener);
  const sibling = side.sibling();
  // 1 before 2: a foreign WelcomeResponse.
  const foreign = other.message({ op: 'WelcomeResponse' });
  expect(refusal(() => side.group.post(foreign))).toBe('not_allowed');
  // 2 before 3, 4, 5; 3 before 4; 4 before 5; 5 before 6.
  expectRefused(side, { op: 'WelcomeResponse', more: true }, 'invalid_op_code');
  expectRefused(side, { op: 'ByeResponse', more: true }, 'invalid_message_id');
  expectRefused(side, { op: 'ByeRequest', more: true }, 'invalid_more_usage');
  expectRefused(side, { op: 'HelloRequest', more: true }, 'invalid_more_usage');
  expectRefused(side, { op: 'HelloRequest', channel }, 'invalid_channel_number');
  // 3 before 7, 4 before 7 and 9, 7 before 8 and 9.
  expectRefused(side, { op: 'Response', channel: 65000 }, 'invalid_message_id');
  expectRefused(side, { op: 'ByeRequest', channel: 65000, more: true }, 'invalid_more_usage');
  expectRefused(side, { op: 'ByeRequest', channel: listener.channel, more: true }, 'invalid_more_usage');
  expectRefused(sibling, { op: 'Request', channel: listener.channel }, 'invalid_channel_group');
  peer.close();
  await side.expectClosed(channel, id);
  expectRefused(sibling, { op: 'Request', channel }, 'invalid_channel_group');
  expectRefused(side, { op: 'Response', channel }, 'invalid_message_id');
});

rule('post-check-order', 'a moved message to a destroyed group is null_message', async (cell) => {
  const side = cell.side();
  const moved = side.message();
  side.ampe.put(moved);
  const foreign = cell.side().message({ op: 'Request', channel: 1 });
  await side.ampe.destroy(side.group);
  expect(refusal(() => side.group.post(moved))).toBe('null_message');
  expect(refusal(() => side.group.post(foreign))).toBe('shutdown_started');
});

rule('post-check-order', 'a Hello without an address is wrong_address even when no number is free', async (cell) => {
  const side = cell.side({ maxChannels: 1 });
  await side.listen();
  expectRefused(side, { op: 'HelloRequest' }, 'wrong_address');
  expectRefused(side, { op: 'HelloRequest', headers: [['~connect_to', 'x']] }, 'allocation_failed');
});

// ── what is accepted ──

rule('bye-signal-always-accepted', 'while connecting', async (cell) => {
  const side = cell.side();
  const server = await cell.rawServer();
  const { channelNumber: channel, messageId } = side.connect(server.address);
  side.post({ op: 'ByeSignal', channel });
  side.post({ op: 'ByeSignal', channel });
  const all = await side.collect('channel_closed', (m) => m.op === 'Signal');
  expect(all.at(-1)).toMatchObject({ origin: 'engine', status: 'channel_closed', channel, id: messageId });
  expect(all.slice(0, -1)).toEqual([expect.objectContaining({ op: 'HelloResponse', status: 'channel_closed' })]);
});

rule('bye-signal-always-accepted', 'during a graceful close', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  side.post({ op: 'ByeRequest', channel });
  expect(await peer.frame()).toMatchObject({ proto: WIRE.ByeRequest });
  side.post({ op: 'ByeSignal', channel });
  await side.expectClosed(channel, id);
});

rule('bye-signal-always-accepted', 'a second and third time, without effect', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { channel, id } = await cell.acceptedRaw(side, listener);
  for (let i = 0; i < 3; i++) side.post({ op: 'ByeSignal', channel });
  await side.expectClosed(channel, id);
  const next = await cell.acceptedRaw(side, listener);
  await side.abort(next.channel);
});

rule('post-into-ended-channel', 'posts behind the end come back in order, then channel_closed', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.send({ id: 5, body: 'last words' });
  peer.close();
  // A connection made after the end, received by another group: by then the engine has seen the end.
  await peer.ended();
  await cell.acceptedRaw(side.sibling());
  for (const n of [1, 2, 3])
    side.post({ op: 'Request', channel, id: 100 + n, headers: [['n', `${n}`]], body: `b${n}` });
  await side.expect({ id: 5n, origin: 'application', body: 'last words', channel });
  for (const n of [1, 2, 3]) {
    const message = await side.expect({ op: 'Request', origin: 'engine', channel, id: BigInt(100 + n), body: `b${n}` });
    expect(seen(message).status).toBe('peer_disconnected');
  }
  await side.expectClosed(channel, id);
});

rule('post-into-ended-channel', 'an answering server never sees its post throw', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  for (let i = 1; i <= 20; i++) peer.send({ id: i });
  peer.close();
  let answered = 0;
  const returned: bigint[] = [];
  for (;;) {
    const message = await side.receive('requests, returned answers, channel_closed');
    if (message.isFromApplication) {
      answered++;
      side.answer(message, 'Response');
    } else if (message.opCode === OpCode.Response) {
      returned.push(message.messageId);
      side.ampe.put(message);
    } else {
      expect(seen(message)).toMatchObject({ op: 'Signal', status: 'channel_closed', channel, id });
      break;
    }
  }
  expect(answered).toBe(20);
  expect(returned).toEqual([...returned].sort((a, b) => Number(a - b)));
  side.expectNothing();
});

rule('post-never-full', 'thousands of posts to a peer that does not read, far past the pool', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 8, initialPoolMsgs: 0 });
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  const count = 1000;
  for (let i = 1; i <= count; i++) side.post({ op: 'Request', channel, id: i, body: Buffer.alloc(8192, i) });
  peer.startReading();
  const frames = await peer.frames(count);
  expect(frames.map((one) => Number(one.id))).toEqual(Array.from({ length: count }, (_, i) => i + 1));
});

rule('post-takes-message', 'origin and status of a received message do not travel on', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const gone = await cell.acceptedRaw(side);
  side.post({ op: 'ByeSignal', channel: gone.channel });
  const closed = await side.expect({ status: 'channel_closed', origin: 'engine', channel: gone.channel });
  closed.channelNumber = channel;
  const header = side.group.post(closed);
  expect(closed.owned).toBe(false);
  expect({ ...header }).toMatchObject({ origin: 0, status: 0, opCode: OpCode.Signal, channelNumber: channel });
  expect(await peer.frame()).toMatchObject({ proto: WIRE.Signal, status: 0, id: gone.id });
});

rule('post-assigns-id', 'consecutive numbers for 0, a given id stays', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const first = side.post({ op: 'Request', channel }).messageId;
  const given = side.post({ op: 'Request', channel, id: 2n ** 63n }).messageId;
  const second = side.post({ op: 'Signal', channel }).messageId;
  expect(first).toBeGreaterThanOrEqual(1n);
  expect(given).toBe(2n ** 63n);
  expect(second).toBeGreaterThan(first);
  expect((await peer.frames(3)).map((one) => one.id)).toEqual([first, given, second]);
});

rule('post-assigns-id', 'unique across groups and engines', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  const ids = new Set<bigint>();
  for (let i = 0; i < 50; i++) {
    ids.add(server.post({ op: 'Signal', channel: serverChannel }).messageId);
    ids.add(client.post({ op: 'Signal', channel: clientChannel }).messageId);
  }
  expect(ids.size).toBe(100);
  expect(ids.has(0n)).toBe(false);
});

rule('post-assigns-channel', 'new, different numbers, known at once', async (cell) => {
  const side = cell.side();
  const server = await cell.rawServer();
  const numbers = [1, 2, 3].map(() => side.connect(server.address).channelNumber);
  expect(new Set(numbers).size).toBe(3);
  for (const number of numbers) {
    expect(number).toBeGreaterThanOrEqual(1);
    expect(number).toBeLessThanOrEqual(65534);
    side.post({ op: 'Signal', channel: number, body: `${number}` });
  }
  for (let i = 0; i < 3; i++) {
    const peer = await server.accept();
    const [hello, signal] = await peer.frames(2);
    expect(signal).toMatchObject({ channel: hello.channel, body: Buffer.from(`${hello.channel}`) });
  }
});

rule('post-header-snapshot', 'the header stays as it was when the slot is used again', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1, initialPoolMsgs: 1 });
  const { peer, channel } = await cell.acceptedRaw(side);
  const header = side.post({ op: 'Response', channel, id: 50, more: true });
  await peer.frame();
  const again = side.message({ op: 'Signal', channel: 9, id: 51 });
  const expected = {
    channelNumber: channel,
    opCode: OpCode.Response,
    origin: 0,
    more: true,
    status: 0,
    messageId: 50n,
  };
  expect({ ...header }).toEqual(expected);
  expect(header.messageId).toBe(50n);
  expect(again.messageId).toBe(51n);
});

/** Uses up `count` channel numbers: each is opened by a Welcome without a usable address, told closed, and free again. */
async function spendNumbers(side: Side, count: number): Promise<void> {
  const { ampe, group } = side;
  for (let spent = 0; spent < count;) {
    const batch = Math.min(256, count - spent);
    for (let i = 0; i < batch; i++) {
      const message = ampe.get();
      message.opCode = OpCode.WelcomeRequest;
      message.textHeaders.append('~listen_on', 'nowhere');
      group.post(message);
    }
    for (let closed = 0; closed < batch;) {
      for (const message of await group.receiveMany(256)) {
        if (message.status === AmpeStatus.ChannelClosed) closed++;
        ampe.put(message);
      }
    }
    spent += batch;
  }
}

rule('quarantine-kept-message', 'it is refused with channel_closed, unless it is addressed anew', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const first = await cell.acceptedRaw(side, listener);
  first.peer.send({ id: 41, body: 'for the first life' }, { id: 42, body: 'readdressed' });
  const kept = await side.expect({ channel: first.channel, id: 41n });
  const copy = cell.keep(kept.clone());
  const readdressed = await side.expect({ channel: first.channel, id: 42n });
  await side.abort(first.channel);
  // All numbers but the listener's and the first connection's: then the first connection's is the oldest free one.
  await spendNumbers(side, 65534 - 2);
  const second = await cell.acceptedRaw(side, listener);
  expect(second.channel).toBe(first.channel);
  for (const message of [kept, copy]) {
    expect(refusal(() => side.group.post(message))).toBe('channel_closed');
    expect(seen(message)).toMatchObject({ channel: first.channel, id: 41n, body: 'for the first life' });
  }
  readdressed.channelNumber = second.channel;
  side.group.post(readdressed);
  expect(await second.peer.frame()).toMatchObject({ id: 42n, channel: second.channel });
  expect(second.peer.rest.length).toBe(0);
});

rule('error-details', 'channelNumber, messageId, code and name of the error', (cell) => {
  const side = cell.side();
  const message = side.message({ op: 'Request', channel: 60000, id: 12 });
  const error = thrownBy(() => side.group.post(message));
  expect(error).toBeInstanceOf(AmpeError);
  expect(error).toMatchObject({ channelNumber: 60000, messageId: 12n, code: 'ERR_AMPE_INVALID_CHANNEL_NUMBER' });
  expect(error.message).toMatch(/invalid_channel_number/);
});

function thrownBy(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a refusal, but nothing was thrown');
}
