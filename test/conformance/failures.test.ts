// What an application learns about the cause of a failure: Message.toError() on everything that tells of the end of a channel.
// docs/PROTOCOL.md section 2 and the public classes.

import { rmSync, writeFileSync } from 'node:fs';
import { statusName, type BinaryHeader, type Message } from 'tofu-ampe';
import { WIRE, eventually, refusal, rule, type Side } from './support';
import { blockedListener, leaveStaleSocket } from './support/blocked-listener';

const BODY = Buffer.alloc(60_000, 'x');

/** Status, channel, id and the errno name of a failure; null: it is none. */
function whyOf(message: Message): unknown[] | null {
  const error = message.toError();
  if (error === null) return null;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  expect(error.message.startsWith(statusName(error.status))).toBe(true);
  if (cause !== undefined) {
    expect(error.message).toContain(cause.code);
    expect(cause).toBeInstanceOf(Error);
    expect(typeof cause.errno).toBe(cause.code === 'ENOTFOUND' ? 'undefined' : 'number');
  }
  return [statusName(error.status), error.channelNumber, error.messageId, cause?.code];
}

/** All that comes of a channel says why it has ended. */
async function endsBecause(
  side: Side,
  { channelNumber, messageId }: BinaryHeader,
  status: string,
  code?: string,
): Promise<void> {
  expect(whyOf(await side.receive('the answer'))).toEqual([status, channelNumber, messageId, code]);
  expect(whyOf(await side.receive('the last word'))).toEqual(['channel_closed', channelNumber, messageId, code]);
}

rule('failure-cause', 'a Hello that nobody takes', async (cell) => {
  const side = cell.side();
  const gone = await cell.rawServer();
  await gone.close();
  const [status, code] =
    cell.transport === 'tcp' ? ['connect_failed', 'ECONNREFUSED'] : ['uds_path_not_found', 'ENOENT'];
  await endsBecause(side, side.connect(gone.address), status, code);
  await endsBecause(side, side.connect('tcp|tofu-ampe.invalid|7099'), 'invalid_address', 'ENOTFOUND');
  await endsBecause(side, side.connect('tcp|127.0.0.1|0'), 'invalid_address');
  if (cell.transport === 'tcp') return;
  const path = cell.freePath();
  await leaveStaleSocket(cell, path);
  await endsBecause(side, side.connect(`uds|${path}`), 'connect_failed', 'ECONNREFUSED');
});

rule('failure-cause', 'a Hello whose time is up, and what was posted behind it', async (cell) => {
  const side = cell.side({ connectTimeoutMs: 300 });
  const header = side.connect(await blockedListener(cell));
  const channel = header.channelNumber;
  side.post({ op: 'Request', channel, id: 900 });
  const expected = [
    ['connect_failed', channel, header.messageId, 'ETIMEDOUT'],
    ['connect_failed', channel, 900n, 'ETIMEDOUT'],
    ['channel_closed', channel, header.messageId, 'ETIMEDOUT'],
  ];
  for (const one of expected) expect(whyOf(await side.receive())).toEqual(one);
});

rule('failure-cause', 'an address that is in use, and one of somewhere else', async (cell) => {
  const side = cell.side();
  const { address } = await side.listen();
  const welcome = (text: string): BinaryHeader => side.post({ op: 'WelcomeRequest', headers: [['~listen_on', text]] });
  await endsBecause(side, welcome(address), 'listen_failed', 'EADDRINUSE');
  if (cell.transport === 'tcp') {
    await endsBecause(side, welcome('tcp|192.0.2.1|7099'), 'listen_failed', 'EADDRNOTAVAIL');
    await endsBecause(side, welcome('tcp|tofu-ampe.invalid|7099'), 'invalid_address', 'ENOTFOUND');
  } else {
    const file = cell.freePath();
    writeFileSync(file, '');
    await endsBecause(side, welcome(`uds|${file}`), 'listen_failed', 'EADDRINUSE');
    rmSync(file);
  }
});

rule('failure-cause', 'a peer that resets; one that closes gives no reason', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (const how of ['reset', 'close'] as const) {
    const { peer, channel, id } = await cell.acceptedRaw(side, listener);
    peer[how]();
    const code = how === 'reset' && cell.transport === 'tcp' ? 'ECONNRESET' : undefined;
    expect(whyOf(await side.receive('the last word'))).toEqual(['channel_closed', channel, id, code]);
  }
});

rule('failure-cause', 'what is unsent when the peer resets', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.stopReading();
  for (let i = 0; i < 250; i++) side.post({ op: 'Signal', channel, id: 1000 + i, body: BODY });
  await eventually('the socket to be full', () => side.ampe.stats().bytesOut > 0);
  peer.reset();
  const reasons = new Set<string>();
  for (;;) {
    const [status, , messageId, code] = whyOf(await side.receive('what comes back'))!;
    reasons.add(`${String(status)} ${String(code)}`);
    if (messageId === id) break;
  }
  const [first, ...others] = [...reasons].map((reason) => reason.split(' '));
  expect(first[0]).toBe('peer_disconnected');
  expect(others).toEqual([['channel_closed', first[1]]]);
  // Linux tells a Unix socket with unread data of the reset, and one without only when it is written to.
  expect(['ECONNRESET', 'EPIPE']).toContain(first[1]);
});

rule('failure-cause', 'a graceful end, an abort and data have none', async (cell) => {
  const { client, clientChannel, helloId, server, serverChannel } = await cell.pair();
  client.post({ op: 'ByeRequest', channel: clientChannel, id: 7 });
  const bye = await server.expect({ op: 'ByeRequest', channel: serverChannel });
  expect(whyOf(bye)).toBeNull();
  server.answer(bye, 'ByeResponse');
  expect(whyOf(await client.expect({ op: 'ByeResponse' }))).toBeNull();
  expect(whyOf(await client.receive())).toEqual(['channel_closed', clientChannel, helloId, undefined]);
  expect(whyOf(await server.receive())).toEqual(['channel_closed', serverChannel, helloId, undefined]);

  const { channel, id } = await cell.acceptedRaw(server);
  server.post({ op: 'ByeSignal', channel });
  expect(whyOf(await server.receive())).toEqual(['channel_closed', channel, id, undefined]);
});

rule('failure-cause', 'a violation and a peer that does not answer a Bye have none', async (cell) => {
  const side = cell.side({ closeTimeoutMs: 200 });
  const listener = await side.listen();
  const violating = await cell.acceptedRaw(side, listener);
  violating.peer.send({ op: WIRE.ByeSignal });
  expect(whyOf(await side.receive())).toEqual(['channel_closed', violating.channel, violating.id, undefined]);

  const { peer, channel, id } = await cell.acceptedRaw(side, listener);
  side.post({ op: 'ByeRequest', channel });
  await peer.frame('the ByeRequest');
  expect(whyOf(await side.receive())).toEqual(['channel_closed', channel, id, undefined]);
});

rule('failure-cause', 'a copy has it too; what the application says has none', async (cell) => {
  const side = cell.side();
  side.connect('tcp|tofu-ampe.invalid|7099', { body: 'hello' });
  const failed = await side.receive();
  using copy = failed.clone();
  const why = whyOf(failed);
  expect(whyOf(copy)).toEqual(why);
  side.ampe.put(failed);
  expect(refusal(() => failed.toError())).toBe('null_message');
  side.group.updateReceiver(side.message());
  await side.expect({ status: 'channel_closed' });
  expect(whyOf(await side.receive())).toEqual(['receiver_update', 0, 0n, undefined]);
});
