// programs.test.ts: the benchmark programs as a person calls them: they refuse what they do not know, and a very short run loses
// nothing. No figure is asserted: how fast something is depends on the machine.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { node } from './evaluate';

const scratch = mkdtempSync(join(tmpdir(), 'ta-bench-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

beforeAll(() => {
  const built = node(['scripts/ensure-build.mjs']);
  if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
});

const programs = ['run', 'peers', 'scaling', 'latency', 'costs', 'compare', 'report', 'figures'];

test.each(programs)('bench/%s.mjs explains itself', (name) => {
  const { status, stdout } = node([`bench/${name}.mjs`, '--help']);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^Usage: bench/);
});

test.each([
  ['a workload that is none', 'run', ['--workloads', 'one-way-64,walking'], "'walking' is none of one-way-64"],
  ['a transport that is none', 'peers', ['--transports', 'pigeon'], "'pigeon' is none of uds, tcp"],
  ['no rounds', 'scaling', ['--rounds', '0'], 'a number from 1 to 9999 is wanted'],
  ['a time that is no number', 'latency', ['--run-ms', 'long'], 'a number from 50 to 60000 is wanted'],
  ['an option that is none', 'costs', ['--speed'], "unknown option '--speed'"],
  ['no revision', 'compare', [], "missing required argument 'revision'"],
  ['a revision that is none', 'compare', ['no-such-revision'], 'bench:compare: fatal'],
  ['a revision that looks like an option', 'compare', ['--', '--force'], 'is not a revision'],
  ['a kind of figures that is none', 'figures', ['--only', 'all'], "'all' is none of peers"],
])('%s is refused', (_, name, args, message) => {
  const { status, stderr } = node([`bench/${name}.mjs`, ...args]);
  expect(stderr).toContain(message);
  expect(status).toBe(1);
});

test('a very short run of each kind of workload loses nothing and writes its figures', () => {
  const file = join(scratch, 'figures.json');
  const workloads = 'one-way-64,one-way-60k,ping-pong,connections-100';
  const short = ['--rounds', '1', '--run-ms', '50', '--quick', '--retries', '0'];
  const run = node(['bench/run.mjs', ...short, '--workloads', workloads, '--transports', 'uds', '--json', file]);
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  const { runs, machine, at } = JSON.parse(readFileSync(file, 'utf8'));
  expect(runs.length).toBeGreaterThanOrEqual(8);
  expect(runs.filter(({ error }: { error?: string }) => error !== undefined)).toEqual([]);
  expect(runs.every(({ messages }: { messages: number }) => messages > 0)).toBe(true);
  expect(machine).toMatchObject({ node: process.version });
  expect(Date.parse(at)).not.toBeNaN();
});
