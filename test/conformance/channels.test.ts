// Protocol section 4: the life of a channel apart from its graceful end. Hello and its failures, the outcome of every
// post, the reasons of returned messages, the last word, the numbers, and connections the application never sees.

import { existsSync } from 'node:fs';
import {
  WIRE,
  eventually,
  frame,
  parseFrame,
  refusal,
  rule,
  turns,
  within,
  type Cell,
  type MessageInit,
  type RawPeer,
  type Seen,
  type Side,
} from './support';
import { blockedListener, leaveStaleSocket } from './support/blocked-listener';

const BODY = Buffer.alloc(60_000, 'x');
/** More than the kernel holds between two sockets, so that a peer which does not read leaves messages unsent. */
const FLOOD = 250;

function flood(side: Side, channel: number, count = FLOOD): void {
  for (let i = 0; i < count; i++) side.post({ op: 'Signal', channel, id: 1000 + i, body: BODY });
}

function idsFrom(first: number, last: number): bigint[] {
  return Array.from({ length: last - first }, (_, i) => BigInt(first + i));
}

/** Everything up to channel_closed of `channel`; the last one is that. */
function untilClosed(side: Side, channel: number, what = 'channel_closed'): Promise<Seen[]> {
  return side.collect(
    what,
    (m) => m.op === 'Signal' && m.status === 'channel_closed' && m.channel === channel && m.body === '',
  );
}

/** The ids of the whole frames a peer received, without the Hello. */
function receivedIds(peer: RawPeer): bigint[] {
  const ids: bigint[] = [];
  for (let at = 0, one; (one = parseFrame(peer.received, at)) !== null; at = one.next) {
    if ((one.frame.proto & 0x0f) !== WIRE.HelloRequest) ids.push(one.frame.id);
  }
  return ids;
}

/** The address of a place where nobody answers: a refused port, or a socket file without a listener. */
async function deadAddress(cell: Cell): Promise<{ address: string; status: string }> {
  if (cell.transport === 'uds') return { address: `uds|${cell.freePath()}`, status: 'uds_path_not_found' };
  const server = await cell.rawServer();
  await server.close();
  return { address: server.address, status: 'connect_failed' };
}

// ── Hello ──

rule('hello-first-answer', 'HelloResponse of the application at the other end', async (cell) => {
  const server = cell.side();
  const client = cell.side();
  const listener = await server.listen();
  const header = client.connect(listener.address, { body: 'who are you' });
  const hello = await server.expect({ op: 'HelloRequest', id: header.messageId, body: 'who are you' });
  const { channelNumber } = server.answer(hello, 'HelloResponse', 'me');
  const shape = {
    op: 'HelloResponse',
    origin: 'application',
    status: 'success',
    id: header.messageId,
    body: 'me',
  } as const;
  await client.expect({ ...shape, channel: header.channelNumber });
  await client.abort(header.channelNumber);
  await server.expectClosed(channelNumber, header.messageId);
});

rule('hello-first-answer', 'any first message of the peer is one', async (cell) => {
  const side = cell.side();
  for (const op of ['Request', 'Response', 'Signal', 'ByeRequest', 'ByeResponse'] as const) {
    const { peer, channel, id } = await cell.dialledRaw(side, { answer: false });
    peer.send({ op: WIRE[op], id: 9, body: 'first' });
    await side.expect({ op, id: 9n, body: 'first', channel, origin: 'application' });
    if (op === 'ByeResponse') peer.halfClose();
    else side.post({ op: 'ByeSignal', channel });
    await side.expectClosed(channel, id);
  }
});

rule(
  'hello-failure-form',
  'the Hello itself comes back as HelloResponse, then channel_closed with its id',
  async (cell) => {
    const side = cell.side();
    const { address, status } = await deadAddress(cell);
    const header = side.connect(address, { id: 42, headers: [['more', 'headers']], body: 'and a body' });
    await side.expect({
      op: 'HelloResponse',
      origin: 'engine',
      status,
      channel: header.channelNumber,
      id: 42n,
      more: false,
      headers: [
        ['~connect_to', address],
        ['more', 'headers'],
      ],
      body: 'and a body',
    });
    await side.expectClosed(header.channelNumber, 42n);
  },
);

rule('hello-invalid-address', 'texts that are no address, and a Hello without ~connect_to', async (cell) => {
  const side = cell.side();
  const texts = [
    'tcp',
    'tcp|',
    'tcp|127.0.0.1',
    'tcp|127.0.0.1|',
    'tcp|127.0.0.1|0',
    'tcp|127.0.0.1|65536',
    'tcp|127.0.0.1|+1',
  ];
  texts.push(
    'tcp|127.0.0.1|1|2',
    'tcp|[::1]|7099',
    'udp|127.0.0.1|1',
    'TCP|127.0.0.1|1',
    'uds',
    'uds|',
    `uds|/${'x'.repeat(107)}`,
  );
  for (const text of texts) {
    const { channelNumber, messageId } = side.connect(text);
    await side.expect({
      op: 'HelloResponse',
      origin: 'engine',
      status: 'invalid_address',
      channel: channelNumber,
      id: messageId,
    });
    await side.expectClosed(channelNumber, messageId);
  }
  const { channelNumber } = side.post({ op: 'HelloRequest', headers: [['~listen_on', 'tcp|127.0.0.1|7099']] });
  await side.expect({ op: 'HelloResponse', status: 'invalid_address', channel: channelNumber });
  await side.expectClosed(channelNumber);
});

