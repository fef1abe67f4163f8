// reactor.ts: the fallback engine: owns the channels, groups and numbers of one engine on node:net.
// One turn: sockets deliver chunks to their connections, receivers take frames and post, and after some posts, at the latest at the end of the tick, every
// connection with new frames sends them in one write. Thread: the one that made it.
// Invariant: `#channels` holds exactly the channels whose number is in use, until their last word is taken.
import { CONNECT_TO } from '../protocol/constants';
import { parseEndpoint, type Endpoint } from '../protocol/address';
import { OpCode } from '../protocol/op-code';
import { PostChannelState } from '../protocol/post-check';
import { AmpeStatus } from '../protocol/status';
import { nextField } from '../protocol/text-headers-codec';
import { ChannelTable } from '../engine/channel-table';
import { publishChannelClosed, publishProtocolViolation } from '../engine/diagnostics';
import type { Engine, EngineCounters, EngineGroup, GroupEvents } from '../engine/engine';
import { FIRST_FRAMES, nextBatch } from '../engine/flush-pace';
import type { Frame } from '../engine/frame';
import { Mailbox } from '../engine/mailbox';
import { threadIds } from '../engine/message-ids';
import type { ResolvedOptions } from '../engine/options';
import { Pool } from '../engine/pool';
import { channelClosedSignal, poolEmptySignal } from '../engine/status-frames';
import { immediately, nextTick } from '../engine/turn-end';
import { ChannelNumbers } from './channel-numbers';
import { Connection } from './connection';
import { Listener } from './listener';
import { Dial, isUsable, type StreamSocket } from './net';

/** A timer that only keeps the process alive; the longest there is. */
const KEEP_ALIVE_MS = 2 ** 31 - 1;

/** What a connection or listener may ask of the engine. */
export interface EngineOfConnection {
  readonly options: ResolvedOptions;
  readonly pool: Pool;
  readonly direct: boolean;
  readonly referenced: boolean;
  markDirty(connection: Connection): void;
  hold(change: 1 | -1): void;
  atTurnEnd(callback: () => void): void;
  /** It cannot send any more. */
  noteBroken(connection: Connection): void;
  accept(group: GroupOfConnection, socket: StreamSocket): void;
  makeVisible(connection: Connection): void;
  forgetUnseen(connection: Connection): void;
  lastWord(channel: Connection | Listener): Frame;
  countSent(bytes: number): void;
  countReceived(bytes: number): void;
  countViolation(connection: Connection, group: number): void;
}
export interface GroupOfConnection {
  readonly id: number;
  readonly mailbox: Mailbox;
  readonly channels: Set<Connection | Listener>;
  readonly closed: boolean;
}

/** The address in the one header a Hello or Welcome must begin with; null when it is missing or bad. */
export function endpointOf(frame: Frame, header: string, parse: (text: string) => Endpoint | null): Endpoint | null {
  let at = frame.headersAt;
  const end = at + frame.headersLength;
  for (;;) {
    const field = nextField(frame.headersMemory, at, end);
    if (field === null) return null;
    if (field.name === header) return parse(field.value);
    at = field.next;
  }
}

