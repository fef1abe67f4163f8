// The framer against golden frames, refused frames and random streams, cut in every way a socket may cut them.
// What was collected is looked at only after the whole stream went in: a frame must survive the chunks behind it.

import * as fc from 'fast-check';
import { HEADER_BYTES, MAX_BODY_BYTES, MAX_FRAME_BYTES, MAX_TEXT_HEADERS_BYTES } from '../../../lib/protocol/constants';
import { Framer, type FrameSink } from '../../../lib/protocol/framer';
import { decodeFrame, encodeFrame } from '../../../lib/protocol/header';
import { OpCode } from '../../../lib/protocol/op-code';
import { readVectors } from './vectors';

const vectors = readVectors();
const controls: number[] = [OpCode.HelloRequest, OpCode.ByeRequest, OpCode.ByeResponse];

/** Keeps views of what it is given; can be told to stop at the n-th call. */
class Collector implements FrameSink {
  readonly frames: Buffer[] = [];
  readonly memories: Buffer[] = [];
  violations = 0;
  calls = 0;

  constructor(readonly stopAtCall = Infinity) {}

  onFrames(memory: Buffer, start: number, end: number): boolean {
    expect(end).toBeGreaterThan(start);
    let at = start;
    while (at < end) {
      const next = at + HEADER_BYTES + memory.readUInt16BE(at + 12) + memory.readUInt16BE(at + 14);
      expect(controls).not.toContain(memory[at + 2] & 0x0f);
      this.#take(memory, at, next);
      at = next;
    }
    expect(at).toBe(end);
    return ++this.calls < this.stopAtCall;
  }

  onControl(memory: Buffer, at: number, end: number, opCode: OpCode): boolean {
    expect(controls).toContain(opCode);
    expect(memory[at + 2] & 0x0f).toBe(opCode);
    this.#take(memory, at, end);
    return ++this.calls < this.stopAtCall;
  }

  onViolation(): void {
    this.violations++;
  }

  #take(memory: Buffer, at: number, end: number): void {
    this.frames.push(memory.subarray(at, end));
    this.memories.push(memory);
  }

  /** The frames as hex. */
  get told(): string[] {
    return this.frames.map((frame) => frame.toString('hex'));
  }
}

/** Feeds the chunks one by one until the framer ends the stream; each chunk is memory of its own, as from a socket. */
function run(chunks: Iterable<Buffer>, sink = new Collector()): { sink: Collector; ended: boolean; framer: Framer } {
  const framer = new Framer();
  for (const chunk of chunks) {
    if (!framer.feed(Buffer.from(chunk), sink)) return { sink, ended: true, framer };
  }
  return { sink, ended: false, framer };
}

function* pieces(stream: Buffer, length: number): Iterable<Buffer> {
  for (let at = 0; at < stream.length; at += length) yield stream.subarray(at, at + length);
}

