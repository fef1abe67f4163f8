// group.ts: a group in the thread that owns it: its mailbox, its channels, and what it is to others.
// Owner: the application; the engine object holds it only while a channel may still bring something or a receiver waits, so that
// a forgotten group can be collected. Invariant: what a closed group still gets is dropped.
import { PostChannelState } from '../protocol/post-check';
import { AmpeStatus } from '../protocol/status';
import type { EngineGroup, GroupEvents } from '../engine/engine';
import type { Frame } from '../engine/frame';
import { Mailbox } from '../engine/mailbox';
import { ListNode, NodeList } from '../engine/node-list';
import type { NativeChannel } from './channel';
import type { NativeEngine } from './engine';

export class NativeGroup extends ListNode implements EngineGroup {
  readonly mailbox: Mailbox;
  /** Whose last word was not taken yet. */
  readonly channels = new NodeList<NativeChannel>();
  /** Whether it is in the inbox's list of groups to be told, and which one is behind it there. */
  listed = false;
  nextToTell: NativeGroup | null = null;
  readonly #engine: NativeEngine;
  readonly #events: GroupEvents;
  #shared = false;
  #closed = false;
  #waits = 0;
  #destroyed: Promise<void> | null = null;

  constructor(
    engine: NativeEngine,
    readonly id: number,
    events: GroupEvents,
  ) {
    super();
    this.#engine = engine;
    this.#events = events;
    this.mailbox = new Mailbox(engine.pool, id, engine, () => engine.onReadable(this));
  }

  get closed(): boolean {
    return this.#closed || this.#engine.closed;
  }
  get waits(): boolean {
    return this.#waits > 0;
  }
  tellReadable(): void {
    if (!this.#closed) this.#events.onReadable();
  }

  openChannel(listener: boolean): number {
    return this.#engine.openChannel(this.id, listener, true);
  }
  isOpen(channel: number, generation: number): boolean {
    // Other threads may have posted a Bye, which this thread's table does not know.
    return !this.#shared && this.#engine.channels.isOpen(channel, generation, this.id);
  }
  refuse(channel: number, generation: number, opCode: number): AmpeStatus {
    const { channels } = this.#engine;
    const state = channels.state[channel] ?? PostChannelState.unknown;
    const known = state !== PostChannelState.unknown && state !== PostChannelState.closed;
    // Other threads have numbers of their own, and may have posted a Bye to ours.
    if (this.#shared || (!known && this.#engine.shared)) {
      return this.#engine.refuseShared(channel, generation, this.id, opCode);
    }
    return channels.refuse(channel, generation, this.id, opCode);
  }
  post(frame: Frame, channel: number, opCode: number): void {
    this.#engine.post(this, frame, channel, opCode, this.#shared);
  }
  update(frame: Frame): void {
    this.mailbox.addMail(frame);
  }
  take(): Frame | null {
    return this.closed ? null : this.mailbox.take();
  }
  waiting(change: 1 | -1): void {
    this.#waits += change;
    this.#engine.groupWaits(this, change);
  }
  share(): void {
    this.#shared = true;
    this.#engine.shared = true;
  }
  destroy(): Promise<void> {
    return (this.#destroyed ??= this.#engine.closeGroup(this));
  }
  /** The part of closing that needs nobody else. */
  shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.channels.drain((channel) => {
      this.#engine.dropChannel(channel);
      channel.clear();
    });
    this.mailbox.clear();
    this.#events.onClosed();
  }
}
