// What callers get wrong and what hostile peers send: always a named refusal, never a crash, nothing changed.

import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import {
  AmpeStatus,
  Reactor,
  TcpClientAddress,
  TcpServerAddress,
  UdsClientAddress,
  UdsServerAddress,
  attachGroup,
  echo,
  messageRole,
  messageType,
  opCodeName,
  statusName,
  type Message,
  type OpCode,
} from 'tofu-ampe';
import { WIRE, frame, refusal, rejection, rule, seen, within, type Side } from './support';

const WRONG_TYPE = 'TypeError ERR_INVALID_ARG_TYPE';

/** Longest path of a Unix socket on this system. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

// ── addresses ──

rule('address-classes-refuse', 'tcp hosts and ports', () => {
  const hosts = ['a|b', 'a\rb', 'a\nb', 'a\0b', ' a', 'a ', '\ta', 'a\t', ' '];
  for (const host of hosts) {
    expect([host, refusal(() => new TcpServerAddress(host, 1))]).toEqual([host, 'wrong_address']);
    expect([host, refusal(() => new TcpClientAddress(host, 1))]).toEqual([host, 'wrong_address']);
  }
  for (const port of [-1, 65536, 1.5, NaN, Infinity]) {
    expect([port, refusal(() => new TcpServerAddress('h', port))]).toEqual([port, 'wrong_address']);
    expect([port, refusal(() => new TcpClientAddress('h', port))]).toEqual([port, 'wrong_address']);
  }
  expect(refusal(() => new TcpClientAddress('h', 0))).toBe('wrong_address');
  expect(new TcpServerAddress('h', 0).port).toBe(0);
  expect(new TcpServerAddress('', 1).host).toBe('');
  expect(new TcpClientAddress('', 1).toString()).toBe('tcp||1');
});

rule('address-classes-refuse', 'paths', () => {
  const paths = ['', 'a\rb', 'a\nb', 'a\0b', ' a', 'a ', '\ta', '/' + 'x'.repeat(LONGEST_PATH), 'é'.repeat(54), '@'];
  for (const path of paths) {
    expect([path, refusal(() => new UdsServerAddress(path))]).toEqual([path, 'wrong_address']);
    expect([path, refusal(() => new UdsClientAddress(path))]).toEqual([path, 'wrong_address']);
  }
  const longest = '/' + 'x'.repeat(LONGEST_PATH - 1);
  expect(new UdsServerAddress(longest).path).toBe(longest);
  expect(new UdsClientAddress('/a|b c').path).toBe('/a|b c');
});

const BAD_TARGETS = [
  '',
  'x',
  '|',
  'tcp',
  'tcp|',
  'tcp|127.0.0.1',
  'tcp|127.0.0.1|',
  'tcp|127.0.0.1|12ab',
  'tcp|127.0.0.1|0x10',
  'tcp|127.0.0.1|65536',
  'tcp|127.0.0.1|-1',
  'tcp|127.0.0.1|+1',
  'tcp|127.0.0.1|1.0',
  'tcp|127.0.0.1|1e3',
  'tcp|127.0.0.1| 80',
  'tcp|127.0.0.1|80|4',
  'tcp| 127.0.0.1|80',
  'tcp|127.0.0.1 |80',
  'tcp|a\0b|80',
  'tcp|[::1]|80',
  'TCP|127.0.0.1|80',
  'udp|127.0.0.1|80',
  'uds',
  'uds|',
  'uds|/tmp/a\0b',
  'uds| /tmp/a',
  `uds|/${'x'.repeat(LONGEST_PATH)}`,
];

/** The raw header line; textHeaders.append() would refuse some of these texts. */
function addressHeader(name: string, address: string): string {
  return `${name}:${address}\r\n`;
}

/** A value is trimmed when it is read, so blanks around the whole address do not reach the engine. */
rule('address-engine-refuses', 'HelloRequest to every wrong form', async (cell) => {
  const side = cell.side();
  for (const target of [...BAD_TARGETS, 'tcp|127.0.0.1|0']) {
    const rawHeaders = addressHeader('~connect_to', target);
    const { channelNumber: channel, messageId: id } = side.post({ op: 'HelloRequest', rawHeaders, body: 'kept' });
    const failure = {
      op: 'HelloResponse',
      origin: 'engine',
      status: 'invalid_address',
      channel,
      id,
      body: 'kept',
    } as const;
    const message = await side.receive(`the answer to ${target}`);
    expect([target, seen(message)]).toEqual([target, expect.objectContaining(failure)]);
    expect(message.textHeaders.bytes().toString()).toBe(rawHeaders);
    await side.expectClosed(channel, id);
  }
});

