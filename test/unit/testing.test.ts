// testing.test.ts: the helpers of 'tofu-ampe/testing': ports and paths are exclusive also across processes running at
// once, leftovers of dead processes do not pile up, and the end of groups and tasks hides nothing.

import { spawn, type ChildProcess } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

import { transformSync } from '@swc/core';

import { destroyChannels, findFreeTcpPort, runTasks, tempUdsPath } from 'tofu-ampe/testing';
import type { Ampe, ChannelGroup } from 'tofu-ampe';

const scratch = mkdtempSync(join(os.tmpdir(), 'ta-'));
const compiled = join(scratch, 'testing.js');
const children = new Set<ChildProcess>();
let childTmpdir = os.tmpdir();

beforeAll(() => {
  const source = readFileSync(join(__dirname, '../../lib/testing.ts'), 'utf8');
  const parser = { syntax: 'typescript' as const, explicitResourceManagement: true };
  const options = { jsc: { target: 'es2022' as const, parser }, module: { type: 'commonjs' as const } };
  writeFileSync(compiled, transformSync(source, { filename: 'testing.ts', ...options }).code);
});

afterEach(async () => {
  await Promise.all([...children].map((child) => end(child, 'SIGKILL')));
  jest.restoreAllMocks();
  childTmpdir = os.tmpdir();
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A new temporary directory for this test and the processes it starts from now on. */
function useTmpdir(name: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory, { recursive: true });
  jest.spyOn(os, 'tmpdir').mockReturnValue(directory);
  childTmpdir = directory;
  return directory;
}

function claimsIn(directory: string): string[] {
  return readdirSync(directory).flatMap((folder) => readdirSync(join(directory, folder)));
}

function start(program: string): ChildProcess {
  const env = { ...process.env, TMPDIR: childTmpdir };
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'], env });
  children.add(child);
  return child;
}

/** Starts a process that calls the helpers, tells what it got in one line of JSON, and lives until stdin ends. */
function startClaimer(ports: number, paths: number): ChildProcess {
  const program = `
    const { findFreeTcpPort, tempUdsPath } = require(${JSON.stringify(compiled)});
    (async () => {
      const ports = await Promise.all(Array.from({ length: ${ports} }, () => findFreeTcpPort()));
      const paths = Array.from({ length: ${paths} }, () => tempUdsPath());
      console.log(JSON.stringify({ ports, paths }));
      process.stdin.resume().on('end', () => process.exit(0));
    })();`;
  return start(program);
}

async function firstLine(child: ChildProcess): Promise<{ ports: number[]; paths: string[] }> {
  let text = '';
  for await (const chunk of child.stdout!) {
    text += String(chunk);
    if (text.includes('\n')) return JSON.parse(text);
  }
  throw new Error(`the child ended before it told its claims; it wrote: ${text}`);
}

async function end(child: ChildProcess, how: 'exit' | 'SIGKILL'): Promise<void> {
  children.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  if (how === 'exit') child.stdin!.end();
  else child.kill('SIGKILL');
  await ended;
}

async function listen(port: number, host: string): Promise<Server> {
  const server = createServer();
  server.listen({ port, host });
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

describe('findFreeTcpPort', () => {
  test('gives a different port each call, and one can listen on each', async () => {
    const ports = await Promise.all(Array.from({ length: 40 }, () => findFreeTcpPort()));
    expect(new Set(ports).size).toBe(ports.length);
    for (const port of ports) await close(await listen(port, '127.0.0.1'));
  });

  test('gives different ports to processes running at once', async () => {
    useTmpdir('parallel');
    const claimers = Array.from({ length: 4 }, () => startClaimer(40, 0));
    const claims = await Promise.all(claimers.map(firstLine));
    const mine = await Promise.all(Array.from({ length: 40 }, () => findFreeTcpPort()));
    const ports = [...mine, ...claims.flatMap((claim) => claim.ports)];
    expect(ports).toHaveLength(200);
    expect(new Set(ports).size).toBe(ports.length);
  });

  // A port is picked at random, so that processes rarely meet. Here they must: three of them want six of ten ports.
  test('lets processes that fight for the same few ports win different ones', async () => {
    const directory = useTmpdir('fight');
    const few = Array.from({ length: 10 }, (_, index) => 10_240 + index * 7);
    const fighter = `
      const few = ${JSON.stringify(few)};
      require('node:crypto').randomInt = () => few[Math.floor(Math.random() * few.length)];
      const { findFreeTcpPort } = require(${JSON.stringify(compiled)});
      (async () => {
        const ports = [await findFreeTcpPort(), await findFreeTcpPort()];
        console.log(JSON.stringify({ ports, paths: [] }));
        process.stdin.resume().on('end', () => process.exit(0));
      })();`;
    const fighters = [fighter, fighter, fighter].map(start);
    const ports = (await Promise.all(fighters.map(firstLine))).flatMap((claim) => claim.ports);
    expect(new Set(ports).size).toBe(6);
    for (const port of ports) expect(few).toContain(port);
    const claims = claimsIn(directory).map((name) => Number(name.split('-')[0]));
    expect(claims.sort()).toEqual(ports.sort());
  });

  test('skips a port somebody listens on, and keeps no claim to it', async () => {
    const server = await listen(await findFreeTcpPort(), '127.0.0.1');
    try {
      const { port: taken } = server.address() as AddressInfo;
      const offers = [taken, await findFreeTcpPort()];
      // Another folder of claims: now only the kernel can tell that the port is in use.
      const directory = useTmpdir('taken');
      jest.spyOn(crypto, 'randomInt').mockImplementation((() => offers.shift()!) as () => never);
      const [, expected] = [...offers];
      expect(await findFreeTcpPort()).toBe(expected);
      expect(claimsIn(directory)).toEqual([expect.stringMatching(`^${expected}-`)]);
    } finally {
      await close(server);
    }
  });

  test('a process that exits takes its claims with it', async () => {
    const directory = useTmpdir('exit');
    const child = startClaimer(3, 0);
    const { ports } = await firstLine(child);
    expect(claimsIn(directory)).toHaveLength(3);
    await end(child, 'exit');
    expect(ports).toHaveLength(3);
    expect(claimsIn(directory)).toEqual([]);
  });

  test('clears away the claims of a process that was killed', async () => {
    const directory = useTmpdir('killed');
    const child = startClaimer(5, 0);
    await firstLine(child);
    await end(child, 'SIGKILL');
    expect(claimsIn(directory)).toHaveLength(5);
    const port = await findFreeTcpPort();
    expect(claimsIn(directory)).toEqual([expect.stringMatching(`^${port}-${process.pid}-`)]);
  });

  test('clears away a claim of another day, although its process id is in use again', async () => {
    const directory = useTmpdir('old');
    await findFreeTcpPort();
    const [folder] = readdirSync(directory);
    const old = join(directory, folder, `10240-${process.ppid}-0123456789ab.port`);
    const young = join(directory, folder, `10241-${process.ppid}-0123456789ab.port`);
    writeFileSync(old, '');
    writeFileSync(young, '');
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
    utimesSync(old, twoDaysAgo, twoDaysAgo);
    await findFreeTcpPort();
    expect(existsSync(old)).toBe(false);
    expect(existsSync(young)).toBe(true);
  });

  test('leaves files alone that it did not make', async () => {
    const directory = useTmpdir('foreign');
    await findFreeTcpPort();
    const [folder] = readdirSync(directory);
    const note = join(directory, folder, 'note.txt');
    writeFileSync(note, 'mine');
    await findFreeTcpPort();
    expect(readFileSync(note, 'utf8')).toBe('mine');
  });

  test('rejects for a host that is no address of this machine, and keeps no claim', async () => {
    const directory = useTmpdir('host');
    // 192.0.2.0/24 is reserved for documentation.
    await expect(findFreeTcpPort('192.0.2.1')).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    expect(claimsIn(directory)).toEqual([]);
  });

  test('rejects when something else is in the place of its folder', async () => {
    const directory = useTmpdir('in-the-way');
    await findFreeTcpPort();
    const [folder] = readdirSync(directory);
    rmSync(join(directory, folder), { recursive: true });
    writeFileSync(join(directory, folder), '');
    await expect(findFreeTcpPort()).rejects.toThrow();
  });

  test('keeps its folder to this user', async () => {
    const directory = useTmpdir('private');
    await findFreeTcpPort();
    const [folder] = readdirSync(directory);
    expect(lstatSync(join(directory, folder)).mode & 0o777).toBe(0o700);
  });
});

describe('tempUdsPath', () => {
  test('gives absolute paths of at most 103 bytes, all different, with nothing there', () => {
    const paths = Array.from({ length: 100 }, () => tempUdsPath());
    expect(new Set(paths).size).toBe(paths.length);
    for (const path of paths) {
      expect(isAbsolute(path)).toBe(true);
      expect(Buffer.byteLength(path)).toBeLessThanOrEqual(103);
      expect(existsSync(path)).toBe(false);
      expect(existsSync(dirname(path))).toBe(true);
    }
  });

  test('gives different paths to processes running at once', async () => {
    const claims = await Promise.all(Array.from({ length: 3 }, () => startClaimer(0, 50)).map(firstLine));
    const paths = claims.flatMap((claim) => claim.paths);
    expect(paths).toHaveLength(150);
    expect(new Set(paths).size).toBe(paths.length);
  });

  test('moves to /tmp when the temporary directory has a long name, counted in bytes', () => {
    useTmpdir('ü'.repeat(60));
    const path = tempUdsPath();
    expect(path.startsWith('/tmp/')).toBe(true);
    expect(path.startsWith(scratch)).toBe(false);
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(103);
    expect(existsSync(dirname(path))).toBe(true);
  });

  test('can be listened on', async () => {
    const server = createServer();
    server.listen(tempUdsPath());
    await once(server, 'listening');
    await close(server);
  });

  test('an old socket file of a dead process goes, a young one and one of a living process stay', async () => {
    const directory = useTmpdir('socks');
    const child = startClaimer(0, 1);
    const { paths } = await firstLine(child);
    await end(child, 'SIGKILL');
    const [folder] = readdirSync(directory);
    const old = paths[0];
    const young = old.replace(/-1\.sock$/, '-2.sock');
    const living = join(directory, folder, `${process.ppid}-0123456789ab-1.sock`);
    for (const path of [old, young, living]) writeFileSync(path, '');
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
    for (const path of [old, living]) utimesSync(path, twoDaysAgo, twoDaysAgo);
    await findFreeTcpPort();
    expect([old, young, living].map((path) => existsSync(path))).toEqual([false, true, true]);
  });
});

describe('destroyChannels', () => {
  const group = {} as ChannelGroup;

  test('destroys the group', async () => {
    const destroyed: ChannelGroup[] = [];
    await destroyChannels({ destroy: async (it: ChannelGroup) => void destroyed.push(it) } as unknown as Ampe, group);
    expect(destroyed).toEqual([group]);
  });

  test('waits until the group is destroyed', async () => {
    let finish: () => void = () => {};
    let settled = false;
    const ampe = { destroy: () => new Promise<void>((resolve) => (finish = resolve)) } as unknown as Ampe;
    const destroying = destroyChannels(ampe, group).then(() => (settled = true));
    await new Promise(setImmediate);
    expect(settled).toBe(false);
    finish();
    await destroying;
  });

  test('never rejects, whether destroy rejects or throws', async () => {
    const rejecting = { destroy: () => Promise.reject(new Error('foreign group')) } as unknown as Ampe;
    const throwing = {
      destroy: () => {
        throw new Error('broken');
      },
    } as unknown as Ampe;
    await expect(destroyChannels(rejecting, group)).resolves.toBeUndefined();
    await expect(destroyChannels(throwing, group)).resolves.toBeUndefined();
  });
});

describe('runTasks', () => {
  test('starts all tasks before one ends, and resolves when all have', async () => {
    const events: string[] = [];
    const release: Array<() => void> = [];
    const task = (name: string) => async () => {
      events.push(`start ${name}`);
      if (release.length === 1) release[0]();
      else await new Promise<void>((resolve) => release.push(resolve));
      events.push(`end ${name}`);
    };
    // The first task ends only because the second one runs.
    await runTasks([task('a'), task('b')]);
    expect(events).toEqual(['start a', 'start b', 'end b', 'end a']);
  });

  test('resolves at once without tasks', async () => {
    await expect(runTasks([])).resolves.toBeUndefined();
  });

  test('rejects with the failure that happened first, after all tasks have ended', async () => {
    let failLate: (error: Error) => void = () => {};
    let endLast: () => void = () => {};
    let settled = false;
    const late = (): Promise<never> => new Promise((_, reject) => (failLate = reject));
    const last = (): Promise<void> => new Promise((resolve) => (endLast = resolve));
    const early = async (): Promise<never> => {
      throw new Error('early');
    };
    const running = runTasks([late, early, last]);
    const outcome = running.finally(() => (settled = true)).catch((error: unknown) => error);
    await new Promise(setImmediate);
    failLate(new Error('late'));
    await new Promise(setImmediate);
    expect(settled).toBe(false);
    endLast();
    expect(await outcome).toEqual(new Error('early'));
  });

  test('a task that throws without a promise is a failure, and the others still run', async () => {
    let ran = false;
    const throwing = (): Promise<never> => {
      throw new Error('at once');
    };
    const other = async (): Promise<void> => {
      ran = true;
    };
    await expect(runTasks([throwing, other])).rejects.toThrow('at once');
    expect(ran).toBe(true);
  });

  test('a rejection without a reason is a failure too', async () => {
    const failing = (): Promise<never> => Promise.reject(undefined);
    await expect(
      runTasks([failing]).then(
        () => 'resolved',
        (reason: unknown) => ({ reason }),
      ),
    ).resolves.toEqual({ reason: undefined });
  });
});
