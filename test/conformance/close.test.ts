// Protocol section 4: how a channel ends. Byes asked, answered and crossed, aborts, deadlines, EOF and failed sends, seen
// from the application and, with a raw socket at the other end, from the wire.
// A deadline that must not strike is compared with one on a second channel which must: no case sleeps.

import { WIRE, eventually, frame, refusal, rule, seen, turns, type Cell, type Side } from './support';

const BODY = Buffer.alloc(60_000, 'x');
/** More than the kernel holds between two sockets, so that a peer which does not read leaves messages unsent. */
const FLOOD = 250;

/** Posts messages with the ids 1000, 1001, … to a channel. */
function flood(side: Side, channel: number, count = FLOOD): void {
  for (let i = 0; i < count; i++) side.post({ op: 'Signal', channel, id: 1000 + i, body: BODY });
}

function idsFrom(first: number, last: number): bigint[] {
  return Array.from({ length: last - first }, (_, i) => BigInt(first + i));
}

/** A visible channel whose raw peer reads nothing any more. */
async function deafPeer(cell: Cell, side: Side) {
  const link = await cell.acceptedRaw(side);
  link.peer.stopReading();
  return link;
}

/** Everything up to channel_closed of `channel`, that not included. */
async function untilClosed(side: Side, channel: number) {
  const all = await side.collect(
    'channel_closed',
    (m) => m.status === 'channel_closed' && m.op === 'Signal' && m.body === '',
  );
  expect(all.pop()).toMatchObject({ channel, origin: 'engine', headers: [], body: '' });
  return all;
}

/** A second channel of the side, silent after the side's ByeRequest: resolves when its close deadline has struck. */
async function closeDeadlinePasses(cell: Cell, side: Side): Promise<number> {
  const { peer, channel } = await cell.acceptedRaw(side, await side.listen());
  side.post({ op: 'ByeRequest', channel });
  await peer.ended('the close deadline of the channel that serves as clock');
  return channel;
}

// ── ByeRequest and ByeResponse ──

rule('bye-request-queued', 'a ByeRequest is the last frame of a side, behind all it posted before', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  for (let i = 0; i < 50; i++) side.post({ op: 'Signal', channel, id: 1000 + i, body: 'x'.repeat(i) });
  side.post({ op: 'ByeRequest', channel, id: 5 });
  const frames = await peer.frames(51);
  expect(frames.map((one) => one.id)).toEqual([...idsFrom(1000, 1050), 5n]);
  expect(frames[50]!.proto).toBe(WIRE.ByeRequest);
  peer.send({ op: WIRE.ByeResponse, id: 5 });
  await side.expect({ op: 'ByeResponse', id: 5n });
  expect(await peer.ended()).toBe('fin');
  expect(peer.rest).toHaveLength(0);
  peer.halfClose();
  await side.expectClosed(channel, id);
});

rule('bye-request-queued', 'also when the peer reads only later', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await deafPeer(cell, side);
  flood(side, channel);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  expect(refusal(() => side.post({ op: 'Signal', channel }))).toBe('channel_closed');
  peer.startReading();
  const frames = await peer.frames(FLOOD + 1);
  expect(frames.map((one) => one.id)).toEqual([...idsFrom(1000, 1000 + FLOOD), 5n]);
  peer.send({ op: WIRE.ByeResponse, id: 5 }).halfClose();
  await side.expect({ op: 'ByeResponse', id: 5n });
  await side.expectClosed(channel, id);
});

rule(
  'bye-request-answered',
  'ByeResponse of the peer, then channel_closed; the other side hears channel_closed',
  async (cell) => {
    const { server, client, serverChannel, clientChannel, helloId } = await cell.pair();
    const bye = client.post({ op: 'ByeRequest', channel: clientChannel, body: 'so long' });
    const request = await server.expect({
      op: 'ByeRequest',
      origin: 'application',
      channel: serverChannel,
      body: 'so long',
    });
    server.answer(request, 'ByeResponse', 'thanks');
    const answer = {
      op: 'ByeResponse',
      origin: 'application',
      status: 'success',
      id: bye.messageId,
      body: 'thanks',
    } as const;
    await client.expect({ ...answer, channel: clientChannel });
    await client.expectClosed(clientChannel, helloId);
    await server.expectClosed(serverChannel, helloId);
  },
);