rule('hello-unresolvable', 'a name of the top-level domain that never exists', async (cell) => {
  const side = cell.side();
  const { channelNumber, messageId } = side.connect('tcp|tofu-ampe.invalid|7099');
  await side.expect({ op: 'HelloResponse', origin: 'engine', status: 'invalid_address', channel: channelNumber });
  await side.expectClosed(channelNumber, messageId);
});

rule('hello-path-not-found', 'neither the file nor its folder', async (cell) => {
  const side = cell.side();
  for (const path of [cell.freePath(), `${cell.freePath()}/none`]) {
    const { channelNumber, messageId } = side.connect(`uds|${path}`);
    await side.expect({ op: 'HelloResponse', origin: 'engine', status: 'uds_path_not_found', channel: channelNumber });
    await side.expectClosed(channelNumber, messageId);
  }
});

rule('hello-refused', 'a port that was free a moment ago', async (cell) => {
  const side = cell.side();
  const { address } = await deadAddress(cell);
  const { channelNumber, messageId } = side.connect(address);
  await side.expect({ op: 'HelloResponse', origin: 'engine', status: 'connect_failed', channel: channelNumber });
  await side.expectClosed(channelNumber, messageId);
});

rule('hello-stale-socket', 'the file a killed listener left behind', async (cell) => {
  const side = cell.side();
  const path = cell.freePath();
  await leaveStaleSocket(cell, path);
  expect(existsSync(path)).toBe(true);
  const { channelNumber, messageId } = side.connect(`uds|${path}`);
  await side.expect({ op: 'HelloResponse', origin: 'engine', status: 'connect_failed', channel: channelNumber });
  await side.expectClosed(channelNumber, messageId);
});

rule('hello-deadline', 'a listener whose backlog is full and which accepts nobody', async (cell) => {
  const side = cell.side({ connectTimeoutMs: 300 });
  const address = await blockedListener(cell);
  const { channelNumber, messageId } = side.connect(address);
  await side.expect({ op: 'HelloResponse', origin: 'engine', status: 'connect_failed', channel: channelNumber });
  await side.expectClosed(channelNumber, messageId);
});

rule('hello-aborted', 'the Hello and what was posted behind it come back with channel_closed', async (cell) => {
  const side = cell.side();
  const address = await blockedListener(cell);
  const { channelNumber: channel, messageId } = side.connect(address, { body: 'hello' });
  side.post({ op: 'Request', channel, id: 900 });
  side.post({ op: 'ByeSignal', channel });
  side.post({ op: 'ByeSignal', channel });
  const shape = { origin: 'engine', status: 'channel_closed', channel } as const;
  await side.expect({ ...shape, op: 'HelloResponse', id: messageId, body: 'hello' });
  await side.expect({ ...shape, op: 'Request', id: 900n });
  await side.expectClosed(channel, messageId);
  await side.listen();
  side.expectNothing();
});

rule('hello-aborted', 'in the same turn as a Hello that would have succeeded', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { channelNumber: channel, messageId } = side.connect(listener.address);
  side.post({ op: 'ByeSignal', channel });
  await side.expect({ op: 'HelloResponse', origin: 'engine', status: 'channel_closed', channel, id: messageId });
  await side.expectClosed(channel, messageId);
  await cell.acceptedRaw(side, listener);
  side.expectNothing();
});

rule('hello-failure-returns-queue', 'in the order posted, between HelloResponse and channel_closed', async (cell) => {
  const side = cell.side();
  const { address, status } = await deadAddress(cell);
  const { channelNumber: channel, messageId } = side.connect(address);
  for (let i = 0; i < 20; i++) side.post({ op: 'Request', channel, id: 1000 + i, body: `${i}` });
  side.post({ op: 'ByeRequest', channel, id: 1020 });
  await side.expect({ op: 'HelloResponse', status, channel, id: messageId });
  for (let i = 0; i < 20; i++) {
    await side.expect({ op: 'Request', origin: 'engine', status, channel, id: BigInt(1000 + i), body: `${i}` });
  }
  await side.expect({ op: 'ByeRequest', origin: 'engine', status, channel, id: 1020n });
  await side.expectClosed(channel, messageId);
});