rule('address-engine-refuses', 'WelcomeRequest for every wrong form', async (cell) => {
  const side = cell.side();
  for (const target of BAD_TARGETS) {
    const rawHeaders = addressHeader('~listen_on', target);
    const { channelNumber: channel, messageId: id } = side.post({ op: 'WelcomeRequest', rawHeaders });
    const failure = { op: 'WelcomeResponse', origin: 'engine', status: 'invalid_address', channel, id } as const;
    const message = await side.receive(`the answer to ${target}`);
    expect([target, seen(message)]).toEqual([target, expect.objectContaining(failure)]);
    await side.expectClosed(channel, id);
  }
});

rule('address-engine-refuses', 'the right address under the wrong name', async (cell) => {
  const side = cell.side();
  const { address } = await side.listen();
  const table = [
    ['HelloRequest', 'HelloResponse', '~listen_on'],
    ['HelloRequest', 'HelloResponse', '~Connect_To'],
    ['WelcomeRequest', 'WelcomeResponse', '~connect_to'],
  ] as const;
  for (const [op, answer, name] of table) {
    const { channelNumber: channel, messageId: id } = side.post({ op, headers: [[name, address]] });
    await side.expect({ op: answer, origin: 'engine', status: 'invalid_address', channel, id });
    await side.expectClosed(channel, id);
  }
});

// ── types ──

/** Values that are not what any parameter wants, minus those of the types named. */
function wrongFor(...fine: string[]): unknown[] {
  const values = [null, 'text', 5, 5n, true, {}, [], Symbol('s'), () => 1];
  return values.filter((value) => !fine.includes(value === null ? 'null' : typeof value));
}

function expectWrongTypes(name: string, values: unknown[], call: (value: never) => unknown): void {
  for (const value of values) {
    const label = `${name}(${typeof value})`;
    expect([label, refusal(() => call(value as never))]).toEqual([label, WRONG_TYPE]);
  }
}

rule('wrong-types', 'setters of a message', (cell) => {
  const message = cell.side().message({ op: 'Signal', channel: 3, id: 4, more: true });
  const before = seen(message);
  const withUndefined = (values: unknown[]): unknown[] => [...values, undefined];
  expectWrongTypes('opCode', withUndefined(wrongFor('number')), (value) => (message.opCode = value));
  expectWrongTypes('channelNumber', withUndefined(wrongFor('number')), (value) => (message.channelNumber = value));
  expectWrongTypes('messageId', withUndefined(wrongFor('number', 'bigint')), (value) => (message.messageId = value));
  expectWrongTypes('more', withUndefined(wrongFor('boolean')), (value) => (message.more = value));
  expect(seen(message)).toEqual(before);
});

rule('wrong-types', 'text headers and body', (cell) => {
  const { textHeaders, body } = cell.side().message({ headers: [['a', '1']], body: 'b' });
  const noBytes = [new Uint16Array(2), new DataView(new ArrayBuffer(2)), new ArrayBuffer(2), undefined];
  expectWrongTypes('append name', [...wrongFor('string'), undefined], (value) => textHeaders.append(value, 'v'));
  expectWrongTypes('append value', [...wrongFor('string'), undefined], (value) => textHeaders.append('n', value));
  expectWrongTypes('setBytes', [...wrongFor(), ...noBytes], (value) => textHeaders.setBytes(value));
  for (const method of ['get', 'getAll', 'has'] as const) {
    expectWrongTypes(method, [...wrongFor('string'), undefined], (value) => textHeaders[method](value));
  }
  expectWrongTypes('body.append', [...wrongFor('string'), ...noBytes], (value) => body.append(value));
  expectWrongTypes('body.set', [...wrongFor('string'), ...noBytes], (value) => body.set(value));
  expectWrongTypes('reserve', [...wrongFor('number'), undefined], (value) => body.reserve(value));
  expect(textHeaders.bytes().toString()).toBe('a:1\r\n');
  expect(body.toString()).toBe('b');
});