rule('bye-request-answered', 'the server may ask too', async (cell) => {
  const { server, client, serverChannel, clientChannel, helloId } = await cell.pair();
  server.post({ op: 'ByeRequest', channel: serverChannel });
  client.answer(await client.expect({ op: 'ByeRequest', channel: clientChannel }), 'ByeResponse');
  await server.expect({ op: 'ByeResponse', channel: serverChannel });
  await server.expectClosed(serverChannel, helloId);
  await client.expectClosed(clientChannel, helloId);
});

rule('bye-request-answered', 'what the peer had posted before its answer is delivered before it', async (cell) => {
  const { server, client, serverChannel, clientChannel, helloId } = await cell.pair();
  for (let i = 0; i < 100; i++) server.post({ op: 'Signal', channel: serverChannel, id: 1000 + i, body: BODY });
  client.post({ op: 'ByeRequest', channel: clientChannel });
  server.answer(await server.expect({ op: 'ByeRequest' }), 'ByeResponse');
  const all = await client.collect('the ByeResponse', (m) => m.op === 'ByeResponse');
  expect(all.slice(0, -1).map((m) => m.id)).toEqual(idsFrom(1000, 1100));
  await client.expectClosed(clientChannel, helloId);
  await server.expectClosed(serverChannel, helloId);
});

rule('bye-response-queued', 'it leaves last, and channel_closed waits for the peer to close', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.send({ op: WIRE.ByeRequest, id: 5 });
  const bye = await side.expect({ op: 'ByeRequest', id: 5n });
  for (let i = 0; i < 10; i++) side.post({ op: 'Signal', channel, id: 1000 + i });
  side.answer(bye, 'ByeResponse');
  const frames = await peer.frames(11);
  expect(frames.map((one) => one.id)).toEqual([...idsFrom(1000, 1010), 5n]);
  expect(frames[10]!.proto).toBe(WIRE.ByeResponse);
  expect(refusal(() => side.post({ op: 'Signal', channel }))).toBe('channel_closed');
  await cell.acceptedRaw(side, await side.listen());
  side.expectNothing();
  peer.halfClose();
  await side.expectClosed(channel, id);
});

// ── ByeSignal ──

rule(
  'bye-signal-aborts',
  'unsent messages come back in order with channel_closed, then channel_closed',
  async (cell) => {
    const side = cell.side();
    const { channel } = await deafPeer(cell, side);
    flood(side, channel);
    side.post({ op: 'ByeSignal', channel });
    const back = await untilClosed(side, channel);
    expect(back.length).toBeGreaterThan(0);
    expect(back.map((m) => m.id)).toEqual(idsFrom(1000 + FLOOD - back.length, 1000 + FLOOD));
    for (const one of back)
      expect(one).toMatchObject({ op: 'Signal', origin: 'engine', status: 'channel_closed', channel });
  },
);

rule(
  'bye-signal-aborts',
  'what had arrived is delivered first, and the abort does not wait for a peer',
  async (cell) => {
    const side = cell.side();
    const { peer, channel, id } = await cell.acceptedRaw(side);
    peer.send({ op: WIRE.Signal, id: 8 });
    const received = side.ampe.stats().bytesIn;
    await side.expect({ op: 'Signal', id: 8n });
    expect(side.ampe.stats().bytesIn).toBeGreaterThan(received);
    side.post({ op: 'ByeSignal', channel });
    await side.expectClosed(channel, id);
  },
);

rule('bye-signal-consumed', 'a ByeSignal gives channel_closed and nothing else, in every state', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const open = await cell.acceptedRaw(side, listener);
  const closing = await cell.acceptedRaw(side, listener);
  side.post({ op: 'ByeRequest', channel: closing.channel });
  await closing.peer.frame('the ByeRequest');
  for (const link of [open, closing]) {
    side.post({ op: 'ByeSignal', channel: link.channel });
    side.post({ op: 'ByeSignal', channel: link.channel });
    await side.expectClosed(link.channel, link.id);
    expect(refusal(() => side.post({ op: 'ByeSignal', channel: link.channel }))).toBe('channel_closed');
  }
  side.post({ op: 'ByeSignal', channel: listener.channel });
  side.post({ op: 'ByeSignal', channel: listener.channel });
  await side.expectClosed(listener.channel, listener.id);
  await side.listen();
  side.expectNothing();
});

