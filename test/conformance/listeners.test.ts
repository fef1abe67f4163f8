// Protocol sections 1 and 4: addresses, listeners, Unix socket files, ports, the limits of a process.
// What stands between an address and a connection (names, several addresses, socket options) is in system.test.ts.

import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { findFreeTcpPort } from 'tofu-ampe/testing';
import {
  WIRE,
  eventually,
  frame,
  helloFails,
  portOf,
  refusal,
  rule,
  turns,
  type Cell,
  type ListenerInfo,
  type Seen,
  type Side,
} from './support';
import { blockedListener, leaveStaleSocket } from './support/blocked-listener';

/** Node before 22 pads the name; the native engine does not ask node. */
function abstractWorks(cell: Cell): boolean {
  if (process.platform !== 'linux') return false;
  return cell.name.engine.backend === 'native' || Number.parseInt(process.versions.node, 10) >= 22;
}

/** The answer to a WelcomeRequest for `address`, which must fail, and its channel_closed. */
async function welcomeFails(side: Side, address: string, status: string): Promise<void> {
  const header = side.post({ op: 'WelcomeRequest', headers: [['~listen_on', address]], body: 'kept' });
  await side.expect({
    op: 'WelcomeResponse',
    origin: 'engine',
    status,
    channel: header.channelNumber,
    id: header.messageId,
    headers: [['~listen_on', address]],
    body: 'kept',
  });
  await side.expectClosed(header.channelNumber, header.messageId);
  expect(refusal(() => side.post({ op: 'ByeSignal', channel: header.channelNumber }))).toBe('channel_closed');
}

/** A Hello to `address` reaches `side`; both ends are aborted again. */
async function reaches(side: Side, client: Side, address: string): Promise<void> {
  const { channelNumber, messageId } = client.connect(address);
  const hello = await side.expect({ op: 'HelloRequest', id: messageId });
  await client.abort(channelNumber);
  await side.expectClosed(hello.channelNumber, messageId);
}

async function closeListener(side: Side, { channel, id }: ListenerInfo): Promise<void> {
  side.post({ op: 'ByeSignal', channel });
  await side.expectClosed(channel, id);
}

// ── addresses ──

const BAD_TCP = [
  'tcp',
  'tcp|',
  'tcp|127.0.0.1',
  'tcp|127.0.0.1|',
  'tcp|127.0.0.1|1|',
  'tcp|127.0.0.1|1|2',
  'tcp|127.0.0.1|65536',
];
BAD_TCP.push(
  'tcp|127.0.0.1|-1',
  'tcp|127.0.0.1|+1',
  'tcp|127.0.0.1|1e3',
  'tcp|127.0.0.1|0x50',
  'tcp|127.0.0.1|1.0',
  'tcp|127.0.0.1| 1',
);
BAD_TCP.push(
  'TCP|127.0.0.1|1',
  'http|127.0.0.1|1',
  '127.0.0.1|1',
  'tcp| 127.0.0.1|1',
  'tcp|127.0.0.1 |1',
  'tcp|[::1]|1',
  'tcp|a\0b|1',
);

rule('address-tcp-form', 'everything else is invalid_address, for listening and connecting', async (cell) => {
  const side = cell.side();
  for (const text of BAD_TCP) {
    await welcomeFails(side, text, 'invalid_address');
    await helloFails(side, text, 'invalid_address');
  }
  await helloFails(side, 'tcp|127.0.0.1|0', 'invalid_address');
});

rule('address-tcp-host', 'a name, IPv4 and IPv6', async (cell) => {
  const side = cell.side();
  const client = cell.side();
  for (const host of ['localhost', '127.0.0.1', '::1']) {
    const listener = await side.listen(`tcp|${host}|0`);
    expect(listener.address).toBe(`tcp|${host}|${portOf(listener.address)}`);
    await reaches(side, client, listener.address);
    await closeListener(side, listener);
  }
});

