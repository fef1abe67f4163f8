import * as fc from 'fast-check';
import {
  Address,
  type AddressableMessage,
  parseEndpoint,
  TcpClientAddress,
  TcpServerAddress,
  UdsClientAddress,
  UdsServerAddress,
} from '../../../lib/protocol/address';
import { OpCode } from '../../../lib/protocol/op-code';
import { AmpeStatus } from '../../../lib/protocol/status';

/** As much of a message as addresses need. */
function messageWith(opCode: OpCode, ...pairs: [string, string][]): AddressableMessage & { pairs: [string, string][] } {
  return {
    opCode,
    pairs,
    textHeaders: {
      get: (name) => pairs.find((pair) => pair[0] === name)?.[1],
      append: (name, value) => pairs.push([name, value]),
      reset: () => pairs.splice(0),
    },
  };
}

const wrongAddress = expect.objectContaining({ name: 'AmpeError', status: AmpeStatus.WrongAddress });
const wrongType = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
const longestPath = '/'.padEnd(process.platform === 'linux' ? 107 : 103, 'p');

describe('an address', () => {
  test.each([
    [new TcpServerAddress(), 'tcp|127.0.0.1|7099'],
    [new TcpClientAddress(), 'tcp|127.0.0.1|7099'],
    [new TcpServerAddress('', 0), 'tcp||0'],
    [new TcpServerAddress(''), 'tcp||7099'],
    [new TcpClientAddress(''), 'tcp||7099'],
    [new TcpClientAddress('::1', 65_535), 'tcp|::1|65535'],
    [new TcpClientAddress('fe80::1%eth0', 1), 'tcp|fe80::1%eth0|1'],
    [new TcpServerAddress(undefined, 80), 'tcp|127.0.0.1|80'],
    [new UdsServerAddress('/run/a.sock'), 'uds|/run/a.sock'],
    [new UdsClientAddress('./a|b c'), 'uds|./a|b c'],
    [new UdsClientAddress('@name'), 'uds|@name'],
    [new UdsServerAddress(longestPath), `uds|${longestPath}`],
  ])('%p prints as %s', (address, text) => {
    expect(address.toString()).toBe(text);
    expect(`${address}`).toBe(text);
  });

  test.each([
    [new TcpServerAddress('h', 0), OpCode.WelcomeRequest, '~listen_on', 'tcp|h|0'],
    [new UdsServerAddress('/s'), OpCode.WelcomeRequest, '~listen_on', 'uds|/s'],
    [new TcpClientAddress('h', 1), OpCode.HelloRequest, '~connect_to', 'tcp|h|1'],
    [new UdsClientAddress('/s'), OpCode.HelloRequest, '~connect_to', 'uds|/s'],
  ])('%p formats a message and can be read from it', (address, opCode, name, text) => {
    const message = messageWith(OpCode.Signal, ['old', '1'], ['~connect_to', 'tcp|old|1']);
    address.format(message);
    expect(message.opCode).toBe(opCode);
    expect(message.pairs).toEqual([[name, text]]);
    const read = Address.parse(message);
    expect(read).toEqual(address);
    expect(read).toBeInstanceOf(address.constructor);
  });

  test.each([new TcpServerAddress(), new TcpClientAddress(), new UdsServerAddress('/s'), new UdsClientAddress('/s')])(
    '%p refuses to format what is no message',
    (address) => {
      expect(() => address.format(null as never)).toThrow(wrongType);
      expect(() => address.format('message' as never)).toThrow(wrongType);
    },
  );
});

