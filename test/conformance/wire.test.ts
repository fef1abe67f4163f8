// Protocol sections 1 and 4 (Trust): what stands on the wire, in both directions, checked with raw sockets; and what
// happens to frames that must not be there.

import fc from 'fast-check';
import {
  WIRE,
  frame,
  readVectors,
  refusal,
  rule,
  turns,
  type Cell,
  type FrameInit,
  type MessageInit,
  type RawLink,
  type Side,
} from './support';

const vectors = readVectors();
const good = vectors.frames.filter((vector) => vector.kind === 'good');
const clean = vectors.frames.filter((vector) => vector.kind === 'clean');
const OP_NAMES = [
  'Request',
  'Response',
  'Signal',
  'HelloRequest',
  'HelloResponse',
  'ByeRequest',
  'ByeResponse',
] as const;

/** The frame with another channel number. */
function withChannel(bytes: Buffer, channel: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(channel, 0);
  return copy;
}

/** One opcode from the side under test to a raw peer, and from a raw peer to the side. */
async function travels(
  cell: Cell,
  op: 'Request' | 'Response' | 'Signal' | 'HelloResponse' | 'ByeRequest' | 'ByeResponse',
) {
  const side = cell.side();
  const out = await cell.dialledRaw(side);
  side.post({ op, channel: out.channel, id: 99, headers: [['k', 'v']], body: 'out' });
  expect(await out.peer.frame()).toEqual({
    channel: out.channel,
    proto: WIRE[op],
    status: 0,
    id: 99n,
    headers: 'k:v\r\n',
    body: Buffer.from('out'),
  });
  await side.abort(out.channel);

  const into = await cell.acceptedRaw(side);
  into.peer.send({ op: WIRE[op], id: 98, headers: 'k:w\r\n', body: 'in' });
  await side.expect({
    op,
    channel: into.channel,
    id: 98n,
    more: false,
    origin: 'application',
    status: 'success',
    headers: [['k', 'w']],
    body: 'in',
  });
  await side.abort(into.channel);
}

// ── frames ──

rule('frame-encoding', 'a message with headers, body and more is one exact frame', async (cell) => {
  const side = cell.side();
  const { peer, channel, hello } = await cell.dialledRaw(side);
  const at = frame({ ...hello!, op: WIRE.HelloRequest }).length;
  side.post({
    op: 'Signal',
    channel,
    id: 0x0102030405060708n,
    more: true,
    headers: [['a', '1']],
    body: Buffer.from([0, 255]),
  });
  const bytes = frame({
    channel,
    op: WIRE.Signal,
    more: true,
    id: 0x0102030405060708n,
    headers: 'a:1\r\n',
    body: Buffer.from([0, 255]),
  });
  expect((await peer.bytes(at + bytes.length)).subarray(at)).toEqual(bytes);
});

rule('frame-decoding', 'each field of a frame is found in the message', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const body = Buffer.from([0, 1, 0x80, 0xff]);
  peer.send({ op: WIRE.Response, more: true, id: 2n ** 64n - 1n, headers: 'k: v \r\n', body });
  const message = await side.expect({ op: 'Response', more: true, id: 2n ** 64n - 1n, headers: [['k', 'v']], channel });
  expect(message.body.bytes()).toEqual(body);
  expect(message.textHeaders.bytes().toString()).toBe('k: v \r\n');
});

rule('frame-golden', 'every golden frame is read', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (const vector of good) {
    const expected = {
      op: OP_NAMES[vector.opCode],
      id: vector.messageId,
      more: vector.more,
      origin: 'application' as const,
    };
    let channel: number;
    if (vector.opCode === WIRE.HelloRequest) {
      (await cell.rawClient(listener.address)).write(vector.frame);
      channel = 0;
    } else {
      const link = await cell.acceptedRaw(side, listener);
      link.peer.write(vector.frame);
      channel = link.channel;
    }
    const message = await side.expect({ ...expected, ...(channel === 0 ? {} : { channel }) });
    expect(message.textHeaders.bytes()).toEqual(vector.headers);
    expect(message.body.bytes()).toEqual(vector.body);
    channel = message.channelNumber;
    side.ampe.put(message);
    await side.abort(channel);
  }
});