rule(
  'address-tcp-empty-host',
  'a server on all interfaces is reached on both loopbacks, and by an empty host',
  async (cell) => {
    const side = cell.side();
    const client = cell.side();
    const listener = await side.listen('tcp||0');
    const port = portOf(listener.address);
    expect(listener.address).toBe(`tcp||${port}`);
    for (const host of ['', '127.0.0.1', '127.0.0.2', '::1']) await reaches(side, client, `tcp|${host}|${port}`);
  },
);

rule('address-tcp-empty-host', 'a client without a host dials 127.0.0.1', async (cell) => {
  const side = cell.side();
  const { address } = await cell.rawServer();
  const { channelNumber } = side.connect(`tcp||${portOf(address)}`);
  await eventually('the connection to be made', () => side.ampe.stats().messagesOut === 1n);
  await side.abort(channelNumber);
});

rule('listen-port-zero', 'the real port in ~listen_on, other headers and the body as posted', async (cell) => {
  const side = cell.side();
  const headers = [
    ['~listen_on', 'tcp|127.0.0.1|0'],
    ['mine', '1'],
  ] as const;
  const { channelNumber } = side.post({ op: 'WelcomeRequest', headers, body: 'b' });
  const response = await side.expect({ op: 'WelcomeResponse', status: 'success', channel: channelNumber, body: 'b' });
  const address = response.textHeaders.get('~listen_on')!;
  expect(address).toMatch(/^tcp\|127\.0\.0\.1\|[1-9][0-9]*$/);
  expect([...response.textHeaders]).toEqual([
    ['~listen_on', address],
    ['mine', '1'],
  ]);
  await cell.rawClient(address);
});

rule('address-uds-path', 'the longest works with bars in it, one byte more is refused', async (cell) => {
  const side = cell.side();
  const client = cell.side();
  const folder = cell.freePath();
  mkdirSync(folder);
  cell.atEnd(() => rmSync(folder, { recursive: true }));
  const most = process.platform === 'linux' ? 107 : 103;
  const path = `${folder}/a|b|`.padEnd(most, 'x');
  const listener = await side.listen(`uds|${path}`);
  expect(lstatSync(path).isSocket()).toBe(true);
  await reaches(side, client, `uds|${path}`);
  await welcomeFails(side, `uds|${path}x`, 'invalid_address');
  await helloFails(side, `uds|${path}x`, 'invalid_address');
  for (const text of ['uds', 'uds|', 'uds| /x', 'uds|/a\0b']) {
    await welcomeFails(side, text, 'invalid_address');
    await helloFails(side, text, 'invalid_address');
  }
  await closeListener(side, listener);
});

rule('address-uds-abstract', 'exact names, or invalid_address', async (cell) => {
  const side = cell.side();
  const name = `@${basename(cell.freePath())}`;
  if (!abstractWorks(cell)) {
    await welcomeFails(side, `uds|${name}`, 'invalid_address');
    await helloFails(side, `uds|${name}`, 'invalid_address');
    return;
  }
  await side.listen(`uds|${name}`);
  expect(
    readFileSync('/proc/net/unix', 'latin1')
      .split('\n')
      .some((line) => line.endsWith(` ${name}`)),
  ).toBe(true);
  await reaches(side, cell.side(), `uds|${name}`);
  await helloFails(side, `uds|${name}x`, 'connect_failed');
  await welcomeFails(side, `uds|${name}`, 'listen_failed');
});

// ── WelcomeRequest ──

rule(
  'welcome-success',
  "the answer is the engine's, with channel, id, headers and body of the request",
  async (cell) => {
    const side = cell.side();
    const headers = [
      ['~listen_on', cell.freeServerAddress()],
      ['k', 'v'],
    ] as const;
    const header = side.post({ op: 'WelcomeRequest', id: 12, headers, body: 'b' });
    const shape = { op: 'WelcomeResponse', origin: 'engine', status: 'success', more: false, body: 'b' } as const;
    const response = await side.expect({ ...shape, channel: header.channelNumber, id: 12n });
    expect(response.textHeaders.get('k')).toBe('v');
    expect(side.ampe.stats()).toMatchObject({ listeners: 1, channels: 0 });
    await reaches(side, cell.side(), response.textHeaders.get('~listen_on')!);
  },
);

