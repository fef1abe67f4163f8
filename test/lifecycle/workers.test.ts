// workers.test.ts: workers that use an engine end in every way and at any moment: the process does not notice, the engine of
// another thread neither, and nothing of them is left. Each cell is one process with many workers one after the other.

import { join } from 'node:path';
import { backends, killAll, runProgram, type Backend } from './child';

// Each wait has its own shorter deadline, whose text is better than jest's.
jest.setTimeout(240_000);

afterEach(killAll);

const ROUNDS: Record<Backend, number> = { native: 50, fallback: 6 };
const PROGRAM = join(__dirname, 'workers.cjs');

const ends = ['terminate', 'itself', 'exit', 'exception'];
const own = ['own engine, traffic', 'own engine, messages queued', 'own engine, receivers waiting'];
const situations: Record<Backend, string[]> = {
  native: [
    ...own,
    'own engine, blocked in a receive',
    'attached, a listener and traffic',
    'attached, messages queued',
    'attached, receiving without an event loop',
    "attached, posting into the main thread's group",
  ],
  fallback: own,
};

describe.each(backends)('on the %s engine', (backend) => {
  const cells = situations[backend].flatMap((situation) => ends.map((end) => [situation, end] as const));

  test.each(cells)(`%s; the end is: %s (${ROUNDS[backend]} workers)`, async (situation, end) => {
    const ended = await runProgram(PROGRAM, [situation, end, String(ROUNDS[backend])], { backend, deadlineMs: 200_000 })
      .ended;
    expect(ended).toEqual({ code: 0, signal: null, stdout: 'all ended\n', stderr: '' });
  });
});
