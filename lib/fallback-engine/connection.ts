// connection.ts: one channel with a socket, from Hello to its last word. Executes the state table; decides nothing that
// the table decides. Sends from a queue of frames, reads into a backlog of chunks that are parsed in place.
// Owner: the engine; others hold a channel number. Thread: the engine's.
// Invariant: a posted frame is in exactly one place: the send queue, the pool (sent), or the tail (comes back).
import {
  AT_BODY_LENGTH,
  AT_FLAGS,
  AT_HEADERS_LENGTH,
  AT_ID_HIGH,
  AT_ID_LOW,
  HEADER_BYTES,
  ORIGIN_BIT,
  WIRE_MASK,
} from '../protocol/constants';
import { isDeaf, next, type ChannelEvent, type ChannelState } from '../protocol/channel-state';
import { Framer, type FrameSink } from '../protocol/framer';
import { readU16, readU32 } from '../protocol/header';
import { OpCode } from '../protocol/op-code';
import { AmpeStatus } from '../protocol/status';
import { looseFrame, type Frame } from '../engine/frame';
import type { MailSource } from '../engine/mailbox';
import { Queue } from '../engine/queue';
import { READ_BYTES, statusOfLoss, type Dial, type SocketEvents, type StreamSocket } from './net';
import type { EngineOfConnection, GroupOfConnection } from './reactor';
import { collect, copyOf } from './send-batch';

/** Received bytes kept for a receiver that does not ask; above it the socket is not read. */
const BACKLOG_BYTES = READ_BYTES;
/** Chunks read from one connection in one turn of the event loop before others have theirs. */
const CHUNKS_PER_TURN = 4;

/** A run of whole frames in memory that arrived. */
interface Run {
  memory: Buffer;
  at: number;
  end: number;
}

export class Connection implements MailSource, SocketEvents, FrameSink {
  state: ChannelState;
  told = false;
  /** What the system said when it ended, an errno name, or '': the first counts. */
  errorCode = '';
  /** Whether the engine will flush it at the end of the tick; the engine sets it, flush() clears it. */
  dirty = false;
  dial: Dial | null = null;
  readonly #engine: EngineOfConnection;
  readonly #group: GroupOfConnection;
  readonly #framer = new Framer();
  readonly #sendQueue = new Queue<Frame>();
  readonly #runs = new Queue<Run>();
  readonly #tail = new Queue<Frame>();
  #socket: StreamSocket | null = null;
  #closed = false; // the socket's last event has come
  #unsentAnswers = 0;
  #writing = 0; // frames at the head of the queue that a slow write holds
  #slowFrom = 0; // bytes of the first of them that were out before
  #sendFailed: string | null = null;
  #backlog = 0;
  #paused = false;
  #chunks = 0; // read in this turn
  #resumeScheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = 0;
  #movedAt = 0;
  #unsentStatus: AmpeStatus = AmpeStatus.PeerDisconnected;
  #onClosed: (() => void) | null = null;

  constructor(
    engine: EngineOfConnection,
    group: GroupOfConnection,
    readonly channel: number,
    readonly generation: number,
    /** Halves of the id of the message that opened the channel: it is the last word's. */
    public idHigh: number,
    public idLow: number,
    accepted: StreamSocket | null,
  ) {
    this.#engine = engine;
    this.#group = group;
    this.state = accepted === null ? 'connecting' : 'greeting';
    if (accepted !== null) this.#start(accepted);
  }

  // ── from the application ──

  /** Queues a checked frame; what cannot be sent any more comes back. */
  post(frame: Frame): void {
    const { opCode } = frame;
    if (opCode === OpCode.ByeSignal) return this.#abort(frame);
    if (this.#isOver) {
      // Behind a write that goes on in spite of the end: what it holds may come back as well, and first.
      if (this.#writing > 0) this.#sendQueue.push(frame);
      else this.#bringBack(frame);
      if (this.#engine.pool.starves) this.uncountUnsendable();
      return;
    }
    this.#sendQueue.push(frame);
    if (opCode === OpCode.ByeRequest) this.#step('postBye');
    else if (opCode === OpCode.ByeResponse) this.#step('postAnswer');
    if (this.state !== 'connecting') this.#markDirty();
    if (this.#sendFailed !== null && this.#engine.pool.starves) this.uncountUnsendable();
    if (frame.isAnswer) this.#unsentAnswers++;
  }

  /** Nothing is sent any more but what a slow write holds. */
  get #isOver(): boolean {
    return this.state === 'ended' || this.state === 'finishing';
  }
  #abort(frame: Frame): void {
    this.#engine.pool.give(frame);
    if (this.state === 'ended') return;
    if (this.state === 'connecting') this.onConnectFailed(AmpeStatus.ChannelClosed);
    else this.#lose(AmpeStatus.ChannelClosed, true);
  }

  #markDirty(): void {
    if (!this.dirty) this.#engine.markDirty(this);
  }

