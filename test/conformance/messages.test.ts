// Messages as objects: header, text headers, body, and their death; opcodes, statuses and addresses as values.
// Protocol sections 1 and 2 and docs/PROTOCOL.md on the public classes.

import { inspect } from 'node:util';

import * as tofu from 'tofu-ampe';
import {
  Address,
  AmpeError,
  AmpeStatus,
  OpCode,
  Origin,
  TcpClientAddress,
  TcpServerAddress,
  UdsClientAddress,
  UdsServerAddress,
  type Message,
} from 'tofu-ampe';
import { WIRE, readVectors, refusal, rule, seen, within, type Side } from './support';

const vectors = readVectors();
const NULL_MESSAGE = 'null_message';

// ── opcodes and statuses ──

rule('opcode-types', 'numbers, names, types and roles', () => {
  const table = Object.entries(OpCode).map(([name, op]) => [name, op, tofu.messageType(op), tofu.messageRole(op)]);
  expect(table).toEqual([
    ['Request', 0, 'regular', 'request'],
    ['Response', 1, 'regular', 'response'],
    ['Signal', 2, 'regular', 'signal'],
    ['HelloRequest', 3, 'hello', 'request'],
    ['HelloResponse', 4, 'hello', 'response'],
    ['ByeRequest', 5, 'bye', 'request'],
    ['ByeResponse', 6, 'bye', 'response'],
    ['ByeSignal', 7, 'bye', 'signal'],
    ['WelcomeRequest', 8, 'welcome', 'request'],
    ['WelcomeResponse', 9, 'welcome', 'response'],
  ]);
  for (const [name, op] of Object.entries(OpCode)) expect(tofu.opCodeName(op)).toBe(name);
  expect([-1, 10, 15, 255, 0.5, NaN].map((value) => tofu.isOpCode(value))).toEqual(Array(6).fill(false));
  expect(Object.values(OpCode).every((value) => tofu.isOpCode(value))).toBe(true);
  expect(Origin).toEqual({ application: 0, engine: 1 });
});

rule('echo', 'six answers, four refusals', () => {
  const { Request, Response, Signal, HelloRequest, HelloResponse, ByeRequest, ByeResponse } = OpCode;
  expect(tofu.echo(Request)).toBe(Response);
  expect(tofu.echo(Signal)).toBe(Signal);
  expect(tofu.echo(HelloRequest)).toBe(HelloResponse);
  expect(tofu.echo(ByeRequest)).toBe(ByeResponse);
  expect(tofu.echo(OpCode.WelcomeRequest)).toBe(OpCode.WelcomeResponse);
  for (const op of [Response, HelloResponse, ByeResponse, OpCode.ByeSignal, OpCode.WelcomeResponse]) {
    expect(refusal(() => tofu.echo(op))).toBe('invalid_op_code');
  }
});

const STATUS_NAMES = `success not_implemented_yet wrong_address not_allowed null_message invalid_message invalid_op_code
  invalid_headers_len invalid_body_len invalid_more_usage invalid_channel_number invalid_channel_group
  invalid_message_id invalid_address uds_path_not_found notification_disabled notification_failed peer_disconnected
  communication_failed pool_empty allocation_failed receiver_update channel_closed shutdown_started connect_failed
  listen_failed accept_failed send_failed recv_failed setsockopt_failed processing_failed unknown_error`.split(/\s+/);

function pascalCase(name: string): string {
  return name.replace(/(?:^|_)(.)/g, (_all, letter: string) => letter.toUpperCase());
}

rule('status-numbers', 'all 32', () => {
  expect(STATUS_NAMES.length).toBe(32);
  expect(AmpeStatus).toEqual(Object.fromEntries(STATUS_NAMES.map((name, number) => [pascalCase(name), number])));
  STATUS_NAMES.forEach((name, number) => expect(tofu.statusName(number as AmpeStatus)).toBe(name));
});

rule('status-unknown', 'each byte', () => {
  for (let raw = 0; raw < 256; raw++) expect(tofu.rawToStatus(raw)).toBe(Math.min(raw, 31));
});