describe.each([
  ['TcpServerAddress', TcpServerAddress],
  ['TcpClientAddress', TcpClientAddress],
])('%s', (_name, TcpAddress) => {
  test.each([
    ['CR', 'a\rb'],
    ['LF', 'a\nb'],
    ['NUL', 'a\0b'],
    ['a further part', 'a|b'],
    ['a leading blank', ' a'],
    ['a trailing tab', 'a\t'],
    ['nothing but a blank', ' '],
    ['brackets', '[::1]'],
    ['1025 bytes', 'é'.repeat(512) + 'a'],
  ])('refuses a host with %s', (_what, host) => {
    expect(() => new TcpAddress(host)).toThrow(wrongAddress);
  });

  test('takes a host of 1024 bytes', () => {
    expect(new TcpAddress('é'.repeat(512)).host).toHaveLength(512);
  });

  test.each([-1, 65_536, 1.5, NaN, Infinity])('refuses port %p', (port) => {
    expect(() => new TcpAddress('a', port)).toThrow(wrongAddress);
  });

  test.each([[null], [1], [Buffer.from('a')], [{}]])('host %p is a TypeError', (host) => {
    expect(() => new TcpAddress(host as never)).toThrow(wrongType);
  });

  test.each([['7099'], ['12ab'], [null], [7099n], [{}]])('port %p is a TypeError', (port) => {
    expect(() => new TcpAddress('a', port as never)).toThrow(wrongType);
  });
});

test('port 0 is for listening only', () => {
  expect(new TcpServerAddress('a', 0).port).toBe(0);
  expect(() => new TcpClientAddress('a', 0)).toThrow(wrongAddress);
});

describe.each([
  ['UdsServerAddress', UdsServerAddress],
  ['UdsClientAddress', UdsClientAddress],
])('%s', (_name, UdsAddress) => {
  test.each([
    ['no character', ''],
    ['CR', '/a\rb'],
    ['LF', '/a\nb'],
    ['NUL', '/a\0b'],
    ['a leading blank', ' /a'],
    ['a trailing blank', '/a '],
    ['one byte too many', `${longestPath}p`],
    ['one byte too many, in fewer characters', `${longestPath.slice(1)}é`],
    ['108 bytes in the abstract namespace', '@'.padEnd(108, 'n')],
    ['no abstract name', '@'],
  ])('refuses a path with %s', (_what, path) => {
    expect(() => new UdsAddress(path)).toThrow(wrongAddress);
  });

  test('takes 107 bytes in the abstract namespace', () => {
    expect(new UdsAddress('@'.padEnd(107, 'n')).path).toHaveLength(107);
  });

  test.each([[null], [undefined], [1], [Buffer.from('/a')]])('path %p is a TypeError', (path) => {
    expect(() => new UdsAddress(path as never)).toThrow(wrongType);
  });
});

describe('Address.parse', () => {
  const connectTo: [string, string] = ['~connect_to', 'tcp|c|1'];
  const listenOn: [string, string] = ['~listen_on', 'tcp|l|2'];
  const client = new TcpClientAddress('c', 1);
  const server = new TcpServerAddress('l', 2);

  test.each([
    ['HelloRequest', client, client, null],
    ['HelloResponse', client, client, null],
    ['WelcomeRequest', server, null, server],
    ['WelcomeResponse', server, null, server],
    ['Request', client, client, server],
    ['Signal', client, client, server],
  ] as const)('of a %s takes the header that belongs to it', (name, both, connectOnly, listenOnly) => {
    const opCode = OpCode[name];
    const read = [[listenOn, connectTo], [connectTo], [listenOn]].map((pairs) => {
      return Address.parse(messageWith(opCode, ...pairs));
    });
    expect(read).toEqual([both, connectOnly, listenOnly]);
    expect(read.map((address) => address?.constructor)).toEqual(
      [both, connectOnly, listenOnly].map((address) => address?.constructor),
    );
  });

  test('is null without an address, with a bad one, and for port 0 to connect', () => {
    expect(Address.parse(messageWith(OpCode.HelloRequest))).toBeNull();
    expect(Address.parse(messageWith(OpCode.WelcomeRequest, ['~listen_on', 'tcp|a']))).toBeNull();
    expect(Address.parse(messageWith(OpCode.HelloRequest, ['~connect_to', 'uds|']))).toBeNull();
    expect(Address.parse(messageWith(OpCode.HelloRequest, ['~connect_to', 'tcp|a|0']))).toBeNull();
    expect(Address.parse(messageWith(OpCode.WelcomeRequest, ['~listen_on', 'tcp|a|0']))).toEqual(
      new TcpServerAddress('a', 0),
    );
  });

  test.each([[null], [undefined], ['text']])('of %p is a TypeError', (thing) => {
    expect(() => Address.parse(thing as never)).toThrow(wrongType);
  });
});

