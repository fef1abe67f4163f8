// engine.ts: one engine as one JavaScript thread has it: its port to the engine's thread, its pool, groups and channels.
// Posting goes through Staging, receiving through Inbox; here is who waits, who keeps the process alive, and how it all ends.
// Thread: the one that made it. Owner: the application, and `held` below while something is open or somebody waits; the
// doorbell knows it weakly, so that a forgotten engine can be collected.
// Invariant: while somebody waits and this thread is in its event loop, the port is parked and the doorbell will ring, or #spin or a postponed ring is due.
import { AmpeError } from '../protocol/ampe-error';
import { OpCode } from '../protocol/op-code';
import { PostChannelState } from '../protocol/post-check';
import { AmpeStatus } from '../protocol/status';
import { ChannelTable, refuseLife } from '../engine/channel-table';
import { publishChannelClosed } from '../engine/diagnostics';
import type { Engine, EngineCounters, EngineGroup, EngineThreads, GroupEvents } from '../engine/engine';
import type { Frame } from '../engine/frame';
import type { MailboxHost } from '../engine/mailbox';
import { BlockIds, type MessageIds } from '../engine/message-ids';
import type { ResolvedOptions } from '../engine/options';
import { NodeList } from '../engine/node-list';
import { Pool } from '../engine/pool';
import { channelClosedSignal, poolEmptySignal } from '../engine/status-frames';
import { atTurnEnd, immediately, nextTick, turns } from '../engine/turn-end';
import type { Binding } from './binding';
import { NativeChannel, type EngineOfChannel } from './channel';
import { NativeGroup } from './group';
import { engineHandle, groupHandle } from './handles';
import { Inbox, type InboxHost, type Opened, type Tally } from './inbox';
import { addPort, connectPort, hold, release, removePort, type Loaded } from './ports';
import { Staging } from './staging';

/** Orders to the engine's thread: the numbers are those of the binding, see `tables.commands`. */
export const Command = { closeGroup: 1, endAck: 2, forget: 3, consumed: 4, destroyEngine: 5, reclaim: 6 } as const;

/** What a look for a moment longer ended with: the numbers are those of the binding. */
const LookResult = { parked: 0, found: 1, undecided: 2 } as const;

/** Batches fetched for one that waits before other things of this thread have their turn. */
const BATCHES_PER_TURN = 16;
/** The longest wait the binding takes. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** Opcodes up to this one change nothing about a channel. */
const LAST_REGULAR: number = OpCode.Signal;

/** A group that is forgotten and has nothing open is closed. */
const forgottenGroups = new FinalizationRegistry<{ engine: WeakRef<NativeEngine>; group: number }>(
  ({ engine, group }) => engine.deref()?.onForgotten(group),
);

export class NativeEngine implements Engine, EngineThreads, EngineOfChannel, InboxHost, MailboxHost {
  readonly backend = 'native';
  readonly backendReason: string;
  readonly threads: EngineThreads = this;
  readonly pool: Pool;
  readonly channels = new ChannelTable();
  readonly ids: MessageIds;
  /** Whether other threads may post, and open channels whose numbers this thread's table does not know. */
  shared: boolean;
  onClosed: (() => void) | null = null;
  /** The same in every thread. */
  readonly number: number;
  readonly #binding: Binding;
  readonly #port: number;
  readonly #file: string;
  readonly #owner: boolean;
  readonly #initialPoolMsgs: number;
  readonly #self = new WeakRef<NativeEngine>(this);
  readonly #staging: Staging;
  readonly #inbox: Inbox;
  readonly #groups = new Map<number, WeakRef<NativeGroup>>();
  readonly #byNumber: (NativeChannel | undefined)[] = [];
  readonly #waitingGroups = new NodeList<NativeGroup>();
  readonly #closing = new Map<number, () => void>();
  readonly #words = new Uint32Array(2);
  readonly #counts: Float64Array;
  #onGone: (() => void) | null = null;
  #life = 0; // of the channel that openChannel() or refuseShared() saw last
  #settled = 0;
  #acknowledged = 0; // channels whose end is acknowledged and whose last word is not taken
  #poolEmptyEpisodes = 0;
  #waits = 0;
  #ending = 0; // groups, or the engine, on their way out
  #sockets = false;
  #referenced = true;
  #inUse = false;
  #holds = false;
  #parked = false;
  #spinning = false;
  #postponed = false; // the doorbell has rung, and others have their turn first
  #arming = false;
  #closed = false;
  #gone = false;
  #detached = false;
  #destroyed: Promise<void> | null = null;

