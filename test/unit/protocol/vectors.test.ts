// Golden frames against the header codec, both ways. The framer has the same frames in framer.test.ts.

import {
  CONNECT_TO,
  MAX_BODY_BYTES,
  MAX_FRAME_BYTES,
  MAX_TEXT_HEADERS_BYTES,
  WIRE_MASK,
} from '../../../lib/protocol/constants';
import { decodeFrame, encodeFrame } from '../../../lib/protocol/header';
import { OpCode, Origin } from '../../../lib/protocol/op-code';
import { AmpeStatus } from '../../../lib/protocol/status';
import { encodeField, nextField } from '../../../lib/protocol/text-headers-codec';
import { readVectors } from './vectors';

const vectors = readVectors();

/** All fields of some text headers, as a reader meets them. */
function pairsIn(raw: Uint8Array): [string, string][] {
  const pairs: [string, string][] = [];
  for (let field = nextField(raw, 0, raw.length); field !== null; field = nextField(raw, field.next, raw.length)) {
    pairs.push([field.name, field.value]);
  }
  return pairs;
}

test('the vector file holds every kind of vector', () => {
  expect(vectors.frames.filter((vector) => vector.kind === 'good')).toHaveLength(16);
  expect(vectors.frames.filter((vector) => vector.kind === 'clean')).toHaveLength(2);
  expect(vectors.bad).toHaveLength(7);
  expect(vectors.headers).toHaveLength(19);
  expect(vectors.append).toHaveLength(9);
});

describe('good frames', () => {
  const good = vectors.frames.filter((vector) => vector.kind === 'good');

  test.each(good)('$name: is written byte for byte', (vector) => {
    const fields = {
      channelNumber: vector.channelNumber,
      opCode: vector.opCode as OpCode,
      more: vector.more,
      messageId: vector.messageId,
    };
    const frame = encodeFrame(fields, vector.headers, vector.body);
    // Two bits of the flags byte belong to whoever wrote the frame and mean nothing on the wire.
    const expected = Buffer.from(vector.frame);
    expected[2] &= WIRE_MASK;
    expect(frame.toString('hex')).toBe(expected.toString('hex'));
  });

  test.each(good)('$name: is read with every field', (vector) => {
    const { header, headers, body } = decodeFrame(vector.frame);
    expect(header).toEqual({
      channelNumber: vector.channelNumber,
      opCode: vector.opCode,
      origin: Origin.application,
      more: vector.more,
      status: AmpeStatus.Success,
      messageId: vector.messageId,
    });
    expect(headers.toString('hex')).toBe(vector.headers.toString('hex'));
    expect(body.toString('hex')).toBe(vector.body.toString('hex'));
  });
});

test('the greatest frame is written and read', () => {
  const headers = Buffer.alloc(MAX_TEXT_HEADERS_BYTES, 'h');
  const body = Buffer.alloc(MAX_BODY_BYTES, 'b');
  const frame = encodeFrame({ opCode: OpCode.Signal, messageId: 1n }, headers, body);
  expect(frame).toHaveLength(MAX_FRAME_BYTES);
  expect(MAX_FRAME_BYTES).toBe(131_086);
  expect(frame.subarray(12, 16).toString('hex')).toBe('ffffffff');
  const read = decodeFrame(frame);
  expect(read.headers.equals(headers)).toBe(true);
  expect(read.body.equals(body)).toBe(true);
});

describe('text headers', () => {
  test.each(vectors.headers)('$raw reads as $pairs', ({ raw, pairs }) => {
    expect(pairsIn(raw)).toEqual(pairs);
  });

  test.each(vectors.append)(
    '"$name" = "$value" is written, or refused: $refusal',
    ({ name, value, bytes, refusal }) => {
      if (bytes !== null) {
        expect(encodeField(name, value).toString()).toBe(bytes.toString());
        return;
      }
      const code = refusal === 'BadName' ? 'ERR_AMPE_BAD_NAME' : 'ERR_AMPE_BAD_VALUE';
      expect(() => encodeField(name, value)).toThrow(
        expect.objectContaining({ name: 'AmpeError', code, status: AmpeStatus.InvalidMessage }),
      );
    },
  );

  test('the golden HelloRequest carries its address', () => {
    const hello = vectors.frames.find((vector) => vector.name.startsWith('HelloRequest'));
    expect(pairsIn(decodeFrame(hello!.frame).headers)).toEqual([[CONNECT_TO, 'tcp|127.0.0.1|38319']]);
  });
});