  // ── connecting ──

  onConnected(socket: StreamSocket): void {
    this.dial = null;
    this.#step('connected');
    for (let i = 0; i < this.#sendQueue.length; i++) {
      const { opCode } = this.#sendQueue.at(i)!;
      if (opCode === OpCode.ByeRequest) this.#step('postBye');
      else if (opCode === OpCode.ByeResponse) this.#step('postAnswer');
    }
    this.#start(socket);
    this.#markDirty();
  }
  onConnectFailed(status: AmpeStatus, errorCode = ''): void {
    this.errorCode = errorCode;
    this.dial?.cancel();
    this.dial = null;
    this.#closed = true;
    this.#lose(status, false);
  }

  #start(socket: StreamSocket): void {
    this.#socket = socket;
    socket.setReferenced(this.#engine.referenced);
    if (this.state === 'greeting') this.#arm(this.#engine.options.handshakeTimeoutMs);
    socket.start(this);
  }

  // ── sending ──

  /** Sends what is queued until the socket is full. */
  flush(): void {
    this.dirty = false;
    const socket = this.#socket;
    if (socket === null) return;
    while (this.#sendQueue.length > 0 && this.#writing === 0 && this.#sendFailed === null && this.state !== 'ended') {
      if (!socket.direct) {
        const { bytes, frames } = copyOf(this.#sendQueue);
        this.#writing = frames;
        this.#slowFrom = 0;
        socket.writeSlowly(bytes);
        continue;
      }
      const { buffers, length } = collect(this.#sendQueue);
      const taken = socket.writeNow(buffers);
      const left = this.#sent(taken);
      if (socket.failure !== null) return this.#failSending(socket.failure);
      if (taken < length && this.#sendQueue.length > 0) {
        // Full: the frame at the head waits in the stream, alone, so that its outcome is known.
        this.#writing = 1;
        this.#slowFrom = left;
        socket.writeSlowly(restOf(this.#sendQueue.at(0)!, left));
      }
    }
  }
  onWritten(code: string | null): void {
    const frames = this.#writing;
    this.#writing = 0;
    if (code !== null) {
      this.#failSending(code);
      return;
    }
    this.#movedAt = performance.now();
    for (let i = 0; i < frames && this.#sendQueue.length > 0; i++) this.#sentOne(this.#sendQueue.at(0)!.byteLength);
    if (this.state === 'finishing') this.#bringBackQueue();
    else if (this.state !== 'ended' && this.#sendQueue.length > 0) this.#markDirty();
  }

  /** Frames that lie whole in the first `bytes` are sent; returns how much of the next one is. */
  #sent(bytes: number): number {
    if (bytes > 0) this.#movedAt = performance.now();
    while (this.#sendQueue.length > 0) {
      const length = this.#sendQueue.at(0)!.byteLength;
      if (length > bytes) break;
      bytes -= length;
      this.#sentOne(length);
    }
    return bytes;
  }
  #sentOne(length: number): void {
    const frame = this.#sendQueue.shift()!;
    const { opCode } = frame;
    this.#engine.countSent(length);
    if (frame.isAnswer) this.#unsentAnswers--;
    this.#engine.pool.give(frame);
    if (opCode === OpCode.ByeRequest || opCode === OpCode.ByeResponse) this.#step('byeOut');
  }
  /** Sending is over, reading is not: what had arrived is delivered first. */
  #failSending(code: string): void {
    if (this.#sendFailed !== null || this.state === 'ended') return;
    this.#sendFailed = code;
    this.#noteError(code);
    const status = statusOfLoss(code);
    if (isDeaf(this.state)) return this.#lose(status, false);
    this.#unsentStatus = status;
    this.#arm(this.#engine.options.closeTimeoutMs);
    this.#noteBroken();
  }
  /** Behind the peer's Bye it is to be expected. */
  #noteError(code: string | null): void {
    if (this.errorCode === '' && code !== null && this.state !== 'ended' && !isDeaf(this.state)) this.errorCode = code;
  }
  #noteBroken(): void {
    this.#engine.noteBroken(this);
    this.#group.mailbox.reconsider();
  }
  /** What cannot be sent any more does not count, although it has not come back yet. What did not count before stands in front. */
  uncountUnsendable(): void {
    const { pool } = this.#engine;
    for (const queue of [this.#tail, this.#sendQueue]) {
      const held = queue === this.#sendQueue ? this.#writing : 0;
      // A receiver that is told of a credit may take from the tail meanwhile.
      for (let i = queue.length - 1; i >= held && queue.at(i)?.counted === true; i--) pool.uncount(queue.at(i)!);
    }
  }

  // ── receiving ──

  onChunk(chunk: Buffer): void {
    if (this.state === 'ended') return;
    this.#movedAt = performance.now();
    if (!isDeaf(this.state)) {
      const hadRuns = this.#runs.length > 0;
      this.#framer.feed(chunk, this);
      if (!hadRuns && this.#runs.length > 0) this.#group.mailbox.addReady(this);
    }
    this.#bound(chunk.length);
  }
  /** Stops reading for want of a receiver, or for this turn because others wait. */
  #bound(length: number): void {
    if (this.#paused || this.#socket === null) return;
    // A short read has emptied the socket: only a peer that fills every chunk can keep others waiting.
    this.#chunks = length < READ_BYTES ? 0 : this.#chunks + 1;
    if (this.#backlog >= BACKLOG_BYTES) this.#pause();
    else if (this.#chunks >= CHUNKS_PER_TURN) {
      this.#pause();
      this.#resumeSoon();
    }
  }
  /** A socket that is not read does not hold the process: the engine does. */
  #pause(): void {
    this.#paused = true;
    this.#engine.hold(1);
    this.#socket!.pause();
  }
  #unpause(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#engine.hold(-1);
  }
  #resumeSoon(): void {
    if (this.#resumeScheduled) return;
    this.#resumeScheduled = true;
    this.#engine.atTurnEnd(() => {
      this.#resumeScheduled = false;
      this.#chunks = 0;
      if (this.#backlog < BACKLOG_BYTES) this.#resume();
    });
  }
  #resume(): void {
    if (!this.#paused) return;
    this.#unpause();
    this.#movedAt = performance.now();
    this.#socket?.resume();
  }

  onFrames(memory: Buffer, start: number, end: number): boolean {
    if (!this.#arrive('data')) return false;
    this.#keep(memory, start, end);
    return true;
  }
  onControl(memory: Buffer, at: number, end: number, opCode: OpCode): boolean {
    const event =
      opCode === OpCode.HelloRequest ? 'hello' : opCode === OpCode.ByeRequest ? 'byeRequest' : 'byeResponse';
    const greeting = this.state === 'greeting';
    const before = this.#arrivalAction(event);
    if (before === 'violation') {
      this.onViolation();
      return false;
    }
    if (greeting) {
      clearTimeout(this.#timer);
      this.idHigh = readU32(memory, at + AT_ID_HIGH) | 0;
      this.idLow = readU32(memory, at + AT_ID_LOW) | 0;
      this.#engine.makeVisible(this);
    }
    this.#keep(memory, at, end);
    this.#step(event);
    return !isDeaf(this.state);
  }
  onViolation(): void {
    this.#engine.countViolation(this, this.#group.id);
    this.#lose(AmpeStatus.CommunicationFailed, true);
  }
  /** Whether a frame is to be kept; a violation ends the channel here. */
  #arrive(event: ChannelEvent): boolean {
    const action = this.#arrivalAction(event);
    if (action === 'violation') this.onViolation();
    return action === 'deliver';
  }
  #arrivalAction(event: ChannelEvent): string {
    return next(this.state, event)[1];
  }
  #keep(memory: Buffer, at: number, end: number): void {
    this.#runs.push({ memory, at, end });
    this.#backlog += end - at;
  }

  onEof(): void {
    if (this.state === 'ended') return;
    if (this.state === 'byeSent' || this.state === 'finishing') this.#socket?.shutdownWrite();
    this.#lose(this.#sendFailed === null ? AmpeStatus.PeerDisconnected : this.#unsentStatus, false);
  }
  onClosed(code: string | null): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#noteError(code);
    if (this.state !== 'ended') this.#lose(this.#sendFailed === null ? statusOfLoss(code) : this.#unsentStatus, false);
    this.#onClosed?.();
  }