rule('bye-signal-consumed', 'behind a received Bye and behind an own ByeResponse too', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (const answered of [false, true]) {
    const { peer, channel, id } = await cell.acceptedRaw(side, listener);
    peer.send({ op: WIRE.ByeRequest, id: 5 });
    const bye = await side.expect({ op: 'ByeRequest', channel });
    if (answered) {
      side.answer(bye, 'ByeResponse');
      await peer.frame('the ByeResponse');
    }
    side.post({ op: 'ByeSignal', channel });
    await side.expectClosed(channel, id);
    await cell.expectReset(peer);
  }
});

// ── EOF ──

rule('eof-frames-first', 'arrived frames, then unsent messages, then channel_closed', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await deafPeer(cell, side);
  flood(side, channel);
  peer.send(...Array.from({ length: 300 }, (_, i) => ({ op: WIRE.Signal, id: 500 + i, body: 'x'.repeat(1000) })));
  peer.halfClose();
  const all = await untilClosed(side, channel);
  const arrived = all.filter((m) => m.origin === 'application');
  const back = all.filter((m) => m.origin === 'engine');
  expect(arrived.map((m) => m.id)).toEqual(idsFrom(500, 800));
  expect(all.slice(0, arrived.length)).toEqual(arrived);
  expect(back.length).toBeGreaterThan(0);
  for (const one of back) expect(one).toMatchObject({ op: 'Signal', status: 'peer_disconnected' });
});

rule('eof-frames-first', 'frames the application has not asked for yet survive the end', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.send(...Array.from({ length: 100 }, (_, i) => ({ op: WIRE.Signal, id: 1000 + i, body: BODY })));
  peer.halfClose();
  const other = await cell.acceptedRaw(side.sibling());
  expect(other.channel).not.toBe(channel);
  const all = await side.collect('the last of 100 frames', (m) => m.id === 1099n);
  expect(all.map((m) => m.id)).toEqual(idsFrom(1000, 1100));
  await side.expectClosed(channel, id);
});

rule('eof-half-close', 'the channel ends although the peer could still read', async (cell) => {
  const side = cell.side();
  for (const link of [await cell.acceptedRaw(side), await cell.dialledRaw(side)]) {
    link.peer.halfClose();
    await side.expectClosed(link.channel, link.id);
    expect(await link.peer.ended()).toBe('fin');
  }
});

rule(
  'failed-send-keeps-reading',
  'what the peer sent before it died is delivered before what could not be sent',
  async (cell) => {
    const side = cell.side();
    const { peer, channel } = await cell.acceptedRaw(side);
    // About 90 KiB: more than is read ahead, less than what the kernel keeps for the side.
    const bytes = Buffer.concat(
      Array.from({ length: 90 }, (_, i) => frame({ op: WIRE.Signal, id: 500 + i, body: 'x'.repeat(1000) })),
    );
    await peer.flush(bytes);
    peer.close();
    for (let i = 0; i < 60; i++) {
      side.post({ op: 'Signal', channel, id: 1000 + i, body: 'late' });
      await turns(1);
    }
    const all = await untilClosed(side, channel);
    const arrived = all.filter((m) => m.origin === 'application');
    expect(arrived.map((m) => m.id)).toEqual(idsFrom(500, 590));
    expect(all.slice(0, 90)).toEqual(arrived);
    const back = all.slice(90);
    expect(back.length).toBeGreaterThan(0);
    expect(back.map((m) => m.id)).toEqual(idsFrom(1060 - back.length, 1060));
    for (const one of back) expect(one).toMatchObject({ origin: 'engine', status: 'peer_disconnected', body: 'late' });
  },
);

// ── what stands on the wire during a graceful close ──