export class FallbackEngine implements Engine, EngineOfConnection {
  readonly backend = 'fallback';
  readonly threads = null;
  readonly ids = threadIds;
  readonly pool: Pool;
  onClosed: (() => void) | null = null;
  readonly channels = new ChannelTable();
  readonly direct: boolean;
  readonly #numbers: ChannelNumbers;
  readonly #byNumber: (Connection | Listener | undefined)[] = [];
  readonly #groups = new Map<number, FallbackGroup>();
  #dirty: Connection[] = [];
  readonly #broken = new Set<Connection>(); // cannot send any more, and are not over yet
  #posted = 0;
  #flushAt = FIRST_FRAMES;
  #flushScheduled = false;
  #turnEnd: (() => void)[] = [];
  #nextGroup = 1;
  #waiting = 0;
  #referenced = true;
  #keepAlive: NodeJS.Timeout | null = null;
  #closed = false;
  #destroyed: Promise<void> | null = null;
  readonly #counters = {
    messagesIn: 0,
    messagesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    poolEmptyEpisodes: 0,
    protocolViolations: 0,
    acceptFailures: 0,
  };

  constructor(
    readonly options: ResolvedOptions,
    readonly backendReason: string,
  ) {
    this.pool = new Pool(options.initialPoolMsgs, options.maxPoolMsgs, process.env.TOFU_AMPE_DEBUG === '1');
    this.#numbers = new ChannelNumbers(options.maxChannels);
    // For tests of the way that platforms without file descriptors take.
    this.direct = process.env.TOFU_AMPE_DIRECT_WRITE !== '0';
  }

  get closed(): boolean {
    return this.#closed;
  }
  get referenced(): boolean {
    return this.#referenced;
  }

  openGroup(events: GroupEvents): EngineGroup {
    const group = new FallbackGroup(this, this.#nextGroup++, events);
    this.#groups.set(group.id, group);
    return group;
  }
  closeGroup(group: FallbackGroup): void {
    this.#groups.delete(group.id);
    for (const channel of group.channels) {
      this.channels.setState(channel.channel, PostChannelState.closed);
      this.#free(channel);
    }
  }

  openChannel(group: number, listener: boolean): number {
    const channel = this.#numbers.take();
    if (channel !== 0) {
      this.channels.open(channel, group);
      this.channels.setState(channel, listener ? PostChannelState.listener : PostChannelState.open);
    }
    return channel;
  }

  post(group: FallbackGroup, frame: Frame, channel: number, opCode: number): void {
    if (opCode === OpCode.ByeRequest || opCode === OpCode.ByeResponse) {
      this.channels.setState(channel, PostChannelState.byePosted);
    }
    if (opCode === OpCode.WelcomeRequest) this.#welcome(group, channel, frame);
    else if (opCode === OpCode.HelloRequest) this.#hello(group, channel, frame);
    else this.#byNumber[channel]!.post(frame);
    if (++this.#posted < this.#flushAt) return;
    this.flush();
    this.#flushAt = nextBatch(this.#flushAt);
  }
  #welcome(group: FallbackGroup, channel: number, frame: Frame): void {
    const listener = new Listener(this, group, channel, this.channels.generation[channel], frame);
    this.#byNumber[channel] = listener;
    group.channels.add(listener);
    listener.start();
  }
  #hello(group: FallbackGroup, channel: number, frame: Frame): void {
    const { idHigh, idLow } = frame;
    const connection = new Connection(this, group, channel, this.channels.generation[channel], idHigh, idLow, null);
    this.#byNumber[channel] = connection;
    group.channels.add(connection);
    const endpoint = endpointOf(frame, CONNECT_TO, parseEndpoint);
    connection.post(frame);
    const { connectTimeoutMs, keepAliveMs } = this.options;
    const unusable = endpoint?.transport === 'tcp' ? endpoint.port === 0 : endpoint === null || !isUsable(endpoint);
    if (unusable) {
      connection.onConnectFailed(AmpeStatus.InvalidAddress);
      return;
    }
    const request = { endpoint: endpoint!, deadlineMs: connectTimeoutMs, direct: this.direct, keepAliveMs };
    connection.dial = new Dial(request, this.#referenced, {
      onConnected: (socket) => connection.onConnected(socket),
      onFailed: (status, errorCode) => connection.onConnectFailed(status, errorCode),
    });
  }

  markDirty(connection: Connection): void {
    connection.dirty = true;
    this.#dirty.push(connection);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    nextTick(() => {
      this.#flushScheduled = false;
      this.flush();
      this.#flushAt = FIRST_FRAMES;
    });
  }
  flush(): void {
    this.#posted = 0;
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  }
  reclaim(): void {
    this.flush();
  }
  reclaimUnsendable(): void {
    for (const connection of this.#broken) connection.uncountUnsendable();
  }
  noteBroken(connection: Connection): void {
    this.#broken.add(connection);
    if (this.pool.starves) connection.uncountUnsendable();
  }
  /** Sockets bring what they have by themselves. */
  refill(): boolean {
    return false;
  }
  /** Runs `callback` when every socket has had its turn. */
  atTurnEnd(callback: () => void): void {
    if (this.#turnEnd.push(callback) > 1) return;
    immediately(() => {
      const callbacks = this.#turnEnd;
      this.#turnEnd = [];
      for (const run of callbacks) run();
    });
  }

  accept(group: GroupOfConnection, socket: StreamSocket): void {
    const channel = group.closed ? 0 : this.#numbers.take();
    if (channel === 0) {
      this.#counters.acceptFailures++;
      socket.close();
      return;
    }
    const generation = this.channels.open(channel, group.id);
    const connection = new Connection(this, group, channel, generation, 0, 0, socket);
    this.#byNumber[channel] = connection;
    group.channels.add(connection);
  }
  makeVisible({ channel }: Connection): void {
    this.channels.setState(channel, PostChannelState.open);
  }
  forgetUnseen(connection: Connection): void {
    this.#groupOf(connection)?.channels.delete(connection);
    this.channels.setState(connection.channel, PostChannelState.unknown);
    this.#free(connection);
  }
  lastWord(channel: Connection | Listener): Frame {
    const frame = channelClosedSignal(channel);
    this.channels.setState(channel.channel, PostChannelState.closed);
    const group = this.#groupOf(channel);
    group?.channels.delete(channel);
    this.#free(channel);
    publishChannelClosed(group?.id ?? 0, channel.channel);
    return frame;
  }
  #groupOf({ channel }: Connection | Listener): FallbackGroup | undefined {
    return this.#groups.get(this.channels.group[channel]);
  }
  #free(channel: Connection | Listener): void {
    if (channel instanceof Connection) this.#broken.delete(channel);
    this.#byNumber[channel.channel] = undefined;
    this.#numbers.release(channel.channel);
  }

  makePoolEmpty(group: number): Frame {
    this.#counters.poolEmptyEpisodes++;
    return poolEmptySignal(this.pool, group);
  }
  countSent(bytes: number): void {
    this.#counters.messagesOut++;
    this.#counters.bytesOut += bytes;
  }
  countReceived(bytes: number): void {
    this.#counters.messagesIn++;
    this.#counters.bytesIn += bytes;
  }
  countViolation(connection: Connection, group: number): void {
    this.#counters.protocolViolations++;
    publishProtocolViolation(group, connection.state === 'greeting' ? 0 : connection.channel);
  }
  counters(): EngineCounters {
    let listeners = 0;
    let channels = 0;
    for (const group of this.#groups.values()) {
      for (const channel of group.channels) {
        if (channel instanceof Listener) listeners++;
        else channels++;
      }
    }
    return { ...this.#counters, channels, listeners, groups: this.#groups.size };
  }
  ownCounters(): null {
    return null;
  }

  waiting(change: 1 | -1): void {
    this.hold(change);
    if (change > 0) this.flush();
  }
  /** As many reasons to keep the process alive more or less, besides sockets that are read. */
  hold(change: 1 | -1): void {
    this.#waiting += change;
    this.#holdProcess();
  }
  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    this.#holdProcess();
    for (const group of this.#groups.values()) for (const channel of group.channels) channel.setReferenced(referenced);
  }
  /** Sockets hold the process by themselves; a wait without any needs a timer that does. */
  #holdProcess(): void {
    if (this.#waiting > 0 && this.#referenced && !this.closed) {
      this.#keepAlive ??= setInterval(() => undefined, KEEP_ALIVE_MS);
      this.#keepAlive.ref();
    } else this.#keepAlive?.unref();
  }

  destroy(): Promise<void> {
    return (this.#destroyed ??= this.#destroyAll());
  }
  async #destroyAll(): Promise<void> {
    this.#closed = true;
    this.onClosed?.();
    const groups = [...this.#groups.values()].map((group) => group.destroy());
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
    this.#keepAlive = null;
    await Promise.all(groups);
  }
}

