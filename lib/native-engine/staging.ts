// staging.ts: from post() to the engine's thread: what is posted is copied side by side and handed over in batches.
// Small frames are copied at once, so that their message is free again; large ones go from where they lie, one by one.
// When the engine has no memory for a batch, a copy waits here, and everything later behind it: posting never fails.
// Thread: that of its engine. Invariant: frames and commands reach the engine in the order of these calls.
import { HEADER_BYTES, MAX_FRAME_BYTES } from '../protocol/constants';
import { FIRST_FRAMES, MOST_FRAMES, nextBatch } from '../engine/flush-pace';
import type { Frame } from '../engine/frame';
import type { Pool } from '../engine/pool';
import { Queue } from '../engine/queue';
import { nextTick } from '../engine/turn-end';
import type { Binding } from './binding';
import { placeBytes, writeHostHeader } from './host-frame';

/** About what a socket takes at once; a frame below LARGE_BYTES always fits. */
const STAGING_BYTES = 64 * 1024;
/** Above this, copying a frame once more costs more than a call and a write of its own: measured from 4 to 60 KiB. */
const LARGE_BYTES = 32 * 1024;
/** Runs that leave together, if they are of so many frames: each is a system call anyway, and waiting for more keeps peers idle. */
const FLUSH_RUNS = 8;
const GOOD_RUN_FRAMES = 4;
/** How long after a refusal for want of memory it is tried again. */
const RETRY_MS = 10;

/** What describes a run: channel, generation, bytes, frames, tag, group, answers among the frames. */
const RUN_WORDS = 7;
const RUN_CHANNEL = 0;
const RUN_GENERATION = 1;
const RUN_BYTES = 2;
const RUN_FRAMES = 3;
const RUN_TAG = 4;
const RUN_GROUP = 5;
const RUN_ANSWERS = 6;
const NO_MEMORY = -1;