rule('close-write-side-open', 'no FIN between the ByeRequest and its answer', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  await peer.frame('the ByeRequest');
  // A whole connection opens and closes meanwhile.
  const other = await cell.acceptedRaw(side, await side.listen());
  await side.abort(other.channel);
  await other.peer.ended();
  expect(peer.ending).toBeNull();
  peer.send({ op: WIRE.Signal, id: 6 });
  await side.expect({ op: 'Signal', id: 6n, channel });
  expect(peer.ending).toBeNull();
  peer.send({ op: WIRE.ByeResponse, id: 5 });
  await side.expect({ op: 'ByeResponse', id: 5n });
  expect(await peer.ended()).toBe('fin');
  peer.halfClose();
  await side.expectClosed(channel, id);
});

rule('close-write-side-open', 'nor between a received ByeRequest and the own answer', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.send({ op: WIRE.ByeRequest, id: 5 });
  const bye = await side.expect({ op: 'ByeRequest', id: 5n });
  const other = await cell.acceptedRaw(side, await side.listen());
  await side.abort(other.channel);
  expect(peer.ending).toBeNull();
  side.post({ op: 'Signal', channel, id: 6 });
  side.answer(bye, 'ByeResponse');
  expect((await peer.frames(2)).map((one) => one.id)).toEqual([6n, 5n]);
  peer.halfClose();
  await side.expectClosed(channel, id);
});

rule('close-fin-after-answer', 'FIN comes with the answer, channel_closed with the EOF of the peer', async (cell) => {
  const side = cell.side();
  for (const link of [await cell.acceptedRaw(side), await cell.dialledRaw(side)]) {
    const { peer, channel, id } = link;
    side.post({ op: 'ByeRequest', channel, id: 5 });
    await peer.frame('the ByeRequest');
    peer.send({ op: WIRE.ByeResponse, id: 5 });
    await side.expect({ op: 'ByeResponse', channel });
    expect(await peer.ended()).toBe('fin');
    const other = await cell.acceptedRaw(side, await side.listen());
    side.expectNothing();
    peer.halfClose();
    await side.expectClosed(channel, id);
    await side.abort(other.channel);
  }
});

rule('close-eof-is-answer', 'EOF behind the own ByeRequest gives channel_closed only', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  await peer.frame('the ByeRequest');
  peer.send({ op: WIRE.Signal, id: 6 }).halfClose();
  await side.expect({ op: 'Signal', id: 6n });
  await side.expectClosed(channel, id);
  expect(await peer.ended()).toBe('fin');
});

rule(
  'close-answering-side-waits',
  'no FIN behind the own ByeResponse; the end is EOF or reset of the peer',
  async (cell) => {
    const side = cell.side();
    const listener = await side.listen();
    for (const how of ['halfClose', 'reset'] as const) {
      const { peer, channel, id } = await cell.acceptedRaw(side, listener);
      peer.send({ op: WIRE.ByeRequest, id: 5 });
      side.answer(await side.expect({ op: 'ByeRequest', channel }), 'ByeResponse');
      await peer.frame('the ByeResponse');
      const other = await cell.acceptedRaw(side, listener);
      await side.abort(other.channel);
      await other.peer.ended();
      expect(peer.ending).toBeNull();
      // It goes on reading: much more than buffers hold is taken.
      await peer.flush(Buffer.concat(Array.from({ length: FLOOD }, () => frame({ op: WIRE.Signal, body: BODY }))));
      side.expectNothing();
      peer[how]();
      await side.expectClosed(channel, id);
      if (how === 'halfClose') expect(await peer.ended()).toBe('fin');
    }
  },
);

rule('close-reset-is-normal', 'the application hears the same as after EOF', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  await peer.frame('the ByeRequest');
  peer.send({ op: WIRE.ByeResponse, id: 5 });
  await side.expect({ op: 'ByeResponse', channel });
  await peer.ended();
  peer.reset();
  await side.expectClosed(channel, id);
  await side.listen();
  side.expectNothing();
});