rule('wrong-types', 'the engine and the group', async (cell) => {
  const side = cell.side();
  const { ampe, group } = side;
  const noMessages = wrongFor('null');
  expectWrongTypes('post', noMessages, (value) => group.post(value));
  expectWrongTypes('put', noMessages, (value) => ampe.put(value));
  expectWrongTypes('updateReceiver', noMessages, (value) => group.updateReceiver(value));
  for (const value of wrongFor('string')) expect(refusal(() => ampe.get(value as 'always'))).toBe(WRONG_TYPE);
  for (const value of wrongFor('number')) {
    expect(await rejection(group.waitReceive(value as number))).toBe(WRONG_TYPE);
    expect(await rejection(group.receiveMany(1, value as number))).toBe(WRONG_TYPE);
    expect(await rejection(group.receiveMany(value as number))).toBe(WRONG_TYPE);
    expect(await rejection(ampe.acquire({ timeoutMs: value as number }))).toBe(WRONG_TYPE);
  }
  for (const value of ['text', 5, true, {}]) {
    const signal = value as unknown as AbortSignal;
    expect(await rejection(group.waitReceive(0, { signal }))).toBe(WRONG_TYPE);
    expect(await rejection(group.receiveMany(1, 0, { signal }))).toBe(WRONG_TYPE);
    expect(await rejection(ampe.acquire({ signal }))).toBe(WRONG_TYPE);
  }
  for (const value of [...wrongFor(), undefined]) {
    expect(await rejection(Promise.resolve().then(() => ampe.destroy(value as never)))).toBe(WRONG_TYPE);
  }
});

rule('wrong-types', 'free functions, address classes, options', (cell) => {
  for (const call of [echo, messageType, messageRole, opCodeName]) {
    for (const value of wrongFor('number')) expect(refusal(() => call(value as OpCode))).toBe(WRONG_TYPE);
  }
  for (const value of wrongFor('number')) expect(refusal(() => statusName(value as AmpeStatus))).toBe(WRONG_TYPE);
  for (const Class of [TcpServerAddress, TcpClientAddress]) {
    expectWrongTypes(`${Class.name} host`, wrongFor('string'), (value) => new Class(value));
    expectWrongTypes(`${Class.name} port`, wrongFor('number'), (value) => new Class('h', value));
    expectWrongTypes(`${Class.name} format`, [...wrongFor(), undefined], (value) => new Class().format(value));
  }
  for (const Class of [UdsServerAddress, UdsClientAddress]) {
    expectWrongTypes(`${Class.name} path`, [...wrongFor('string'), undefined], (value) => new Class(value));
  }
  // What an object is, a handle or not, only the native engine can tell.
  const noHandles = [...wrongFor(), undefined].filter((value) => typeof value !== 'object' || value === null);
  expectWrongTypes('attachGroup', noHandles, (value) => attachGroup(value));
  expectWrongTypes('Reactor.create', ['text', 5, true], (value) => Reactor.create(value));
  expectWrongTypes('connectTimeoutMs', wrongFor('number'), (value) => Reactor.create({ connectTimeoutMs: value }));
  expectWrongTypes('backend', wrongFor('string'), (value) => Reactor.create({ backend: value }));
  cell.side();
});

rule('post-nothing', 'null and undefined, to a live and to a dead group', async (cell) => {
  const side = cell.side();
  for (const nothing of [null, undefined]) {
    expect(refusal(() => side.group.post(nothing as unknown as Message))).toBe('null_message');
  }
  await side.ampe.destroy(side.group);
  expect(refusal(() => side.group.post(null as unknown as Message))).toBe('null_message');
});

rule('message-id-not-integer', 'fractions, NaN, Infinity; integers as numbers are fine', (cell) => {
  const message = cell.side().message({ id: 4 });
  for (const value of [0.5, -0.5, NaN, Infinity, -Infinity, -1, 2 ** 64]) {
    expect([value, refusal(() => (message.messageId = value))]).toEqual([value, 'invalid_message_id']);
  }
  expect(message.messageId).toBe(4n);
  for (const value of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    message.messageId = value;
    expect(message.messageId).toBe(BigInt(value));
  }
});