rule('status-errors', 'there and back', () => {
  expect(tofu.statusToError(AmpeStatus.Success)).toBeNull();
  for (let status = 1 as AmpeStatus; status <= 31; status++) {
    const error = tofu.statusToError(status)!;
    expect(error).toBeInstanceOf(AmpeError);
    expect(error).toBeInstanceOf(Error);
    expect(error.status).toBe(status);
    expect(error.code).toBe(`ERR_AMPE_${STATUS_NAMES[status].toUpperCase()}`);
    expect(tofu.errorToStatus(error)).toBe(status);
  }
  for (const other of [new Error('x'), new TypeError('x'), null, undefined, 'x', { status: 3 }]) {
    expect(tofu.errorToStatus(other)).toBe(AmpeStatus.UnknownError);
  }
});

// ── text headers ──

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(AmpeError);
    expect((error as AmpeError).status).toBe(AmpeStatus.InvalidMessage);
    return (error as AmpeError).code;
  }
  throw new Error('expected a refusal, but nothing was thrown');
}

function refusesHeader(cell: { side(): Side }, refused: [string, string][], code: string): void {
  const { textHeaders } = cell.side().message({ headers: [['kept', '1']] });
  for (const [name, value] of refused) {
    expect(codeOf(() => textHeaders.append(name, value))).toBe(code);
    expect(textHeaders.bytes().toString()).toBe('kept:1\r\n');
  }
}

rule('headers-append', 'every vector that is written', (cell) => {
  const side = cell.side();
  for (const vector of vectors.append.filter((one) => one.bytes !== null)) {
    const { textHeaders } = side.message();
    expect(textHeaders.append(vector.name, vector.value)).toBe(textHeaders);
    expect(textHeaders.bytes()).toEqual(vector.bytes);
  }
});

rule('headers-append', 'the name loses blanks and line ends around it, the value nothing', (cell) => {
  const { textHeaders } = cell.side().message();
  textHeaders.append(' \t\r\na b\r\n\t ', ' \tv\t ').append('ключ', 'värde');
  expect(textHeaders.bytes().toString()).toBe('a b: \tv\t \r\nключ:värde\r\n');
});

rule('headers-bad-name', 'vectors, and each bad character inside', (cell) => {
  const refused = vectors.append.filter((one) => one.refusal === 'BadName').map((one) => [one.name, one.value]);
  const more = [
    ['', ''],
    ['\r\n', 'v'],
    ['a:b', 'v'],
    [':a', 'v'],
    ['a\rb', 'v'],
    ['a\nb', 'v'],
  ];
  refusesHeader(cell, [...refused, ...more] as [string, string][], 'ERR_AMPE_BAD_NAME');
});

rule('headers-bad-value', 'vectors, and each bad character', (cell) => {
  const refused = vectors.append.filter((one) => one.refusal === 'BadValue').map((one) => [one.name, one.value]);
  const more = [
    ['a', ''],
    ['a', '\r'],
    ['a', 'x\ny'],
    ['a', 'x\r'],
    ['a', '\n'],
  ];
  refusesHeader(cell, [...refused, ...more] as [string, string][], 'ERR_AMPE_BAD_VALUE');
});

rule('headers-too-long', 'append and setBytes at 65535 and 65536', (cell) => {
  const { textHeaders } = cell.side().message();
  textHeaders.append('n', 'v'.repeat(65535 - 4));
  expect(textHeaders.byteLength).toBe(65535);
  expect(refusal(() => textHeaders.append('a', 'b'))).toBe('invalid_headers_len');
  expect(textHeaders.byteLength).toBe(65535);
  textHeaders.reset();
  expect(refusal(() => textHeaders.append('n', 'v'.repeat(65536 - 4)))).toBe('invalid_headers_len');
  // Bytes count, not characters.
  expect(refusal(() => textHeaders.append('n', 'é'.repeat(32767)))).toBe('invalid_headers_len');
  expect(textHeaders.byteLength).toBe(0);
  textHeaders.setBytes(Buffer.from('a:1\r\n'));
  expect(refusal(() => textHeaders.setBytes(new Uint8Array(65536)))).toBe('invalid_headers_len');
  expect(textHeaders.bytes().toString()).toBe('a:1\r\n');
});