rule('close-no-reset', 'both sides see FIN, whatever is sent behind the Byes', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (const asking of [true, false]) {
    const { peer, channel, id } = await cell.acceptedRaw(side, listener);
    if (asking) side.post({ op: 'ByeRequest', channel, id: 5 });
    else peer.send({ op: WIRE.ByeRequest, id: 5 });
    if (asking) await peer.frame('the ByeRequest');
    const trailing = Buffer.concat(Array.from({ length: 20 }, () => frame({ op: WIRE.Signal, id: 9, body: BODY })));
    if (asking) peer.send({ op: WIRE.ByeResponse, id: 5 }).write(trailing);
    else peer.write(trailing);
    const bye = await side.expect({ op: asking ? 'ByeResponse' : 'ByeRequest', channel });
    if (!asking) side.answer(bye, 'ByeResponse');
    peer.halfClose();
    await side.expectClosed(channel, id);
    expect(await peer.ended()).toBe('fin');
    expect(peer.errorCode).toBeUndefined();
  }
});

// ── the deadline ──

rule('close-deadline', 'a peer that never answers', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 50 });
  const { peer, channel, id } = await cell.acceptedRaw(side);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  await side.expectClosed(channel, id);
  expect((await peer.frame()).id).toBe(5n);
  expect(await peer.ended()).toBe('fin');
});

rule('close-deadline', 'a peer that never closes, behind either Bye', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 50 });
  const listener = await side.listen();
  const asked = await cell.acceptedRaw(side, listener);
  asked.peer.send({ op: WIRE.ByeRequest, id: 5 });
  side.answer(await side.expect({ op: 'ByeRequest' }), 'ByeResponse');
  await side.expectClosed(asked.channel, asked.id);
  const asking = await cell.acceptedRaw(side, listener);
  side.post({ op: 'ByeRequest', channel: asking.channel, id: 5 });
  asking.peer.send({ op: WIRE.ByeResponse, id: 5 });
  await side.expect({ op: 'ByeResponse' });
  await side.expectClosed(asking.channel, asking.id);
});

rule('close-deadline-restarts', 'a peer that sends byte after byte outlives a silent one', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 400 });
  const { peer, channel, id } = await cell.acceptedRaw(side);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  await peer.frame('the ByeRequest');
  const bytes = frame({ op: WIRE.Signal, id: 6, body: BODY });
  let passed = false;
  const clock = closeDeadlinePasses(cell, side.sibling()).then((other) => {
    passed = true;
    return other;
  });
  let sent = 0;
  await eventually('the close deadline of a silent channel', () => {
    peer.write(bytes.subarray(sent, ++sent));
    return passed;
  });
  await clock;
  expect(peer.ending).toBeNull();
  peer.write(bytes.subarray(sent)).send({ op: WIRE.ByeResponse, id: 5 }).halfClose();
  await side.expect({ op: 'Signal', id: 6n, channel });
  await side.expect({ op: 'ByeResponse', id: 5n, channel });
  await side.expectClosed(channel, id);
});

rule('close-deadline-stands-still', 'an answer behind frames without a message is not lost', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 1_000, initialPoolMsgs: 4, maxPoolMsgs: 4 });
  const clockListener = await side.listen();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  const clock = await cell.acceptedRaw(side, clockListener);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  await peer.frame('the ByeRequest');
  peer.send(...Array.from({ length: 60 }, (_, i) => ({ op: WIRE.Signal, id: 1000 + i, body: BODY })));
  peer.send({ op: WIRE.ByeResponse, id: 5 }).halfClose();
  const held = [];
  for (;;) {
    const message = await side.receive('frames until pool_empty');
    if (message.isFromEngine) {
      expect(seen(message)).toMatchObject({ status: 'pool_empty' });
      break;
    }
    held.push(message);
  }
  side.post({ op: 'ByeRequest', channel: clock.channel });
  await clock.peer.ended('the close deadline of the channel that serves as clock');
  for (const message of held) side.ampe.put(message);
  const rest = await side.collect('the ByeResponse behind the backlog', (m) => m.op === 'ByeResponse');
  const frames = rest.filter((m) => m.channel === channel && m.op === 'Signal');
  expect(frames.map((m) => m.id)).toEqual(idsFrom(1000 + held.length, 1060));
  const ends = rest.filter((m) => m.status === 'channel_closed').map((m) => m.channel);
  while (ends.length < 2) ends.push((await side.expect({ op: 'Signal', status: 'channel_closed' })).channelNumber);
  expect(ends.sort()).toEqual([channel, clock.channel].sort());
  expect(id).toBe(77n);
});