rule('frame-golden', 'every golden frame is written byte for byte', async (cell) => {
  const side = cell.side();
  for (const vector of good.filter((one) => one.opCode !== WIRE.HelloRequest)) {
    const { peer, channel, hello } = await cell.dialledRaw(side);
    const at = frame({ ...hello!, op: WIRE.HelloRequest }).length;
    const init: MessageInit = {
      op: OP_NAMES[vector.opCode],
      id: vector.messageId,
      more: vector.more,
      body: vector.body,
    };
    side.post({ ...init, channel, rawHeaders: vector.headers });
    const written = (await peer.bytes(at + vector.frame.length)).subarray(at);
    expect(written).toEqual(withChannel(vector.frame, channel));
    await side.abort(channel);
  }
});

rule('frame-channel-number', 'each side sees its own number', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.send({ channel: 0xfffe, id: 5 }, { channel: 0, id: 6 }, { channel: 0xffff, id: 7 });
  for (const id of [5n, 6n, 7n]) await side.expect({ channel, id });
  side.post({ op: 'Request', channel, id: 8 });
  expect((await peer.frame()).channel).toBe(channel);
});

rule('frame-largest', 'the largest frame goes both ways', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const headers = 'n:' + 'h'.repeat(65535 - 4) + '\r\n';
  const body = Buffer.from(Array.from({ length: 65535 }, (_, i) => (i * 31) & 0xff));
  expect(headers.length).toBe(65535);
  side.post({ op: 'Request', channel, id: 3, rawHeaders: headers, body });
  const bytes = frame({ channel, id: 3, headers, body });
  expect(bytes.length).toBe(131086);
  expect((await peer.bytes(bytes.length)).equals(bytes)).toBe(true);
  peer.write(bytes);
  const back = await side.receive('the largest frame');
  expect(back.textHeaders.bytes().toString()).toBe(headers);
  expect(back.body.bytes().equals(body)).toBe(true);
});

const STREAM: FrameInit[] = [
  { op: WIRE.Request, id: 1 },
  { op: WIRE.Signal, id: 2, headers: 'a:1\r\n', body: 'xyz' },
  { op: WIRE.Response, id: 3, more: true, body: 'q'.repeat(40) },
];

async function expectStream(side: Side, channel: number): Promise<void> {
  await side.expect({ op: 'Request', id: 1n, channel, body: '', headers: [] });
  await side.expect({ op: 'Signal', id: 2n, channel, body: 'xyz', headers: [['a', '1']] });
  await side.expect({ op: 'Response', id: 3n, channel, more: true, body: 'q'.repeat(40) });
}

rule('frame-any-segmentation', 'byte by byte', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  await peer.dribble(Buffer.concat(STREAM.map(frame)));
  await expectStream(side, channel);
});

rule('frame-any-segmentation', 'cut in two at every point', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const stream = Buffer.concat(STREAM.map(frame));
  for (let cut = 1; cut < stream.length; cut++) {
    await peer.flush(stream.subarray(0, cut));
    await turns(2);
    peer.write(stream.subarray(cut));
    await expectStream(side, channel);
  }
});

rule('frame-any-segmentation', 'a Hello and many frames in one piece', async (cell) => {
  const side = cell.side();
  const { address } = await side.listen();
  const peer = await cell.rawClient(address);
  const many = Array.from({ length: 100 }, (_, i) => frame({ id: i + 1, body: Buffer.alloc(i, i) }));
  peer.write(Buffer.concat([frame({ op: WIRE.HelloRequest, id: 77 }), ...many]));
  const hello = await side.expect({ op: 'HelloRequest', id: 77n });
  for (let i = 0; i < many.length; i++) {
    const message = await side.expect({ channel: hello.channelNumber, id: BigInt(i + 1) });
    expect(message.body.bytes()).toEqual(Buffer.alloc(i, i));
    side.ampe.put(message);
  }
});

rule('frame-any-segmentation', 'random pieces of random frames', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const anyFrame = fc.record({
    op: fc.constantFrom(WIRE.Request, WIRE.Response, WIRE.Signal),
    more: fc.boolean(),
    id: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    body: fc.uint8Array({ maxLength: 300 }),
  });
  const run = async (frames: FrameInit[], sizes: number[]): Promise<void> => {
    const stream = Buffer.concat(frames.map(frame));
    for (let at = 0, i = 0; at < stream.length; i++) {
      const size = sizes[i % sizes.length];
      await peer.dribble(stream.subarray(at, at + size), size);
      at += size;
    }
    for (const one of frames) {
      const message = await side.expect({ id: BigInt(one.id!), more: one.more!, channel });
      expect(message.body.bytes()).toEqual(Buffer.from(one.body!));
      side.ampe.put(message);
    }
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyFrame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 }),
      run,
    ),
    { numRuns: 25, endOnFailure: true },
  );
});

