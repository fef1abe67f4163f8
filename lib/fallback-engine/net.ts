// net.ts: sockets, listeners and names: the only file that sees node:net, node:dns and the file system.
// Turns them into plain calls and statuses; knows no frames, channels or groups.
// Two things node:net hides are brought back here. How much of a write the kernel took: bytes go straight to the file
// descriptor where there is one, so that each message is known to be sent or not, and only the frame at which the socket
// was full goes through the stream. And reading on after a failed write: the stream's write error never reaches the stream.
import * as dns from 'node:dns';
import fs from 'node:fs';
import * as net from 'node:net';
import { AmpeStatus } from '../protocol/status';
import type { Endpoint } from '../protocol/address';

/** What one read brings at most: libuv's chunk. */
export const READ_BYTES = 65536;
const BACKLOG = 4096;
/** Deno numbers files and sockets apart: there a socket's number means another file to node:fs, or none. */
const SOCKETS_ARE_FILES = process.versions.deno === undefined;
/** Pause before a Unix socket is tried again whose backlog was full; grows to the second value. */
const RETRY_MS = [5, 100] as const;

export interface SocketEvents {
  onChunk(chunk: Buffer): void;
  onEof(): void;
  /** The socket is closed; `code` is the errno name that ended it, if any. Called once, last. */
  onClosed(code: string | null): void;
  /** The bytes given to writeSlowly() are in the kernel (null), or the write failed (errno name). */
  onWritten(code: string | null): void;
}

/** Errno names of a peer that is gone; any other is a failed communication. */
export function statusOfLoss(code: string | null): AmpeStatus {
  if (code === null || code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED') {
    return AmpeStatus.PeerDisconnected;
  }
  return AmpeStatus.CommunicationFailed;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'UNKNOWN';
}

/** One connected stream. */
export class StreamSocket {
  /** The errno name of a failed direct write; nothing is written after it. */
  failure: string | null = null;
  readonly #socket: net.Socket;
  readonly #descriptor: number;
  #events: SocketEvents | null = null;
  #code: string | null = null;
  #closed = false;
  #shut = false;
  #resetting = false;
  #pendingWrite: WriteDone | null = null;
  #slowBytes = 0;
  #slowBytesTaken = 0;

