// file-reader.test.ts: the pieces of a file, their order, and that no message is left behind, however reading ends.

import { randomBytes } from 'node:crypto';
import { truncateSync } from 'node:fs';
import { type Ampe, Reactor } from 'tofu-ampe';
import { openFile, PIECE_BYTES, readPieces } from '../../demo/file-reader';
import { Scratch, underDeadline } from './demo-process';

jest.setTimeout(120_000);

let scratch: Scratch;
let reactor: Reactor;
let ampe: Ampe;

beforeEach(() => {
  scratch = new Scratch();
});

afterEach(async () => {
  await reactor.destroy();
  scratch.remove();
});

function engineWith(maxPoolMsgs: number): void {
  reactor = Reactor.create({ initialPoolMsgs: 0, maxPoolMsgs });
  ampe = reactor.ampe();
}

function expectPoolAtRest(): void {
  const { poolFree, poolTotal } = ampe.stats();
  expect(poolFree).toBe(poolTotal);
}

async function contentOf(path: string): Promise<Buffer> {
  await using file = await openFile(path);
  const pieces: Buffer[] = [];
  const reading = (async () => {
    for await (using piece of readPieces(file, ampe, new AbortController().signal)) {
      pieces.push(Buffer.from(piece.body.bytes()));
    }
  })();
  await underDeadline(reading, () => `${path} to be read`);
  return Buffer.concat(pieces);
}

const sizes = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 20 * PIECE_BYTES + 7];

test.each([1, 2, 64])('with a pool of %i the pieces are the file, in its order', async (poolMessages) => {
  engineWith(poolMessages);
  for (const size of sizes) {
    const content = randomBytes(size);
    expect((await contentOf(scratch.file(`${size}.bin`, content))).equals(content)).toBe(true);
    expectPoolAtRest();
  }
});

test('who stops in the middle leaves no message behind', async () => {
  engineWith(64);
  await using file = await openFile(scratch.file('some.bin', randomBytes(20 * PIECE_BYTES)));
  for await (using piece of readPieces(file, ampe, new AbortController().signal)) {
    expect(piece.body.byteLength).toBe(PIECE_BYTES);
    break;
  }
  expectPoolAtRest();
});

test('a file that became shorter fails, and leaves no message behind', async () => {
  engineWith(64);
  const path = scratch.file('some.bin', randomBytes(20 * PIECE_BYTES));
  await using file = await openFile(path);
  truncateSync(path, 3 * PIECE_BYTES + 5);
  let pieces = 0;
  const reading = (async () => {
    for await (using _ of readPieces(file, ampe, new AbortController().signal)) pieces += 1;
  })();
  await expect(underDeadline(reading, () => 'the end of the file')).rejects.toThrow(/became shorter while it was read/);
  expect(pieces).toBe(3);
  expectPoolAtRest();
});

test('an abort ends the waiting for a free message, with its reason', async () => {
  engineWith(1);
  const stop = new AbortController();
  await using file = await openFile(scratch.file('some.bin', randomBytes(10)));
  const held = await ampe.acquire();
  const reading = readPieces(file, ampe, stop.signal).next();
  stop.abort(new Error('Enough.'));
  await expect(underDeadline(reading, () => 'the reading to end')).rejects.toThrow('Enough.');
  ampe.put(held);
  expectPoolAtRest();
});
