// testing.test.ts: the helpers of 'tofu-ampe/testing': ports and paths are exclusive also across processes running at
// once, leftovers of dead processes do not pile up, and the end of groups and tasks hides nothing.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

import { transformSync } from '@swc/core';

import { destroyChannels, findFreeTcpPort, runTasks, tempUdsPath } from 'tofu-ampe/testing';
import type { Ampe, ChannelGroup } from 'tofu-ampe';

const scratch = mkdtempSync(join(tmpdir(), 'ta-'));
const compiled = join(scratch, 'testing.js');
const realTmpdir = process.env.TMPDIR;

beforeAll(() => {
  const source = readFileSync(join(__dirname, '../../lib/testing.ts'), 'utf8');
  const parser = { syntax: 'typescript' as const, explicitResourceManagement: true };
  const options = { jsc: { target: 'es2022' as const, parser }, module: { type: 'commonjs' as const } };
  writeFileSync(compiled, transformSync(source, { filename: 'testing.ts', ...options }).code);
});

afterEach(() => {
  if (realTmpdir === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = realTmpdir;
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A new temporary directory for this process and the children it starts from now on. */
function useTmpdir(name: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory, { recursive: true });
  process.env.TMPDIR = directory;
  return directory;
}

function claimsIn(directory: string): string[] {
  return readdirSync(directory).flatMap((folder) => readdirSync(join(directory, folder)));
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
  return spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
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
    const children = Array.from({ length: 4 }, () => startClaimer(40, 0));
    try {
      const claims = await Promise.all(children.map(firstLine));
      const mine = await Promise.all(Array.from({ length: 40 }, () => findFreeTcpPort()));
      const ports = [...mine, ...claims.flatMap((claim) => claim.ports)];
      expect(ports).toHaveLength(200);
      expect(new Set(ports).size).toBe(ports.length);
    } finally {
      await Promise.all(children.map((child) => end(child, 'exit')));
    }
  });

  // A port is picked at random, so that two processes rarely meet. Here they must: all but ten ports are somebody's.
  test('lets processes that fight for the last ports each win different ones', async () => {
    const directory = useTmpdir('fight');
    await findFreeTcpPort();
    const [folder] = readdirSync(directory);
    const children: ChildProcess[] = [];
    try {
      const few = Array.from({ length: 10 }, (_, index) => 10_240 + index * 7);
      for (let index = 0; index < 3; index++) {
        const program = `
          const crypto = require('node:crypto');
          const few = ${JSON.stringify(few)};
          crypto.randomInt = () => few[Math.floor(Math.random() * few.length)];
          const { findFreeTcpPort } = require(${JSON.stringify(compiled)});
          (async () => {
            const ports = [await findFreeTcpPort(), await findFreeTcpPort()];
            console.log(JSON.stringify({ ports, paths: [] }));
            process.stdin.resume().on('end', () => process.exit(0));
          })();`;
        children.push(spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] }));
      }
      const ports = (await Promise.all(children.map(firstLine))).flatMap((claim) => claim.ports);
      expect(ports).toHaveLength(6);
      expect(new Set(ports).size).toBe(6);
      const files = readdirSync(join(directory, folder));
      for (const port of ports) expect(files.filter((name) => name.startsWith(`${port}-`))).toHaveLength(1);
    } finally {
      await Promise.all(children.map((child) => end(child, 'exit')));
    }
  });

  test('skips a port somebody listens on', async () => {
    useTmpdir('taken');
    const taken = await findFreeTcpPort();
    const server = await listen(taken, '127.0.0.1');
    const program = `
      const crypto = require('node:crypto');
      const offered = [${taken}, ${taken}, ${taken + 1}, ${taken + 2}, ${taken + 3}];
      crypto.randomInt = () => offered.shift() ?? 20000 + Math.floor(Math.random() * 9999);
      require(${JSON.stringify(compiled)}).findFreeTcpPort().then((port) => console.log(JSON.stringify({ ports: [port], paths: [] })));`;
    // Its own temporary directory: only the kernel can tell it that the port is in use.
    useTmpdir('taken-elsewhere');
    const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    try {
      const { ports } = await firstLine(child);
      expect(ports).toHaveLength(1);
      expect(ports[0]).not.toBe(taken);
    } finally {
      await exited;
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
    const children = Array.from({ length: 3 }, () => startClaimer(0, 50));
    try {
      const claims = await Promise.all(children.map(firstLine));
      const paths = claims.flatMap((claim) => claim.paths);
      expect(paths).toHaveLength(150);
      expect(new Set(paths).size).toBe(paths.length);
    } finally {
      await Promise.all(children.map((child) => end(child, 'exit')));
    }
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
    await expect(runTasks([failing]).then(() => 'resolved', (reason: unknown) => ({ reason }))).resolves.toEqual({ reason: undefined });
  });
});
