// inbox.ts: from the engine's thread to the mailboxes: fetches what has come for this thread, in batches, and sorts it.
// Thread: that of its engine. Invariant: nothing is fetched while a batch is being sorted; receivers hear of it afterwards.
import { rawToStatus } from '../protocol/status';
import { publishProtocolViolation } from '../engine/diagnostics';
import type { Pool } from '../engine/pool';
import type { Binding } from './binding';
import type { NativeChannel } from './channel';
import type { NativeGroup } from './group';
import { placeBytes } from './host-frame';
import { errorCodeOf } from './os-errors';
import { Slabs, type Slab } from './slab';

/** What comes: the numbers are those of the binding, see `tables.recordKinds`. */
export const RecordKind = {
  frames: 1,
  opened: 2,
  mail: 3,
  ended: 4,
  tail: 5,
  last: 6,
  groupGone: 7,
  engineGone: 8,
  credit: 9,
  violation: 10,
  socketsGone: 11,
} as const;

/** Words of the header and of each record: kind, group, channel, generation, at, length, a, b. */
const RECORD_WORDS = 8;
/** As many as small messages of different channels fit into what is worth one call. */
const MAX_RECORDS = 256;

/** What the inbox needs of the engine. */
export interface InboxHost {
  readonly pool: Pool;
  channelOf(channel: number, generation: number): NativeChannel | undefined;
  groupOf(group: number): NativeGroup | undefined;
  /** True: there are credits that were not there before. */
  onSettled(total: number): boolean;
  /** A channel that this thread did not open itself. */
  onOpened(group: number, channel: number, generation: number, idHigh: number, idLow: number, kind: Opened): void;
  onGroupGone(group: number): void;
  onEngineGone(): void;
}
/** Received frames, and their bytes. */
export interface Tally {
  frames: number;
  bytes: number;
}
/** How a channel came into being. */
export interface Opened {
  listener: boolean;
  /** Another thread posted its Hello or Welcome; otherwise it was accepted. */
  byOtherThread: boolean;
}

export class Inbox {
  /** Whether the last drain() left something. */
  more = false;
  /** What the application was given since the last drain(), which tells the engine. */
  readonly delivered: Tally = { frames: 0, bytes: 0 };
  readonly #binding: Binding;
  readonly #port: number;
  readonly #host: InboxHost;
  readonly #slabs = new Slabs();
  readonly #records = new Uint32Array(RECORD_WORDS * (1 + MAX_RECORDS));
  #sorting = false;
  #firstToTell: NativeGroup | null = null;
  #lastToTell: NativeGroup | null = null;

  constructor(binding: Binding, port: number, host: InboxHost) {
    this.#binding = binding;
    this.#port = port;
    this.#host = host;
  }

  /** One batch. False: there was nothing, neither messages nor credits. */
  drain(): boolean {
    if (this.#sorting) return false;
    this.#sorting = true;
    const slab = this.#slabs.current();
    const records = this.#records;
    const { delivered } = this;
    records[5] = delivered.frames;
    records[6] = delivered.bytes;
    delivered.frames = delivered.bytes = 0;
    const count = this.#binding.drain(this.#port, slab.memory, slab.at, records);
    slab.at = records[2];
    this.more = records[3] !== 0;
    const settled = this.#host.onSettled(records[1]);
    for (let i = 1; i <= count; i++) this.#sort(i * RECORD_WORDS, slab);
    if (records[4] !== 0) this.#slabs.next();
    this.#sorting = false;
    if (this.#firstToTell !== null) this.#tell();
    return count > 0 || this.more || settled;
  }
  /** A group is readable: it hears of it now, or behind the batch. */
  onReadable(group: NativeGroup): void {
    if (!this.#sorting) group.tellReadable();
    else if (!group.listed) {
      group.listed = true;
      if (this.#lastToTell === null) this.#firstToTell = group;
      else this.#lastToTell.nextToTell = group;
      this.#lastToTell = group;
    }
  }
  #tell(): void {
    let group = this.#firstToTell;
    // Who is told may drain again, and tell others before the rest of these.
    this.#firstToTell = this.#lastToTell = null;
    while (group !== null) {
      const next: NativeGroup | null = group.nextToTell;
      group.nextToTell = null;
      group.listed = false;
      group.tellReadable();
      group = next;
    }
  }

  #sort(record: number, slab: Slab): void {
    const records = this.#records;
    const kind = records[record];
    const channel = records[record + 2];
    const generation = records[record + 3];
    if (kind === RecordKind.frames) {
      this.#host.channelOf(channel, generation)?.onFrames(slab, records[record + 4], records[record + 6]);
      return;
    }
    const group = records[record + 1];
    switch (kind) {
      case RecordKind.opened: {
        const opened = { listener: records[record + 6] === 1, byOtherThread: records[record + 7] === 1 };
        this.#host.onOpened(group, channel, generation, records[record + 4], records[record + 5], opened);
        return;
      }
      case RecordKind.mail:
      case RecordKind.tail:
        this.#sortMail(record, slab);
        return;
      case RecordKind.ended:
        this.#host.channelOf(channel, generation)?.onEnded();
        return;
      case RecordKind.last:
        this.#host
          .channelOf(channel, generation)
          ?.onLast(rawToStatus(records[record + 6]), errorCodeOf(records[record + 7]));
        return;
      case RecordKind.credit: {
        const mailbox = this.#host.groupOf(group)?.mailbox ?? null;
        this.#host.pool.settleFor(mailbox, records[record + 6]);
        mailbox?.reconsider();
        return;
      }
      default:
        this.#sortRare(kind, group, channel);
    }
  }
  #sortRare(kind: number, group: number, channel: number): void {
    if (kind === RecordKind.groupGone) this.#host.onGroupGone(group);
    else if (kind === RecordKind.engineGone) this.#host.onEngineGone();
    else if (kind === RecordKind.violation) publishProtocolViolation(group, channel);
    // socketsGone only rings the doorbell: the engine looks at the number itself.
  }

  /** Frames that need no pool message: statuses, updates, and what comes back. */
  #sortMail(record: number, slab: Slab): void {
    const records = this.#records;
    const { pool } = this.#host;
    const group = this.#host.groupOf(records[record + 1]);
    let at = records[record + 4];
    const end = at + records[record + 5];
    while (at < end) {
      slab.live++;
      const frame = slab.frameAt(at);
      frame.generation = records[record + 3];
      frame.errorCode = errorCodeOf(records[record + 7]);
      // Posted by this thread, it counts until the receiver takes it: a producer must not outrun what comes back.
      frame.counted = frame.countsUntilTaken = records[record + 6] === 1;
      at += placeBytes(frame.byteLength);
      if (group === undefined || group.closed) pool.give(frame);
      else group.mailbox.addMail(frame);
    }
  }
}
