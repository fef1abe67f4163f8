// testing.ts: what tests of programs that use tofu-ampe need: ports and socket paths that collide with nobody, and an
// end of groups and tasks that hides nothing ('tofu-ampe/testing').
// Knows the engine by its public types only. Its sockets never carry data: they ask the kernel whether a port is free.
// Invariant: a claim is one file whose name no other claim ever has (port, process id, random part). So deleting the
// claim of a dead process can never hit a living one, and of two processes that want one port at least one sees the
// other, because each writes its claim before it looks.

import { randomBytes, randomInt } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import type { Ampe, ChannelGroup } from './index';

/** Below the ephemeral ports of every common system, so that no outgoing connection takes the port before its user. */
const FIRST_PORT = 10_240;
const LAST_PORT = 32_767;
/** Of about 22,000 ports nearly all are free; as many misses in a row mean that something else is wrong. */
const MAX_PORT_ATTEMPTS = 200;
/** sun_path without its NUL where it is shortest (macOS, BSD); the 107 bytes of Linux are not for portable tests. */
const MAX_UDS_PATH_BYTES = 103;
/** A process id may be in use again; a claim as old as this is a leftover, whoever has the id now. */
const MAX_CLAIM_AGE_MS = 24 * 60 * 60 * 1000;

/** Tells apart the copies of this module in one process (worker threads, test runners). */
const nonce = randomBytes(6).toString('hex');
/** `12345-4711-0123456789ab.port` (port, pid, nonce) or `4711-0123456789ab-1.sock` (pid, nonce, counter). */
const claimName = /^(?:(?<port>\d+)-(?<holder>\d+)-[0-9a-f]{12}\.port|(?<maker>\d+)-[0-9a-f]{12}-\d+\.sock)$/;

const ownClaims = new Set<string>();
let releasesAtExit = false;
let socketPaths = 0;

/**
 * Finds a TCP port to listen on and claims it for this process, as long as it lives (a day at most): no other call of
 * this function returns it meanwhile, neither here nor in another process of the same user with the same temporary
 * directory. The port was free a moment ago, by trial; it lies outside the range systems take for outgoing connections.
 *
 * Listening on port 0 needs no such function; this one is for addresses that must be known before somebody listens.
 * @param host address of this machine on which the port must be free; default `127.0.0.1`, `''`: all interfaces
 * @returns a port between 10240 and 32767
 * @throws Error (rejects) when no port is free, when `host` is no address of this machine, or when the temporary
 *   directory cannot be written or its folder for claims belongs to somebody else
 */
export async function findFreeTcpPort(host: string = '127.0.0.1'): Promise<number> {
  const directory = claimDirectory(tmpdir());
  for (let attempt = 0; attempt < MAX_PORT_ATTEMPTS; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    const claim = claimPort(directory, port);
    if (claim === null) continue;
    let free = false;
    try {
      free = await canListen(host, port);
    } finally {
      if (!free) release(claim);
    }
    if (free) return port;
  }
  throw new Error(`no free TCP port on ${host === '' ? 'all interfaces' : host} in ${MAX_PORT_ATTEMPTS} attempts`);
}

/**
 * A path for a Unix socket: nothing is there, no other call ever returns it, in whatever process, and it takes at most
 * 103 bytes, which fits everywhere. It lies in a folder of this user only in the temporary directory, or in `/tmp`
 * where the name of that directory is too long.
 * @returns an absolute path in a directory that exists
 * @throws Error when the folder cannot be made or belongs to somebody else
 */
export function tempUdsPath(): string {
  socketPaths++;
  const name = `${process.pid}-${nonce}-${socketPaths}.sock`;
  const own = join(directoryName(tmpdir()), name);
  const base = Buffer.byteLength(own) <= MAX_UDS_PATH_BYTES || process.platform === 'win32' ? tmpdir() : '/tmp';
  const path = join(claimDirectory(base), name);
  // The name was never used before, so what lies there was put there by guessing; it is not this process's to delete.
  return lstatSync(path, { throwIfNoEntry: false }) === undefined ? path : tempUdsPath();
}