  /**
   * Starts an engine, or attaches this thread to a running one.
   * @param attachTo number of an engine; 0: a new one, which ends with this thread
   * @throws AmpeError `allocation_failed` (no memory, no descriptors), `not_implemented_yet` (the poller asked for is not there),
   *   `shutdown_started` (no such engine any more)
   */
  constructor(options: ResolvedOptions, loaded: Loaded, attachTo = 0) {
    const { binding } = loaded;
    this.#binding = binding;
    this.#file = loaded.path;
    this.#owner = attachTo === 0;
    this.#initialPoolMsgs = options.initialPoolMsgs;
    this.shared = !this.#owner;
    this.#port = connectPort(options, binding, attachTo, this.#self);
    this.number = binding.engineOf(this.#port);
    this.backendReason = `${loaded.path}, ${binding.pollerOf(this.#port)}${loaded.passedOver}`;
    this.pool = new Pool(options.initialPoolMsgs, options.maxPoolMsgs, process.env.TOFU_AMPE_DEBUG === '1');
    this.pool.onWanted = () => this.#wantCredits();
    this.ids = new BlockIds((block) => binding.takeIds(this.#port, block));
    this.#staging = new Staging(binding, this.#port, this.pool, (total) => this.onSettled(total));
    this.#inbox = new Inbox(binding, this.#port, this);
    this.#counts = new Float64Array(binding.tables.counterNames.length);
    binding.setReferenced(this.#port, false);
    addPort(this, binding, this.#port);
  }

  get closed(): boolean {
    return this.#closed;
  }

  // ── groups and posting ──

  openGroup(events: GroupEvents): EngineGroup {
    const id = this.#closed ? 0 : this.#binding.openGroup(this.#port);
    if (id === 0) throw new AmpeError(AmpeStatus.ShutdownStarted);
    const group = new NativeGroup(this, id, events);
    this.#groups.set(id, new WeakRef(group));
    forgottenGroups.register(group, { engine: this.#self, group: id });
    return group;
  }
  groupOf(group: number): NativeGroup | undefined {
    return this.#groups.get(group)?.deref();
  }
  groupIsOpen(group: number): boolean {
    return !this.#closed && this.#binding.groupIsOpen(this.#port, group);
  }

  /**
   * `own`: the group belongs to this thread, and so will the channel. 0: none is left.
   * @throws AmpeError `shutdown_started` when another thread has closed the group or the engine, which this one may not have heard
   */
  openChannel(group: number, listener: boolean, own: boolean): number {
    const channel = this.#binding.openChannel(this.#port, group, listener, this.#words);
    if (channel === 0) {
      if (!this.groupIsOpen(group)) throw new AmpeError(AmpeStatus.ShutdownStarted);
      return 0;
    }
    this.#life = this.#words[0];
    const state = listener ? PostChannelState.listener : PostChannelState.open;
    this.#binding.setPostState(this.#port, channel, state);
    if (own) {
      this.channels.open(channel, group, this.#life);
      this.channels.setState(channel, state);
      this.#sockets = true;
      this.#hold();
    }
    return channel;
  }
  /** The checks where another thread may have changed what a channel is. */
  refuseShared(channel: number, generation: number, group: number, opCode: number): AmpeStatus {
    const state = this.#binding.postState(this.#port, channel, this.#words) as PostChannelState;
    this.#life = this.#words[1];
    return refuseLife(state, this.#life, this.#words[0] === group, generation, opCode);
  }
  /** `shared`: openChannel() or refuseShared() has just seen the channel, the table may not know it. */
  post(group: NativeGroup, frame: Frame, channel: number, opCode: number, shared: boolean): void {
    const generation = shared ? this.#life : this.channels.generation[channel];
    if (opCode <= LAST_REGULAR && this.#acknowledged === 0) {
      this.#staging.post(frame, channel, generation, group.id);
    } else this.#postRarely(group, frame, channel, opCode, generation);
  }
  #postRarely(group: NativeGroup, frame: Frame, channel: number, opCode: number, generation: number): void {
    this.#noteControl(group, frame, channel, opCode, generation);
    if (this.#acknowledged > 0) {
      const ended = this.#byNumber[channel];
      if (ended?.acknowledged === true) {
        ended.postLate(frame, opCode);
        return;
      }
    }
    this.#staging.post(frame, channel, generation, group.id);
    if (isBye(opCode)) this.#staging.flush();
  }
  /** A post of this thread to another one's group. */
  postAbroad(group: number, frame: Frame, channel: number, opCode: number): void {
    if (opCode === OpCode.ByeRequest || opCode === OpCode.ByeResponse) this.#noteBye(channel);
    this.#staging.post(frame, channel, this.#life, group);
    if (isBye(opCode)) this.#staging.flush();
  }
  updateAbroad(group: number, frame: Frame): void {
    this.#staging.update(group, frame);
  }
  #noteControl(group: NativeGroup, frame: Frame, channel: number, opCode: number, generation: number): void {
    if (opCode === OpCode.HelloRequest || opCode === OpCode.WelcomeRequest) {
      this.#addChannel(group, channel, generation, frame.idHigh, frame.idLow);
    } else if (opCode === OpCode.ByeRequest || opCode === OpCode.ByeResponse) {
      this.channels.setState(channel, PostChannelState.byePosted);
      this.#noteBye(channel);
    }
  }
  #noteBye(channel: number): void {
    this.#binding.setPostState(this.#port, channel, PostChannelState.byePosted);
  }
  #addChannel(group: NativeGroup, channel: number, generation: number, idHigh: number, idLow: number): void {
    const added = new NativeChannel(this, group, channel, generation, idHigh, idLow);
    this.#byNumber[channel] = added;
    group.channels.add(added);
  }

  flush(): void {
    this.#staging.flush();
  }
  reclaim(urgent: boolean): void {
    if (this.#detached) return;
    if (urgent) {
      this.#staging.flush();
      this.#drain(); // credits of reserves come this way
    } else this.#staging.askSettled();
  }
  reclaimUnsendable(): void {
    this.#staging.command(Command.reclaim, 0, 0, 0);
    this.#drain(); // credits of reserves come this way
  }
  refill(): boolean {
    this.#staging.flush();
    return this.#drain();
  }
  makePoolEmpty(group: number): Frame {
    this.#poolEmptyEpisodes++;
    return poolEmptySignal(this.pool, group);
  }

  // ── channels of this thread's groups ──

  get delivered(): Tally {
    return this.#inbox.delivered;
  }
  acknowledge({ channel, generation }: NativeChannel, bytes: number): void {
    this.#staging.command(Command.consumed, channel, generation, bytes);
  }
  acknowledgeEnd({ channel, generation }: NativeChannel): void {
    this.#acknowledged++;
    this.#staging.flush();
    this.#staging.command(Command.endAck, channel, generation, 0);
  }
  unsentAnswers({ channel }: NativeChannel): number {
    if (this.#staging.hasAnswers) this.#staging.flush();
    // Asked behind it: who is told of a credit may have brought the news that the engine is gone.
    return this.#detached ? 0 : this.#binding.unsentAnswers(this.#port, channel);
  }
  lastWord(channel: NativeChannel): Frame {
    const { channel: number, generation, group } = channel;
    const frame = channelClosedSignal(channel);
    if (channel.acknowledged) this.#acknowledged--;
    group.channels.remove(channel);
    this.#byNumber[number] = undefined;
    this.channels.setState(number, PostChannelState.closed);
    this.#binding.setPostState(this.#port, number, PostChannelState.closed);
    this.#staging.command(Command.forget, number, generation, 0);
    publishChannelClosed(group.id, number);
    return frame;
  }
  /** Its group is closed. */
  dropChannel(channel: NativeChannel): void {
    if (channel.acknowledged) this.#acknowledged--;
    if (this.#byNumber[channel.channel] === channel) this.#byNumber[channel.channel] = undefined;
    this.channels.setState(channel.channel, PostChannelState.closed);
  }

  // ── what comes from the engine's thread ──

  #drain(): boolean {
    if (this.#detached) return false;
    const any = this.#inbox.drain();
    if (this.#gone) this.#detach();
    return any;
  }
  channelOf(channel: number, generation: number): NativeChannel | undefined {
    const found = this.#byNumber[channel];
    return found?.generation === generation ? found : undefined;
  }
  onSettled(total: number): boolean {
    const count = (total - this.#settled) >>> 0;
    this.#settled = total;
    if (count > 0) this.pool.settle(count);
    return count > 0;
  }
  onOpened(groupId: number, channel: number, generation: number, idHigh: number, idLow: number, how: Opened): void {
    const group = this.groupOf(groupId);
    if (group === undefined || group.closed) return;
    this.channels.open(channel, groupId, generation);
    this.channels.setState(channel, how.listener ? PostChannelState.listener : PostChannelState.open);
    if (!how.byOtherThread) this.#binding.setPostState(this.#port, channel, PostChannelState.open);
    this.#addChannel(group, channel, generation, idHigh, idLow);
    this.#sockets = true;
    this.#hold();
  }
  onGroupGone(group: number): void {
    const resolve = this.#closing.get(group);
    if (resolve === undefined) return;
    this.#closing.delete(group);
    resolve();
    this.#ends(-1);
  }
  onEngineGone(): void {
    this.#gone = true;
    this.#shut();
  }
  onReadable(group: NativeGroup): void {
    this.#inbox.onReadable(group);
  }

  // ── waiting ──

  waiting(change: 1 | -1): void {
    this.#waits += change;
    if (change > 0) {
      this.#hold();
      this.#staging.flush();
      this.#park();
    } else {
      this.#unpark();
      this.#hold();
    }
  }
  groupWaits(group: NativeGroup, change: 1 | -1): void {
    if (change > 0) this.#waitingGroups.add(group);
    else if (!group.waits) this.#waitingGroups.remove(group);
    this.waiting(change);
  }
  get #expecting(): boolean {
    return this.#waits > 0 || this.#ending > 0;
  }
  /** Makes sure that the doorbell will ring, or fetches what is there already. */
  #park(): void {
    for (let batches = 0; this.#expecting && !this.#parked && !this.#detached; batches++) {
      if (this.#binding.park(this.#port)) {
        this.#parked = true;
        if (!this.#spinning && this.#holds && this.#binding.wantsSpin(this.#port)) this.#spinSoon();
      } else if (batches < BATCHES_PER_TURN) this.#drain();
      else {
        atTurnEnd(() => this.#park(), this.#holds);
        return;
      }
    }
  }
  #spinSoon(): void {
    this.#spinning = true;
    immediately(this.#spin);
  }
  /** When everything else of this turn is done: answers that come at once spare this thread its sleep. */
  readonly #spin = (): void => {
    this.#spinning = false;
    turns.noteEnd();
    if (!this.#parked || this.#detached) return;
    const look = this.#binding.spin(this.#port);
    if (look === LookResult.found) this.onDoorbell();
    else if (look === LookResult.undecided) this.#spinSoon();
  };
  /** Nobody expects anything: a doorbell would only disturb. */
  #unpark(): void {
    if (!this.#parked || this.#expecting || this.#detached) return;
    this.#binding.unpark(this.#port);
    this.#parked = false;
  }
  /** Called when somebody begins to wait for credits, and while somebody does. */
  #wantCredits(): void {
    if (this.#arming) return;
    this.#arming = true;
    nextTick(() => {
      this.#arming = false;
      if (this.pool.wanted && !this.#detached) this.onSettled(this.#binding.wantCredits(this.#port));
    });
  }
  onDoorbell(): void {
    if (this.#detached || this.#postponed) return;
    if (turns.isOverdue(this.#holds)) {
      // As if it had not rung yet: nobody parks, and so fetches, before that.
      this.#postponed = true;
      atTurnEnd(this.#onPostponed, this.#holds);
      return;
    }
    this.#parked = false;
    const expected = this.#expecting;
    this.#drain();
    // Rung without being parked: the last socket or the engine has gone, whatever comes before it.
    while (!expected && this.#inbox.more && this.#drain());
    if (this.pool.wanted) this.#wantCredits();
    this.#park();
    if (this.#sockets && !this.#detached) this.#sockets = this.#binding.openSockets(this.#port) > 0;
    this.#hold();
  }
  readonly #onPostponed = (): void => {
    this.#postponed = false;
    this.onDoorbell();
  };
  waitSync(timeoutMs: number): void {
    if (this.#detached) return;
    this.#staging.flush();
    const limit = timeoutMs === Number.POSITIVE_INFINITY ? -1 : Math.ceil(Math.min(timeoutMs, MAX_WAIT_MS));
    const gone = this.#binding.waitSync(this.#port, limit) === 2;
    while (this.#drain() && gone);
    if (gone && !this.#gone) {
      this.onEngineGone();
      this.#detach();
    }
  }

  // ── statistics ──

  counters(): EngineCounters {
    const counts = this.#readCounters();
    const of = (name: string): number => counts.get(name) ?? 0;
    return {
      channels: of('channels'),
      listeners: of('listeners'),
      groups: of('groups'),
      messagesIn: of('messagesIn'),
      messagesOut: of('messagesOut'),
      bytesIn: of('bytesIn'),
      bytesOut: of('bytesOut'),
      poolEmptyEpisodes: this.#poolEmptyEpisodes,
      protocolViolations: of('protocolViolations'),
      acceptFailures: of('acceptFailures'),
    };
  }
  ownCounters(): ReadonlyMap<string, number> {
    return this.#readCounters();
  }
  /** After the end those of the end. */
  #readCounters(): Map<string, number> {
    if (!this.#detached) this.#binding.counters(this.#port, this.#counts);
    return new Map(this.#binding.tables.counterNames.map((name, i) => [name, this.#counts[i]]));
  }

  // ── other threads ──

  shareEngine(): object {
    this.shared = true;
    return engineHandle(this.number, this.#file, this.#initialPoolMsgs, this.pool.max);
  }
  shareGroup(group: EngineGroup): object {
    return groupHandle(this.number, group.id);
  }

  // ── life ──

  get referenced(): boolean {
    return this.#referenced;
  }
  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    this.#hold();
  }
  /** Whether this thread's event loop and the engine object have to stay. */
  #hold(): void {
    if (this.#detached) return;
    const inUse = this.#sockets || this.#expecting;
    if (inUse !== this.#inUse) {
      this.#inUse = inUse;
      if (inUse) hold(this);
      else if (this.#owner) release(this); // an attached thread stays attached
    }
    // What is on its way out ends soon, and somebody may await it.
    const holds = this.#ending > 0 || (inUse && this.#referenced);
    if (holds === this.#holds) return;
    this.#holds = holds;
    this.#binding.setReferenced(this.#port, holds);
  }
  #ends(change: 1 | -1): void {
    this.#ending += change;
    if (change > 0) this.#park();
    else this.#unpark();
    this.#hold();
  }

  closeGroup(group: NativeGroup): Promise<void> {
    this.#staging.flush();
    group.shut();
    this.#groups.delete(group.id);
    if (this.#gone) return Promise.resolve();
    return new Promise((resolve) => {
      this.#closing.set(group.id, resolve);
      this.#staging.command(Command.closeGroup, group.id, 0, 0);
      this.#ends(1);
    });
  }
  /** Nobody can reach the group any more. */
  onForgotten(group: number): void {
    if (this.#groups.delete(group)) this.#staging.command(Command.closeGroup, group, 0, 0);
  }

  destroy(): Promise<void> {
    return (this.#destroyed ??= this.#destroyAll());
  }
  #destroyAll(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    this.#staging.flush();
    this.#shut();
    return new Promise((resolve) => {
      this.#onGone = resolve;
      this.#staging.command(Command.destroyEngine, 0, 0, 0);
      this.#ends(1);
    });
  }
  /** Closed as far as this thread is concerned. */
  #shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClosed?.();
    for (const group of this.#groups.values()) group.deref()?.shut();
    this.#groups.clear();
  }
  /** The engine is gone: so is the port. Not while a batch is being sorted. */
  #detach(): void {
    if (this.#detached) return;
    this.#binding.counters(this.#port, this.#counts);
    this.#ending = 0;
    this.#binding.setReferenced(this.#port, false);
    this.#staging.close();
    this.#detached = true;
    release(this);
    removePort(this);
    this.#binding.detach(this.#port);
    for (const resolve of this.#closing.values()) resolve();
    this.#closing.clear();
    this.#onGone?.();
  }
}

/** What ends a channel takes effect before anything the peer does from now on: it does not wait for the end of the tick. */
function isBye(opCode: number): boolean {
  return opCode >= OpCode.ByeRequest && opCode <= OpCode.ByeSignal;
}
