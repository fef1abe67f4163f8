// When posted messages leave: the first of a tick early, so that the peer has something to do, the others in ever larger batches.
import { FIRST_FRAMES, MOST_FRAMES, nextBatch } from '../../../lib/engine/flush-pace';
import { Pool } from '../../../lib/engine/pool';
import type { Binding } from '../../../lib/native-engine/binding';
import { Staging } from '../../../lib/native-engine/staging';

const PORT = 1;
const GROUP = 1;
const CHANNEL = 1;
// What describes a run, and which word of it counts its frames.
const RUN_WORDS = 7;
const FRAMES_OF_RUN = 3;

/** Staging whose binding writes down how many frames it is given at a time. */
function staging() {
  const batches: number[] = [];
  let settled = 0;
  const flush = (_port: number, _memory: Uint8Array, runs: Uint32Array, count: number): number => {
    let frames = 0;
    for (let run = 0; run < count; run++) frames += runs[run * RUN_WORDS + FRAMES_OF_RUN];
    batches.push(frames);
    return (settled += frames);
  };
  const pool = new Pool(0, 2 * MOST_FRAMES);
  const subject = new Staging({ flush } as unknown as Binding, PORT, pool, () => undefined);
  const post = (count: number): void => {
    for (let i = 0; i < count; i++) subject.post(pool.takeAlways(), CHANNEL, 1, GROUP);
  };
  return { post, batches };
}
const endOfTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The batches of that many posts in one tick. */
function batchesOf(posts: number): number[] {
  const batches: number[] = [];
  for (let size = FIRST_FRAMES; posts > 0; size = nextBatch(size)) {
    batches.push(Math.min(size, posts));
    posts -= size;
  }
  return batches;
}

test('batches double up to the most', () => {
  const sizes: number[] = [];
  for (let size = 8; sizes.length < 9; size = nextBatch(size)) sizes.push(size);
  expect(sizes).toEqual([8, 16, 32, 64, 128, 256, 512, 1024, 1024]);
});

test('many posts of one tick leave in growing batches, the rest at its end', async () => {
  const { post, batches } = staging();
  const posts = 3 * MOST_FRAMES + 1;
  post(posts);
  const early = batchesOf(posts).slice(0, -1);
  expect(batches).toEqual(early);
  await endOfTick();
  expect(batches).toEqual(batchesOf(posts));
});

test('each tick begins with a small batch again', async () => {
  const { post, batches } = staging();
  for (let tick = 0; tick < 2; tick++) {
    batches.length = 0;
    post(FIRST_FRAMES + 1);
    expect(batches).toEqual([FIRST_FRAMES]);
    await endOfTick();
    expect(batches).toEqual([FIRST_FRAMES, 1]);
  }
});

test('a few posts wait for the end of the tick', async () => {
  const { post, batches } = staging();
  post(FIRST_FRAMES - 1);
  expect(batches).toEqual([]);
  await endOfTick();
  expect(batches).toEqual([FIRST_FRAMES - 1]);
});
