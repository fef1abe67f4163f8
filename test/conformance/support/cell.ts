// The context of one case on one cell: creates engines, groups, raw peers and addresses, and afterwards tears them
// down and proves that nothing was left: pool full, no channel, no listener, no socket, no timer, no socket file.
// Invariant: everything a case opens through its cell is gone when the case has ended, also when it failed.

import { existsSync, rmSync } from 'node:fs';
import { AmpeStatus, Reactor, errorToStatus, type Ampe, type Message, type Options } from 'tofu-ampe';
import { tempUdsPath } from 'tofu-ampe/testing';
import { DEADLINE_MS, eventually, within } from './deadline';
import { WIRE, type RawFrame } from './bytes';
import type { CellName, EngineSpec, Transport } from './engines';
import { nothingAddedSince, openResources } from './open-resources';
import { RawPeer, RawServer, connectRaw } from './raw-peer';
import { Side, describe as show, type EngineUnderTest, type ListenerInfo } from './side';

/** Two groups of two engines with a connection between them, Hello answered and received. */
export interface Pair {
  server: Side;
  client: Side;
  listener: ListenerInfo;
  /** The connection's number on the server's side. */
  serverChannel: number;
  /** The connection's number on the client's side. */
  clientChannel: number;
  helloId: bigint;
}

export interface PairOptions {
  server?: Options;
  client?: Options;
}

/** One raw socket with a channel of the side under test at its other end. */
export interface RawLink {
  peer: RawPeer;
  /** The connection's number on the side under test. */
  channel: number;
  /** message_id of the Hello that opened the channel. */
  id: bigint;
  /** The HelloRequest as it stood on the wire (only when the side under test sent it). */
  hello?: RawFrame;
}

function setEnvironment(values: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
}

export function createReactor(spec: EngineSpec, options: Options): Reactor {
  const before = Object.fromEntries(Object.keys(spec.environment).map((name) => [name, process.env[name]]));
  setEnvironment(spec.environment);
  try {
    return Reactor.create({ ...options, backend: spec.backend });
  } finally {
    setEnvironment(before);
  }
}

function isGone(ampe: Ampe): boolean {
  try {
    ampe.put(ampe.get('poolOnly'));
    return false;
  } catch (error) {
    if (errorToStatus(error) === AmpeStatus.ShutdownStarted) return true;
    throw error;
  }
}

export class Cell {
  readonly transport: Transport;
  private readonly before = openResources();
  private readonly engines: EngineUnderTest[] = [];
  private readonly sides: Side[] = [];
  private readonly kept: Message[] = [];
  private readonly peers: RawPeer[] = [];
  private readonly servers: RawServer[] = [];
  private readonly paths: string[] = [];
  private readonly cleanups: (() => unknown)[] = [];

  constructor(readonly name: CellName) {
    this.transport = name.transport;
  }

  // ── engines and groups ──

  engine(options: Options = {}, spec: EngineSpec = this.name.engine): EngineUnderTest {
    const reactor = createReactor(spec, options);
    const engine: EngineUnderTest = {
      reactor,
      ampe: reactor.ampe(),
      side: () => {
        const side = new Side(this, engine, engine.ampe.create());
        this.sides.push(side);
        return side;
      },
    };
    this.engines.push(engine);
    return engine;
  }

  /** A group of a new engine. */
  side(options: Options = {}): Side {
    return this.engine(options).side();
  }

  /** The same for the accepting side of a connection, which in a mixed cell is another kind of engine. */
  serverSide(options: Options = {}): Side {
    return this.engine(options, this.name.server).side();
  }

  /** The message is returned to its pool at the end of the case if it is still owned then. */
  keep<T extends Message>(message: T): T {
    this.kept.push(message);
    return message;
  }

  /** Called at the end of the case, before anything else is torn down. */
  atEnd(cleanup: () => unknown): void {
    this.cleanups.push(cleanup);
  }

  // ── addresses ──

  /** A path where nothing is; the case fails if something is there at its end. */
  freePath(): string {
    const path = tempUdsPath();
    this.paths.push(path);
    return path;
  }

  /** What to put behind ~listen_on on this cell's transport. */
  freeServerAddress(): string {
    return this.transport === 'tcp' ? 'tcp|127.0.0.1|0' : `uds|${this.freePath()}`;
  }

  // ── connections ──

  async pair(options: PairOptions = {}): Promise<Pair> {
    const server = this.serverSide(options.server);
    const client = this.side(options.client);
    const listener = await server.listen();
    return { server, client, listener, ...(await this.join(server, client, listener)) };
  }

