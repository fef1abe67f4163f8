// Two kinds of engines, one at each end of a connection, each of them in both roles: the wire is what they have in common.
// What each does by itself is proven elsewhere; here one engine's frames, Byes and resets meet the other's.

import { OpCode } from 'tofu-ampe';
import { eventually, refusal, rule, seen, type Cell, type Side } from './support';

const MANY = 10_000;
const LARGEST = 65_535;

interface End {
  side: Side;
  channel: number;
}

/** Both ends of one connection; [connecting, accepting]. */
async function ends(cell: Cell): Promise<{ client: End; server: End; helloId: bigint }> {
  const { client, server, clientChannel, serverChannel, helloId } = await cell.pair();
  return {
    client: { side: client, channel: clientChannel },
    server: { side: server, channel: serverChannel },
    helloId,
  };
}

async function bothWays(client: End, server: End, run: (from: End, to: End) => Promise<void>): Promise<void> {
  await run(client, server);
  await run(server, client);
}

rule('mixed-hello', 'headers and body of Hello and HelloResponse cross', async (cell) => {
  const server = cell.serverSide();
  const client = cell.side();
  expect(client.engine.reactor.backend).toBe(cell.name.engine.backend);
  expect(server.engine.reactor.backend).toBe(cell.name.server.backend);
  const { address } = await server.listen();
  const { channelNumber, messageId } = client.connect(address, { headers: [['who', 'client']], body: 'hello' });
  const hello = await server.expect({
    op: 'HelloRequest',
    id: messageId,
    origin: 'application',
    headers: [
      ['~connect_to', address],
      ['who', 'client'],
    ],
    body: 'hello',
  });
  server.answer(hello, 'HelloResponse', 'welcome');
  await client.expect({
    op: 'HelloResponse',
    id: messageId,
    channel: channelNumber,
    body: 'welcome',
    status: 'success',
  });
});

rule('mixed-dialog', 'requests of several messages with more, answered in several, both ways', async (cell) => {
  const { client, server } = await ends(cell);
  await bothWays(client, server, async (from, to) => {
    for (let id = 1; id <= 5; id++) {
      const parts = ['one', 'two', '', 'last'];
      parts.forEach((body, i) =>
        from.side.post({ op: 'Request', channel: from.channel, id, more: i < 3, headers: [['part', `${i}`]], body }),
      );
      for (const [i, body] of parts.entries()) {
        const part = await to.side.expect({
          op: 'Request',
          channel: to.channel,
          id: BigInt(id),
          more: i < 3,
          headers: [['part', `${i}`]],
          body,
        });
        to.side.answer(part, 'Response', `${body}!`);
      }
      for (const [i, body] of parts.entries()) {
        await from.side.expect({ op: 'Response', id: BigInt(id), more: i < 3, body: `${body}!` });
      }
    }
    from.side.post({ op: 'Signal', channel: from.channel, id: 99 });
    await to.side.expect({ op: 'Signal', id: 99n, channel: to.channel });
  });
});

rule('mixed-largest', 'the largest frames, small ones between, both ways at once', async (cell) => {
  const { client, server } = await ends(cell);
  const name = 'n'.repeat(LARGEST - 4);
  const bodyOf = (id: number): Buffer => Buffer.alloc(LARGEST, id);
  for (const { side, channel } of [client, server]) {
    for (let id = 1; id <= 20; id++) {
      side.post({ op: 'Request', channel, id, rawHeaders: `${name}:v\r\n`, body: bodyOf(id) });
      side.post({ op: 'Signal', channel, id: 100 + id });
    }
  }
  for (const { side, channel } of [client, server]) {
    for (let id = 1; id <= 20; id++) {
      const large = await side.receive('a largest frame');
      expect([large.channelNumber, large.messageId]).toEqual([channel, BigInt(id)]);
      expect(large.textHeaders.get(name)).toBe('v');
      expect(large.textHeaders.byteLength).toBe(LARGEST);
      expect(large.body.bytes().equals(bodyOf(id))).toBe(true);
      side.ampe.put(large);
      side.ampe.put(await side.expect({ op: 'Signal', channel, id: BigInt(100 + id), body: '' }));
    }
  }
});

rule('mixed-order', 'ten thousand messages each way at once, every one once and in order', async (cell) => {
  const { client, server } = await ends(cell);
  const all = [client, server];
  for (let id = 1; id <= MANY; id++) {
    const body = 'x'.repeat(id % 300);
    for (const { side, channel } of all) {
      const message = side.ampe.get();
      message.opCode = OpCode.Signal;
      message.channelNumber = channel;
      message.messageId = id;
      message.body.set(body);
      side.group.post(message);
    }
  }
  for (const { side } of all) {
    for (let id = 1; id <= MANY; id++) {
      const message = side.group.tryReceive() ?? (await side.receive(`message ${id} of ${MANY}`));
      if (message.messageId !== BigInt(id) || message.body.byteLength !== id % 300 || message.isFromEngine) {
        throw new Error(`expected ${id}, got ${JSON.stringify({ ...seen(message), id: `${message.messageId}` })}`);
      }
      side.ampe.put(message);
    }
  }
});