rule('frame-truncated', 'a frame cut off by EOF is dropped, those before it are delivered', async (cell) => {
  const side = cell.side();
  const whole = frame({ id: 6, headers: 'a:1\r\n', body: 'never whole' });
  for (const cut of [1, 15, 16, 18, whole.length - 1]) {
    const { peer, channel, id } = await cell.acceptedRaw(side);
    peer.write(Buffer.concat([frame({ id: 5, body: 'whole' }), whole.subarray(0, cut)])).halfClose();
    await side.expect({ channel, id: 5n, body: 'whole' });
    await side.expectClosed(channel, id);
  }
});

rule('more-flag', 'more on Request, Response, Signal arrives as it was posted', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  for (const op of ['Request', 'Response', 'Signal'] as const) {
    for (const more of [true, false]) {
      client.post({ op, channel: clientChannel, id: 9, more });
      const message = await server.expect({ op, more, channel: serverChannel });
      expect(message.hasMore).toBe(more);
    }
  }
});

rule('origin-values', 'application from the peer, engine from the local engine', async (cell) => {
  const { server, client, serverChannel, clientChannel, helloId } = await cell.pair();
  client.post({ op: 'Request', channel: clientChannel });
  const request = await server.expect({ op: 'Request', channel: serverChannel });
  expect([request.origin, request.isFromApplication, request.isFromEngine]).toEqual([0, true, false]);
  client.post({ op: 'ByeSignal', channel: clientChannel });
  const closed = await client.expect({ status: 'channel_closed', channel: clientChannel, id: helloId });
  expect([closed.origin, closed.isFromApplication, closed.isFromEngine]).toEqual([1, false, true]);
});

// ── opcodes ──

rule('opcode-request', 'goes both ways', (cell) => travels(cell, 'Request'));
rule('opcode-response', 'goes both ways', (cell) => travels(cell, 'Response'));
rule('opcode-signal', 'goes both ways', (cell) => travels(cell, 'Signal'));
rule('opcode-hello-response', 'goes both ways', (cell) => travels(cell, 'HelloResponse'));
rule('opcode-bye-request', 'goes both ways', (cell) => travels(cell, 'ByeRequest'));
rule('opcode-bye-response', 'goes both ways', (cell) => travels(cell, 'ByeResponse'));

rule('opcode-hello-request', 'is the first frame of a client, and a server accepts it', async (cell) => {
  const side = cell.side();
  const { hello, id } = await cell.dialledRaw(side);
  expect(hello).toMatchObject({ proto: WIRE.HelloRequest, id, status: 0 });
  await cell.acceptedRaw(side);
});

rule('hello-carries-address', '~connect_to and further headers and the body travel', async (cell) => {
  const side = cell.side();
  const server = await cell.rawServer();
  const { channelNumber, messageId } = side.connect(server.address, { headers: [['app', 'test']], body: 'hi' });
  const peer = await server.accept();
  expect(await peer.frame()).toEqual({
    channel: channelNumber,
    proto: WIRE.HelloRequest,
    status: 0,
    id: messageId,
    headers: `~connect_to:${server.address}\r\napp:test\r\n`,
    body: Buffer.from('hi'),
  });
});

rule('opcode-bye-signal', 'posted, nothing of it is written; from the wire it is a violation', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  side.post({ op: 'ByeSignal', channel });
  await side.expectClosed(channel, id);
  await peer.ended();
  expect(peer.received.length).toBe(0);
  await expectViolation(cell, side, frame({ op: WIRE.ByeSignal, id: 8 }));
});

for (const [id, op] of [
  ['opcode-welcome-request', 'WelcomeRequest'],
  ['opcode-welcome-response', 'WelcomeResponse'],
] as const) {
  rule(id, 'cannot be posted to a channel; from the wire it is a violation', async (cell) => {
    const side = cell.side();
    const { peer, channel } = await cell.acceptedRaw(side);
    const message = side.message({ op, channel, id: 4, headers: [['~listen_on', cell.freeServerAddress()]] });
    const expected = op === 'WelcomeRequest' ? 'invalid_channel_number' : 'invalid_op_code';
    expect(refusal(() => side.group.post(message))).toBe(expected);
    side.post({ op: 'Signal', channel, id: 9 });
    expect((await peer.frames(1))[0]).toMatchObject({ proto: WIRE.Signal, id: 9n });
    await expectViolation(cell, side, frame({ op: WIRE[op], id: 8, headers: '~listen_on:tcp|127.0.0.1|1\r\n' }));
  });
}