describe('parseEndpoint', () => {
  test.each([
    ['tcp|127.0.0.1|7099', { transport: 'tcp', host: '127.0.0.1', port: 7099 }],
    ['tcp||0', { transport: 'tcp', host: '', port: 0 }],
    ['tcp|::1|65535', { transport: 'tcp', host: '::1', port: 65_535 }],
    ['uds|/a|b', { transport: 'uds', path: '/a|b' }],
    ['uds|tcp|a|1', { transport: 'uds', path: 'tcp|a|1' }],
    ['uds|@name', { transport: 'uds', path: '@name' }],
  ])('reads %s', (text, endpoint) => {
    expect(parseEndpoint(text, 'linux')).toEqual(endpoint);
  });

  test.each([
    '',
    'tcp',
    'tcp|',
    'tcp|a',
    'tcp|a|',
    'tcp|a|1|',
    'tcp|a|b|1',
    'tcp|a|12ab',
    'tcp|a|65536',
    'tcp|a|99999',
    'tcp|a|-1',
    'tcp|a|+1',
    'tcp|a| 1',
    'tcp|a|1 ',
    'tcp|a|0x10',
    'tcp|a|1e3',
    'tcp|a|1.0',
    'tcp|a|01',
    'tcp|a|1_0',
    'tcp|a|１',
    'tcp|a|1\n',
    'tcp| a|1',
    'tcp|a |1',
    'tcp|a\0|1',
    'tcp|[::1]|1',
    'TCP|a|1',
    ' tcp|a|1',
    'udp|a|1',
    'uds',
    'uds|',
    'uds| /a',
    'uds|/a\t',
    'uds|/a\0',
    'uds|/a\nb',
    'uds|@',
    `uds|${'/'.padEnd(108, 'p')}`,
    `uds|${'@'.padEnd(108, 'p')}`,
  ])('refuses %p', (text) => {
    expect(parseEndpoint(text, 'linux')).toBeNull();
  });

  test.each([
    ['linux', 107],
    ['darwin', 103],
    ['freebsd', 103],
  ])('on %s a path has at most %i bytes', (platform, most) => {
    expect(parseEndpoint(`uds|${'/'.padEnd(most, 'p')}`, platform)).toMatchObject({ transport: 'uds' });
    expect(parseEndpoint(`uds|${'/'.padEnd(most + 1, 'p')}`, platform)).toBeNull();
  });

  test('the abstract namespace is for Linux, and Windows has no Unix sockets at all', () => {
    expect(parseEndpoint('uds|@name', 'darwin')).toBeNull();
    expect(parseEndpoint('uds|/a', 'win32')).toBeNull();
    expect(parseEndpoint('tcp|a|1', 'win32')).toMatchObject({ transport: 'tcp' });
  });

  test('any text is an address that prints the same, or none', () => {
    const part = fc.oneof(
      fc.constantFrom('tcp', 'uds', '127.0.0.1', '', '0', '1', '|', '@', ' '),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const text = parts.join('|');
        const endpoint = parseEndpoint(text, 'linux');
        if (endpoint === null) return;
        const { transport } = endpoint;
        expect(transport === 'uds' ? `uds|${endpoint.path}` : `tcp|${endpoint.host}|${endpoint.port}`).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});
