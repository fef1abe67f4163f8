// What the attacks have in common: a server in a process of its own, crowds of raw sockets, and a peer that behaves,
// whose dialog must go on unharmed meanwhile. Invariant: no process and no socket outlives its test.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { WIRE, connectRaw, eventually, frame, within, type RawPeer } from '../conformance/support';
import type { CellName } from '../conformance/support/engines';
import { tempUdsPath } from 'tofu-ampe/testing';
import { compiledIndex } from '../lifecycle/child';

/** Sockets that connect at once: less than the backlog of any system, so that none is turned away. */
const AT_ONCE = 50;

export interface Report {
  hellos: number;
  requests: number;
  signals: number;
  disorder: number;
  unsent: number;
  /** Peers that were sent more than their sockets take. */
  blasted: number;
  statuses: Record<string, number>;
  channels: number;
  listeners: number;
  poolFree: number;
  poolTotal: number;
  protocolViolations: number;
  peakBytes: number;
  descriptors: number;
  backend: string;
  reason: string;
}

export interface ServerOptions {
  maxPoolMsgs?: number;
  handshakeTimeoutMs?: number;
}

/** The process under attack. */
export class Server {
  private stderr = '';
  private readonly ended: Promise<never>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly path: string | null,
    public address: string,
  ) {
    child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((_, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`the server died (${signal ?? code}): ${this.stderr}`)));
    });
    this.ended.catch(() => {});
  }

  static async start({ engine, transport }: CellName, options: ServerOptions): Promise<Server> {
    const path = transport === 'uds' ? tempUdsPath() : null;
    const address = path === null ? 'tcp|127.0.0.1|0' : `uds|${path}`;
    const env = { ...process.env };
    for (const [name, value] of Object.entries(engine.environment)) {
      if (value === undefined) Reflect.deleteProperty(env, name);
      else env[name] = value;
    }
    const args = [compiledIndex(), engine.backend, address, JSON.stringify(options)];
    const child = fork(join(__dirname, 'server.cjs'), args, { env, stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    const server = new Server(child, path, address);
    server.address = (await server.answer<{ address: string }>('the server to listen')).address;
    const { backend, reason } = await server.report();
    expect(backend).toBe(engine.backend);
    expect(reason).toMatch(engine.reason);
    return server;
  }

  private async answer<T>(what: string): Promise<T> {
    const message = new Promise<T>((resolve) => this.child.once('message', (value) => resolve(value as T)));
    return within(what, Promise.race([message, this.ended]), 20_000);
  }

  async report(): Promise<Report> {
    this.child.send('report');
    return (await this.answer<{ report: Report }>('a report of the server')).report;
  }

  /** Asks for reports until one satisfies. */
  async until(what: string, satisfied: (report: Report) => boolean): Promise<Report> {
    let last = await this.report();
    const end = performance.now() + 20_000;
    while (!satisfied(last)) {
      if (performance.now() > end) throw new Error(`in vain for: ${what}; last report: ${JSON.stringify(last)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      last = await this.report();
    }
    return last;
  }

  /** The engine is destroyed, and the process has to end by itself, in silence. */
  async end(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.send('end');
    expect(await within('the server to end', exited, 20_000)).toEqual([0, null]);
    expect(this.stderr).toBe('');
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await exited;
    }
    if (this.path !== null) rmSync(this.path, { force: true });
  }
}

/** Many sockets, which take no memory of this process but their own. */
export class Crowd {
  readonly sockets: net.Socket[] = [];
  /** How many of them the other side has ended, by FIN or by reset. */
  ended = 0;

  constructor(private readonly address: string) {}

  async connect(count: number): Promise<net.Socket[]> {
    const added: net.Socket[] = [];
    while (added.length < count) {
      const next = Math.min(AT_ONCE, count - added.length);
      added.push(...(await Promise.all(Array.from({ length: next }, () => this.one()))));
    }
    return added;
  }

  private async one(): Promise<net.Socket> {
    const [transport, where, port] = this.address.split('|');
    const socket = transport === 'uds' ? net.connect(where) : net.connect(Number(port), where);
    this.sockets.push(socket);
    await within('an attacker to be connected', once(socket, 'connect'));
    socket.on('error', () => {});
    socket.on('close', () => this.ended++);
    socket.resume();
    return socket;
  }

  async allEnded(what: string): Promise<void> {
    await eventually(what, () => this.ended === this.sockets.length, {
      timeoutMs: 20_000,
      describe: () => `${this.ended} of ${this.sockets.length} ended`,
    });
  }

  reset(): void {
    for (const socket of this.sockets) {
      if (socket.remoteFamily === undefined) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
}

/** A peer that keeps the rules: its requests are answered in order, its signals arrive in order, whatever others do. */
export class GoodPeer {
  private requests = 0;
  private signals = 0;

  private constructor(private readonly peer: RawPeer) {}

  static async join(address: string): Promise<GoodPeer> {
    const peer = await connectRaw(address);
    peer.send({ op: WIRE.HelloRequest, id: 1 });
    expect(await peer.frame('the HelloResponse for the good peer')).toMatchObject({
      proto: WIRE.HelloResponse,
      id: 1n,
    });
    return new GoodPeer(peer);
  }

  /** One request behind some signals; the answer must be that to this request. */
  async round(): Promise<void> {
    const id = BigInt(++this.requests);
    const body = `request ${id}`;
    const signals = Array.from({ length: 3 }, () => ({ op: WIRE.Signal, id: ++this.signals }));
    this.peer.send(...signals, { op: WIRE.Request, id, body });
    const answer = await this.peer.frame(`the answer to request ${id} of the good peer`);
    expect([answer.proto, answer.id, answer.body.toString()]).toEqual([WIRE.Response, id, body]);
  }

  async rounds(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.round();
  }

  /** Rounds until `done` has settled, at least one behind that. */
  async roundsWhile(done: Promise<unknown>): Promise<void> {
    let over = false;
    const watched = done.finally(() => (over = true));
    while (!over) await this.round();
    await watched;
    await this.round();
  }

  close(): void {
    this.peer.close();
  }
}

/** `count` different whole frames as one piece. */
export function signals(from: number, count: number, bytes: number): Buffer {
  const body = Buffer.alloc(bytes, 's');
  return Buffer.concat(Array.from({ length: count }, (_, i) => frame({ op: WIRE.Signal, id: from + i, body })));
}