// ── trust ──

/** `bytes` behind a Hello: the connection is reset, the application gets channel_closed and nothing else. */
async function expectViolation(cell: Cell, side: Side, bytes: Buffer): Promise<void> {
  const before = side.ampe.stats().protocolViolations;
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.write(bytes);
  await side.expectClosed(channel, id);
  await cell.expectReset(peer);
  expect(side.ampe.stats().protocolViolations).toBe(before + 1n);
}

/** `bytes` as the first frame: the connection is reset; the next thing the application hears is another client. */
async function expectUnseenViolation(cell: Cell, side: Side, bytes: Buffer): Promise<void> {
  const before = side.ampe.stats().protocolViolations;
  const listener = await side.listen();
  const peer = await cell.rawClient(listener.address);
  peer.write(bytes);
  await cell.expectReset(peer);
  expect(peer.received.length).toBe(0);
  const link = await cell.acceptedRaw(side, listener);
  await side.abort(link.channel);
  expect(side.ampe.stats().protocolViolations).toBe(before + 1n);
}

rule('trust-cleared', 'origin, status and internal bits are cleared', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  for (const vector of clean) {
    peer.write(vector.frame);
    const op = OP_NAMES[vector.opCode];
    const message = await side.expect({ op, id: vector.messageId, channel, origin: 'application', status: 'success' });
    expect(message.body.bytes()).toEqual(vector.body);
  }
});

rule('trust-cleared', 'for each bit and each status alone, also on the Hello', async (cell) => {
  const side = cell.side();
  const { address } = await side.listen();
  const peer = await cell.rawClient(address);
  peer.send({ op: WIRE.HelloRequest, bits: 0xd0, status: 22, id: 1 });
  const hello = await side.expect({ op: 'HelloRequest', origin: 'application', status: 'success' });
  const channel = hello.channelNumber;
  for (const bits of [0x10, 0x40, 0x80, 0xd0]) peer.send({ bits, id: bits });
  for (const status of [1, 17, 22, 31, 255]) peer.send({ status, id: 1000 + status });
  for (const id of [0x10, 0x40, 0x80, 0xd0, 1001, 1017, 1022, 1031, 1255]) {
    await side.expect({
      op: 'Request',
      id: BigInt(id),
      channel,
      more: false,
      origin: 'application',
      status: 'success',
    });
  }
});

rule('trust-cannot-pose', 'a peer cannot fake channel_closed, pool_empty or a receiver update', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  for (const status of [19, 21, 22]) {
    peer.send({ op: WIRE.Signal, bits: 0x10, status, id: 77, channel: 0 });
    await side.expect({ op: 'Signal', origin: 'application', status: 'success', channel, id: 77n });
  }
  side.post({ op: 'Request', channel, body: 'still open' });
  expect((await peer.frame()).body.toString()).toBe('still open');
});

rule(
  'trust-cannot-pose',
  'a server cannot fake the engine’s HelloResponse, a client not its ByeResponse',
  async (cell) => {
    const side = cell.side();
    const { peer, channel, hello, id } = await cell.dialledRaw(side, { answer: false });
    peer.send({ op: WIRE.HelloResponse, bits: 0x10, status: 24, id: hello!.id });
    await side.expect({ op: 'HelloResponse', origin: 'application', status: 'success', channel, id });
    peer.send({ op: WIRE.ByeResponse, bits: 0xd0, status: 17, id: 5 }).halfClose();
    await side.expect({ op: 'ByeResponse', origin: 'application', status: 'success', channel, id: 5n });
    await side.expectClosed(channel, id);
  },
);

rule('violation-first-frame', 'every bad vector', async (cell) => {
  const side = cell.side();
  for (const vector of vectors.bad) await expectUnseenViolation(cell, side, vector.frame);
});

rule('violation-behind-hello', 'every bad vector, in its own piece', async (cell) => {
  const side = cell.side();
  for (const vector of vectors.bad) await expectViolation(cell, side, vector.frame);
});

rule('violation-behind-hello', 'every bad vector, in one piece with the Hello', async (cell) => {
  const side = cell.side();
  const { address } = await side.listen();
  for (const vector of vectors.bad) {
    const peer = await cell.rawClient(address);
    peer.write(Buffer.concat([frame({ op: WIRE.HelloRequest, id: 5 }), vector.frame]));
    const hello = await side.expect({ op: 'HelloRequest', id: 5n });
    await side.expectClosed(hello.channelNumber, 5n);
    await cell.expectReset(peer);
  }
});