rule('reason-connect', "each failure's status on the messages behind it", async (cell) => {
  const side = cell.side();
  const dead = await deadAddress(cell);
  for (const [address, status] of [
    [dead.address, dead.status],
    ['nonsense', 'invalid_address'],
  ] as const) {
    const { channelNumber: channel, messageId } = side.connect(address);
    // Posted while nothing of the failure has been received.
    await turns(5);
    side.post({ op: 'Signal', channel, id: 900 });
    await side.expect({ op: 'HelloResponse', status, channel });
    side.post({ op: 'Signal', channel, id: 901 });
    await side.expect({ op: 'Signal', origin: 'engine', status, channel, id: 900n });
    await side.expect({ op: 'Signal', origin: 'engine', status, channel, id: 901n });
    await side.expectClosed(channel, messageId);
  }
});

rule('post-behind-hello', 'messages posted at once arrive behind the Hello, before any answer', async (cell) => {
  const server = cell.side();
  const client = cell.side();
  const listener = await server.listen();
  const { channelNumber, messageId } = client.connect(listener.address);
  for (let i = 0; i < 30; i++) client.post({ op: 'Request', channel: channelNumber, id: 1000 + i });
  await server.expect({ op: 'HelloRequest', id: messageId });
  for (let i = 0; i < 30; i++) await server.expect({ op: 'Request', id: BigInt(1000 + i) });
  client.expectNothing();
});

rule('post-behind-hello', 'a ByeRequest too', async (cell) => {
  const server = cell.side();
  const client = cell.side();
  const listener = await server.listen();
  const { channelNumber, messageId } = client.connect(listener.address);
  client.post({ op: 'Signal', channel: channelNumber, id: 900 });
  client.post({ op: 'ByeRequest', channel: channelNumber, id: 901 });
  expect(refusal(() => client.post({ op: 'Signal', channel: channelNumber }))).toBe('channel_closed');
  await server.expect({ op: 'HelloRequest', id: messageId });
  await server.expect({ op: 'Signal', id: 900n });
  const bye = await server.expect({ op: 'ByeRequest', id: 901n });
  const { channelNumber: serverChannel } = server.answer(bye, 'ByeResponse');
  await client.expect({ op: 'ByeResponse', id: 901n });
  await client.expectClosed(channelNumber, messageId);
  await server.expectClosed(serverChannel, messageId);
});

rule('post-behind-hello', 'a ByeResponse posted behind the Hello ends the channel', async (cell) => {
  const side = cell.side();
  const server = await cell.rawServer();
  const { channelNumber, messageId } = side.connect(server.address);
  side.post({ op: 'ByeResponse', channel: channelNumber, id: 901 });
  const peer = await server.accept();
  expect((await peer.frames(2)).map((one) => one.proto)).toEqual([WIRE.HelloRequest, WIRE.ByeResponse]);
  peer.halfClose();
  await side.expectClosed(channelNumber, messageId);
});

rule('hello-response-any-time', 'by the client, by the server again, and behind data', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  for (let round = 0; round < 2; round++) {
    client.post({ op: 'HelloResponse', channel: clientChannel, id: 900, body: 'from the client' });
    await server.expect({ op: 'HelloResponse', channel: serverChannel, id: 900n, body: 'from the client' });
    server.post({ op: 'Signal', channel: serverChannel, id: 901 });
    server.post({ op: 'HelloResponse', channel: serverChannel, id: 902 });
    await client.expect({ op: 'Signal', id: 901n });
    await client.expect({ op: 'HelloResponse', channel: clientChannel, id: 902n, origin: 'application' });
  }
});

rule('hello-unanswered', 'requests and a Bye work without a HelloResponse', async (cell) => {
  const server = cell.side();
  const client = cell.side();
  const listener = await server.listen();
  const { channelNumber, messageId } = client.connect(listener.address);
  const hello = await server.expect({ op: 'HelloRequest', id: messageId });
  const serverChannel = hello.channelNumber;
  server.ampe.put(hello);
  const request = client.post({ op: 'Request', channel: channelNumber, body: 'ping' });
  server.answer(await server.expect({ op: 'Request', body: 'ping', channel: serverChannel }), 'Response', 'pong');
  await client.expect({ op: 'Response', id: request.messageId, body: 'pong' });
  client.post({ op: 'ByeRequest', channel: channelNumber });
  server.answer(await server.expect({ op: 'ByeRequest' }), 'ByeResponse');
  await client.expect({ op: 'ByeResponse' });
  await client.expectClosed(channelNumber, messageId);
  await server.expectClosed(serverChannel, messageId);
});

// ── order and outcome ──

