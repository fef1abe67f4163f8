// demo.test.ts: the demo as a user runs it: two processes, a real file, and everything that may go wrong on the way.

import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, truncateSync } from 'node:fs';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { join } from 'node:path';
import { findFreeTcpPort } from 'tofu-ampe/testing';
import { buildDemo, DemoProcess, type DemoEnd, isAlive, Scratch, underDeadline, untilGone } from './demo-process';

/** So much that a transfer is far from its end when its first tenth is done. */
const HUGE_FILE_BYTES = 4 * 1024 ** 3;
const PIECE_BYTES = 61_440;
const BUILD_LIMIT_MS = 300_000;
const TEST_LIMIT_MS = 120_000;
const WORKER_PID = /^Worker \(pid (\d+)\) connected/m;
const FIRST_TENTH = /^\d\d %: /m;

jest.setTimeout(TEST_LIMIT_MS);

let scratch: Scratch;
let demos: DemoProcess[] = [];

beforeAll(buildDemo, BUILD_LIMIT_MS);

beforeEach(() => {
  scratch = new Scratch();
  demos = [];
});

afterEach(async () => {
  for (const demo of demos) await demo.destroy();
  scratch?.remove();
});

function start(...args: string[]): DemoProcess {
  const demo = new DemoProcess(args, scratch.sockets);
  demos.push(demo);
  return demo;
}

async function run(...args: string[]): Promise<DemoEnd> {
  return await start(...args).end();
}

async function workerOf(demo: DemoProcess): Promise<number> {
  return Number((await demo.printed(WORKER_PID))[1]);
}

function expectVerified(end: DemoEnd, content: Uint8Array): void {
  expect(end).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(end.stdout).toMatch(/^verified: .* MB\/s, SHA-256 [0-9a-f]{64}\n$/m);
  expect(end.stdout).toContain(createHash('sha256').update(content).digest('hex'));
  expectNothingLeft(end);
}

/** One sentence on stderr, no stack trace, no "verified", nothing left behind. */
function expectFailure(end: DemoEnd, sentence: RegExp, code = 1): void {
  expect(end.stderr).toMatch(/^[^\n]+\.\n$|^[^\n]+\)\.\n$/);
  expect(end.stderr).toMatch(sentence);
  expect(end.stderr).not.toMatch(/\n\s+at |Error:/);
  expect(end.stdout).not.toMatch(/^verified/m);
  expect(end).toMatchObject({ code, signal: null });
  expectNothingLeft(end);
}

function expectNothingLeft(end: DemoEnd): void {
  const pid = WORKER_PID.exec(end.stdout)?.[1];
  if (pid !== undefined) expect(isAlive(Number(pid))).toBe(false);
  expect(readdirSync(scratch.sockets)).toEqual([]);
}

async function listening(where: ListenOptions): Promise<Server> {
  const server = createServer();
  const ready = new Promise<void>((resolve, reject) => server.once('error', reject).listen(where, resolve));
  await underDeadline(ready, () => 'a server of the test to listen');
  return server;
}

async function closed(server: Server): Promise<void> {
  const end = new Promise<void>((resolve) => server.close(() => resolve()));
  await underDeadline(end, () => 'a server of the test to close');
}

describe.each(['tcp', 'uds'])('over %s', (transport) => {
  const sizes: [string, number][] = [
    ['an empty file', 0],
    ['a file of one byte', 1],
    ['a file of exactly one piece', PIECE_BYTES],
    ['a file of some MB', 5_000_123],
  ];

  test.each(sizes)('%s arrives and is verified', async (_name, bytes) => {
    const content = randomBytes(bytes);
    const end = await run(scratch.file('some.bin', content), '--transport', transport);
    expectVerified(end, content);
  });

  test('a file name with blanks and line ends is no obstacle', async () => {
    const content = randomBytes(1000);
    expectVerified(await run(scratch.file(' a\r\nb:ä ', content), '--transport', transport), content);
  });

  test('without a terminal it prints a few plain lines', async () => {
    const { stdout } = await run(scratch.file('some.bin', randomBytes(5_000_000)), '--transport', transport);
    expect(stdout).toMatch(/^Spool server \(pid \d+\) listens on (tcp|uds)\|.*\nWorker \(pid \d+\) connected/);
    expect(stdout).not.toContain('\u001b');
    expect(stdout.split('\n').length).toBeLessThan(16);
  });

  test('a worker killed half-way is told in one sentence', async () => {
    const demo = start(scratch.hugeFile('huge.bin', HUGE_FILE_BYTES), '--transport', transport);
    const pid = await workerOf(demo);
    await demo.printed(FIRST_TENTH);
    process.kill(pid, 'SIGKILL');
    expectFailure(
      await demo.end(),
      new RegExp(`The worker \\(pid ${pid}\\) was killed by SIGKILL, when .* MB were done`),
    );
  });

  test('SIGINT ends both processes and leaves nothing', async () => {
    const demo = start(scratch.hugeFile('huge.bin', HUGE_FILE_BYTES), '--transport', transport);
    await demo.printed(FIRST_TENTH);
    demo.kill('SIGINT');
    expectFailure(await demo.end(), /Interrupted by SIGINT/, 130);
  });

  test('SIGTERM ends also a worker that is stopped', async () => {
    const demo = start(scratch.hugeFile('huge.bin', HUGE_FILE_BYTES), '--transport', transport);
    process.kill(await workerOf(demo), 'SIGSTOP');
    demo.kill('SIGTERM');
    expectFailure(await demo.end(), /Interrupted by SIGTERM/, 143);
  });

  test('a server that is killed takes its worker with it', async () => {
    const demo = start(scratch.hugeFile('huge.bin', HUGE_FILE_BYTES), '--transport', transport);
    const pid = await workerOf(demo);
    demo.kill('SIGKILL');
    await untilGone(pid);
    expect((await demo.end()).signal).toBe('SIGKILL');
  });

  test('a file that shrinks while it is read is told in one sentence', async () => {
    const path = scratch.hugeFile('huge.bin', HUGE_FILE_BYTES);
    const demo = start(path, '--transport', transport);
    await demo.printed(FIRST_TENTH);
    truncateSync(path, 1);
    expectFailure(await demo.end(), /The file '.*huge\.bin' became shorter while it was read\./);
  });

  test('output that nobody reads any more ends it', async () => {
    const demo = start(scratch.hugeFile('huge.bin', HUGE_FILE_BYTES), '--transport', transport);
    const pid = await workerOf(demo);
    demo.closeOutput();
    const end = await demo.end();
    expect(end).toMatchObject({ code: 1, stderr: 'The output was closed before the end.\n' });
    expect(isAlive(pid)).toBe(false);
    expect(readdirSync(scratch.sockets)).toEqual([]);
  });
});