rule('uint8array-other-realm', 'body and headers take them, and subclasses', (cell) => {
  const { body, textHeaders } = cell.side().message();
  const foreign = runInNewContext('new Uint8Array([97, 58, 49])') as Uint8Array;
  expect(foreign instanceof Uint8Array).toBe(false);
  body.set(foreign).append(foreign);
  expect(body.toString()).toBe('a:1a:1');
  expect([...textHeaders.setBytes(foreign)]).toEqual([['a', '1']]);
  class Bytes extends Uint8Array {}
  expect(body.set(new Bytes([98])).toString()).toBe('b');
  // A window of a larger buffer, and shared memory.
  expect(body.set(new Uint8Array([45, 97, 98, 99, 45]).subarray(1, 4)).toString()).toBe('abc');
  const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(99);
  expect(body.set(shared).toString()).toBe('cccc');
});

// ── lengths ──

rule('headers-with-crlf-colon', 'refused, nothing written', (cell) => {
  const { textHeaders } = cell.side().message();
  for (const [name, value] of [
    ['a\rb', '1'],
    ['a\nb', '1'],
    ['a:b', '1'],
    ['a', '1\r'],
    ['a', '\n1'],
    ['a', '1\r\nb:2'],
  ]) {
    expect(() => textHeaders.append(name, value)).toThrow(
      expect.objectContaining({ status: AmpeStatus.InvalidMessage }),
    );
    expect(textHeaders.byteLength).toBe(0);
  }
});

rule('lengths-at-the-limit', 'both at 65535 through two engines; 65536 refused', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  const body = Buffer.alloc(65535, 'b');
  const headers: [string, string][] = [['n', 'v'.repeat(65535 - 4)]];
  const message = client.message({ op: 'Request', channel: clientChannel, headers, body });
  expect(refusal(() => message.body.append('x'))).toBe('invalid_body_len');
  expect(refusal(() => message.textHeaders.append('x', 'y'))).toBe('invalid_headers_len');
  client.group.post(message);
  const got = await server.receive('the largest message');
  expect([got.channelNumber, got.textHeaders.byteLength, got.body.byteLength]).toEqual([serverChannel, 65535, 65535]);
  expect(got.body.bytes().equals(body)).toBe(true);
  expect(got.textHeaders.get('n')).toBe(headers[0][1]);
});

// ── twice, foreign, after the end ──

rule('post-twice', 'the second post is null_message, one frame is sent', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const message = side.message({ op: 'Request', channel, id: 5, body: 'once' });
  side.group.post(message);
  expect(refusal(() => side.group.post(message))).toBe('null_message');
  side.post({ op: 'Signal', channel, id: 6 });
  expect((await peer.frames(2)).map((one) => one.id)).toEqual([5n, 6n]);
});

rule('foreign-everything', 'post, put, updateReceiver, destroy', async (cell) => {
  const mine = cell.side();
  const other = cell.side();
  const foreign = other.message({ op: 'Signal', channel: 1, body: 'kept' });
  expect(refusal(() => mine.group.post(foreign))).toBe('not_allowed');
  expect(refusal(() => mine.ampe.put(foreign))).toBe('not_allowed');
  expect(refusal(() => mine.group.updateReceiver(foreign))).toBe('not_allowed');
  expect(await rejection(mine.ampe.destroy(other.group))).toBe('not_allowed');
  expect(seen(foreign)).toMatchObject({ body: 'kept', channel: 1 });
  other.group.updateReceiver(foreign);
  await other.expect({ body: 'kept', status: 'receiver_update' });
});

/** What has to hold for every call on a dead engine. */
async function expectAllRefused(side: Side, held: Message): Promise<void> {
  const { ampe, group } = side;
  const refused = 'shutdown_started';
  for (const call of [() => ampe.get(), () => ampe.get('poolOnly'), () => ampe.create(), () => group.tryReceive()]) {
    expect(refusal(call)).toBe(refused);
  }
  expect(refusal(() => group.post(held))).toBe(refused);
  expect(refusal(() => group.updateReceiver(held))).toBe(refused);
  expect(refusal(() => group.updateReceiver())).toBe(refused);
  for (const wait of [
    ampe.acquire(),
    ampe.acquire({ timeoutMs: 0 }),
    group.waitReceive(),
    group.waitReceive(0),
    group.receiveMany(1),
  ]) {
    expect(await rejection(wait)).toBe(refused);
  }
  expect(held.owned).toBe(true);
  expect(held.body.toString()).toBe('held');
}