rule('order', 'both directions at once, sizes from nothing to the largest', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  const sizes = [0, 1, 100, 4096, 4097, 65_535, 7];
  const count = 700;
  for (let i = 0; i < count; i++) {
    const body = Buffer.alloc(sizes[i % sizes.length]!, i & 0xff);
    client.post({ op: 'Signal', channel: clientChannel, id: 1000 + i, body });
    server.post({ op: 'Request', channel: serverChannel, id: 2000 + i, more: i % 2 === 0, body });
    if (i % 50 === 0) await turns(1);
  }
  const last = BigInt(count - 1);
  const [atServer, atClient] = await Promise.all([
    server.collect('all signals', (m) => m.id === 1000n + last),
    client.collect('all requests', (m) => m.id === 2000n + last),
  ]);
  expect(atServer.map((m) => m.id)).toEqual(idsFrom(1000, 1000 + count));
  expect(atClient.map((m) => m.id)).toEqual(idsFrom(2000, 2000 + count));
  expect(atClient.map((m) => m.more)).toEqual(atClient.map((_, i) => i % 2 === 0));
  expect(atServer.map((m) => Buffer.byteLength(m.body) > 0)).toEqual(atServer.map((_, i) => i % sizes.length !== 0));
});

rule('order', 'through a peer that reads a little at a time', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  flood(side, channel);
  for (let seen = 0; receivedIds(peer).length < FLOOD; seen = peer.received.length) {
    peer.startReading();
    await eventually('some more bytes', () => peer.received.length > seen);
    peer.stopReading();
    await turns(1);
  }
  expect(receivedIds(peer)).toEqual(idsFrom(1000, 1000 + FLOOD));
});

rule('no-loss-before-bye-response', 'Hello, requests, their answers, Bye', async (cell) => {
  const server = cell.side();
  const client = cell.side();
  const listener = await server.listen();
  const { channelNumber } = client.connect(listener.address, { id: 10 });
  for (let i = 0; i < 500; i++)
    client.post({ op: 'Request', channel: channelNumber, id: 1000 + i, body: 'x'.repeat(i * 7) });
  client.post({ op: 'ByeRequest', channel: channelNumber, id: 11 });
  const heard: bigint[] = [];
  for (;;) {
    const message = await server.receive('requests and ByeRequest');
    heard.push(message.messageId);
    const bye = message.messageId === 11n;
    server.answer(message, bye ? 'ByeResponse' : message.messageId === 10n ? 'HelloResponse' : 'Response');
    if (bye) break;
  }
  const expected = [10n, ...idsFrom(1000, 1500), 11n];
  expect(heard).toEqual(expected);
  const answers = await untilClosed(client, channelNumber);
  expect(answers.slice(0, -1).map((m) => m.id)).toEqual(expected);
  expect(answers.slice(0, -1).every((m) => m.origin === 'application')).toBe(true);
});

rule('sent-gives-nothing', 'nothing comes back for messages the peer received', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  for (const op of ['Request', 'Response', 'Signal', 'HelloResponse'] as const) side.post({ op, channel, id: 900 });
  await peer.frames(4);
  // A Hello that comes later is the next thing heard.
  await cell.acceptedRaw(side, await side.listen());
  side.expectNothing();
});

rule('unsent-comes-back', 'everything behind what the kernel took, with the reason', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  flood(side, channel);
  peer.halfClose();
  const all = await untilClosed(side, channel);
  const back = all.slice(0, -1);
  expect(back.length).toBeGreaterThan(0);
  expect(back.map((m) => m.id)).toEqual(idsFrom(1000 + FLOOD - back.length, 1000 + FLOOD));
  for (const one of back)
    expect(one).toMatchObject({ op: 'Signal', origin: 'engine', status: 'peer_disconnected', channel });
});

/** Posts a flood, lets the channel end by `end`, and gives what came back, checked to be the last of what was posted. */
async function floodAndEnd(cell: Cell, side: Side, end: (peer: RawPeer, channel: number) => unknown, read = 0) {
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  const before = side.ampe.stats().messagesOut;
  flood(side, channel);
  if (read > 0) {
    peer.startReading();
    await peer.bytes(read);
    peer.stopReading();
  }
  await end(peer, channel);
  const back = (await untilClosed(side, channel))
    .filter((m) => m.origin === 'engine' && m.id >= 1000n)
    .map((m) => m.id);
  const sent = FLOOD - back.length;
  expect(back).toEqual(idsFrom(1000 + sent, 1000 + FLOOD));
  expect(Number(side.ampe.stats().messagesOut - before)).toBe(sent);
  return { peer, sent };
}

rule('one-outcome', 'the peer stops writing: it receives exactly what did not come back', async (cell) => {
  const { peer, sent } = await floodAndEnd(cell, cell.side(), (raw) => raw.halfClose());
  expect(sent).toBeLessThan(FLOOD);
  peer.startReading();
  expect(await peer.ended()).toBe('fin');
  expect(receivedIds(peer)).toEqual(idsFrom(1000, 1000 + sent));
});

rule('one-outcome', 'the peer reads a part before it stops writing', async (cell) => {
  const { peer, sent } = await floodAndEnd(cell, cell.side(), (raw) => raw.halfClose(), 500_000);
  peer.startReading();
  expect(await peer.ended()).toBe('fin');
  expect(receivedIds(peer)).toEqual(idsFrom(1000, 1000 + sent));
});