rule('welcome-invalid-address', 'bad texts, and no ~listen_on at all', async (cell) => {
  const side = cell.side();
  for (const text of ['nonsense', 'tcp|127.0.0.1', 'tcp|127.0.0.1|65536', 'uds|', 'udp|127.0.0.1|1']) {
    await welcomeFails(side, text, 'invalid_address');
  }
  const { channelNumber } = side.post({ op: 'WelcomeRequest', headers: [['~connect_to', cell.freeServerAddress()]] });
  await side.expect({ op: 'WelcomeResponse', origin: 'engine', status: 'invalid_address', channel: channelNumber });
  await side.expectClosed(channelNumber);
  expect(side.ampe.stats().listeners).toBe(0);
});

rule('welcome-listen-failed', 'an address of another machine, a folder that is not there', async (cell) => {
  const side = cell.side();
  const nowhere = cell.transport === 'tcp' ? 'tcp|192.0.2.1|7099' : `uds|${cell.freePath()}/none`;
  await welcomeFails(side, nowhere, 'listen_failed');
  await side.listen();
});

// ── closing a listener ──

rule('bye-signal-listener', 'its connections go on, new ones are refused, the address is free', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  await closeListener(side, listener);
  expect(side.ampe.stats()).toMatchObject({ listeners: 0, channels: 1 });
  peer.send({ op: WIRE.Request, id: 9 });
  side.answer(await side.expect({ op: 'Request', id: 9n, channel }), 'Response');
  expect((await peer.frame()).id).toBe(9n);
  await helloFails(side, listener.address, cell.transport === 'tcp' ? 'connect_failed' : 'uds_path_not_found');
  const again = await side.listen(listener.address);
  expect(again.address).toBe(listener.address);
});

rule('bye-signal-listener', 'before it listens: the WelcomeResponse, then channel_closed', async (cell) => {
  const side = cell.side();
  const header = side.post({ op: 'WelcomeRequest', headers: [['~listen_on', cell.freeServerAddress()]] });
  side.post({ op: 'ByeSignal', channel: header.channelNumber });
  const response = await side.expect({ op: 'WelcomeResponse', origin: 'engine', channel: header.channelNumber });
  expect([0, 22]).toContain(response.status);
  await side.expectClosed(header.channelNumber, header.messageId);
});

rule('bye-signal-listener-unseen', 'a connection says Hello after its listener is gone', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const early = await cell.rawClient(listener.address);
  await eventually('the connection to be accepted', () => side.ampe.stats().channels === 1);
  await closeListener(side, listener);
  early.send({ op: WIRE.HelloRequest, id: 8 });
  side.answer(await side.expect({ op: 'HelloRequest', id: 8n }), 'HelloResponse');
  expect((await early.frame()).id).toBe(8n);
});

// ── Unix socket files ──

rule('uds-free-path-bound', 'a socket file appears', async (cell) => {
  const path = cell.freePath();
  await cell.side().listen(`uds|${path}`);
  expect(lstatSync(path).isSocket()).toBe(true);
});

rule('uds-not-a-socket', 'a file and a folder stay as they are', async (cell) => {
  const side = cell.side();
  const file = cell.freePath();
  const folder = cell.freePath();
  writeFileSync(file, 'precious');
  mkdirSync(folder);
  cell.atEnd(() => [file, folder].forEach((path) => rmSync(path, { recursive: true })));
  for (const path of [file, folder]) await welcomeFails(side, `uds|${path}`, 'listen_failed');
  expect(readFileSync(file, 'utf8')).toBe('precious');
  expect(lstatSync(folder).isDirectory()).toBe(true);
});