rule('headers-reading', 'every vector, set by hand and from the wire', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  for (const vector of vectors.headers) {
    expect([...side.message({ rawHeaders: vector.raw }).textHeaders]).toEqual(vector.pairs);
    peer.send({ id: 3, headers: vector.raw });
    const message = await side.expect({ channel, id: 3n, headers: vector.pairs });
    expect(message.textHeaders.bytes()).toEqual(vector.raw);
  }
});

rule('headers-order', 'case, repetition and order survive the wire', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  const headers: [string, string][] = [
    ['a', '1'],
    ['A', '2'],
    ['b', '3'],
    ['a', '4'],
    ['a', '1'],
  ];
  client.post({ op: 'Request', channel: clientChannel, headers });
  const { textHeaders } = await server.expect({ channel: serverChannel, headers });
  expect(textHeaders.get('a')).toBe('1');
  expect(textHeaders.getAll('a')).toEqual(['1', '4', '1']);
  expect(textHeaders.get('A')).toBe('2');
  expect(textHeaders.get('B')).toBeUndefined();
});

rule('headers-utf8', 'valid text survives, invalid bytes read as U+FFFD', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.send({ headers: 'ключ:värde 😀\r\n' });
  await side.expect({ channel, headers: [['ключ', 'värde 😀']] });
  peer.send({
    headers: Buffer.concat([
      Buffer.from('k'),
      Buffer.from([0xff]),
      Buffer.from(':v'),
      Buffer.from([0xc3]),
      Buffer.from('\r\n'),
    ]),
  });
  await side.expect({ channel, headers: [['k\ufffd', 'v\ufffd']] });
});

rule('headers-set-bytes', 'anything within the length', (cell) => {
  const { textHeaders } = cell.side().message({ headers: [['old', '1']] });
  const raw = Buffer.from([0, 1, 255, 13, 10, 58]);
  expect(textHeaders.setBytes(raw)).toBe(textHeaders);
  expect(textHeaders.bytes()).toEqual(raw);
  raw.fill(0);
  expect(textHeaders.bytes()[2]).toBe(255);
  textHeaders.setBytes(new Uint8Array(0));
  expect(textHeaders.byteLength).toBe(0);
});

rule('headers-access', 'get, getAll, has, byteLength, iterator, reset', (cell) => {
  const { textHeaders } = cell.side().message({
    headers: [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
    ],
  });
  expect(textHeaders.get('a')).toBe('1');
  expect(textHeaders.getAll('a')).toEqual(['1', '3']);
  expect(textHeaders.getAll('c')).toEqual([]);
  expect([textHeaders.has('b'), textHeaders.has('c'), textHeaders.get('c')]).toEqual([true, false, undefined]);
  expect(textHeaders.byteLength).toBe(15);
  expect([...textHeaders]).toEqual([
    ['a', '1'],
    ['b', '2'],
    ['a', '3'],
  ]);
  const iterator = textHeaders[Symbol.iterator]();
  expect(iterator[Symbol.iterator]()).toBe(iterator);
  expect(textHeaders.reset()).toBe(textHeaders);
  expect([...textHeaders]).toEqual([]);
});

// ── header fields and body ──

rule('message-fields', 'whole range in, the field’s status outside', (cell) => {
  const message = cell.side().message();
  expect(seen(message)).toEqual({
    op: 'Request',
    channel: 0,
    id: 0n,
    more: false,
    origin: 'application',
    status: 'success',
    headers: [],
    body: '',
  });
  for (const op of Object.values(OpCode)) {
    message.opCode = op;
    expect(message.opCode).toBe(op);
  }
  for (const channel of [0, 1, 255, 256, 65534]) {
    message.channelNumber = channel;
    expect(message.channelNumber).toBe(channel);
  }
  for (const id of [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]) {
    message.messageId = id;
    expect(message.messageId).toBe(id);
  }
  message.messageId = 7;
  message.more = true;
  for (const op of [10, -1, 1.5, NaN]) expect(refusal(() => (message.opCode = op as OpCode))).toBe('invalid_op_code');
  for (const channel of [65535, 65536, -1, 1.5, NaN, Infinity]) {
    expect(refusal(() => (message.channelNumber = channel))).toBe('invalid_channel_number');
  }
  for (const id of [-1n, 2n ** 64n, -1, 1.5, NaN, Infinity]) {
    expect(refusal(() => (message.messageId = id))).toBe('invalid_message_id');
  }
  expect({ ...message.binaryHeader() }).toEqual({
    channelNumber: 65534,
    opCode: 9,
    origin: 0,
    more: true,
    status: 0,
    messageId: 7n,
  });
});