rule('one-outcome', 'the peer reads a part and dies: what it has did not come back', async (cell) => {
  const { peer, sent } = await floodAndEnd(cell, cell.side(), (raw) => raw.reset(), 500_000);
  const received = receivedIds(peer);
  expect(received.length).toBeGreaterThan(0);
  expect(received.length).toBeLessThanOrEqual(sent);
  expect(received).toEqual(idsFrom(1000, 1000 + received.length));
  expect(sent).toBeLessThan(FLOOD);
});

rule('one-outcome', 'the own side aborts', async (cell) => {
  const side = cell.side();
  const { peer, sent } = await floodAndEnd(
    cell,
    side,
    (_, channel) => side.post({ op: 'ByeSignal', channel }),
    500_000,
  );
  peer.startReading();
  await peer.ended();
  const received = receivedIds(peer);
  expect(received).toEqual(idsFrom(1000, 1000 + received.length));
  expect(received.length).toBeLessThanOrEqual(sent);
  // A reset takes back what lies in the kernel; the plain close of a Unix socket does not.
  if (cell.transport === 'uds') expect(received).toHaveLength(sent);
});

rule('one-outcome', 'the peer says ByeResponse and reads only then', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  flood(side, channel);
  peer.send({ op: WIRE.ByeResponse, id: 5 });
  await side.expect({ op: 'ByeResponse', id: 5n });
  peer.startReading();
  expect(await peer.ended()).toBe('fin');
  peer.halfClose();
  const back = (await untilClosed(side, channel)).slice(0, -1).map((m) => m.id);
  const received = receivedIds(peer);
  expect([...received, ...back]).toEqual(idsFrom(1000, 1000 + FLOOD));
});

rule('one-outcome', 'no peer at all', async (cell) => {
  const side = cell.side();
  const { channelNumber: channel } = side.connect((await deadAddress(cell)).address);
  flood(side, channel, 50);
  const back = (await untilClosed(side, channel)).slice(1, -1);
  expect(back.map((m) => m.id)).toEqual(idsFrom(1000, 1050));
  expect(side.ampe.stats().messagesOut).toBe(0n);
});

rule('consumed-orders', 'a WelcomeRequest is answered, never returned; a ByeSignal leaves nothing', async (cell) => {
  const side = cell.side();
  const header = side.post({ op: 'WelcomeRequest', headers: [['~listen_on', cell.freeServerAddress()]] });
  side.post({ op: 'ByeSignal', channel: header.channelNumber });
  const all = await untilClosed(side, header.channelNumber);
  expect(all.map((m) => m.op)).toEqual(['WelcomeResponse', 'Signal']);
  expect(all[0]).toMatchObject({ origin: 'engine', id: header.messageId });
  await side.listen();
  side.expectNothing();
});

rule(
  'destroy-drops-unsent',
  "of the group: the messages are the pool's again, a sibling hears nothing",
  async (cell) => {
    const side = cell.side();
    const sibling = side.sibling();
    const { peer, channel } = await cell.acceptedRaw(side);
    peer.stopReading();
    flood(side, channel);
    await side.ampe.destroy(side.group);
    await eventually('all messages to be free', () => side.ampe.stats().poolFree === side.ampe.stats().poolTotal);
    await sibling.listen();
    sibling.expectNothing();
  },
);

rule('destroy-drops-unsent', 'of the engine, also while connecting', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  flood(side, channel);
  const { channelNumber } = side.connect(await blockedListener(cell));
  side.post({ op: 'Signal', channel: channelNumber });
  await within('the engine to be destroyed', side.engine.reactor.destroy());
  peer.startReading();
  // A reset, told as EOF by some kernels to a peer that still had bytes to read.
  await peer.ended();
  expect(receivedIds(peer).length).toBeLessThan(FLOOD);
});

// ── reasons ──

/** The one status with which the unsent messages of a flood came back. */
async function reasonOf(cell: Cell, side: Side, end: (peer: RawPeer, channel: number) => unknown): Promise<string[]> {
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  flood(side, channel);
  await end(peer, channel);
  const back = (await untilClosed(side, channel)).filter((m) => m.id >= 1000n);
  return [...new Set(back.map((m) => `${m.origin} ${m.status}`))];
}

rule('reason-channel-closed', 'own ByeSignal, and a Bye of the peer that ends the channel', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 200 });
  expect(await reasonOf(cell, side, (_, channel) => side.post({ op: 'ByeSignal', channel }))).toEqual([
    'engine channel_closed',
  ]);
  const other = cell.side({ closeTimeoutMs: 200 });
  expect(await reasonOf(cell, other, (peer) => peer.send({ op: WIRE.ByeResponse }))).toEqual(['engine channel_closed']);
});