  /** One more connection between two sides: Hello, HelloResponse. */
  async join(
    server: Side,
    client: Side,
    listener: ListenerInfo,
  ): Promise<Pick<Pair, 'serverChannel' | 'clientChannel' | 'helloId'>> {
    const header = client.connect(listener.address);
    const hello = await server.expect({ op: 'HelloRequest', origin: 'application', id: header.messageId });
    const serverChannel = hello.channelNumber;
    server.answer(hello, 'HelloResponse');
    const answer = await client.expect({ op: 'HelloResponse', origin: 'application', channel: header.channelNumber });
    client.ampe.put(answer);
    return { serverChannel, clientChannel: header.channelNumber, helloId: header.messageId };
  }

  /** A raw client; nothing has been sent yet. */
  async rawClient(address: string): Promise<RawPeer> {
    const peer = await connectRaw(address);
    this.peers.push(peer);
    return peer;
  }

  async rawServer(options: { backlog?: number; paused?: boolean } = {}): Promise<RawServer> {
    const server = await RawServer.listen(this.transport === 'tcp' ? null : this.freePath(), options);
    this.servers.push(server);
    return server;
  }

  /** A raw client whose HelloRequest has been received by `side`: a visible channel on an accepted connection. */
  async acceptedRaw(side: Side, listener?: ListenerInfo): Promise<RawLink> {
    const { address } = listener ?? (await side.listen());
    const peer = await this.rawClient(address);
    const id = 77n;
    peer.send({ op: WIRE.HelloRequest, id, headers: 'who:raw\r\n' });
    const hello = await side.expect({ op: 'HelloRequest', id });
    const channel = hello.channelNumber;
    side.ampe.put(hello);
    return { peer, channel, id };
  }

  /** `side` connected to a raw server, which answered the Hello unless told not to. */
  async dialledRaw(side: Side, options: { answer?: boolean; server?: RawServer } = {}): Promise<RawLink> {
    const server = options.server ?? (await this.rawServer());
    const header = side.connect(server.address);
    const peer = await server.accept();
    const hello = await peer.frame('the HelloRequest');
    if (options.answer !== false) {
      peer.send({ op: WIRE.HelloResponse, id: hello.id });
      const answer = await side.expect({ op: 'HelloResponse', origin: 'application', channel: header.channelNumber });
      side.ampe.put(answer);
    }
    return { peer, channel: header.channelNumber, id: header.messageId, hello };
  }

  /** The peer sees the connection reset: RST on TCP, on a Unix socket (which has none) its end. */
  async expectReset(peer: RawPeer): Promise<void> {
    const ending = await peer.ended('the connection to be reset');
    if (this.transport === 'tcp') expect(ending).toBe('reset');
  }

  // ── the end ──

  /** @internal Called by rule() after a case that succeeded. */
  async finish(deadlineMs: number = DEADLINE_MS): Promise<void> {
    for (const cleanup of this.cleanups.reverse()) await cleanup();
    for (const message of this.kept) message[Symbol.dispose]();
    for (const side of this.sides) {
      if (!isGone(side.ampe)) await within('a group to be destroyed', side.ampe.destroy(side.group));
    }
    for (const { ampe } of this.engines) if (!isGone(ampe)) await this.expectAtRest(ampe, deadlineMs);
    for (const { reactor } of this.engines) await within('an engine to be destroyed', reactor.destroy());
    await this.closeRawPeers();
    await nothingAddedSince(this.before, deadlineMs);
    const left = this.paths.filter((path) => existsSync(path));
    if (left.length > 0) throw new Error(`socket files left: ${left.join(', ')}`);
  }

  /** @internal After a failed case: free everything, report nothing. */
  async abandon(): Promise<void> {
    for (const cleanup of this.cleanups.splice(0).reverse()) {
      await Promise.resolve()
        .then(cleanup)
        .catch(() => {});
    }
    for (const { reactor } of this.engines)
      await within('an engine to be destroyed', reactor.destroy()).catch(() => {});
    await this.closeRawPeers().catch(() => {});
    for (const path of this.paths) rmSync(path, { force: true, recursive: true });
  }

  private async closeRawPeers(): Promise<void> {
    for (const peer of this.peers) peer.close();
    for (const server of this.servers) await server.close();
  }

  private async expectAtRest(ampe: Ampe, timeoutMs: number): Promise<void> {
    const rest = { channels: 0, listeners: 0, groups: 0 };
    await eventually(
      'a full pool, no channel, no listener, no group',
      () => {
        const stats = ampe.stats();
        return stats.poolFree === stats.poolTotal && show(pick(stats)) === show(rest);
      },
      { timeoutMs, describe: () => show(ampe.stats()) },
    );
  }
}

function pick(stats: { channels: number; listeners: number; groups: number }): object {
  return { channels: stats.channels, listeners: stats.listeners, groups: stats.groups };
}