rule('message-fields', 'what only the engine sets cannot be set', (cell) => {
  const message = cell.side().message() as unknown as Record<string, unknown>;
  for (const name of [
    'origin',
    'status',
    'isFromEngine',
    'isFromApplication',
    'hasMore',
    'owned',
    'body',
    'textHeaders',
  ]) {
    expect(() => {
      'use strict';
      message[name] = 1;
    }).toThrow(TypeError);
  }
});

rule('message-clone', 'equal and independent', async (cell) => {
  const side = cell.side();
  const original = side.message({ op: 'Signal', channel: 5, id: 6, more: true, headers: [['a', '1']], body: 'body' });
  const copy = cell.keep(original.clone());
  expect(seen(copy)).toEqual(seen(original));
  copy.body.append('!');
  copy.textHeaders.append('b', '2');
  copy.channelNumber = 9;
  expect(seen(original)).toMatchObject({ channel: 5, body: 'body', headers: [['a', '1']] });
  side.ampe.put(original);
  expect(seen(copy)).toMatchObject({ op: 'Signal', channel: 9, id: 6n, more: true, body: 'body!' });
  // Also of a status: origin and status are copied.
  side.group.updateReceiver();
  const update = await side.expect({ status: 'receiver_update' });
  expect(seen(cell.keep(update.clone()))).toEqual(seen(update));
});

rule('message-reset', 'everything is as new', async (cell) => {
  const side = cell.side();
  const fresh = seen(side.message());
  const message = side.message({ op: 'Signal', channel: 5, id: 6, more: true, headers: [['a', '1']], body: 'body' });
  message.reset();
  expect(seen(message)).toEqual(fresh);
  side.group.updateReceiver();
  const update = await side.expect({ status: 'receiver_update' });
  update.reset();
  expect(seen(update)).toEqual(fresh);
});

rule('message-dispose', 'put and dispose return a message once', (cell) => {
  const side = cell.side({ initialPoolMsgs: 2, maxPoolMsgs: 2 });
  const free = side.ampe.stats().poolFree;
  const first = side.message();
  const second = side.message();
  expect(side.ampe.stats().poolFree).toBe(free - 2);
  side.ampe.put(first);
  side.ampe.put(first);
  first[Symbol.dispose]();
  expect(side.ampe.stats().poolFree).toBe(free - 1);
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  side.ampe.put(second);
  expect(side.ampe.stats().poolFree).toBe(free);
  expect([first.owned, second.owned]).toEqual([false, false]);
});

rule('message-received-as-answer', 'echoing the received message itself', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  for (const op of ['Request', 'Signal', 'ByeRequest'] as const) {
    const { messageId } = client.post({ op, channel: clientChannel, headers: [['k', 'v']], body: 'echo' });
    const message = await server.expect({ op, channel: serverChannel, id: messageId });
    message.opCode = tofu.echo(message.opCode);
    server.group.post(message);
    const answer = tofu.opCodeName(tofu.echo(OpCode[op]));
    await client.expect({
      op: answer,
      channel: clientChannel,
      id: messageId,
      headers: [['k', 'v']],
      body: 'echo',
      origin: 'application',
    });
  }
});

rule(
  'message-received-as-answer',
  'a received message goes on to another channel when its number is set',
  async (cell) => {
    const side = cell.side();
    const from = await cell.acceptedRaw(side);
    const to = await cell.acceptedRaw(side);
    from.peer.send({ op: WIRE.Request, id: 31, headers: 'k:v\r\n', body: 'forwarded' });
    const message = await side.expect({ channel: from.channel, id: 31n });
    message.channelNumber = to.channel;
    side.group.post(message);
    expect(await to.peer.frame()).toMatchObject({ channel: to.channel, id: 31n, headers: 'k:v\r\n' });
    expect(from.peer.received.length).toBe(0);
  },
);