rule(
  'reason-channel-closed',
  'a Bye of the peer that ends the channel, also when the peer leaves then',
  async (cell) => {
    for (const leave of ['halfClose', 'reset'] as const) {
      const side = cell.side();
      const end = async (peer: RawPeer): Promise<void> => {
        peer.send({ op: WIRE.ByeResponse, id: 5 });
        await side.expect({ op: 'ByeResponse', id: 5n });
        peer[leave]();
      };
      expect(await reasonOf(cell, side, end)).toEqual(['engine channel_closed']);
    }
  },
);

rule('reason-channel-closed', 'a ByeRequest that waited behind data comes back with it', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.stopReading();
  flood(side, channel);
  side.post({ op: 'ByeRequest', channel, id: 5000 });
  side.post({ op: 'ByeSignal', channel });
  const all = await untilClosed(side, channel);
  expect(all.at(-2)).toMatchObject({ op: 'ByeRequest', id: 5000n, status: 'channel_closed', origin: 'engine' });
});

rule('reason-peer-disconnected', 'EOF and reset', async (cell) => {
  const side = cell.side();
  expect(await reasonOf(cell, side, (peer) => peer.halfClose())).toEqual(['engine peer_disconnected']);
  expect(await reasonOf(cell, side.sibling(), (peer) => peer.reset())).toEqual(['engine peer_disconnected']);
});

rule('reason-peer-disconnected', 'a peer that closes without having read', async (cell) => {
  expect(await reasonOf(cell, cell.side(), (peer) => peer.close())).toEqual(['engine peer_disconnected']);
});

rule('reason-communication-failed', 'our own reset after a bad frame', async (cell) => {
  expect(await reasonOf(cell, cell.side(), (peer) => peer.send({ op: 15 }))).toEqual(['engine communication_failed']);
});

rule(
  'returned-as-posted',
  'opcode, id, more, headers and body of every kind, the half-written one too',
  async (cell) => {
    const side = cell.side();
    const { peer, channel } = await cell.acceptedRaw(side);
    peer.stopReading();
    const ops = ['Request', 'Response', 'Signal', 'HelloResponse'] as const;
    const posted: (MessageInit & { op: (typeof ops)[number]; id: number; body: string })[] = [];
    for (let i = 0; i < 400; i++) {
      const op = ops[i % 4]!;
      const init = {
        op,
        id: 1000 + i,
        more: op !== 'HelloResponse' && i % 3 === 0,
        headers: [
          ['k', `v${i}`],
          ['k', 'w'],
        ] as const,
        body: `${i}:`.repeat(9000),
      };
      posted.push(init);
      side.post({ ...init, channel });
    }
    peer.halfClose();
    const back = (await untilClosed(side, channel)).slice(0, -1);
    expect(back.length).toBeGreaterThan(0);
    expect(back.length).toBeLessThan(400);
    const expected = posted.slice(400 - back.length).map((init) => ({
      op: init.op,
      channel,
      id: BigInt(init.id),
      more: init.more,
      origin: 'engine',
      status: 'peer_disconnected',
      headers: init.headers!.map(([name, value]) => [name, value]),
      body: init.body,
    }));
    expect(back).toEqual(expected);
    // The first of them had been written in part: the peer has a piece of it behind the last whole frame.
    peer.startReading();
    await peer.ended();
    const ids = receivedIds(peer);
    expect(ids).toEqual(idsFrom(1000, 1400 - back.length));
  },
);

// ── the last word ──

rule('last-word-form', 'on every kind of channel', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const accepted = await cell.acceptedRaw(side, listener);
  const dialled = await cell.dialledRaw(side);
  for (const { channel, id } of [accepted, dialled, listener]) {
    side.post({ op: 'ByeSignal', channel });
    const shape = {
      op: 'Signal',
      origin: 'engine',
      status: 'channel_closed',
      channel,
      id,
      more: false,
      headers: [],
      body: '',
    };
    await side.expect(shape as Partial<Seen>);
  }
});

rule('last-word-once', 'many ends at once: one each, and nothing of a channel behind it', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 100 });
  const listener = await side.listen();
  const ends = [
    (peer: RawPeer) => peer.halfClose(),
    (peer: RawPeer) => peer.reset(),
    (peer: RawPeer) => peer.send({ op: WIRE.ByeSignal }),
    (peer: RawPeer) => peer.send({ op: WIRE.ByeResponse }).halfClose(),
    (peer: RawPeer) => peer.send({ op: WIRE.ByeRequest }, { op: WIRE.Signal }).reset(),
    (_: RawPeer, channel: number) => side.post({ op: 'ByeSignal', channel }),
    (_: RawPeer, channel: number) => side.post({ op: 'ByeRequest', channel }),
  ];
  const links = [];
  for (let i = 0; i < 4 * ends.length; i++) links.push(await cell.acceptedRaw(side, listener));
  links.forEach(({ peer, channel }, i) => {
    side.post({ op: 'Signal', channel, id: 900 });
    peer.send({ op: WIRE.Signal, id: 901 });
    ends[i % ends.length]!(peer, channel);
  });
  let left = links.length;
  const all = await side.collect(
    'all last words',
    (m) => m.status === 'channel_closed' && m.id === 77n && --left === 0,
  );
  for (const { channel } of links) {
    const own = all.filter((m) => m.channel === channel).map((m) => m.status === 'channel_closed' && m.id === 77n);
    expect(own.filter((last) => last)).toHaveLength(1);
    expect(own.at(-1)).toBe(true);
  }
  await cell.acceptedRaw(side, listener);
  side.expectNothing();
});