rule('mixed-bye', 'each side closes once; nothing before it is lost', async (cell) => {
  const server = cell.serverSide();
  const client = cell.side();
  const listener = await server.listen();
  for (const closing of ['client', 'server']) {
    const { clientChannel, serverChannel, helloId } = await cell.join(server, client, listener);
    const one = { side: client, channel: clientChannel };
    const two = { side: server, channel: serverChannel };
    const [from, to] = closing === 'client' ? [one, two] : [two, one];
    for (let id = 1; id <= 100; id++) from.side.post({ op: 'Signal', channel: from.channel, id });
    from.side.post({ op: 'ByeRequest', channel: from.channel, id: 500, headers: [['reason', 'done']] });
    for (let id = 1; id <= 100; id++) await to.side.expect({ op: 'Signal', channel: to.channel, id: BigInt(id) });
    const bye = await to.side.expect({
      op: 'ByeRequest',
      channel: to.channel,
      id: 500n,
      headers: [['reason', 'done']],
    });
    to.side.answer(bye, 'ByeResponse');
    await from.side.expect({ op: 'ByeResponse', channel: from.channel, id: 500n, status: 'success' });
    await from.side.expectClosed(from.channel, helloId);
    await to.side.expectClosed(to.channel, helloId);
  }
});

rule('mixed-crossed-byes', 'both get the Bye of the other behind its data, then channel_closed', async (cell) => {
  const { client, server, helloId } = await ends(cell);
  for (const { side, channel } of [client, server]) {
    for (let id = 1; id <= 50; id++) side.post({ op: 'Request', channel, id, body: Buffer.alloc(2000) });
    side.post({ op: 'ByeRequest', channel, id: 500 });
  }
  for (const { side, channel } of [client, server]) {
    for (let id = 1; id <= 50; id++) side.ampe.put(await side.expect({ op: 'Request', channel, id: BigInt(id) }));
    const bye = await side.expect({ op: 'ByeRequest', channel, id: 500n, origin: 'application' });
    expect(refusal(() => side.answer(bye, 'ByeResponse'))).toBe('channel_closed');
    await side.expectClosed(channel, helloId);
  }
});

rule('mixed-abort', 'an abort of either side ends the other', async (cell) => {
  const server = cell.serverSide();
  const client = cell.side();
  const listener = await server.listen();
  for (const aborting of ['client', 'server']) {
    const { clientChannel, serverChannel, helloId } = await cell.join(server, client, listener);
    const one = { side: client, channel: clientChannel };
    const two = { side: server, channel: serverChannel };
    const [from, to] = aborting === 'client' ? [one, two] : [two, one];
    from.side.post({ op: 'Signal', channel: from.channel, id: 7 });
    await to.side.expect({ op: 'Signal', channel: to.channel, id: 7n });
    from.side.post({ op: 'ByeSignal', channel: from.channel });
    await from.side.expectClosed(from.channel, helloId);
    await to.side.expectClosed(to.channel, helloId);
  }
});

rule(
  'mixed-backpressure',
  'a receiver without messages stops the other engine; returned ones let it go on',
  async (cell) => {
    const { client, server, clientChannel, serverChannel } = await cell.pair({
      server: { initialPoolMsgs: 4, maxPoolMsgs: 4 },
      client: { initialPoolMsgs: 64, maxPoolMsgs: 64 },
    });
    const total = 400;
    let posted = 0;
    const producing = (async () => {
      while (posted < total) {
        const message = await client.ampe.acquire();
        message.opCode = OpCode.Request;
        message.channelNumber = clientChannel;
        message.messageId = ++posted;
        message.body.set(Buffer.alloc(60_000, posted));
        client.group.post(message);
      }
    })();
    // The pool of the server is empty and the sockets are full: all that the client has left is on its way.
    const held = [];
    while (held.length < 5) held.push(await server.expect({ op: 'Request', channel: serverChannel }));
    await eventually('the producer to stand', () => client.ampe.stats().poolFree === 0 && posted > 64);
    expect(posted).toBeLessThan(total);
    expect(held.map((message) => message.messageId)).toEqual([1n, 2n, 3n, 4n, 5n]);
    for (const message of held) server.ampe.put(message);
    for (let id = held.length + 1; id <= total; id++) {
      let message = await server.receive(`request ${id} of ${total}`);
      while (message.isFromEngine) {
        expect(seen(message)).toMatchObject({ op: 'Signal', status: 'pool_empty' });
        server.ampe.put(message);
        message = await server.receive(`request ${id} of ${total}`);
      }
      expect(message.messageId).toBe(BigInt(id));
      expect(message.body.bytes()[59_999]).toBe(id & 0xff);
      server.ampe.put(message);
    }
    await producing;
  },
);