rule('after-destroy', 'refused while the engine is being destroyed and afterwards; put is a no-op', async (cell) => {
  const side = cell.side();
  const held = side.message({ op: 'Signal', channel: 1, body: 'held' });
  const destroyed = side.engine.reactor.destroy();
  await expectAllRefused(side, held);
  await within('the engine to be destroyed', destroyed);
  await expectAllRefused(side, held);
  side.ampe.put(held);
  side.ampe.put(null);
  held[Symbol.dispose]();
  await side.ampe.destroy(side.group);
  await side.group[Symbol.asyncDispose]();
  await side.engine.reactor.destroy();
  expect(refusal(() => side.engine.reactor.ampe().create())).toBe('shutdown_started');
});

rule('second-receiver', 'refused whatever its arguments, and abandoned nothing', async (cell) => {
  const side = cell.side();
  const first = side.group.waitReceive();
  const signal = new AbortController().signal;
  expect(await rejection(side.group.waitReceive(1, { signal }))).toBe('not_allowed');
  expect(await rejection(side.group.receiveMany(1, 0))).toBe('not_allowed');
  side.group.updateReceiver();
  cell.keep((await within('the first receiver', first))!);
  expect(await side.group.waitReceive(0)).toBeNull();
});

// ── hostile peers ──

rule('hello-without-headers', 'a bare HelloRequest is visible and can be answered', async (cell) => {
  const side = cell.side();
  const { address } = await side.listen();
  const peer = await cell.rawClient(address);
  peer.send({ op: WIRE.HelloRequest, id: 3 });
  const hello = await side.expect({ op: 'HelloRequest', id: 3n, headers: [], body: '' });
  side.answer(hello, 'HelloResponse');
  expect(await peer.frame()).toMatchObject({ proto: WIRE.HelloResponse, id: 3n });
});

rule('violations-counted', 'of unseen and of visible connections', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  for (let i = 1; i <= 3; i++) {
    const peer = await cell.rawClient(listener.address);
    peer.send({ op: 11 });
    await cell.expectReset(peer);
    expect(side.ampe.stats().protocolViolations).toBe(BigInt(i));
  }
  const { peer, channel, id } = await cell.acceptedRaw(side, listener);
  peer.send({ op: 11 });
  await side.expectClosed(channel, id);
  expect(side.ampe.stats().protocolViolations).toBe(4n);
});

rule('hostile-streams', 'random bytes, cut off anywhere, at first and behind a Hello', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 64 });
  const run = async (random: Uint8Array, visible: boolean): Promise<void> => {
    const peer = await cell.rawClient(listener.address);
    // Opcode 15 behind the random bytes' header makes sure that they can never be a valid frame.
    const hostile = Buffer.concat([frame({ op: 15, id: 1 }).subarray(0, 3), random]);
    peer.write(visible ? Buffer.concat([frame({ op: WIRE.HelloRequest, id: 9 }), hostile]) : hostile).halfClose();
    if (visible) {
      const hello = await side.expect({ op: 'HelloRequest', id: 9n });
      await side.expectClosed(hello.channelNumber, 9n);
    }
    await peer.ended('the end of a hostile connection');
    peer.close();
  };
  await fc.assert(fc.asyncProperty(bytes, fc.boolean(), run), { numRuns: 40, endOnFailure: true });
  const { channel } = await cell.acceptedRaw(side, listener);
  await side.abort(channel);
});

rule('hostile-streams', 'lengths that promise more than ever comes', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const head = frame({ op: WIRE.HelloRequest, id: 5, headers: Buffer.alloc(65535, 'a'), body: Buffer.alloc(65535) });
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20; i++) (await cell.rawClient(listener.address)).write(head.subarray(0, 17));
  // A connection behind the twenty proves that they were accepted and hold nobody up.
  const { channel, peer } = await cell.acceptedRaw(side, listener);
  peer.send({ id: 6 });
  await side.expect({ id: 6n, channel });
  expect(side.ampe.stats().protocolViolations).toBe(0n);
  expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024);
});