rule('last-word-once', 'nothing is heard of a number after it, whatever arrives', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { peer, channel, id } = await cell.acceptedRaw(side, listener);
  side.post({ op: 'ByeSignal', channel });
  peer.send({ op: WIRE.Signal }, { op: WIRE.ByeResponse }, { op: 15 });
  await side.expectClosed(channel, id);
  expect(refusal(() => side.post({ op: 'Signal', channel }))).toBe('channel_closed');
  await peer.ended();
  await cell.acceptedRaw(side, listener);
  side.expectNothing();
});

// ── numbers ──

/** A channel that fails at once: takes a number, and frees it when its channel_closed is received. */
function failingWelcome(side: Side): number {
  return side.group.post(side.message({ op: 'WelcomeRequest', headers: [['~listen_on', 'nonsense']] })).channelNumber;
}

rule('quarantine-until-received', 'a number whose channel_closed waits in the queue is in use', async (cell) => {
  const side = cell.side({ maxChannels: 1 });
  const first = failingWelcome(side);
  await turns(3);
  expect(refusal(() => failingWelcome(side))).toBe('allocation_failed');
  await side.expect({ op: 'WelcomeResponse', channel: first });
  expect(refusal(() => failingWelcome(side))).toBe('allocation_failed');
  await side.expectClosed(first);
  const second = failingWelcome(side);
  await side.expect({ op: 'WelcomeResponse', channel: second });
  await side.expectClosed(second);
});

rule('quarantine-until-received', 'a post for a closed channel never reaches a later one', async (cell) => {
  const side = cell.side({ maxChannels: 2 });
  const listener = await side.listen();
  const first = await cell.acceptedRaw(side, listener);
  await side.abort(first.channel);
  const second = await cell.acceptedRaw(side, listener);
  if (second.channel !== first.channel) {
    expect(refusal(() => side.post({ op: 'Signal', channel: first.channel }))).toBe('channel_closed');
  }
  side.post({ op: 'Signal', channel: second.channel, id: 901 });
  expect((await second.peer.frame()).id).toBe(901n);
});

/** Channels that are open at once while many are opened and closed. */
const CHURN_BATCH = 50;

/** Opens and closes `count` channels, a few at a time; their numbers in order. */
async function churn(side: Side, count: number): Promise<number[]> {
  const numbers: number[] = [];
  const { ampe, group } = side;
  while (numbers.length < count) {
    const batch = Math.min(CHURN_BATCH, count - numbers.length);
    for (let i = 0; i < batch; i++) {
      const message = ampe.get();
      message.opCode = 8;
      message.textHeaders.append('~listen_on', 'nonsense');
      numbers.push(group.post(message).channelNumber);
    }
    for (let heard = 0; heard < 2 * batch; heard++) {
      ampe.put(group.tryReceive() ?? (await within('answers to Welcomes with a bad address', group.waitReceive())));
    }
  }
  return numbers;
}

rule(
  'quarantine-oldest-first',
  'every number is used once before the first is used again, then in the same order',
  async (cell) => {
    const side = cell.side();
    const numbers = await churn(side, 65_534 + 2_000);
    const round = numbers.slice(0, 65_534);
    expect(new Set(round).size).toBe(65_534);
    expect(Math.min(...round.slice(0, 100), 1)).toBe(1);
    expect(numbers.slice(65_534)).toEqual(round.slice(0, 2_000));
  },
);

rule('quarantine-1024-closings', 'no number comes again within 1024 closings', async (cell) => {
  const side = cell.side();
  const numbers = await churn(side, 65_534 + 4_000);
  const lastAt = new Map<number, number>();
  let nearest = Infinity;
  numbers.forEach((number, at) => {
    nearest = Math.min(nearest, at - (lastAt.get(number) ?? -Infinity));
    lastAt.set(number, at);
  });
  expect(nearest).toBeGreaterThan(1024);
  expect(nearest).toBeLessThan(Infinity);
});

rule('quarantine-group-gone', 'numbers whose channel_closed nobody will receive', async (cell) => {
  const side = cell.side({ maxChannels: 3 });
  const sibling = side.sibling();
  const listener = await side.listen();
  await cell.acceptedRaw(side, listener);
  failingWelcome(side);
  expect(refusal(() => failingWelcome(sibling))).toBe('allocation_failed');
  await side.ampe.destroy(side.group);
  for (let i = 0; i < 3; i++) failingWelcome(sibling);
  expect(refusal(() => failingWelcome(sibling))).toBe('allocation_failed');
  await sibling.collect('three ends', (m) => m.status === 'channel_closed' && sibling.ampe.stats().listeners === 0);
});