rule('violation-behind-hello', 'every bad vector, sent by a server', async (cell) => {
  const side = cell.side();
  for (const vector of vectors.bad) {
    const { peer, channel, id } = await cell.dialledRaw(side);
    peer.write(vector.frame);
    await side.expectClosed(channel, id);
    await cell.expectReset(peer);
  }
});

rule('violation-behind-hello', 'every bad vector, byte by byte', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (const vector of vectors.bad) {
    const { peer, channel, id } = await cell.acceptedRaw(side, listener);
    await peer.dribble(vector.frame);
    await side.expectClosed(channel, id);
    await cell.expectReset(peer);
  }
});

rule('violation-once', 'further violations and valid frames in the same piece', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.send({ op: 10, id: 3 }, { op: 11, id: 3 }, { id: 4 }, { op: WIRE.ByeRequest, id: 5 });
  await side.expectClosed(channel, id);
  await cell.expectReset(peer);
  await cell.acceptedRaw(side);
  expect(side.ampe.stats().protocolViolations).toBe(1n);
});

rule('violation-keeps-valid', 'frames in front of the bad one are delivered, those behind it are not', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.send({ id: 1, body: 'a' }, { id: 2, body: 'b' }, { op: 10, id: 3 }, { id: 4, body: 'c' });
  await side.expect({ id: 1n, body: 'a', channel });
  await side.expect({ id: 2n, body: 'b', channel });
  await side.expectClosed(channel, id);
  await cell.expectReset(peer);
});

rule('violation-op-code', 'each of 7 to 15, with headers and a body', async (cell) => {
  const side = cell.side();
  for (let op = 7; op <= 15; op++) {
    const whole = frame({ op, id: 3, headers: '~listen_on:tcp|127.0.0.1|1\r\n', body: 'x'.repeat(1000) });
    await expectViolation(cell, side, whole);
  }
});

rule('violation-id-zero', 'on every opcode', async (cell) => {
  const side = cell.side();
  for (const op of [0, 1, 2, 4, 5, 6]) await expectViolation(cell, side, frame({ op, id: 0 }));
  await expectUnseenViolation(cell, side, frame({ op: WIRE.HelloRequest, id: 0 }));
});

rule('violation-more', 'on HelloRequest, HelloResponse, ByeRequest, ByeResponse', async (cell) => {
  const side = cell.side();
  for (const op of [4, 5, 6]) await expectViolation(cell, side, frame({ op, id: 3, more: true }));
  await expectUnseenViolation(cell, side, frame({ op: WIRE.HelloRequest, id: 3, more: true }));
});

rule('violation-first-not-hello', 'any other valid frame first', async (cell) => {
  const side = cell.side();
  for (const op of [0, 1, 2, 4, 5, 6]) await expectUnseenViolation(cell, side, frame({ op, id: 3 }));
});

rule('violation-second-hello', 'a second HelloRequest', async (cell) => {
  const side = cell.side();
  await expectViolation(cell, side, frame({ op: WIRE.HelloRequest, id: 78 }));
});

rule('violation-hello-to-client', 'a server that sends a HelloRequest', async (cell) => {
  const side = cell.side();
  for (const answer of [true, false]) {
    const { peer, channel, id } = await cell.dialledRaw(side, { answer });
    peer.send({ op: WIRE.HelloRequest, id: 3 });
    await side.expectClosed(channel, id);
    await cell.expectReset(peer);
  }
});

rule('violation-others-unharmed', 'other channels of the listener and of the engine go on', async (cell) => {
  const { server, client, listener, serverChannel, clientChannel } = await cell.pair();
  const links: RawLink[] = [await cell.acceptedRaw(server, listener), await cell.acceptedRaw(server, listener)];
  const unseen = await cell.rawClient(listener.address);
  unseen.send({ op: 12, id: 1 });
  await cell.expectReset(unseen);
  links[0].peer.send({ op: 12, id: 1 });
  await server.expectClosed(links[0].channel, 77n);
  links[1].peer.send({ id: 5, body: 'raw' });
  await server.expect({ channel: links[1].channel, body: 'raw' });
  client.post({ op: 'Request', channel: clientChannel, body: 'own' });
  const request = await server.expect({ channel: serverChannel, body: 'own' });
  server.answer(request, 'Response');
  await client.expect({ op: 'Response', channel: clientChannel, body: 'own' });
});