rule('body-append', 'strings, buffers, and the limit', (cell) => {
  const { body } = cell.side().message();
  expect(body.append('å')).toBe(body);
  body
    .append(new Uint8Array([1, 2]))
    .append(Buffer.from('z'))
    .append('');
  expect(body.bytes()).toEqual(Buffer.from([0xc3, 0xa5, 1, 2, 0x7a]));
  body.append(Buffer.alloc(65530, 1));
  expect(body.byteLength).toBe(65535);
  const before = Buffer.from(body.bytes());
  expect(refusal(() => body.append('x'))).toBe('invalid_body_len');
  expect(refusal(() => body.append(new Uint8Array(1)))).toBe('invalid_body_len');
  expect(body.bytes().equals(before)).toBe(true);
  body.append('');
  expect(body.reset()).toBe(body);
  // Bytes count, not characters.
  expect(refusal(() => body.append('é'.repeat(32768)))).toBe('invalid_body_len');
  expect(body.byteLength).toBe(0);
});

rule('body-append', 'a view of the message itself', (cell) => {
  const { body } = cell.side().message({ body: 'ab' });
  for (let i = 0; i < 12; i++) body.append(body.bytes());
  expect(body.toString()).toBe('ab'.repeat(4096));
});

rule('body-set', 'replaces, copies, and the limit', (cell) => {
  const { body } = cell.side().message({ body: 'a longer body than the next' });
  const data = Buffer.from('short');
  expect(body.set(data)).toBe(body);
  data.fill(0);
  expect(body.toString()).toBe('short');
  expect(refusal(() => body.set('x'.repeat(65536)))).toBe('invalid_body_len');
  expect(refusal(() => body.set(new Uint8Array(65536)))).toBe('invalid_body_len');
  expect(body.toString()).toBe('short');
  expect(body.set('x'.repeat(65535)).byteLength).toBe(65535);
  expect(body.set('').byteLength).toBe(0);
});

rule('body-reserve', 'writing in place, and the limit', (cell) => {
  const { body } = cell.side().message({ body: 'ab' });
  const view = body.reserve(4);
  expect(view.length).toBe(4);
  view.writeUInt32BE(0x01020304);
  expect(body.bytes()).toEqual(Buffer.from([1, 2, 3, 4]));
  for (const wrong of [65536, -1, 1.5, NaN, Infinity]) {
    expect(refusal(() => body.reserve(wrong))).toBe('invalid_body_len');
  }
  expect(body.bytes()).toEqual(Buffer.from([1, 2, 3, 4]));
  expect(body.reserve(65535).length).toBe(65535);
  expect(body.reserve(0).length).toBe(0);
});

rule('body-reading', 'bytes, toString, json', (cell) => {
  const { body } = cell.side().message({ body: '{"a":[1,"ü"]}' });
  expect(body.json()).toEqual({ a: [1, 'ü'] });
  expect(body.toString()).toBe('{"a":[1,"ü"]}');
  expect(`${body}`).toBe('{"a":[1,"ü"]}');
  expect(body.byteLength).toBe(14);
  expect(Buffer.isBuffer(body.bytes())).toBe(true);
  body.bytes()[0] = 0x5b;
  expect(body.toString().startsWith('[')).toBe(true);
  expect(() => body.json()).toThrow(SyntaxError);
  body.set(new Uint8Array([0xff]));
  expect(body.toString()).toBe('\ufffd');
});

// ── death ──