  // ── the mailbox takes ──

  takeFrame(): Frame {
    const run = this.#runs.at(0)!;
    const { memory, at } = run;
    const frame = looseFrame();
    // Of what a peer says about itself only this is believed: status stays 0, and the channel is this side's number.
    frame.flags = memory[at + AT_FLAGS] & WIRE_MASK;
    frame.idHigh = readU32(memory, at + AT_ID_HIGH) | 0;
    frame.idLow = readU32(memory, at + AT_ID_LOW) | 0;
    frame.channel = this.channel;
    frame.generation = this.generation;
    const headers = readU16(memory, at + AT_HEADERS_LENGTH);
    frame.place(memory, at + HEADER_BYTES, headers, readU16(memory, at + AT_BODY_LENGTH));
    const length = frame.byteLength;
    run.at += length;
    this.#backlog -= length;
    this.#engine.countReceived(length);
    if (run.at === run.end) this.#runs.shift();
    if (this.#paused && !this.#resumeScheduled && this.#backlog <= BACKLOG_BYTES / 2) this.#resume();
    return frame;
  }
  hasFrames(): boolean {
    return this.#runs.length > 0;
  }
  unsentAnswers(): number {
    return this.#sendFailed !== null || this.#isOver ? 0 : this.#unsentAnswers;
  }
  get ended(): boolean {
    return this.state === 'ended';
  }
  takeTail(): Frame {
    const frame = this.#tail.shift();
    if (frame !== undefined) {
      // Counts until now: a producer that waits for free messages must not outrun the receiver of what comes back.
      this.#engine.pool.uncount(frame);
      return frame;
    }
    this.told = true;
    return this.#engine.lastWord(this);
  }

  // ── the end ──

  /** Runs the state table and does what the row says. */
  #step(event: ChannelEvent): void {
    const [state, action] = next(this.state, event);
    this.state = state;
    if (action === 'deadline') this.#arm(this.#engine.options.closeTimeoutMs);
    else if (action === 'finish' || action === 'deliverFinish') this.#finish();
    else if (action === 'conclude') {
      this.#unsentStatus = AmpeStatus.ChannelClosed;
      if (this.#writing === 0) this.#bringBackQueue(); // else when that write has ended
      this.#finish();
    }
  }
  /** Both Byes are done: nothing more to say, read to the end. */
  #finish(): void {
    this.#socket?.shutdownWrite();
    this.#arm(this.#engine.options.closeTimeoutMs);
    this.#noteBroken();
  }
  /** The close or handshake deadline; a byte that moves starts it again, an unread channel stops it. */
  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#timerMs = ms;
    this.#movedAt = performance.now();
    this.#timer = setTimeout(() => this.#expire(), ms);
    this.#timer.unref();
  }
  #expire(): void {
    if (this.state === 'ended') return;
    const restMs = this.#timerMs - (performance.now() - this.#movedAt);
    if (this.state !== 'greeting' && (this.#paused || restMs >= 1)) {
      this.#timer = setTimeout(() => this.#expire(), this.#paused ? this.#timerMs : restMs);
      this.#timer.unref();
      return;
    }
    this.#lose(this.#sendFailed === null ? AmpeStatus.ChannelClosed : this.#unsentStatus, false);
  }

  /** The channel is over: what is unsent comes back behind what has arrived, then the last word. */
  #lose(status: AmpeStatus, reset: boolean): void {
    const unseen = this.state === 'greeting';
    if (this.#writing > 0) {
      this.#writing = 0;
      this.#sent(this.#slowFrom + this.#socket!.slowBytesTaken);
    }
    if (this.state === 'finishing') this.#bringBackQueue(); // the reason was the peer's Bye
    this.state = next(this.state, 'gone')[0];
    clearTimeout(this.#timer);
    this.#unpause();
    this.#unsentStatus = status;
    this.#bringBackQueue();
    if (reset) this.#socket?.reset();
    else this.#socket?.close();
    if (unseen) return this.#engine.forgetUnseen(this);
    // Before a receiver is told anything: one that takes the last frame meanwhile finds the tail by itself.
    const silent = this.#runs.length === 0;
    this.#noteBroken();
    if (silent) this.#group.mailbox.addTail(this);
  }
  #bringBackQueue(): void {
    for (let frame = this.#sendQueue.shift(); frame !== undefined; frame = this.#sendQueue.shift()) {
      this.#bringBack(frame);
    }
  }
  /** Back to the application as it was posted; only a HelloRequest becomes the HelloResponse it waits for. */
  #bringBack(frame: Frame): void {
    if (frame.opCode === OpCode.HelloRequest) frame.opCode = OpCode.HelloResponse;
    frame.flags |= ORIGIN_BIT;
    frame.status = this.#unsentStatus;
    frame.errorCode = this.errorCode;
    this.#tail.push(frame);
  }

  /** The group is gone: everything stops without a word. Resolves when the socket is closed. */
  destroy(): Promise<void> {
    clearTimeout(this.#timer);
    this.dial?.cancel();
    this.dial = null;
    this.state = 'ended';
    this.#unpause();
    for (const queue of [this.#sendQueue, this.#tail]) {
      for (let frame = queue.shift(); frame !== undefined; frame = queue.shift()) this.#engine.pool.give(frame);
    }
    this.#runs.clear();
    const socket = this.#socket;
    if (socket === null || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onClosed = resolve;
      socket.reset();
    });
  }
  setReferenced(referenced: boolean): void {
    this.dial?.setReferenced(referenced);
    this.#socket?.setReferenced(referenced);
  }
}

/** The part of a frame that the kernel has not taken, in memory that stays as it is until the frame is sent. */
function restOf(frame: Frame, taken: number): Buffer {
  const views: Buffer[] = [];
  frame.addViews(views);
  return (views.length === 1 ? views[0] : Buffer.concat(views)).subarray(taken);
}