export class Staging {
  readonly #binding: Binding;
  readonly #port: number;
  readonly #pool: Pool;
  readonly #onSettled: (total: number) => unknown;
  readonly #memory = new Uint8Array(STAGING_BYTES);
  readonly #words = new Int32Array(this.#memory.buffer);
  readonly #runs = new Uint32Array(MOST_FRAMES * RUN_WORDS);
  readonly #single = new Uint32Array(RUN_WORDS);
  #scratch: Buffer | null = null;
  #count = 0; // runs that are described
  #bytes = 0;
  #frames = 0;
  #answers = 0; // of these, see Frame.isAnswer
  // The run that frames are added to. It is described when it ends: that is once, and a frame is every time.
  #channel = 0; // 0: there is none
  #generation = 0;
  #tag = 0;
  #group = 0;
  #runAt = 0; // bytes and frames before it
  #framesBefore = 0;
  #answersBefore = 0;
  #flushAt = FIRST_FRAMES;
  #scheduled = false;
  #closed = false;
  readonly #late = new Queue<() => boolean>();
  #retry: NodeJS.Timeout | null = null;
  readonly #onTickEnd = (): void => {
    this.#scheduled = false;
    this.flush();
    this.#flushAt = FIRST_FRAMES;
  };

  /** @param onSettled is given the total of settled messages whenever the engine has told it */
  constructor(binding: Binding, port: number, pool: Pool, onSettled: (total: number) => unknown) {
    this.#binding = binding;
    this.#port = port;
    this.#pool = pool;
    this.#onSettled = onSettled;
  }

  /** Takes a checked frame. Its bytes are the pool's again afterwards, its credit is not. */
  post(frame: Frame, channel: number, generation: number, group: number): void {
    const { reader } = frame;
    const tag = reader !== null && reader.reserveLent ? reader.group : 0;
    const length = frame.byteLength;
    if (length >= LARGE_BYTES) {
      this.#postLarge(frame, length, channel, generation, tag, group);
      return;
    }
    const room = placeBytes(length);
    if (this.#bytes + room > STAGING_BYTES) this.flush();
    // A life of a channel belongs to one group, which need not be compared.
    if (channel !== this.#channel || generation !== this.#generation || tag !== this.#tag) {
      this.#beginRun(channel, generation, tag, group);
    }
    writeHostHeader(frame, this.#words, this.#bytes);
    frame.copyContent(this.#memory, this.#bytes + HEADER_BYTES);
    this.#bytes += room;
    if (frame.isAnswer) this.#answers++;
    this.#pool.release(frame);
    if (++this.#frames >= this.#flushAt) {
      this.flush();
      this.#flushAt = nextBatch(this.#flushAt);
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      nextTick(this.#onTickEnd);
    }
  }

  #beginRun(channel: number, generation: number, tag: number, group: number): void {
    this.#endRun();
    if (this.#count >= FLUSH_RUNS && this.#frames >= this.#count * GOOD_RUN_FRAMES) this.flush();
    this.#channel = channel;
    this.#generation = generation;
    this.#tag = tag;
    this.#group = group;
    this.#runAt = this.#bytes;
    this.#framesBefore = this.#frames;
    this.#answersBefore = this.#answers;
  }
  #endRun(): void {
    if (this.#channel === 0) return;
    const at = this.#count++ * RUN_WORDS;
    const frames = this.#frames - this.#framesBefore;
    const answers = this.#answers - this.#answersBefore;
    const bytes = this.#bytes - this.#runAt;
    describe(this.#runs, at, this.#channel, this.#generation, bytes, frames, this.#tag, this.#group, answers);
    this.#channel = 0;
  }

  #postLarge(frame: Frame, length: number, channel: number, generation: number, tag: number, group: number): void {
    this.flush();
    let at = frame.assemble();
    let memory = frame.bodyMemory;
    if (at < 0) {
      at = 0;
      memory = this.#scratch ??= Buffer.allocUnsafeSlow(MAX_FRAME_BYTES);
      frame.copyTo(memory, 0);
    }
    const run = this.#single;
    describe(run, 0, channel, generation, length, 1, tag, group, frame.isAnswer ? 1 : 0);
    if (this.#late.length > 0 || !this.#send(memory, at, length, run)) {
      const bytes = Buffer.from(memory.subarray(at, at + length));
      const words = run.slice();
      this.#later(() => this.#send(bytes, 0, length, words));
    }
    this.#pool.release(frame);
  }

  /** Whether answers are among what is not handed over yet. */
  get hasAnswers(): boolean {
    return this.#answers > 0;
  }
  /** Hands over what was posted. */
  flush(): void {
    if (this.#frames === 0 || this.#closed) return;
    this.#endRun();
    const count = this.#count;
    const bytes = this.#bytes;
    this.#count = 0;
    this.#bytes = 0;
    this.#frames = 0;
    this.#answers = 0;
    if (this.#late.length > 0 || !this.#flush(this.#memory, this.#runs, count)) {
      const memory = this.#memory.slice(0, bytes);
      const runs = this.#runs.slice(0, count * RUN_WORDS);
      this.#later(() => this.#flush(memory, runs, count));
    }
  }
  /** Asks how much is settled without handing over anything. */
  askSettled(): void {
    if (!this.#closed) this.#flush(this.#memory, this.#runs, 0);
  }
  command(kind: number, a: number, b: number, c: number): void {
    if (this.#closed) return;
    const tell = (): boolean => this.#binding.command(this.#port, kind, a, b, c) !== NO_MEMORY;
    if (this.#late.length > 0 || !tell()) this.#later(tell);
  }
  /** A frame for the receive queue of another thread's group. Gives it back to the pool. */
  update(group: number, frame: Frame): void {
    const length = frame.byteLength;
    const bytes = Buffer.allocUnsafe(length);
    frame.copyTo(bytes, 0);
    this.#pool.give(frame);
    // A group that is gone drops it, as it drops what it had got a moment earlier.
    const put = (): boolean => this.#binding.update(this.#port, group, bytes, 0, length) !== NO_MEMORY;
    if (this.#late.length > 0 || !put()) this.#later(put);
  }
  /** The engine is gone: nothing is handed over any more. */
  close(): void {
    this.#closed = true;
    this.#late.clear();
    if (this.#retry !== null) clearTimeout(this.#retry);
  }

  #flush(memory: Uint8Array, runs: Uint32Array, count: number): boolean {
    return this.#isTaken(this.#binding.flush(this.#port, memory, runs, count));
  }
  #send(memory: Buffer, at: number, length: number, run: Uint32Array): boolean {
    return this.#isTaken(this.#binding.send(this.#port, memory, at, length, run));
  }
  /** What flush and send answer: the total of settled messages, or why nothing was taken. */
  #isTaken(settled: number): boolean {
    if (settled === NO_MEMORY) return false;
    if (settled < 0) throw new Error('memory of posted messages was transferred or is damaged');
    this.#onSettled(settled);
    return true;
  }
  #later(tryAgain: () => boolean): void {
    this.#late.push(tryAgain);
    this.#retry ??= setTimeout(() => this.#tryLate(), RETRY_MS);
  }
  #tryLate(): void {
    this.#retry = null;
    while (!this.#closed && this.#late.length > 0) {
      // At the head until it has succeeded: what is handed over meanwhile stands behind it.
      if (this.#late.at(0)!()) this.#late.shift();
      else {
        this.#retry = setTimeout(() => this.#tryLate(), RETRY_MS);
        return;
      }
    }
  }
}

function describe(
  runs: Uint32Array,
  at: number,
  channel: number,
  generation: number,
  bytes: number,
  frames: number,
  tag: number,
  group: number,
  answers: number,
): void {
  runs[at + RUN_CHANNEL] = channel;
  runs[at + RUN_GENERATION] = generation;
  runs[at + RUN_BYTES] = bytes;
  runs[at + RUN_FRAMES] = frames;
  runs[at + RUN_TAG] = tag;
  runs[at + RUN_GROUP] = group;
  runs[at + RUN_ANSWERS] = answers;
}