/** Every access there is, through references taken while the message was alive; `owned` is the only one that works. */
function references(message: Message): { name: string; use: () => unknown }[] {
  const { textHeaders, body } = message;
  const uses: Record<string, () => unknown> = {
    'get opCode': () => message.opCode,
    'set opCode': () => (message.opCode = OpCode.Signal),
    'get channelNumber': () => message.channelNumber,
    'set channelNumber': () => (message.channelNumber = 1),
    'get messageId': () => message.messageId,
    'set messageId': () => (message.messageId = 1n),
    'get more': () => message.more,
    'set more': () => (message.more = true),
    origin: () => message.origin,
    status: () => message.status,
    isFromEngine: () => message.isFromEngine,
    isFromApplication: () => message.isFromApplication,
    hasMore: () => message.hasMore,
    textHeaders: () => message.textHeaders,
    body: () => message.body,
    binaryHeader: () => message.binaryHeader(),
    clone: () => message.clone(),
    reset: () => message.reset(),
    'headers append': () => textHeaders.append('a', '1'),
    'headers get': () => textHeaders.get('a'),
    'headers getAll': () => textHeaders.getAll('a'),
    'headers has': () => textHeaders.has('a'),
    'headers byteLength': () => textHeaders.byteLength,
    'headers bytes': () => textHeaders.bytes(),
    'headers setBytes': () => textHeaders.setBytes(Buffer.from('a:1')),
    'headers reset': () => textHeaders.reset(),
    'headers iterator': () => textHeaders[Symbol.iterator](),
    'headers spread': () => [...textHeaders],
    'body append': () => body.append('x'),
    'body set': () => body.set('x'),
    'body reserve': () => body.reserve(1),
    'body bytes': () => body.bytes(),
    'body toString': () => body.toString(),
    'body json': () => body.json(),
    'body byteLength': () => body.byteLength,
    'body reset': () => body.reset(),
    'Address.parse': () => Address.parse(message),
    'address format': () => new TcpClientAddress().format(message),
  };
  return Object.entries(uses).map(([name, use]) => ({ name, use }));
}

/** Kills the message by `kill` and proves that it is dead for every reference. */
function expectDeath(message: Message, kill: () => void): void {
  const uses = references(message);
  const started = message.textHeaders[Symbol.iterator]();
  started.next();
  kill();
  expect(message.owned).toBe(false);
  for (const { name, use } of uses) expect([name, refusal(use)]).toEqual([name, NULL_MESSAGE]);
  expect(refusal(() => started.next())).toBe(NULL_MESSAGE);
  message[Symbol.dispose]();
  expect(message.owned).toBe(false);
}

const FULL = {
  op: 'Request',
  id: 5,
  headers: [
    ['a', '1'],
    ['b', '2'],
  ],
  body: '"json"',
} as const;

rule('dead-after-post', 'a fresh and a received message', async (cell) => {
  const { server, client, serverChannel, clientChannel } = await cell.pair();
  const fresh = client.message({ ...FULL, channel: clientChannel });
  expectDeath(fresh, () => client.group.post(fresh));
  const received = await server.expect({ channel: serverChannel, body: '"json"' });
  expectDeath(received, () => server.group.post(received));
  await client.expect({
    channel: clientChannel,
    headers: [
      ['a', '1'],
      ['b', '2'],
    ],
    body: '"json"',
    id: 5n,
  });
});

rule('dead-after-put', 'every reference', (cell) => {
  const side = cell.side();
  const message = side.message(FULL);
  expectDeath(message, () => side.ampe.put(message));
});

rule('dead-after-dispose', 'every reference, also by using', (cell) => {
  const side = cell.side();
  const message = side.message(FULL);
  expectDeath(message, () => message[Symbol.dispose]());
  const kept: Message[] = [];
  {
    using scoped = side.ampe.get();
    kept.push(scoped);
    expect(scoped.owned).toBe(true);
  }
  expect(kept[0].owned).toBe(false);
});

rule('dead-after-update', 'every reference', async (cell) => {
  const side = cell.side();
  const message = side.message(FULL);
  expectDeath(message, () => side.group.updateReceiver(message));
  await side.expect({ status: 'receiver_update', body: '"json"', id: 5n });
});

rule('dead-slot-reused', 'the only slot of a pool goes round', (cell) => {
  const side = cell.side({ initialPoolMsgs: 1, maxPoolMsgs: 1 });
  const dead: { name: string; use: () => unknown }[][] = [];
  for (let round = 0; round < 5; round++) {
    const message = side.message({ ...FULL, body: `"round ${round}"` });
    dead.push(references(message));
    for (const uses of dead.slice(0, -1)) {
      for (const { name, use } of uses) expect([name, refusal(use)]).toEqual([name, NULL_MESSAGE]);
    }
    expect(seen(message)).toMatchObject({ op: 'Request', id: 5n, more: false, body: `"round ${round}"` });
    side.ampe.put(message);
  }
});

