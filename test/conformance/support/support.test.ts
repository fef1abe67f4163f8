// The suite's own tools can fail: each check that a case relies on is shown to notice what it is there for.

import * as net from 'node:net';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { frame, parseFrame } from './bytes';
import { Cell } from './cell';
import { eventually, within } from './deadline';
import { cellsOf, formatTitle, parseTitle, requiredEngines } from './engines';
import { RawServer, connectRaw } from './raw-peer';
import { refusal, rejection } from './side';

const { judge, isWholeRun } = require('./reporter.cjs') as {
  judge(rules: object[], cases: object[], cells: typeof cellsOf): { problems: string[] };
  isWholeRun(results: object): boolean;
};

const SHORT_MS = 30;
const [uds] = cellsOf('uds', requiredEngines('fallback'));
const [tcp] = cellsOf('tcp', requiredEngines('fallback'));

async function failureOf(cell: Cell): Promise<string> {
  try {
    await cell.finish(SHORT_MS);
  } catch (error) {
    await cell.abandon();
    return (error as Error).message;
  }
  throw new Error('the cell noticed nothing');
}

test('a message that was not returned is noticed', async () => {
  const cell = new Cell(tcp);
  const held = cell.side().ampe.get();
  expect(await failureOf(cell)).toMatch(/full pool/);
  expect(held.owned).toBe(true);
});

test('a timer left is noticed', async () => {
  const cell = new Cell(tcp);
  const timer = setTimeout(() => {}, 60_000);
  expect(await failureOf(cell)).toMatch(/1 Timeout/);
  clearTimeout(timer);
});

test('a socket left is noticed', async () => {
  const cell = new Cell(tcp);
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  expect(await failureOf(cell)).toMatch(/1 TCPServerWrap/);
  server.close();
  await once(server, 'close');
});

test('a socket file left is noticed', async () => {
  const cell = new Cell(uds);
  writeFileSync(cell.freePath(), '');
  expect(await failureOf(cell)).toMatch(/socket files left/);
});

test('a clean cell passes', async () => {
  const cell = new Cell(uds);
  await cell.pair();
  await cell.finish();
});

test('a raw peer tells FIN from RST', async () => {
  const server = await RawServer.listen(null);
  for (const how of ['halfClose', 'reset'] as const) {
    const client = await connectRaw(server.address);
    (await server.accept())[how]();
    expect(await client.ended()).toBe(how === 'reset' ? 'reset' : 'fin');
    client.close();
  }
  await server.close();
});

test('waits fail with what they waited for', async () => {
  await expect(eventually('pigs to fly', () => false, { timeoutMs: 5 })).rejects.toThrow(/pigs to fly/);
  await expect(within('a word', new Promise(() => {}), 5)).rejects.toThrow(/in vain for: a word/);
});

test('refusal and rejection fail when nothing is refused', async () => {
  expect(() => refusal(() => 1)).toThrow(/nothing was thrown/);
  await expect(rejection(Promise.resolve(1))).rejects.toThrow(/fulfilled/);
});

test('a side that gets another message than expected fails', async () => {
  const cell = new Cell(tcp);
  const side = cell.side();
  side.group.updateReceiver();
  await expect(side.expect({ status: 'channel_closed' })).rejects.toThrow(/receiver_update/);
  side.group.updateReceiver();
  expect(() => side.expectNothing()).toThrow(/expected an empty queue/);
  await cell.finish();
});

test('the encoder and the decoder of the suite agree', () => {
  const bytes = frame({
    channel: 0x0102,
    op: 5,
    more: true,
    bits: 0xd0,
    status: 9,
    id: 2n ** 63n,
    headers: 'a:1\r\n',
    body: 'b',
  });
  expect(bytes.toString('hex')).toBe('0102f5098000000000000000' + '00050001' + '613a310d0a' + '62');
  expect(parseFrame(bytes.subarray(0, bytes.length - 1), 0)).toBeNull();
  expect(parseFrame(bytes, 0)!.frame).toMatchObject({ channel: 0x0102, proto: 0xf5, status: 9, id: 2n ** 63n });
});

test('an unknown engine is refused; the cells are engines times transports', () => {
  expect(() => requiredEngines('fallback,nativ')).toThrow(/unknown engine: 'nativ'/);
  const labels = cellsOf('all', requiredEngines('fallback,fallback-stream')).map((cell) => cell.label);
  expect(labels).toEqual(['fallback/tcp', 'fallback/uds', 'fallback-stream/tcp', 'fallback-stream/uds']);
  const labelsOf = (list: string): string[] => cellsOf('mixed', requiredEngines(list)).map((cell) => cell.label);
  expect(labelsOf('native,fallback')).toEqual([
    'native>fallback/tcp',
    'native>fallback/uds',
    'fallback>native/tcp',
    'fallback>native/uds',
  ]);
  expect(labelsOf('native,native-poll')).toContain('native-poll>native/uds');
  expect(labelsOf('fallback')).toEqual(['fallback>fallback/tcp', 'fallback>fallback/uds']);
  expect(cellsOf('all', requiredEngines('native,fallback'), 'native').map((cell) => cell.label)).toEqual([
    'native/tcp',
    'native/uds',
  ]);
  expect(parseTitle(formatTitle('id', 'a title', 'fallback/tcp'))).toEqual({
    ruleId: 'id',
    title: 'a title',
    cell: 'fallback/tcp',
  });
  expect(parseTitle('something else')).toBeNull();
});

test('a rule without a case and a case that missed a cell are problems', () => {
  const engines = requiredEngines('fallback');
  const cells: typeof cellsOf = (kind, _engines, only) => cellsOf(kind, engines, only);
  const rules = [
    { id: 'one', cells: 'all' },
    { id: 'two', cells: 'tcp' },
    { id: 'three', cells: 'once' },
    { id: 'four', cells: 'all', only: 'native' },
  ];
  const full = { ruleId: 'one', title: 'full', file: 'x', cells: ['fallback/tcp', 'fallback/uds'] };
  const half = { ruleId: 'one', title: 'half', file: 'x', cells: ['fallback/uds'] };
  const once = { ruleId: 'three', title: 'once', file: 'x', cells: ['fallback/once'] };
  expect(judge(rules, [full, half, once], cells).problems).toEqual([
    "one: 'half' did not pass on fallback/tcp",
    'two: no case',
  ]);
});

test('only a run of every file with nothing filtered out is judged', () => {
  const suite = join(__dirname, '..');
  const files = readdirSync(suite).filter((name) => name.endsWith('.test.ts'));
  const results = (names: string[], status: string): object => ({
    testResults: names.map((name) => ({ testFilePath: join(suite, name), testResults: [{ status }] })),
  });
  expect(isWholeRun(results(files, 'passed'))).toBe(true);
  expect(isWholeRun(results(files, 'failed'))).toBe(true);
  expect(isWholeRun(results(files.slice(1), 'passed'))).toBe(false);
  expect(isWholeRun(results(files, 'pending'))).toBe(false);
});