class FallbackGroup implements EngineGroup, GroupOfConnection {
  readonly mailbox: Mailbox;
  readonly channels = new Set<Connection | Listener>();
  readonly #engine: FallbackEngine;
  readonly #events: GroupEvents;
  #closed = false;
  #destroyed: Promise<void> | null = null;

  constructor(
    engine: FallbackEngine,
    readonly id: number,
    events: GroupEvents,
  ) {
    this.#engine = engine;
    this.#events = events;
    this.mailbox = new Mailbox(engine.pool, id, engine, () => events.onReadable());
  }

  get closed(): boolean {
    return this.#closed || this.#engine.closed;
  }
  openChannel(listener: boolean): number {
    return this.#engine.openChannel(this.id, listener);
  }
  isOpen(channel: number, generation: number): boolean {
    return this.#engine.channels.isOpen(channel, generation, this.id);
  }
  refuse(channel: number, generation: number, opCode: number): AmpeStatus {
    return this.#engine.channels.refuse(channel, generation, this.id, opCode);
  }
  post(frame: Frame, channel: number, opCode: number): void {
    this.#engine.post(this, frame, channel, opCode);
  }
  update(frame: Frame): void {
    this.mailbox.addMail(frame);
  }
  take(): Frame | null {
    return this.closed ? null : this.mailbox.take();
  }
  waiting(change: 1 | -1): void {
    this.#engine.waiting(change);
  }
  share(): void {
    throw new Error('the fallback engine lives in one thread');
  }
  destroy(): Promise<void> {
    return (this.#destroyed ??= this.#destroyAll());
  }
  async #destroyAll(): Promise<void> {
    this.#closed = true;
    const channels = [...this.channels];
    const closed = channels.map((channel) => channel.destroy());
    this.#engine.closeGroup(this);
    this.channels.clear();
    this.mailbox.clear();
    this.#events.onClosed();
    await Promise.all(closed);
  }
}