rule('close-no-deadline-behind-data', 'a ByeRequest behind unsent data waits past the deadline', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 50 });
  const { peer, channel, id } = await deafPeer(cell, side);
  flood(side, channel);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  const clockSide = side.sibling();
  const clock = await closeDeadlinePasses(cell, clockSide);
  await clockSide.expectClosed(clock);
  side.expectNothing();
  peer.startReading();
  const frames = await peer.frames(FLOOD + 1);
  expect(frames[FLOOD]).toMatchObject({ proto: WIRE.ByeRequest, id: 5n });
  await side.expectClosed(channel, id);
});

rule('close-no-deadline-behind-data', 'ByeSignal ends the waiting; data and Bye come back', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 50 });
  const { channel } = await deafPeer(cell, side);
  flood(side, channel);
  side.post({ op: 'ByeRequest', channel, id: 2000 });
  side.post({ op: 'ByeSignal', channel });
  const back = await untilClosed(side, channel);
  expect(back.at(-1)).toMatchObject({ op: 'ByeRequest', id: 2000n, status: 'channel_closed', origin: 'engine' });
  expect(back.at(-2)).toMatchObject({ op: 'Signal', id: BigInt(1000 + FLOOD - 1), status: 'channel_closed' });
});

// ── who resets ──

rule('reset-bye-signal', 'ByeSignal on accepted and on dialled channels, also with data unsent', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (const link of [await cell.acceptedRaw(side, listener), await cell.dialledRaw(side)]) {
    await side.abort(link.channel);
    await cell.expectReset(link.peer);
  }
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  peer.stopReading();
  flood(side, channel);
  side.post({ op: 'ByeSignal', channel });
  await untilClosed(side, channel);
  peer.startReading();
  // Told as EOF by some kernels when there are still bytes to read.
  await peer.ended();
});

rule('reset-bye-signal', 'on a Unix socket what was sent before still arrives', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  side.post({ op: 'Signal', channel, id: 6 });
  await turns(3);
  await side.abort(channel);
  if (cell.transport === 'uds') {
    expect((await peer.frame()).id).toBe(6n);
    expect(await peer.ended()).toBe('fin');
  } else await cell.expectReset(peer);
});

rule('reset-violation', 'behind a Hello and before one', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { peer, channel, id } = await cell.acceptedRaw(side, listener);
  peer.send({ op: WIRE.ByeSignal });
  await cell.expectReset(peer);
  await side.expectClosed(channel, id);
  const early = await cell.rawClient(listener.address);
  early.send({ op: WIRE.Request });
  await cell.expectReset(early);
});

rule('reset-group-destroyed', 'every connection of the group, also in a graceful close', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const open = await cell.acceptedRaw(side, listener);
  const closing = await cell.acceptedRaw(side, listener);
  const dialled = await cell.dialledRaw(side);
  side.post({ op: 'ByeRequest', channel: closing.channel });
  await closing.peer.frame('the ByeRequest');
  await side.ampe.destroy(side.group);
  for (const { peer } of [open, closing, dialled]) await cell.expectReset(peer);
});

// ── behind a Bye ──

