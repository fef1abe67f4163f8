// Listeners in other processes: one that accepts nobody, so that its backlog is full, and one that was killed and left
// its socket file. Both are things a process cannot do to itself while it runs a test.
// Invariant: each child is ended, by its own handle, when the case ends.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import * as net from 'node:net';
import type { Cell } from './cell';
import { within } from './deadline';

/** Listens, tells where, then sleeps without ever returning to its event loop: nothing is accepted any more. */
const BLOCKED = `
const server = require('node:net').createServer();
const path = process.argv[1];
server.listen(path ? { path, backlog: 1 } : { host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  const port = path ? 0 : server.address().port;
  require('node:fs').writeSync(1, port + '\\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;
/** Connections tried to fill a backlog; kernels round it up differently. */
const MOST = 64;
/** A connection not made in this time on the loopback hangs in front of a full backlog. */
const HANGS_MS = 150;

async function start(
  cell: Cell,
  path: string,
): Promise<{ child: ChildProcess; address: string; stop(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', BLOCKED, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    child.kill('SIGKILL');
    await within('the listening child to end', exited);
    child.stdout.destroy();
  };
  cell.atEnd(async () => {
    await stop();
    if (path !== '') rmSync(path, { force: true });
  });
  const [line] = (await within('the child to listen', once(child.stdout, 'data'))) as [Buffer];
  return { child, address: path === '' ? `tcp|127.0.0.1|${line.toString().trim()}` : `uds|${path}`, stop };
}

function occupy(address: string): Promise<net.Socket | null> {
  const [transport, where, port] = address.split('|');
  const socket = transport === 'uds' ? net.connect(where) : net.connect(Number(port), where);
  return new Promise((resolve) => {
    const timer = setTimeout(() => full(), HANGS_MS);
    const full = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(null);
    };
    socket.once('error', full);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

/** The address of a listener that lives, accepts nobody, and has no place left in its backlog. */
export async function blockedListener(cell: Cell): Promise<string> {
  const { address } = await start(cell, cell.transport === 'uds' ? cell.freePath() : '');
  for (let i = 0; i < MOST; i++) {
    const socket = await occupy(address);
    if (socket === null) return address;
    cell.atEnd(() => socket.destroy());
  }
  throw new Error(`a backlog of 1 took ${MOST} connections`);
}

/** A socket file at `path` whose listener was killed. The case's end removes it if it is still there. */
export async function leaveStaleSocket(cell: Cell, path: string): Promise<void> {
  const { stop } = await start(cell, path);
  await stop();
}
