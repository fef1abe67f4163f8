// environments.test.ts: JavaScript environments that end in every way while an engine's thread rings their doorbells: exit
// codes as without the addon, nothing on standard error, and neither threads nor descriptors left.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { Child, killAll } from '../../lifecycle/child';
import { addonFile } from './addon';

// Each wait has its own shorter deadline, whose text is better than jest's.
jest.setTimeout(40_000);

afterEach(killAll);

const file = path.join(__dirname, 'environment-child.cjs');

function run(program: string): Child {
  return new Child(spawn(process.execPath, [file, addonFile, program], { stdio: ['ignore', 'pipe', 'pipe'] }));
}

describe('a process whose engine is at work', () => {
  it.each([
    ['exit', 7],
    ['exit with a worker that waits', 7],
    ['end', 0],
    ['owner leaves first', 0],
  ])('%s: ends with code %i', async (program, code) => {
    expect(await run(program).ended).toMatchObject({ code, signal: null, stderr: '' });
  });

  it('uncaught exception: ends with code 1 and its trace', async () => {
    const { code, signal, stderr } = await run('uncaught').ended;
    expect([code, signal]).toEqual([1, null]);
    expect(stderr).toContain('Error: thrown on purpose');
  });

  it('signal: ends by it', async () => {
    expect(await run('signal').ended).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' });
  });

  it('learns what its doorbell throws as an uncaught exception', async () => {
    expect(await run('a doorbell that throws').ended).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('uncaught: thrown on purpose'),
    });
  });
});

describe('50 workers one after the other, at different moments', () => {
  const ends = ['ringing', 'waiting', 'ending', 'leaving', 'throwing'];

  it.each(ends)('that have the addon and an engine alone: %s', async (end) => {
    expect(await run(`workers of their own: ${end}`).ended).toEqual({
      code: 0,
      signal: null,
      stderr: '',
      stdout: 'reached the end\n',
    });
  });

  it.each(ends)('that are attached to the engine of the main thread: %s', async (end) => {
    expect(await run(`workers attached: ${end}`).ended).toEqual({
      code: 0,
      signal: null,
      stderr: '',
      stdout: 'reached the end\n',
    });
  });
});