describe('addresses', () => {
  test('a given port is used', async () => {
    const content = randomBytes(1000);
    const port = await findFreeTcpPort();
    const end = await run(scratch.file('some.bin', content), '--port', String(port));
    expect(end.stdout).toContain(`listens on tcp|127.0.0.1|${port}.`);
    expectVerified(end, content);
  });

  test('a given path is used, and is enough to say uds', async () => {
    const content = randomBytes(1000);
    const path = join(scratch.sockets, 'given.sock');
    const end = await run(scratch.file('some.bin', content), '--path', path);
    expect(end.stdout).toContain(`listens on uds|${path}.`);
    expectVerified(end, content);
  });

  test('a port in use is told in one sentence', async () => {
    const port = await findFreeTcpPort();
    const server = await listening({ host: '127.0.0.1', port });
    try {
      const end = await run(scratch.file('some.bin', randomBytes(10)), '--port', String(port));
      expectFailure(end, new RegExp(`Cannot listen on port ${port} .*it is in use`));
    } finally {
      await closed(server);
    }
  });

  test('a path in use is told in one sentence, and its owner keeps it', async () => {
    const path = join(scratch.folder, 'taken.sock');
    const server = await listening({ path });
    try {
      const end = await run(scratch.file('some.bin', randomBytes(10)), '--path', path);
      expectFailure(end, /Cannot listen on the socket path '.*taken\.sock' .*it is in use/);
      expect(readdirSync(scratch.folder)).toContain('taken.sock');
    } finally {
      await closed(server);
    }
  });
});

describe('files and arguments that cannot be used are told in one sentence', () => {
  test('a missing file', async () => {
    expectFailure(await run(join(scratch.folder, 'none.bin')), /There is no file '.*none\.bin'\./, 2);
  });

  test('a directory', async () => {
    expectFailure(await run(scratch.folder), /'.*' is a directory, not a file\./, 2);
  });

  test('something that is no regular file', async () => {
    const path = join(scratch.folder, 'a.sock');
    const server = await listening({ path });
    try {
      expectFailure(await run(path), /'.*a\.sock' is not a regular file\./, 2);
    } finally {
      await closed(server);
    }
  });

  const wrong: [string, string[], RegExp][] = [
    ['an unknown option', ['--fast'], /Unknown option '--fast'/],
    ['an unknown transport', ['--transport', 'udp'], /Allowed choices are tcp, uds/],
    ['a transport left out', ['--transport'], /argument missing/],
    ['a port that is no number', ['--port', '12ab'], /A port is a whole number from 0 to 65535/],
    ['a negative port', ['--port', '-1'], /A port is a whole number from 0 to 65535/],
    ['a port out of range', ['--port', '65536'], /A port is a whole number from 0 to 65535/],
    ['two files', ['one', 'two'], /Expected 1 argument but got 2/],
    ['a port with uds', ['--transport', 'uds', '--port', '7099'], /--port does not go with a Unix socket/],
    ['a port with a path', ['--path', 'x.sock', '--port', '7099'], /--port does not go with a Unix socket/],
    ['a path with tcp', ['--transport', 'tcp', '--path', 'x.sock'], /--path does not go with --transport tcp/],
    ['an empty path', ['--path', ''], /'' cannot be the path of a Unix socket/],
    ['a path that is too long', ['--path', `/tmp/${'x'.repeat(110)}`], /cannot be the path of a Unix socket/],
  ];

  test.each(wrong)('%s', async (_name, args, sentence) => {
    expectFailure(await run(...args), sentence, 2);
  });

  test('--help is no failure and explains every option', async () => {
    const end = await run('--help');
    expect(end).toMatchObject({ code: 0, stderr: '' });
    for (const part of ['[file]', '--transport', '--port', '--path']) expect(end.stdout).toContain(part);
  });
});