rule('dead-slot-reused', 'posted messages while the engine uses the slot', async (cell) => {
  const side = cell.side({ initialPoolMsgs: 1, maxPoolMsgs: 1 });
  const { peer, channel } = await cell.acceptedRaw(side);
  const message = side.message({ ...FULL, channel });
  const uses = references(message);
  side.group.post(message);
  await peer.frame();
  peer.send({ id: 9, headers: 'c:3\r\n', body: 'next' });
  const next = await side.expect({ id: 9n, body: 'next' });
  for (const { name, use } of uses) expect([name, refusal(use)]).toEqual([name, NULL_MESSAGE]);
  expect(seen(next)).toMatchObject({ id: 9n, headers: [['c', '3']], body: 'next' });
});

rule('dead-iterator', 'before, within and again after the first throw', (cell) => {
  const side = cell.side();
  const message = side.message(FULL);
  const unstarted = message.textHeaders[Symbol.iterator]();
  const started = message.textHeaders[Symbol.iterator]();
  expect(started.next().value).toEqual(['a', '1']);
  side.ampe.put(message);
  const next = side.message({ headers: [['other', 'secret']] });
  for (let i = 0; i < 2; i++) {
    expect(refusal(() => unstarted.next())).toBe(NULL_MESSAGE);
    expect(refusal(() => started.next())).toBe(NULL_MESSAGE);
  }
  expect(next.textHeaders.get('other')).toBe('secret');
});

rule('dead-iterator', 'a message put inside the loop over its headers', (cell) => {
  const side = cell.side();
  const message = side.message(FULL);
  const names: string[] = [];
  const loop = (): void => {
    for (const [name] of message.textHeaders) {
      names.push(name);
      side.ampe.put(message);
    }
  };
  expect(refusal(loop)).toBe(NULL_MESSAGE);
  expect(names).toEqual(['a']);
});

rule('put-lenient', 'nothing, moved, foreign', (cell) => {
  const side = cell.side();
  const other = cell.side();
  side.ampe.put(null);
  side.ampe.put(undefined);
  const moved = side.message();
  side.ampe.put(moved);
  side.ampe.put(moved);
  other.ampe.put(moved);
  const foreign = other.message({ body: 'mine' });
  expect(refusal(() => side.ampe.put(foreign))).toBe('not_allowed');
  expect(foreign.owned).toBe(true);
  expect(foreign.body.toString()).toBe('mine');
});

// ── addresses ──

rule(
  'message-for-logs',
  'a received one says what it is, and not a byte that somebody else has written',
  async (cell) => {
    const side = cell.side({ initialPoolMsgs: 1, maxPoolMsgs: 1 });
    const { peer, channel } = await cell.acceptedRaw(side);
    for (const body of ['SECRET of the one before', 'harmless']) peer.send({ op: WIRE.Request, id: 7, body });
    side.ampe.put(await side.expect({ body: 'SECRET of the one before' }));
    const message = await side.expect({ body: 'harmless' });
    const text = `Message Request channel ${channel} id 7 0+8 bytes`;
    expect([String(message), inspect(message)]).toEqual([text, text]);
    expect(JSON.parse(JSON.stringify({ message }))).toEqual({
      message: {
        channelNumber: channel,
        opCode: 'Request',
        origin: 'application',
        more: false,
        status: 'success',
        messageId: '7',
        textHeadersBytes: 0,
        bodyBytes: 8,
      },
    });
    side.ampe.put(message);
    expect([String(message), JSON.stringify(message)]).toEqual(['Message (not owned)', '{"owned":false}']);
  },
);