function cutAt(stream: Buffer, places: number[]): Buffer[] {
  const cuts = [0, ...places.map((place) => place % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return cuts.slice(1).map((cut, index) => stream.subarray(cuts[index], cut));
}

const goldenFrames = vectors.frames.map((vector) => vector.frame);
const goldenHex = goldenFrames.map((frame) => frame.toString('hex'));
const goldenStream = Buffer.concat(goldenFrames);

describe.each(vectors.frames)('golden frame: $name', (vector) => {
  const hex = vector.frame.toString('hex');

  test('whole: it is handed out where it lies, with every field', () => {
    const framer = new Framer();
    const sink = new Collector();
    expect(framer.feed(vector.frame, sink)).toBe(true);
    expect(sink.told).toEqual([hex]);
    expect(sink.memories[0]).toBe(vector.frame);
    const { header, headers, body } = decodeFrame(sink.frames[0]);
    expect(header).toMatchObject({
      channelNumber: vector.channelNumber,
      opCode: vector.opCode,
      more: vector.more,
      messageId: vector.messageId,
    });
    expect(headers.equals(vector.headers)).toBe(true);
    expect(body.equals(vector.body)).toBe(true);
    expect(framer.pendingBytes).toBe(0);
  });

  test('byte by byte', () => {
    const { sink, ended } = run(pieces(vector.frame, 1));
    expect(ended).toBe(false);
    expect(sink.told).toEqual([hex]);
  });

  test('cut in two anywhere', () => {
    for (let cut = 0; cut <= vector.frame.length; cut++) {
      const { sink, ended } = run(cutAt(vector.frame, [cut]));
      expect({ cut, ended, told: sink.told }).toEqual({ cut, ended: false, told: [hex] });
    }
  });

  test('it is handed out with its last byte, not before', () => {
    const framer = new Framer();
    const sink = new Collector();
    for (let have = 0; have < vector.frame.length; have++) {
      expect(framer.pendingBytes).toBe(have);
      expect(sink.frames).toHaveLength(0);
      framer.feed(vector.frame.subarray(have, have + 1), sink);
    }
    expect(framer.pendingBytes).toBe(0);
    expect(sink.frames).toHaveLength(1);
  });
});

describe('a stream of all golden frames', () => {
  test('is read in order, cut in two anywhere', () => {
    for (let cut = 0; cut <= goldenStream.length; cut++) {
      const { sink, ended } = run(cutAt(goldenStream, [cut]));
      expect({ cut, ended, told: sink.told }).toEqual({ cut, ended: false, told: goldenHex });
    }
  });

  test.each([1, 2, 3, 7, 15, 16, 17, 31, 64, 1000])('is read in order in pieces of %i bytes', (length) => {
    const { sink, framer } = run(pieces(goldenStream, length));
    expect(sink.told).toEqual(goldenHex);
    expect(framer.pendingBytes).toBe(0);
  });
});

test('data frames side by side come in one call, control frames one by one', () => {
  const data = encodeFrame({ opCode: OpCode.Request, messageId: 1n }, undefined, Buffer.from('x'));
  const bye = encodeFrame({ opCode: OpCode.ByeRequest, messageId: 2n });
  const { sink } = run([Buffer.concat([data, data, data, bye, bye, data])]);
  expect(sink.frames).toHaveLength(6);
  expect(sink.calls).toBe(4);
});

test('an empty chunk is nothing', () => {
  const { sink, ended } = run([
    Buffer.alloc(0),
    goldenFrames[0].subarray(0, 5),
    Buffer.alloc(0),
    goldenFrames[0].subarray(5),
  ]);
  expect(ended).toBe(false);
  expect(sink.told).toEqual([goldenHex[0]]);
});

describe('the greatest frame', () => {
  const headers = Buffer.alloc(MAX_TEXT_HEADERS_BYTES, 'h');
  const body = Buffer.alloc(MAX_BODY_BYTES, 'b');
  const greatest = encodeFrame({ opCode: OpCode.Request, messageId: 1n }, headers, body);
  const small = encodeFrame({ opCode: OpCode.Signal, messageId: 2n }, undefined, Buffer.from('small'));
  const stream = Buffer.concat([small, greatest, greatest, small]);

  test.each([stream.length, 65_536, 1_000, 1])('is read in pieces of %i bytes, and what is around it too', (length) => {
    const { sink, framer } = run(pieces(stream, length));
    expect(sink.frames.map((frame) => frame.length)).toEqual([21, MAX_FRAME_BYTES, MAX_FRAME_BYTES, 21]);
    expect(Buffer.concat(sink.frames).equals(stream)).toBe(true);
    expect(framer.pendingBytes).toBe(0);
  });

  test('is what a framer holds at most', () => {
    const framer = new Framer();
    const sink = new Collector();
    let most = 0;
    for (const piece of pieces(stream, 1_000)) {
      framer.feed(piece, sink);
      most = Math.max(most, framer.pendingBytes);
    }
    expect(most).toBeGreaterThan(MAX_FRAME_BYTES - 1_000);
    expect(most).toBeLessThan(MAX_FRAME_BYTES);
  });
});

describe.each(vectors.bad)('refused frame: $name', ({ frame: bad }) => {
  const hello = goldenFrames[0];
  const data = encodeFrame({ opCode: OpCode.Request, messageId: 1n }, undefined, Buffer.from('before'));
  const contexts: [string, Buffer[]][] = [
    ['as the first frame', []],
    ['behind a HelloRequest', [hello]],
    ['behind data', [hello, data, data]],
  ];

  test.each(contexts)('%s, cut in two anywhere: what was before is handed out, nothing else', (_where, before) => {
    const stream = Buffer.concat([...before, bad, data]);
    const told = before.map((frame) => frame.toString('hex'));
    for (let cut = 0; cut <= stream.length; cut++) {
      const { sink, ended } = run(cutAt(stream, [cut]));
      expect({ cut, ended, violations: sink.violations, told: sink.told }).toEqual({
        cut,
        ended: true,
        violations: 1,
        told,
      });
    }
  });

  test.each(contexts)('%s, byte by byte', (_where, before) => {
    const { sink, ended } = run(pieces(Buffer.concat([...before, bad, data]), 1));
    expect(ended).toBe(true);
    expect(sink.violations).toBe(1);
    expect(sink.told).toEqual(before.map((frame) => frame.toString('hex')));
  });

  test('its header alone is enough to refuse it, one byte less is not', () => {
    const header = bad.subarray(0, HEADER_BYTES);
    expect(run([header])).toMatchObject({ ended: true, sink: { violations: 1 } });
    expect(run(pieces(header, 5))).toMatchObject({ ended: true, sink: { violations: 1 } });
    expect(run([header.subarray(0, HEADER_BYTES - 1)])).toMatchObject({ ended: false, sink: { violations: 0 } });
  });
});

describe('every flags byte', () => {
  test.each(Array.from({ length: 256 }, (_, flags) => flags))(
    '%i is read or refused by opcode and more alone',
    (flags) => {
      const frame = encodeFrame({ messageId: 1n });
      frame[2] = flags;
      const opCode = flags & 0x0f;
      const more = (flags & 0x20) !== 0;
      const accepted = opCode <= OpCode.ByeResponse && !(more && opCode > OpCode.Signal);
      for (const length of [HEADER_BYTES, 1]) {
        const { sink } = run(pieces(frame, length));
        expect([sink.frames.length, sink.violations]).toEqual(accepted ? [1, 0] : [0, 1]);
      }
    },
  );
});

test.each([4, 5, 6, 7, 8, 9, 10, 11])('a message id with only byte %i set is not 0', (at) => {
  for (const value of [1, 0x80]) {
    const frame = encodeFrame({ opCode: OpCode.Signal });
    frame[at] = value;
    expect(run([frame])).toMatchObject({ ended: false, sink: { violations: 0, frames: [frame] } });
  }
});

describe('a sink that stops', () => {
  const data = encodeFrame({ opCode: OpCode.Request, messageId: 1n });
  const bye = encodeFrame({ opCode: OpCode.ByeRequest, messageId: 2n });
  const bad = encodeFrame({ opCode: OpCode.ByeSignal, messageId: 3n });

  test.each([
    ['at data in front of a control frame', [data, bye, data], 1, 1],
    ['at data in front of a refused frame', [data, data, bad], 1, 2],
    ['at a control frame', [data, bye, data, bye], 2, 2],
    ['at data at the end of the chunk', [bye, data], 2, 2],
  ])('%s gets nothing more', (_where, frames, stopAtCall, taken) => {
    const { sink, ended } = run([Buffer.concat(frames)], new Collector(stopAtCall));
    expect(ended).toBe(true);
    expect(sink.frames).toHaveLength(taken);
    expect(sink.violations).toBe(0);
  });

  test.each([data, bye])('at a frame put together from two chunks gets nothing more', (frame) => {
    const stream = Buffer.concat([frame, data, bye, bad]);
    const { sink, ended } = run(cutAt(stream, [8]), new Collector(1));
    expect(ended).toBe(true);
    expect(sink.told).toEqual([frame.toString('hex')]);
    expect(sink.violations).toBe(0);
  });
});

const anyFrame = fc
  .record({
    opCode: fc.integer({ min: OpCode.Request, max: OpCode.ByeResponse }) as fc.Arbitrary<OpCode>,
    more: fc.boolean(),
    channelNumber: fc.nat(0xffff),
    messageId: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    hostileBits: fc.constantFrom(0, 0x10, 0x40, 0x80, 0xd0),
    status: fc.nat(255),
    headers: fc.uint8Array({ maxLength: 40, size: 'max' }),
    body: fc.uint8Array({ maxLength: 300, size: 'max' }),
  })
  .map(({ hostileBits, status, headers, body, ...fields }) => {
    const more = fields.more && fields.opCode <= OpCode.Signal;
    const frame = encodeFrame({ ...fields, more }, headers, body);
    frame[2] |= hostileBits;
    frame[3] = status;
    return frame;
  });
const anyCuts = fc.array(fc.nat(), { maxLength: 30 });

test('any frames in any segmentation come out as they went in', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 12 }), anyCuts, (frames, cuts) => {
      const { sink, ended, framer } = run(cutAt(Buffer.concat(frames), cuts));
      expect(ended).toBe(false);
      expect(sink.told).toEqual(frames.map((frame) => frame.toString('hex')));
      expect(sink.violations).toBe(0);
      expect(framer.pendingBytes).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('a stream that breaks off leaves its last frame pending', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 6 }), fc.nat(), anyCuts, (frames, place, cuts) => {
      const last = frames[frames.length - 1];
      const missing = 1 + (place % last.length);
      const stream = Buffer.concat(frames);
      const { sink, framer } = run(cutAt(stream.subarray(0, stream.length - missing), cuts));
      expect(sink.told).toEqual(frames.slice(0, -1).map((frame) => frame.toString('hex')));
      expect(framer.pendingBytes).toBe(last.length - missing);
    }),
  );
});

test('any bytes at all: no segmentation changes what is read and where it is refused', () => {
  const noise = fc.array(
    fc.oneof(
      anyFrame,
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    ),
    {
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(noise, anyCuts, (parts, cuts) => {
      const stream = Buffer.concat(parts);
      const whole = run([stream]);
      for (const chunks of [cutAt(stream, cuts), pieces(stream, 1)]) {
        const cut = run(chunks);
        expect(cut.sink.told).toEqual(whole.sink.told);
        expect(cut.sink.violations).toBe(whole.sink.violations);
        expect(cut.ended).toBe(whole.ended);
      }
    }),
    { numRuns: 300 },
  );
});
