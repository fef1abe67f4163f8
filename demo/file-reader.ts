// file-reader.ts: the pieces of a file, read straight into message bodies.
// Must not know where the messages go. It owns the messages it is reading into; one that was yielded is the caller's.
// Invariant: pieces come in the order of the file, and none is left in its hands when the iteration ends, however it ends.

import { open, stat, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Ampe, Message } from 'tofu-ampe';
import { ExitCode, Failure } from './failure';

/** The largest whole number of 4 KiB pages that fits into a body of 65535 bytes. */
export const PIECE_BYTES = 15 * 4096;

/** Reads under way at once: libuv has 4 threads for them; twice as many leave none of them waiting. */
const READS_AHEAD = 8;

/** A file that is open for reading; its size is the one it had when it was opened. */
export interface OpenFile extends AsyncDisposable {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly handle: FileHandle;
}

/** @throws Failure when there is no such file, or it cannot be read */
export async function openFile(path: string): Promise<OpenFile> {
  let handle: FileHandle | undefined;
  try {
    // Before opening: opening a named pipe would wait for somebody to write into it.
    refuseOddFile(path, await stat(path));
    handle = await open(path, 'r');
    const { size } = await handle.stat();
    const opened = handle;
    return { path, name: basename(path), size, handle, [Symbol.asyncDispose]: () => opened.close() };
  } catch (error) {
    await handle?.close();
    throw error instanceof Failure ? error : cannotRead(path, error);
  }
}

/**
 * Yields the file as messages whose body is filled. Waits for a free message only with empty hands and reads ahead into
 * those that are free anyway: so it never holds more than a few, and a small pool makes it slower, not stuck.
 */
export async function* readPieces(file: OpenFile, ampe: Ampe, signal: AbortSignal): AsyncGenerator<Message, void> {
  const reads: Promise<Message>[] = [];
  let position = 0;
  try {
    while (position < file.size || reads.length > 0) {
      while (position < file.size && reads.length < READS_AHEAD) {
        const message = reads.length === 0 ? await ampe.acquire({ signal }) : ampe.get('poolOnly');
        if (message === null) break;
        const read = readPiece(file, position, message, ampe);
        read.catch(() => undefined); // a failure is told when its turn comes, below
        reads.push(read);
        position += PIECE_BYTES;
      }
      yield await (reads.shift() as Promise<Message>);
    }
  } finally {
    for (const rest of await Promise.allSettled(reads)) {
      if (rest.status === 'fulfilled') ampe.put(rest.value);
    }
  }
}

async function readPiece(file: OpenFile, position: number, message: Message, ampe: Ampe): Promise<Message> {
  try {
    const room = message.body.reserve(Math.min(PIECE_BYTES, file.size - position));
    await fill(file, room, position);
    return message;
  } catch (error) {
    ampe.put(message);
    throw error;
  }
}

async function fill(file: OpenFile, room: Buffer, position: number): Promise<void> {
  for (let filled = 0; filled < room.length;) {
    const { bytesRead } = await readSome(file, room, filled, position + filled);
    if (bytesRead === 0) throw new Failure(`The file '${file.path}' became shorter while it was read.`);
    filled += bytesRead;
  }
}

async function readSome(file: OpenFile, room: Buffer, filled: number, position: number) {
  try {
    return await file.handle.read(room, filled, room.length - filled, position);
  } catch (error) {
    throw cannotRead(file.path, error);
  }
}

function refuseOddFile(path: string, stats: { isFile(): boolean; isDirectory(): boolean }): void {
  if (stats.isDirectory()) throw new Failure(`'${path}' is a directory, not a file.`, ExitCode.WrongUsage);
  if (!stats.isFile()) throw new Failure(`'${path}' is not a regular file.`, ExitCode.WrongUsage);
}

function cannotRead(path: string, error: unknown): Failure {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new Failure(`There is no file '${path}'.`, ExitCode.WrongUsage);
  if (code === 'EACCES' || code === 'EPERM') {
    return new Failure(`The file '${path}' may not be read by this user.`, ExitCode.WrongUsage);
  }
  return new Failure(`The file '${path}' cannot be read (${code ?? String(error)}).`);
}
