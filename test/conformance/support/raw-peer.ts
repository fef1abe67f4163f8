// Raw sockets which stand at the other end of the wire: they send any bytes in any pieces, check what arrives, stop
// reading, half-close, reset, or stay silent. They know nothing of the library.
// Invariant: a peer never answers and never closes by itself (allowHalfOpen), so every byte and every FIN of a test
// is one the test asked for.

import * as net from 'node:net';
import { once } from 'node:events';
import { DEADLINE_MS, within } from './deadline';
import { frame, parseFrame, type FrameInit, type RawFrame } from './bytes';

export type Ending = 'fin' | 'reset';

export class RawPeer {
  /** How the other side ended its stream; null while it is open. */
  ending: Ending | null = null;
  /** The error code of a reset, ECONNRESET or EPIPE. */
  errorCode: string | undefined;
  // Grows by doubling, so that a flood of many megabytes is not copied anew with each chunk.
  private memory = Buffer.alloc(65536);
  private length = 0;
  private readAt = 0;
  private wake: (() => void)[] = [];

  constructor(readonly socket: net.Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.store(chunk);
      this.notify();
    });
    socket.on('end', () => this.end('fin'));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code;
      this.end('reset');
    });
    socket.on('close', () => this.end(this.errorCode === undefined ? 'fin' : 'reset'));
  }

  /** Everything that arrived so far. */
  get received(): Buffer {
    return this.memory.subarray(0, this.length);
  }

  private store(chunk: Buffer): void {
    const length = this.length + chunk.length;
    if (length > this.memory.length) {
      const larger = Buffer.alloc(Math.max(2 * this.memory.length, length));
      this.received.copy(larger);
      this.memory = larger;
    }
    chunk.copy(this.memory, this.length);
    this.length = length;
  }

  private end(how: Ending): void {
    // A reset after a FIN (or instead of it) is the stronger news.
    if (this.ending === null || how === 'reset') this.ending = how;
    this.notify();
  }

  private notify(): void {
    const waiting = this.wake;
    this.wake = [];
    for (const wake of waiting) wake();
  }

  /** Waits until look() is no longer null; it is called again after each chunk, end or error. */
  private async until<T>(what: string, look: () => T | null, timeoutMs: number = DEADLINE_MS): Promise<T> {
    let abandoned = false;
    const loop = async (): Promise<T> => {
      for (;;) {
        const value = look();
        if (value !== null) return value;
        if (abandoned) throw new Error('abandoned');
        await new Promise<void>((resolve) => this.wake.push(resolve));
      }
    };
    const running = loop();
    running.catch(() => {});
    try {
      return await within(what, running, timeoutMs);
    } finally {
      abandoned = true;
    }
  }

  // ── sending ──

  write(bytes: Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  send(...frames: FrameInit[]): this {
    return this.write(Buffer.concat(frames.map((init) => frame(init))));
  }

  /** Resolves when the kernel has taken the bytes. */
  flush(bytes: Uint8Array): Promise<void> {
    return within(
      `kernel to take ${bytes.length} bytes`,
      new Promise((resolve, reject) => this.socket.write(bytes, (error) => (error ? reject(error) : resolve()))),
    );
  }

  /** The bytes in pieces of `size`, each its own write in its own turn of the loop. */
  async dribble(bytes: Uint8Array, size = 1): Promise<void> {
    for (let at = 0; at < bytes.length; at += size) {
      this.socket.write(bytes.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** FIN: nothing more is sent, reading goes on. */
  halfClose(): this {
    this.socket.end();
    return this;
  }

  /** RST on TCP. A Unix socket has none: there the close of a socket with unread bytes is the nearest thing. */
  reset(): this {
    if (this.socket.remoteFamily !== undefined) this.socket.resetAndDestroy();
    else this.socket.destroy();
    return this;
  }

  close(): this {
    this.socket.destroy();
    return this;
  }

  stopReading(): this {
    this.socket.pause();
    return this;
  }

  startReading(): this {
    this.socket.resume();
    return this;
  }

  // ── receiving ──

  /** The next whole frame. Fails when the stream ends first. */
  async frame(what = 'a frame'): Promise<RawFrame> {
    return this.until(what, () => {
      const parsed = parseFrame(this.received, this.readAt);
      if (parsed === null) {
        if (this.ending !== null) throw new Error(`stream ended (${this.ending}) while waiting for: ${what}`);
        return null;
      }
      this.readAt = parsed.next;
      return parsed.frame;
    });
  }

  async frames(count: number): Promise<RawFrame[]> {
    const all: RawFrame[] = [];
    while (all.length < count) all.push(await this.frame(`frame ${all.length + 1} of ${count}`));
    return all;
  }

  /** Waits until at least `count` bytes arrived in all. */
  async bytes(count: number): Promise<Buffer> {
    return this.until(`${count} bytes`, () => (this.received.length >= count ? this.received : null));
  }

  /** Bytes that arrived behind the last frame taken with frame(). */
  get rest(): Buffer {
    return this.received.subarray(this.readAt);
  }

  /** Waits for the end of the stream and tells how it ended. */
  async ended(what = 'the end of the stream', timeoutMs: number = DEADLINE_MS): Promise<Ending> {
    return this.until(what, () => this.ending, timeoutMs);
  }
}

export class RawServer {
  private readonly waiting: RawPeer[] = [];
  private readonly takers: ((peer: RawPeer) => void)[] = [];
  readonly peers: RawPeer[] = [];

  private constructor(
    readonly server: net.Server,
    /** What goes behind ~connect_to. */
    readonly address: string,
    paused: boolean,
  ) {
    server.on('connection', (socket) => {
      const peer = new RawPeer(socket);
      if (paused) peer.stopReading();
      this.peers.push(peer);
      const taker = this.takers.shift();
      if (taker !== undefined) taker(peer);
      else this.waiting.push(peer);
    });
  }

  /** Listens on a free port of 127.0.0.1, or on the path given. */
  static async listen(path: string | null, options: { backlog?: number; paused?: boolean } = {}): Promise<RawServer> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: options.paused === true });
    const backlog = options.backlog ?? 511;
    if (path === null) server.listen({ host: '127.0.0.1', port: 0, backlog });
    else server.listen({ path, backlog });
    await within('the raw server to listen', once(server, 'listening'));
    const address = path === null ? `tcp|127.0.0.1|${(server.address() as net.AddressInfo).port}` : `uds|${path}`;
    return new RawServer(server, address, options.paused === true);
  }

  accept(what = 'a connection to the raw server'): Promise<RawPeer> {
    const ready = this.waiting.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return within(what, new Promise<RawPeer>((resolve) => this.takers.push(resolve)));
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.close();
    if (!this.server.listening) return;
    await within('the raw server to close', new Promise<void>((resolve) => this.server.close(() => resolve())));
  }
}

/** Connects to 'tcp|host|port' or 'uds|path'. */
export async function connectRaw(address: string): Promise<RawPeer> {
  const [transport, where, port] = address.split('|');
  const target =
    transport === 'uds' ? { path: address.slice('uds|'.length) } : { host: where || '127.0.0.1', port: Number(port) };
  const socket = net.connect({ ...target, allowHalfOpen: true });
  await within(`a raw connection to ${address}`, once(socket, 'connect'));
  return new RawPeer(socket);
}