const BYES = { 'behind-bye-response': WIRE.ByeResponse, 'behind-bye-request': WIRE.ByeRequest } as const;
for (const [id, op] of Object.entries(BYES) as [keyof typeof BYES, number][]) {
  rule(id, 'frames, violations and halves of frames are dropped', async (cell) => {
    const side = cell.side({ initialPoolMsgs: 2, maxPoolMsgs: 2 });
    const { peer, channel } = await cell.acceptedRaw(side);
    if (op === WIRE.ByeResponse) {
      side.post({ op: 'ByeRequest', channel, id: 5 });
      await peer.frame('the ByeRequest');
    }
    const behind = Array.from({ length: 40 }, (_, i) => ({ op: WIRE.Signal, id: 1000 + i, body: BODY }));
    peer.send({ op, id: 5 }, ...behind, { op: WIRE.ByeSignal }, { op: WIRE.Signal, id: 0 });
    await peer.flush(frame({ op: WIRE.Request, body: BODY }).subarray(0, 30_000));
    const bye = await side.expect({ id: 5n, channel });
    if (op === WIRE.ByeRequest) side.answer(bye, 'ByeResponse');
    peer.halfClose();
    await side.expectClosed(channel, 77n);
    expect(side.ampe.stats()).toMatchObject({ protocolViolations: 0n, poolEmptyEpisodes: 0n });
    expect(await peer.ended()).toBe('fin');
  });

  rule(id, 'also when nothing is free to hold them', async (cell) => {
    const side = cell.side({ initialPoolMsgs: 1, maxPoolMsgs: 1 });
    const { peer, channel, id: helloId } = await cell.acceptedRaw(side);
    if (op === WIRE.ByeResponse) {
      side.post({ op: 'ByeRequest', channel, id: 5 });
      await peer.frame('the ByeRequest');
    }
    peer.send({ op, id: 5 });
    // Held to the end: the only message of the pool.
    await side.expect({ id: 5n, channel });
    await peer.flush(Buffer.concat(Array.from({ length: FLOOD }, () => frame({ op: WIRE.Signal, body: BODY }))));
    peer.halfClose();
    await side.expectClosed(channel, helloId);
    expect(side.ampe.stats().poolEmptyEpisodes).toBe(0n);
  });
}

rule('bye-response-unasked', 'it is delivered, then channel_closed; the side closes with FIN', async (cell) => {
  const side = cell.side();
  for (const { peer, channel, id } of [await cell.acceptedRaw(side), await cell.dialledRaw(side)]) {
    peer.send({ op: WIRE.ByeResponse, id: 5, body: 'enough' });
    await side.expect({ op: 'ByeResponse', origin: 'application', id: 5n, body: 'enough', channel });
    expect(await peer.ended()).toBe('fin');
    expect(peer.rest).toHaveLength(0);
    peer.halfClose();
    await side.expectClosed(channel, id);
  }
});

rule('bye-response-unasked', 'unsent messages come back before channel_closed', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 200 });
  const { peer, channel } = await deafPeer(cell, side);
  flood(side, channel);
  peer.send({ op: WIRE.ByeResponse, id: 5 });
  const all = await untilClosed(side, channel);
  expect(all[0]).toMatchObject({ op: 'ByeResponse', id: 5n, origin: 'application' });
  const back = all.slice(1);
  expect(back.length).toBeGreaterThan(0);
  expect(back.map((m) => m.id)).toEqual(idsFrom(1000 + FLOOD - back.length, 1000 + FLOOD));
  for (const one of back) expect(one).toMatchObject({ origin: 'engine', status: 'channel_closed' });
});

rule('bye-response-unasked', 'what is posted behind it comes back behind what was unsent', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 200 });
  const { peer, channel } = await deafPeer(cell, side);
  flood(side, channel);
  peer.send({ op: WIRE.ByeResponse, id: 5 });
  await side.expect({ op: 'ByeResponse', id: 5n });
  for (let i = 0; i < 3; i++) side.post({ op: 'Signal', channel, id: 1000 + FLOOD + i, body: BODY });
  const back = await untilClosed(side, channel);
  expect(back.length).toBeGreaterThan(3);
  expect(back.map((m) => m.id)).toEqual(idsFrom(1003 + FLOOD - back.length, 1003 + FLOOD));
  for (const one of back) expect(one).toMatchObject({ origin: 'engine', status: 'channel_closed' });
});

rule('bye-response-unasked', 'no write begins behind it although the peer reads again', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await deafPeer(cell, side);
  flood(side, channel);
  peer.send({ op: WIRE.ByeResponse, id: 5 });
  await side.expect({ op: 'ByeResponse', id: 5n });
  const sent = side.ampe.stats().messagesOut;
  peer.startReading();
  expect(await peer.ended()).toBe('fin');
  peer.halfClose();
  const back = await untilClosed(side, channel);
  expect(back.map((m) => m.id)).toEqual(idsFrom(1000 + FLOOD - back.length, 1000 + FLOOD));
  for (const one of back) expect(one).toMatchObject({ origin: 'engine', status: 'channel_closed' });
  // The write under way may go on to its end: three of these messages where they are written in batches.
  expect(Number(side.ampe.stats().messagesOut - sent)).toBeLessThanOrEqual(3);
});