rule('address-classes-format', 'format, toString and defaults', (cell) => {
  const side = cell.side();
  const path = '/tmp/some.sock';
  const table = [
    [new TcpServerAddress(), 'WelcomeRequest', '~listen_on', 'tcp|127.0.0.1|7099'],
    [new TcpClientAddress(), 'HelloRequest', '~connect_to', 'tcp|127.0.0.1|7099'],
    [new TcpServerAddress('::1', 0), 'WelcomeRequest', '~listen_on', 'tcp|::1|0'],
    [new TcpServerAddress(''), 'WelcomeRequest', '~listen_on', 'tcp||7099'],
    [new TcpClientAddress('localhost', 65535), 'HelloRequest', '~connect_to', 'tcp|localhost|65535'],
    [new UdsServerAddress(path), 'WelcomeRequest', '~listen_on', `uds|${path}`],
    [new UdsClientAddress(path), 'HelloRequest', '~connect_to', `uds|${path}`],
  ] as const;
  for (const [address, op, name, text] of table) {
    const message = side.message({ headers: [['old', '1']], body: 'kept' });
    address.format(message);
    expect(seen(message)).toMatchObject({ op, headers: [[name, text]], body: 'kept' });
    expect(address.toString()).toBe(text);
  }
  expect({ host: table[4][0].host, port: table[4][0].port, path: table[5][0].path }).toEqual({
    host: 'localhost',
    port: 65535,
    path,
  });
});

rule('address-parse', 'there and back, and null', (cell) => {
  const side = cell.side();
  const addresses = [
    new TcpServerAddress('h', 0),
    new TcpServerAddress('', 1),
    new TcpClientAddress('::1', 2),
    new UdsServerAddress('/a|b'),
    new UdsClientAddress('/tmp/x'),
  ];
  for (const address of addresses) {
    const message = side.message();
    address.format(message);
    const parsed = Address.parse(message);
    expect(parsed).toBeInstanceOf(address.constructor);
    expect(parsed!.toString()).toBe(address.toString());
  }
  const bad = [
    '',
    'x',
    'tcp',
    'tcp|h',
    'tcp|h|',
    'tcp|h|12ab',
    'tcp|h|65536',
    'tcp|h|1|2',
    'uds',
    'uds|',
    'udp|h|1',
    'tcp|h|+1',
    'TCP|h|1',
  ];
  for (const text of bad) {
    const raw = `~connect_to:${text}\r\n`;
    expect([text, Address.parse(side.message({ op: 'HelloRequest', rawHeaders: raw }))]).toEqual([text, null]);
  }
  expect(Address.parse(side.message({ op: 'HelloRequest' }))).toBeNull();
  expect(Address.parse(side.message({ op: 'HelloRequest', rawHeaders: '~connect_to:tcp|h|0\r\n' }))).toBeNull();
});

rule('dead-after-post', 'a message which comes back is a new one', async (cell) => {
  const side = cell.side();
  const { peer, channel, id } = await cell.acceptedRaw(side);
  peer.close();
  await peer.ended();
  await within('the end to be seen', cell.acceptedRaw(side.sibling()));
  const posted = side.message({ ...FULL, channel });
  const uses = references(posted);
  side.group.post(posted);
  const returned = await side.expect({ channel, id: 5n, origin: 'engine', body: '"json"' });
  expect(returned).not.toBe(posted);
  for (const { name, use } of uses) expect([name, refusal(use)]).toEqual([name, NULL_MESSAGE]);
  await side.expectClosed(channel, id);
});

rule('default-options', 'values and immutability', (cell) => {
  const { DefaultOptions } = tofu;
  expect(DefaultOptions).toMatchObject({
    connectTimeoutMs: 10_000,
    handshakeTimeoutMs: 10_000,
    closeTimeoutMs: 5_000,
    keepAliveMs: 60_000,
    udsMode: 0o600,
    maxChannels: 65_534,
  });
  const { initialPoolMsgs, maxPoolMsgs } = DefaultOptions;
  expect(initialPoolMsgs).toBeLessThanOrEqual(maxPoolMsgs);
  expect(Object.isFrozen(DefaultOptions)).toBe(true);
  const { reactor } = cell.engine();
  expect(reactor.backend).toBe(cell.name.engine.backend);
  expect(reactor.backendReason.length).toBeGreaterThan(0);
});
