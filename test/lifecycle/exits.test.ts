// exits.test.ts: a process that uses an engine ends as it would without one, whatever runs and whatever waits, at whatever moment:
// its exit code, nothing on standard error, no socket file left by an end that can tidy up, and none that is in the way after
// another end. Every cell many times, at moments spread over the messages.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backends, inTurn, killAll, runChild, runProgram, type Backend } from './child';

// A cell is many processes; each has its own shorter deadline, whose text is better than jest's.
jest.setTimeout(240_000);

/** The fallback engine adds nothing to a process that ends but what node:net has. */
const ROUNDS: Record<Backend, number> = { native: 50, fallback: 6 };
const PROGRAM = join(__dirname, 'exits.cjs');
/** An exception of the program's own: its place, the trace and nothing else. */
const ONLY_THE_TRACE = /^\S+:\d+\n.*\n +\^\n\nError: thrown on purpose\n(?: +at .*\n)+\nNode\.js v\S+\n$/;

const ends: Record<string, { code: number | null; signal: NodeJS.Signals | null; tidy: boolean; stderr: unknown }> = {
  unreferenced: { code: 0, signal: null, tidy: true, stderr: '' },
  destroyed: { code: 0, signal: null, tidy: true, stderr: '' },
  exit: { code: 7, signal: null, tidy: false, stderr: '' },
  exception: { code: 1, signal: null, tidy: false, stderr: expect.stringMatching(ONLY_THE_TRACE) },
  signal: { code: null, signal: 'SIGTERM', tidy: false, stderr: '' },
};
const situations: Record<Backend, string[]> = {
  native: ['traffic', 'queued', 'waiting', 'worker'],
  fallback: ['traffic', 'queued', 'waiting'],
};

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'ampe-'))));
afterEach(() => {
  killAll();
  rmSync(folder, { recursive: true, force: true });
});

/** The paths of sockets whose listeners are gone can be listened on at once, all of them. */
async function expectFree(paths: readonly string[], backend: Backend): Promise<void> {
  const program = `
    const reactor = Reactor.create();
    for (const path of ${JSON.stringify(paths)}) await listen(reactor.ampe(), reactor.ampe().create(), path);
    await reactor.destroy();`;
  expect(await runChild(program, { backend }).ended).toMatchObject({ code: 0, stderr: '' });
  expect(paths.filter((path) => existsSync(path))).toEqual([]);
}

describe.each(backends)('on the %s engine', (backend) => {
  const cells = situations[backend]
    .flatMap((situation) => Object.keys(ends).map((end) => [situation, end] as const))
    // A write that node:net has begun holds the process although its socket does not: docs/DIFFERENCES.md.
    .filter(([situation, end]) => !(backend === 'fallback' && situation === 'queued' && end === 'unreferenced'));

  test.each(cells)(`%s, and the end is: %s (${ROUNDS[backend]} processes)`, async (situation, end) => {
    const { tidy, ...expected } = ends[end];
    const left: string[] = [];
    const rounds = Array.from({ length: ROUNDS[backend] }, (_, round) => round);
    await inTurn(rounds, async (round) => {
      const path = join(folder, String(round));
      const ended = await runProgram(PROGRAM, [situation, end, String(round), path], { backend }).ended;
      expect({ round, ...ended }).toEqual({ round, stdout: '', ...expected });
      if (existsSync(path)) left.push(path);
    });
    if (tidy) expect(left).toEqual([]);
    else await expectFree(left, backend);
  });
});
