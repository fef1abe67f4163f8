import * as fc from 'fast-check';
import { AmpeStatus } from '../../../lib/protocol/status';
import { encodeField, nextField } from '../../../lib/protocol/text-headers-codec';

function pairsIn(raw: Uint8Array, start = 0, end = raw.length): [string, string][] {
  const pairs: [string, string][] = [];
  for (let field = nextField(raw, start, end); field !== null; field = nextField(raw, field.next, end)) {
    if (field.next > end) throw new Error(`read on at ${field.next}, behind the end ${end}`);
    pairs.push([field.name, field.value]);
  }
  return pairs;
}

const wellFormed = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
const names = wellFormed
  .map((text) => text.replace(/[:\r\n]/g, '_').replace(/^[ \t]+|[ \t]+$/g, ''))
  .filter((text) => text !== '');
const values = wellFormed.map((text) => text.replace(/[\r\n]/g, '_'));

test('what was written is read back, in order, but for blanks around the value', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(names, values), { maxLength: 12 }), (pairs) => {
      const raw = Buffer.concat(pairs.map(([name, value]) => encodeField(name, value)));
      expect(pairsIn(raw)).toEqual(pairs.map(([name, value]) => [name, value.replace(/^[ \t]+|[ \t]+$/g, '')]));
    }),
  );
});

/** The reading rules once more, the slow and obvious way. */
function readSlowly(raw: Buffer): [string, string][] {
  const pairs: [string, string][] = [];
  for (const field of raw.toString('latin1').split('\r\n')) {
    if (field === '') continue;
    const colon = field.indexOf(':');
    if (colon === 0) break;
    const name = colon < 0 ? field : field.slice(0, colon);
    const value = colon < 0 ? '' : field.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
    pairs.push([Buffer.from(name, 'latin1').toString(), Buffer.from(value, 'latin1').toString()]);
  }
  return pairs;
}

const hostileBytes = fc
  .array(fc.oneof(fc.constantFrom(...Buffer.from(':\r\n \tab')), fc.constantFrom(0x0d, 0x0a), fc.nat(255)), {
    maxLength: 60,
  })
  .map((bytes) => Buffer.from(bytes));

test('any bytes are read by the rules, and nothing outside them is looked at', () => {
  fc.assert(
    fc.property(hostileBytes, fc.nat(5), (raw, at) => {
      const around = Buffer.concat([Buffer.alloc(at, ':'), raw, Buffer.from('\r\nbehind:1\r\n')]);
      expect(pairsIn(around, at, at + raw.length)).toEqual(readSlowly(raw));
      expect(pairsIn(new Uint8Array(raw))).toEqual(readSlowly(raw));
    }),
    { numRuns: 1000 },
  );
});

test('a line feed right behind the end does not end the last field early', () => {
  expect(pairsIn(Buffer.from('a:1\r\n'), 0, 4)).toEqual([['a', '1\r']]);
});

test('names and values are UTF-8, and invalid bytes read as U+FFFD', () => {
  expect(pairsIn(encodeField('größe', '日本 😀'))).toEqual([['größe', '日本 😀']]);
  expect(pairsIn(Buffer.from([0x61, 0xff, 0x3a, 0xc3, 0x0d, 0x0a]))).toEqual([['a\ufffd', '\ufffd']]);
});

test('a byte order mark is part of the text', () => {
  expect(pairsIn(encodeField('a', '\ufeffb'))).toEqual([['a', '\ufeffb']]);
});

test('the name is trimmed of blanks and line ends only', () => {
  expect(encodeField('\r\n \ta\n', '1').toString()).toBe('a:1\r\n');
  expect(encodeField('\u00a0a', '1').toString()).toBe('\u00a0a:1\r\n');
  expect(encodeField('\va', '1').toString()).toBe('\va:1\r\n');
});

test.each([
  ['an empty name', '', '1', 'ERR_AMPE_BAD_NAME'],
  ['a name of blanks and line ends', ' \t\r\n', '1', 'ERR_AMPE_BAD_NAME'],
  ['a colon in the name', 'a:b', '1', 'ERR_AMPE_BAD_NAME'],
  ['CR in the name', 'a\rb', '1', 'ERR_AMPE_BAD_NAME'],
  ['LF in the name', 'a\nb', '1', 'ERR_AMPE_BAD_NAME'],
  ['an empty value', 'a', '', 'ERR_AMPE_BAD_VALUE'],
  ['CR in the value', 'a', 'x\ry', 'ERR_AMPE_BAD_VALUE'],
  ['LF in the value', 'a', 'x\ny', 'ERR_AMPE_BAD_VALUE'],
  ['a line end behind the value', 'a', 'x\r\n', 'ERR_AMPE_BAD_VALUE'],
])('%s is refused', (_what, name, value, code) => {
  expect(() => encodeField(name, value)).toThrow(
    expect.objectContaining({ name: 'AmpeError', code, status: AmpeStatus.InvalidMessage }),
  );
});

test.each([
  [1, 'x'],
  [null, 'x'],
  [undefined, 'x'],
  ['x', 1],
  ['x', null],
  ['x', undefined],
  ['x', Buffer.from('x')],
])('%p = %p is a TypeError', (name, value) => {
  expect(() => encodeField(name as never, value as never)).toThrow(
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }),
  );
});
