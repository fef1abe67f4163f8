// oracle.test.ts: workers and the main thread post, connect, close and abort on one engine all together, bounded by the number of
// their messages; the oracle in oracle.cjs accounts for every one. For as long as one likes: scripts/stress-threads.mjs.

import { join } from 'node:path';
import { backends, killAll, runProgram, describeNative } from '../lifecycle/child';

jest.setTimeout(240_000);
afterEach(killAll);

/** Of each of the four threads: some five seconds. */
const POSTS = 40_000;

describeNative('', (backend) => {
  test('every message of four threads arrives or comes back, once and in order', async () => {
    const child = runProgram(join(__dirname, 'oracle.cjs'), [String(POSTS), process.env.TEST_SEED ?? '0'], {
      backend,
      deadlineMs: 200_000,
    });
    const { code, signal, stdout, stderr } = await child.ended;
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    const { posted, received, returned, lost, channels } = JSON.parse(stdout) as Record<string, number>;
    expect(posted).toBe(4 * POSTS);
    expect(received + returned + lost).toBe(posted);
    // All of it happened.
    expect(Math.min(received, returned, channels)).toBeGreaterThan(0);
  });
});

test('there is an engine to run this on, or it was left out by name', () => {
  expect(backends.length).toBeGreaterThan(0);
});