/**
 * Destroys a group at the end of a test, whatever happened to it before: destroyed already, or its engine gone.
 * @param ampe the engine that created the group
 * @param group the group; destroying resets its channels and closes its listeners
 * @returns settles when the group's sockets are closed; never rejects
 */
export async function destroyChannels(ampe: Ampe, group: ChannelGroup): Promise<void> {
  try {
    await ampe.destroy(group);
  } catch {
    // For clean-up only: a test that wants to know calls ampe.destroy itself.
  }
}

/**
 * Runs tasks, all at once, and waits until every one has ended, so that none outlives the test that started it.
 * @param tasks functions that begin a task and return its promise; one that throws counts as a task that rejects
 * @returns resolves when all have succeeded
 * @throws (rejects with) the failure that happened first, but not before all have ended
 */
export async function runTasks(tasks: ReadonlyArray<() => Promise<unknown>>): Promise<void> {
  const failures: unknown[] = [];
  const run = async (task: () => Promise<unknown>): Promise<void> => {
    try {
      await task();
    } catch (failure) {
      failures.push(failure);
    }
  };
  await Promise.all(tasks.map(run));
  if (failures.length > 0) throw failures[0];
}

function directoryName(base: string): string {
  const user = process.getuid?.() ?? userInfo().username.replace(/[^\w.-]/g, '_');
  return join(base, `tofu-ampe-${user}`);
}

/** Makes the folder of claims, of this user only: in a common one anybody could put files in the way. */
function claimDirectory(base: string): string {
  const directory = directoryName(base);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  if (!found.isDirectory() || (process.getuid !== undefined && found.uid !== process.getuid())) {
    throw new Error(`${directory} is not a directory of this user`);
  }
  return directory;
}

/** Writes the claim, then looks for others: null when the port is somebody's. Clears away what the dead have left. */
function claimPort(directory: string, port: number): string | null {
  const own = `${port}-${process.pid}-${nonce}.port`;
  const claim = join(directory, own);
  if (ownClaims.has(claim)) return null;
  writeFileSync(claim, '', { flag: 'wx' });
  if (!releasesAtExit) process.once('exit', releaseAll);
  releasesAtExit = true;
  ownClaims.add(claim);
  let taken = false;
  for (const name of readdirSync(directory)) {
    if (name === own || isLeftover(directory, name)) continue;
    taken ||= name.startsWith(`${port}-`) && name.endsWith('.port');
  }
  if (!taken) return claim;
  release(claim);
  return null;
}

/** True for a claim without a living holder; then it is gone. Files this module did not make are left alone. */
function isLeftover(directory: string, name: string): boolean {
  const parts = claimName.exec(name)?.groups;
  if (parts === undefined) return false;
  const path = join(directory, name);
  const isOld = (): boolean => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    return found !== undefined && Date.now() - found.mtimeMs > MAX_CLAIM_AGE_MS;
  };
  // A socket may be in use by a program that was given its path and lives longer than the giver: only old ones go.
  const over =
    parts.holder === undefined
      ? !isAlive(Number(parts.maker)) && isOld()
      : !isAlive(Number(parts.holder)) || (!ownClaims.has(path) && isOld());
  if (over) unlinkIfThere(path);
  return over;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, but not ours.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function release(claim: string): void {
  ownClaims.delete(claim);
  unlinkIfThere(claim);
}

function releaseAll(): void {
  for (const claim of ownClaims) release(claim);
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** False when the port is taken or, as ranges are on Windows, reserved; rejects when the host is the trouble. */
function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    const address = host === '' ? { port, exclusive: true } : { host, port, exclusive: true };
    server.listen(address, () => server.close(() => resolve(true)));
  });
}