  constructor(socket: net.Socket, direct: boolean) {
    this.#socket = socket;
    const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
    this.#descriptor = direct && SOCKETS_ARE_FILES && typeof handle?.fd === 'number' ? handle.fd : -1;
    this.#keepWriteErrors();
    socket.on('error', (error) => (this.#code = codeOf(error)));
    socket.on('close', () => {
      this.#closed = true;
      const events = this.#events;
      this.#events = null;
      events?.onClosed(this.#code);
    });
    socket.pause();
  }

  start(events: SocketEvents): void {
    this.#events = events;
    this.#socket.on('data', (chunk: Buffer) => events.onChunk(chunk));
    this.#socket.on('end', () => events.onEof());
    this.#socket.resume();
  }
  /** Whether writeNow() can be used: the platform gives sockets a file descriptor. */
  get direct(): boolean {
    return this.#descriptor >= 0;
  }
  /** Writes what the kernel takes at once; returns how many bytes that was. A failure is noted in `failure`. */
  writeNow(buffers: Buffer[]): number {
    if (this.#closed || this.#socket.destroyed) return 0;
    try {
      return buffers.length === 1
        ? fs.writeSync(this.#descriptor, buffers[0])
        : fs.writevSync(this.#descriptor, buffers);
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'EAGAIN' && code !== 'EWOULDBLOCK') this.failure = code;
      return 0;
    }
  }
  /** Writes when the socket can take it, then calls onWritten. One at a time. */
  writeSlowly(buffer: Buffer): void {
    this.#slowBytes = buffer.length;
    this.#socket.write(buffer);
  }
  /** How many bytes of a slow write that has not ended the kernel has taken. */
  get slowBytesTaken(): number {
    this.#sample();
    return this.#slowBytesTaken;
  }
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    if (!this.#closed) this.#socket.resume();
  }
  shutdownWrite(): void {
    this.#shut = true;
    if (!this.#socket.destroyed) this.#socket.end();
  }
  /** Closes; onClosed follows. */
  close(): void {
    this.#socket.destroy();
  }
  /** Closes with a reset on TCP; plainly on a Unix socket, and behind shutdownWrite(), where libuv refuses to reset. */
  reset(): void {
    const { remoteFamily, destroyed } = this.#socket;
    if (destroyed) return;
    if (remoteFamily === undefined || this.#shut) {
      this.#socket.destroy();
      return;
    }
    // The stream would first wait for its writes and say FIN: it is told that both are done.
    this.#resetting = true;
    this.#sample();
    this.#writeDone(this.#pendingWrite);
    this.#socket.resetAndDestroy();
  }
  setReferenced(referenced: boolean): void {
    if (referenced) this.#socket.ref();
    else this.#socket.unref();
  }

  /** A stream destroys its socket when a write fails, with data unread. Here the error goes to onWritten() instead. */
  #keepWriteErrors(): void {
    const socket = this.#socket;
    const write = socket._write.bind(socket);
    const final = socket._final.bind(socket);
    socket._write = (chunk: unknown, encoding: BufferEncoding, done: WriteDone) => {
      this.#pendingWrite = done;
      this.#slowBytesTaken = 0;
      write(chunk, encoding, (error?: Error | null) => {
        this.#writeDone(done);
        this.#events?.onWritten(error ? codeOf(error) : null);
      });
    };
    const destroy = socket._destroy.bind(socket);
    socket._destroy = (error, done) => {
      this.#sample(); // the last moment: the handle goes next
      destroy(error, done);
    };
    socket._final = (done: WriteDone) => {
      if (this.#resetting) done();
      else final(() => done());
    };
  }
  /** libuv counts down what it still has to write; an errno comes too late to ask. */
  #sample(): void {
    const handle = (this.#socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle;
    if (this.#pendingWrite === null || typeof handle?.writeQueueSize !== 'number') return;
    this.#slowBytesTaken = this.#slowBytes - handle.writeQueueSize;
  }
  #writeDone(done: WriteDone | null): void {
    if (done === null || this.#pendingWrite !== done) return;
    this.#pendingWrite = null;
    done();
  }
}

type WriteDone = (error?: Error | null) => void;

export interface TcpSettings {
  keepAliveMs: number;
}
/** The longest idle time that Linux takes. */
const MAX_KEEP_ALIVE_S = 32_767;

function tune(socket: net.Socket, { keepAliveMs }: TcpSettings): void {
  socket.setNoDelay(true);
  // Node rounds down, and with less than a second or more than the system takes it leaves the two hours of the system.
  socket.setKeepAlive(true, 1000 * Math.min(Math.ceil(keepAliveMs / 1000), MAX_KEEP_ALIVE_S));
}

export interface DialRequest extends TcpSettings {
  endpoint: Endpoint;
  deadlineMs: number;
  direct: boolean;
}
/** Exactly one of the two is called, once, unless the dial is cancelled. */
export interface DialEvents {
  onConnected(socket: StreamSocket): void;
  /** `errorCode`: the errno name of what the system said, or ''. */
  onFailed(status: AmpeStatus, errorCode: string): void;
}

/** Connects: resolves the name, tries every address in turn, all under one deadline. */
export class Dial {
  readonly #request: DialRequest;
  readonly #events: DialEvents;
  readonly #endsAt: number;
  #socket: net.Socket | null = null;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #referenced: boolean;
  #retryMs: number = RETRY_MS[0];

  constructor(request: DialRequest, referenced: boolean, events: DialEvents) {
    this.#request = request;
    this.#referenced = referenced;
    this.#events = events;
    this.#endsAt = performance.now() + request.deadlineMs;
    const { endpoint } = request;
    if (endpoint.transport === 'uds') {
      this.#attempt([{ path: nativePath(endpoint.path) }]);
      return;
    }
    const host = endpoint.host === '' ? '127.0.0.1' : endpoint.host;
    if (net.isIP(host) !== 0) {
      this.#attempt([{ host, port: endpoint.port }]);
      return;
    }
    this.#arm(request.deadlineMs, () => this.#fail(AmpeStatus.ConnectFailed, 'ETIMEDOUT'));
    dns.lookup(host, { all: true, order: 'verbatim' }, (error, found) => {
      if (this.#over) return;
      if (error !== null || found.length === 0) this.#fail(AmpeStatus.InvalidAddress, 'ENOTFOUND');
      else this.#attempt(found.map(({ address }) => ({ host: address, port: endpoint.port })));
    });
  }

  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    if (referenced) {
      this.#socket?.ref();
      this.#timer?.ref();
    } else {
      this.#socket?.unref();
      this.#timer?.unref();
    }
  }
  /** No event follows. */
  cancel(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  /** Tries the first target; each gets what remains of the time divided by the targets left. */
  #attempt(targets: (net.TcpNetConnectOpts | net.IpcNetConnectOpts)[]): void {
    const leftMs = this.#endsAt - performance.now();
    if (leftMs <= 0) return this.#fail(AmpeStatus.ConnectFailed, 'ETIMEDOUT');
    const socket = new net.Socket({ allowHalfOpen: true });
    this.#socket = socket;
    if (!this.#referenced) socket.unref();
    const onError = (error: Error): void => {
      socket.destroy();
      this.#next(targets, codeOf(error));
    };
    socket.once('error', onError);
    this.#arm(leftMs / targets.length, () => {
      socket.removeListener('error', onError);
      socket.on('error', () => undefined);
      socket.destroy();
      this.#next(targets, 'ETIMEDOUT');
    });
    socket.connect({ ...targets[0], ...('host' in targets[0] ? { autoSelectFamily: false } : {}) }, () => {
      if (this.#over) return;
      this.#over = true;
      clearTimeout(this.#timer);
      socket.removeListener('error', onError);
      if (this.#request.endpoint.transport === 'tcp') tune(socket, this.#request);
      this.#events.onConnected(new StreamSocket(socket, this.#request.direct));
    });
  }
  #next(targets: (net.TcpNetConnectOpts | net.IpcNetConnectOpts)[], code: string): void {
    if (this.#over) return;
    if (this.#request.endpoint.transport === 'uds') {
      if (code === 'EAGAIN' || code === 'EMFILE' || code === 'ENFILE') {
        const waitMs = Math.min(this.#retryMs, Math.max(1, this.#endsAt - performance.now()));
        this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS[1]);
        this.#arm(waitMs, () => this.#attempt(targets));
        return;
      }
      const missing = code === 'ENOENT' || code === 'ENOTDIR';
      return this.#fail(missing ? AmpeStatus.UdsPathNotFound : AmpeStatus.ConnectFailed, code);
    }
    if (targets.length > 1) this.#attempt(targets.slice(1));
    else this.#fail(AmpeStatus.ConnectFailed, code);
  }
  #arm(ms: number, onExpired: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onExpired, ms);
    if (!this.#referenced) this.#timer.unref();
  }
  #fail(status: AmpeStatus, errorCode: string): void {
    if (this.#over) return;
    this.cancel();
    this.#events.onFailed(status, errorCode);
  }
}

export interface ListenRequest extends TcpSettings {
  endpoint: Endpoint;
  udsMode: number;
  direct: boolean;
}
/** One of the first two is called, once, unless the listener is closed before. */
export interface ListenEvents {
  /** `port` is the real one, 0 on a Unix socket. */
  onListening(port: number): void;
  onFailed(status: AmpeStatus, errorCode: string): void;
  onAccepted(socket: StreamSocket): void;
}

/** Binds and listens; accepted sockets outlive it. */
export class ListenSocket {
  readonly #request: ListenRequest;
  readonly #events: ListenEvents;
  #server: net.Server | null = null;
  #closed = false;
  #referenced: boolean;

  constructor(request: ListenRequest, referenced: boolean, events: ListenEvents) {
    this.#request = request;
    this.#events = events;
    this.#referenced = referenced;
    if (request.endpoint.transport === 'uds') this.#listenOnPath(request.endpoint.path);
    else this.#listenOnHost(request.endpoint.host, request.endpoint.port);
  }

  /** Port and path are free when this returns; the promise is for the handle and its connections. */
  close(): Promise<void> {
    this.#closed = true;
    const server = this.#server;
    this.#server = null;
    return server === null ? Promise.resolve() : new Promise((resolve) => server.close(() => resolve()));
  }
  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    if (referenced) this.#server?.ref();
    else this.#server?.unref();
  }

  #listenOnHost(host: string, port: number): void {
    if (host === '')
      return this.#listen(
        [
          { host: '::', port },
          { host: '0.0.0.0', port },
        ],
        true,
      );
    if (net.isIP(host) !== 0) return this.#listen([{ host, port }], false);
    dns.lookup(host, { all: true, order: 'verbatim' }, (error, found) => {
      if (this.#closed) return;
      if (error !== null || found.length === 0) this.#fail(AmpeStatus.InvalidAddress, 'ENOTFOUND');
      else
        this.#listen(
          found.map(({ address }) => ({ host: address, port })),
          true,
        );
    });
  }
  /** Never takes a path from a live listener: only a socket that refuses connections is removed. */
  #listenOnPath(path: string): void {
    const target = { path: nativePath(path) };
    if (path.startsWith('@')) return this.#listen([target], false);
    fs.lstat(path, (missing, before) => {
      if (this.#closed) return;
      if (missing !== null) {
        if (missing.code === 'ENOENT') this.#listen([target], false);
        else this.#fail(AmpeStatus.ListenFailed, codeOf(missing));
        return;
      }
      if (!before.isSocket()) return this.#fail(AmpeStatus.ListenFailed, 'EADDRINUSE');
      const probe = net.connect(path);
      const answer = (stale: boolean): void => {
        probe.destroy();
        if (this.#closed) return;
        if (stale && removeIfSame(path, before)) this.#listen([target], false);
        else this.#fail(AmpeStatus.ListenFailed, 'EADDRINUSE');
      };
      probe.once('connect', () => answer(false));
      probe.once('error', (error) => answer(codeOf(error) === 'ECONNREFUSED'));
    });
  }

  #listen(targets: net.ListenOptions[], tryNext: boolean): void {
    const server = net.createServer({ allowHalfOpen: true });
    this.#server = server;
    server.on('connection', (socket) => this.#accept(socket));
    server.on('error', (error) => {
      if (this.#closed || server !== this.#server) return;
      server.close();
      const code = codeOf(error);
      const unusable = code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL' || code === 'EINVAL';
      if (tryNext && unusable && targets.length > 1) this.#listen(targets.slice(1), true);
      else this.#fail(AmpeStatus.ListenFailed, code);
    });
    server.listen({ ...targets[0], backlog: BACKLOG, exclusive: true }, () => {
      if (this.#closed) {
        server.close(); // closed while node:net was still on its way to bind
        return;
      }
      const address = server.address();
      this.#events.onListening(typeof address === 'object' && address !== null ? address.port : 0);
    });
    // The path exists as soon as listen() has returned: nobody else may connect before the mode is right.
    const { path } = targets[0];
    if (path !== undefined && server.listening && !path.startsWith('\0')) {
      try {
        fs.chmodSync(path, this.#request.udsMode);
      } catch (error) {
        return this.#fail(AmpeStatus.ListenFailed, codeOf(error));
      }
    }
    if (!this.#referenced) server.unref();
  }
  #accept(socket: net.Socket): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    if (this.#request.endpoint.transport === 'tcp') tune(socket, this.#request);
    this.#events.onAccepted(new StreamSocket(socket, this.#request.direct));
  }
  #fail(status: AmpeStatus, errorCode: string): void {
    void this.close();
    this.#events.onFailed(status, errorCode);
  }
}

/** Removes a stale socket file unless somebody has put another one there meanwhile. */
function removeIfSame(path: string, before: fs.Stats): boolean {
  try {
    const now = fs.lstatSync(path);
    if (now.ino !== before.ino || now.dev !== before.dev) return false;
    fs.unlinkSync(path);
    return true;
  } catch (error) {
    return codeOf(error) === 'ENOENT';
  }
}

/** Node's name of a path: abstract ones begin with NUL. */
function nativePath(path: string): string {
  return path.startsWith('@') ? `\0${path.slice(1)}` : path;
}

/** Whether this platform and Node can use that address; see docs/DIFFERENCES.md. */
export function isUsable(
  endpoint: Endpoint,
  platform: string = process.platform,
  node = process.versions.node,
): boolean {
  if (endpoint.transport === 'tcp') return true;
  if (platform === 'win32') return false;
  // Older versions pad an abstract name with NULs up to the full length: no other program could connect to it.
  return !endpoint.path.startsWith('@') || (platform === 'linux' && Number.parseInt(node, 10) >= 22);
}