rule('uds-stale-replaced', 'the file of a killed listener', async (cell) => {
  const side = cell.side();
  const path = cell.freePath();
  await leaveStaleSocket(cell, path);
  expect(lstatSync(path).isSocket()).toBe(true);
  const listener = await side.listen(`uds|${path}`);
  await reaches(side, cell.side(), listener.address);
  expect(lstatSync(path).isSocket()).toBe(true);
});

rule('uds-live-not-stolen', 'of the same engine, of another, and of a raw server', async (cell) => {
  const side = cell.side();
  const other = cell.side();
  const listener = await side.listen();
  const raw = await cell.rawServer();
  for (const address of [listener.address, raw.address]) {
    const path = address.slice('uds|'.length);
    const { ino } = lstatSync(path);
    await welcomeFails(other, address, 'listen_failed');
    await welcomeFails(side, address, 'listen_failed');
    expect(lstatSync(path).ino).toBe(ino);
  }
  await reaches(side, other, listener.address);
  // Both probes were connections to the raw server.
  for (let i = 0; i < 2; i++) await (await raw.accept()).ended('the end of a probe');
  await cell.dialledRaw(other, { server: raw });
});

rule('uds-full-backlog-not-stolen', 'its owner accepts nobody', async (cell) => {
  const side = cell.side();
  const address = await blockedListener(cell);
  const path = address.slice('uds|'.length);
  const { ino } = lstatSync(path);
  await welcomeFails(side, address, 'listen_failed');
  expect(lstatSync(path).ino).toBe(ino);
});

rule('uds-unlinked-on-close', 'by ByeSignal, by destroying the group, by destroying the engine', async (cell) => {
  const path = cell.freePath();
  const side = cell.side();
  const listener = await side.listen(`uds|${path}`);
  await closeListener(side, listener);
  await eventually('the path to be gone', () => !existsSync(path));
  const sibling = side.sibling();
  await sibling.listen(`uds|${path}`);
  await sibling.ampe.destroy(sibling.group);
  expect(existsSync(path)).toBe(false);
  await side.listen(`uds|${path}`);
  await side.engine.reactor.destroy();
  expect(existsSync(path)).toBe(false);
});

rule('uds-mode', '0600, and what udsMode says, whatever the umask', async (cell) => {
  for (const [options, mode] of [
    [{}, 0o600],
    [{ udsMode: 0o666 }, 0o666],
    [{ udsMode: 0o640 }, 0o640],
  ] as const) {
    const path = cell.freePath();
    await cell.side(options).listen(`uds|${path}`);
    expect(lstatSync(path).mode & 0o777).toBe(mode);
    chmodSync(path, 0o600);
  }
});

// ── TCP ──

rule('tcp-taken-port', 'by the same engine, another, or a raw server', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const raw = await cell.rawServer();
  for (const address of [listener.address, raw.address]) {
    await welcomeFails(cell.side(), address, 'listen_failed');
    await welcomeFails(side, address, 'listen_failed');
  }
  await reaches(side, cell.side(), listener.address);
});

rule('tcp-taken-port', 'also when all interfaces are asked for', async (cell) => {
  const side = cell.side();
  const { address } = await side.listen('tcp||0');
  await welcomeFails(cell.side(), address, 'listen_failed');
});

rule('tcp-reuse-address', 'with connections the server itself closed a moment ago', async (cell) => {
  const side = cell.side();
  const address = `tcp|127.0.0.1|${await findFreeTcpPort()}`;
  for (let round = 0; round < 3; round++) {
    const listener = await side.listen(address);
    const { peer, channel, id } = await cell.acceptedRaw(side, listener);
    side.post({ op: 'ByeRequest', channel, id: 5 });
    await peer.frame('the ByeRequest');
    peer.send({ op: WIRE.ByeResponse, id: 5 });
    await side.expect({ op: 'ByeResponse' });
    // The server's FIN is first: its port stays in TIME_WAIT.
    await peer.ended();
    peer.halfClose();
    await side.expectClosed(channel, id);
    await closeListener(side, listener);
  }
});