rule('quarantine-unseen', 'a connection that died unseen makes room without anything being received', async (cell) => {
  const side = cell.side({ maxChannels: 2 });
  const listener = await side.listen();
  for (let i = 0; i < 3; i++) {
    const early = await cell.rawClient(listener.address);
    await eventually('the connection to be accepted', () => side.ampe.stats().channels === 1);
    early.close();
    await eventually('the unseen connection to be gone', () => side.ampe.stats().channels === 0);
  }
  side.expectNothing();
  const { channel } = await cell.acceptedRaw(side, listener);
  expect(channel).not.toBe(listener.channel);
});

// ── connections nobody sees ──

rule('unseen-dies', 'by FIN, by reset, with half a Hello', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const half = frame({ op: WIRE.HelloRequest, body: 'hello' }).subarray(0, 18);
  for (const end of ['halfClose', 'reset', 'close'] as const) {
    for (const bytes of [Buffer.alloc(0), half.subarray(0, 5), half]) {
      const early = await cell.rawClient(listener.address);
      await early.flush(bytes);
      await eventually('the connection to be accepted', () => side.ampe.stats().channels === 1);
      early[end]();
      await eventually('the unseen connection to be gone', () => side.ampe.stats().channels === 0);
      if (end === 'halfClose') await early.ended();
    }
  }
  await cell.acceptedRaw(side, listener);
  side.expectNothing();
});

rule('unseen-handshake-deadline', 'silent, and dribbling half a Hello', async (cell) => {
  const side = cell.side({ handshakeTimeoutMs: 60 });
  const listener = await side.listen();
  const silent = await cell.rawClient(listener.address);
  await silent.ended('the handshake deadline');
  const slow = await cell.rawClient(listener.address);
  const hello = frame({ op: WIRE.HelloRequest, body: BODY });
  let at = 0;
  await eventually('the handshake deadline of a dribbling peer', () => {
    if (slow.ending === null) slow.write(hello.subarray(at, ++at));
    return slow.ending !== null;
  });
  await eventually('no channel to be left', () => side.ampe.stats().channels === 0);
  await cell.acceptedRaw(side, listener);
  side.expectNothing();
});

rule('unseen-handshake-deadline', 'it does not touch a connection that said Hello', async (cell) => {
  const side = cell.side({ handshakeTimeoutMs: 60 });
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  const silent = await cell.rawClient(listener.address);
  await silent.ended('the handshake deadline of the other');
  peer.send({ op: WIRE.Signal, id: 9 });
  await side.expect({ op: 'Signal', id: 9n, channel });
});

rule('visible-with-hello', 'not before, with any Hello', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const early = await cell.rawClient(listener.address);
  await eventually('the connection to be accepted', () => side.ampe.stats().channels === 1);
  const other = await cell.acceptedRaw(side, listener);
  side.expectNothing();
  early.send({ op: WIRE.HelloRequest, id: 8, body: 'late' });
  const hello = await side.expect({ op: 'HelloRequest', id: 8n, body: 'late', origin: 'application' });
  expect(hello.channelNumber).not.toBe(other.channel);
  side.answer(hello, 'HelloResponse');
  expect((await early.frame()).id).toBe(8n);
});

// ── fairness ──

rule('fairness', 'a quiet connection has its round trips while another floods', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const loud = await cell.acceptedRaw(side, listener);
  const quiet = await cell.acceptedRaw(side, listener);
  const piece = Buffer.concat(
    Array.from({ length: 256 }, () => frame({ op: WIRE.Signal, id: 900, body: 'x'.repeat(1000) })),
  );
  let flooding = true;
  const pump = (): void => {
    while (flooding && loud.peer.socket.write(piece));
    if (flooding) loud.peer.socket.once('drain', pump);
  };
  pump();
  let trips = 0;
  let between = 0;
  let longest = 0;
  const ask = () => quiet.peer.send({ op: WIRE.Request, id: 901 });
  const answers = (async () => {
    for (; trips < 20; trips++) {
      ask();
      await quiet.peer.frame('the answer to a quiet request');
    }
    flooding = false;
  })();
  answers.catch(() => {});
  while (flooding) {
    const message = await side.receive('a message of either connection');
    between++;
    if (message.channelNumber === quiet.channel) {
      longest = Math.max(longest, between);
      between = 0;
      side.answer(message, 'Response');
    } else side.ampe.put(message);
  }
  await answers;
  expect(trips).toBe(20);
  // The flood was one all the time, and what it has per round trip is bounded: some chunks and its turn of frames.
  expect(longest).toBeGreaterThan(1);
  expect(longest).toBeLessThan(20_000);
  loud.peer.close();
  await untilClosed(side, loud.channel, 'the end of the flood');
});