rule('bye-response-unasked', 'posted by an application, it ends the channel on both sides', async (cell) => {
  const { server, client, serverChannel, clientChannel, helloId } = await cell.pair();
  client.post({ op: 'ByeResponse', channel: clientChannel, id: 5 });
  await server.expect({ op: 'ByeResponse', channel: serverChannel, id: 5n });
  await server.expectClosed(serverChannel, helloId);
  await client.expectClosed(clientChannel, helloId);
});

// ── crossed ──

// Longer than any case may take: a crossing that only ends by the deadline is a hang.
const NO_DEADLINE = { server: { closeTimeoutMs: 60_000 }, client: { closeTimeoutMs: 60_000 } };

rule('crossed-byes', 'both sides post ByeRequest at once', async (cell) => {
  const { server, client, serverChannel, clientChannel, helloId } = await cell.pair(NO_DEADLINE);
  server.post({ op: 'ByeRequest', channel: serverChannel });
  client.post({ op: 'ByeRequest', channel: clientChannel });
  await client.expect({ op: 'ByeRequest', origin: 'application', channel: clientChannel });
  await client.expectClosed(clientChannel, helloId);
  await server.expect({ op: 'ByeRequest', origin: 'application', channel: serverChannel });
  await server.expectClosed(serverChannel, helloId);
});

rule('crossed-byes', 'data of both sides arrives before', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair(NO_DEADLINE);
  for (const [side, channel] of [
    [server, serverChannel],
    [client, clientChannel],
  ] as const) {
    flood(side, channel);
    side.post({ op: 'ByeRequest', channel, id: 5 });
  }
  const [atServer, atClient] = await Promise.all([
    untilClosed(server, serverChannel),
    untilClosed(client, clientChannel),
  ]);
  for (const all of [atServer, atClient]) {
    expect(all.map((m) => m.id)).toEqual([...idsFrom(1000, 1000 + FLOOD), 5n]);
    expect(all.every((m) => m.origin === 'application' && m.status === 'success')).toBe(true);
  }
});

rule(
  'crossed-byes',
  'a raw peer that crosses sees FIN, not reset, and a ByeResponse on top is dropped',
  async (cell) => {
    const side = cell.side();
    const { peer, channel, id } = await cell.acceptedRaw(side);
    side.post({ op: 'ByeRequest', channel, id: 5 });
    await peer.frame('the ByeRequest');
    peer.send({ op: WIRE.ByeRequest, id: 6 }, { op: WIRE.ByeResponse, id: 5 });
    await side.expect({ op: 'ByeRequest', id: 6n, channel });
    expect(await peer.ended()).toBe('fin');
    expect(peer.rest).toHaveLength(0);
    peer.halfClose();
    await side.expectClosed(channel, id);
  },
);

rule('crossed-byes-data-first', 'everything up to the own ByeRequest leaves behind the crossing one', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await deafPeer(cell, side);
  flood(side, channel);
  side.post({ op: 'ByeRequest', channel, id: 5 });
  peer.send({ op: WIRE.ByeRequest, id: 6 });
  await side.expect({ op: 'ByeRequest', id: 6n, channel });
  peer.startReading();
  const frames = await peer.frames(FLOOD + 1);
  expect(frames.map((one) => one.id)).toEqual([...idsFrom(1000, 1000 + FLOOD), 5n]);
  expect(await peer.ended()).toBe('fin');
  peer.halfClose();
  await side.expectClosed(channel, id);
});

rule('crossed-byes-answer-refused', 'the message stays with the application', async (cell) => {
  const { server, client, serverChannel, clientChannel, helloId } = await cell.pair();
  server.post({ op: 'ByeRequest', channel: serverChannel });
  client.post({ op: 'ByeRequest', channel: clientChannel });
  const bye = await client.expect({ op: 'ByeRequest' });
  expect(refusal(() => client.answer(bye, 'ByeResponse'))).toBe('channel_closed');
  expect(bye.owned).toBe(true);
  await client.expectClosed(clientChannel, helloId);
  await server.expect({ op: 'ByeRequest' });
  await server.expectClosed(serverChannel, helloId);
});