// ── running out of descriptors ──

const MOST_DESCRIPTORS = 1_100_000;

/** Takes every descriptor the process may have; gives a function that frees one, and one that frees all. */
function takeAllDescriptors(): { takeMore(): void; freeOne(): void; freeAll(): void } {
  const taken: number[] = [];
  const freeAll = (): void => taken.splice(0).forEach((fd) => closeSync(fd));
  const takeMore = (): void => {
    try {
      while (taken.length < MOST_DESCRIPTORS) taken.push(openSync('/dev/null', 'r'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EMFILE') return;
      freeAll();
      throw error;
    }
    freeAll();
    throw new Error(`this process may have more than ${MOST_DESCRIPTORS} descriptors`);
  };
  takeMore();
  return { takeMore, freeOne: () => closeSync(taken.pop()!), freeAll };
}

rule('accept-failures', 'open channels go on meanwhile, new ones work afterwards', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const { peer, channel } = await cell.acceptedRaw(side, listener);
  const descriptors = takeAllDescriptors();
  try {
    descriptors.freeOne();
    const early = await cell.rawClient(listener.address);
    early.send({ op: WIRE.HelloRequest, id: 8 });
    for (let i = 0; i < 10; i++) {
      peer.write(frame({ op: WIRE.Request, id: 900 + i }));
      const message = await side.receive('a request on the open channel');
      if (message.isFromEngine) {
        expect(message).toMatchObject({ channelNumber: listener.channel, status: 26 });
        continue;
      }
      expect(message.channelNumber).toBe(channel);
      await turns(5);
    }
  } finally {
    descriptors.freeAll();
  }
  // The next client is served, and the listener was there all the time.
  const again = await cell.rawClient(listener.address);
  again.send({ op: WIRE.HelloRequest, id: 80 });
  const heard = await side.collect('the Hello of a later client', (m) => m.op === 'HelloRequest' && m.id === 80n);
  expect(heard.filter((m) => m.status === 'channel_closed')).toEqual([]);
  expect(side.ampe.stats().listeners).toBe(1);
});

rule('accept-failed-told', 'once in each of two episodes, however often it was tried', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (let episode = 1; episode <= 2; episode++) {
    const failuresBefore = side.ampe.stats().acceptFailures;
    const turnsBefore = side.ampe.stats().native!.turns;
    const descriptors = takeAllDescriptors();
    let client;
    try {
      // What the test process itself closes now and then is taken as well, or an accept would get it.
      for (let i = 0; i < 5; i++) {
        await turns(5);
        descriptors.takeMore();
      }
      descriptors.freeOne(); // for the client's end
      client = await cell.rawClient(listener.address);
      client.send({ op: WIRE.HelloRequest, id: episode });
      const told = {
        op: 'Signal',
        origin: 'engine',
        status: 'accept_failed',
        channel: listener.channel,
        id: listener.id,
      };
      const message = await side.expect(told as Partial<Seen>);
      expect(message.toError()!.cause).toMatchObject({ code: 'EMFILE' });
      const failures = (): bigint => {
        descriptors.takeMore();
        return side.ampe.stats().acceptFailures - failuresBefore;
      };
      await eventually('some more tries', () => failures() >= 4n, { describe: () => `${failures()} failures` });
      side.expectNothing();
      // A handful of turns for each try, not as many as a processor can do.
      expect(Number(side.ampe.stats().native!.turns - turnsBefore)).toBeLessThan(100);
    } finally {
      descriptors.freeAll();
    }
    const hello = await side.expect({ op: 'HelloRequest', id: BigInt(episode) });
    expect(hello.channelNumber).not.toBe(listener.channel);
    await side.abort(hello.channelNumber);
  }
});
