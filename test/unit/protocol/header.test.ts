import * as fc from 'fast-check';
import { HEADER_BYTES } from '../../../lib/protocol/constants';
import {
  decodeFrame,
  encodeFrame,
  readMessageId,
  readU16,
  readU32,
  fieldsAt,
  snapshotOf,
  writeMessageId,
  writeU16,
  writeU32,
} from '../../../lib/protocol/header';
import { OpCode, Origin } from '../../../lib/protocol/op-code';
import { AmpeStatus } from '../../../lib/protocol/status';

const fields = fc.record({
  channelNumber: fc.integer({ min: 0, max: 0xffff }),
  opCode: fc.integer({ min: 0, max: 9 }) as fc.Arbitrary<OpCode>,
  origin: fc.constantFrom(Origin.application, Origin.engine),
  more: fc.boolean(),
  status: fc.integer({ min: 0, max: 31 }) as fc.Arbitrary<AmpeStatus>,
  messageId: fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.constantFrom(2n ** 32n - 1n, 2n ** 32n, 2n ** 63n),
  ),
});

test('integers agree with Buffer, at any place, and touch nothing else', () => {
  fc.assert(
    fc.property(fc.nat(8), fc.nat(0xffff), fc.integer({ min: 0, max: 0xffffffff }), (at, small, great) => {
      const ours = Buffer.alloc(16, 0xaa);
      const theirs = Buffer.alloc(16, 0xaa);
      writeU16(ours, at, small);
      theirs.writeUInt16BE(small, at);
      writeU32(ours, at + 2, great);
      theirs.writeUInt32BE(great, at + 2);
      expect(ours.toString('hex')).toBe(theirs.toString('hex'));
      expect(readU16(ours, at)).toBe(small);
      expect(readU32(ours, at + 2)).toBe(great);
    }),
  );
});

test('any message id is read as it was written', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(16), (id, at) => {
      const ours = Buffer.alloc(32);
      const theirs = Buffer.alloc(32);
      writeMessageId(ours, at, id);
      theirs.writeBigUInt64BE(id, at + 4);
      expect(ours.toString('hex')).toBe(theirs.toString('hex'));
      expect(readMessageId(ours, at)).toBe(id);
    }),
  );
});

test('any frame is read as it was written', () => {
  fc.assert(
    fc.property(
      fields,
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }),
      (header, headers, body) => {
        const read = decodeFrame(encodeFrame(header, headers, body));
        expect(read.header).toEqual(header);
        expect([...read.headers]).toEqual([...headers]);
        expect([...read.body]).toEqual([...body]);
      },
    ),
  );
});

test('a snapshot is taken at its place and does not change with the bytes', () => {
  fc.assert(
    fc.property(fields, fc.nat(40), (header, at) => {
      const memory = Buffer.alloc(at + HEADER_BYTES + 5, 0xff);
      memory.set(encodeFrame(header), at);
      const snapshot = snapshotOf(fieldsAt(memory, at));
      memory.fill(0);
      expect(snapshot).toEqual(header);
      expect({ ...snapshot }).toEqual(header);
    }),
  );
});

test('internal bits are not part of a snapshot, and a status beyond the table is unknown', () => {
  const memory = encodeFrame({ opCode: OpCode.Signal });
  memory[2] |= 0xc0;
  memory[3] = 200;
  expect(snapshotOf(fieldsAt(memory, 0))).toMatchObject({ opCode: OpCode.Signal, more: false, origin: 0, status: 31 });
});

test('a frame of nothing but its opcode is 16 bytes', () => {
  expect(encodeFrame({ opCode: OpCode.Signal }).toString('hex')).toBe('00000200000000000000000000000000');
});

test('parts of 65536 bytes are refused', () => {
  const long = Buffer.alloc(65_536);
  expect(() => encodeFrame({}, long)).toThrow(expect.objectContaining({ status: AmpeStatus.InvalidHeadersLen }));
  expect(() => encodeFrame({}, undefined, long)).toThrow(
    expect.objectContaining({ status: AmpeStatus.InvalidBodyLen }),
  );
});

test.each([0, 15, 16, 20, 22])('%i bytes are not the frame of 21 bytes they began as', (length) => {
  const frame = Buffer.concat([encodeFrame({}, Buffer.from('a:1'), Buffer.from('xy')), Buffer.alloc(1)]);
  expect(() => decodeFrame(frame.subarray(0, length))).toThrow(
    expect.objectContaining({ name: 'AmpeError', status: AmpeStatus.InvalidMessage }),
  );
});
