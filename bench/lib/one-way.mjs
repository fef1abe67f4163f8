// one-way.mjs: the two ends of a flood: what makes its messages, and what checks and counts them.
// Knows no transport: a peer calls more(), then stamp(), reused() or fresh(), and onMessage() with what arrives.
// Invariant: every message is checked where it arrives; the totals of both ends are compared by the parent.
import { performance } from 'node:perf_hooks';
import { checkBody, connectionOf, kindOf, LAST, MEASURED, MIN_BYTES, stampBody, WARM_UP } from './body.mjs';

/** The clock is read once in so many messages. */
const clockMaskOf = (size) => (size <= 1024 ? 63 : size <= 16_384 ? 7 : 0);

export class OneWaySource {
  sent = 0;
  /** Bytes of the message that is next: a marker in a flood of bodies too short to say what they are is longer. */
  size;
  #connection;
  #bodyBytes;
  #kind = WARM_UP;
  #warmUntil;
  #until;
  #clockMask;
  #scratch;
  #marker = Buffer.alloc(MIN_BYTES);
  #onMeasured;

  constructor({ size, warmMs, runMs, connection = 0 }, onMeasured = () => {}) {
    const now = performance.now();
    this.size = size;
    this.#bodyBytes = size;
    this.#connection = connection;
    this.#warmUntil = now + warmMs;
    this.#until = now + warmMs + runMs;
    this.#clockMask = clockMaskOf(size);
    this.#scratch = Buffer.alloc(size);
    this.#onMeasured = onMeasured;
  }
  /** Whether there is one more to send: each true is to be followed by one stamp(), reused() or fresh(). */
  more() {
    if ((this.sent & this.#clockMask) !== 0) {
      this.size = this.#bodyBytes;
      return true; // the last message and the first measured one are found where the clock is read
    }
    return this.#moreByClock();
  }
  stamp(body) {
    stampBody(body, this.sent++, this.#connection, this.#kind);
  }
  /** The message in a buffer that is used again for the next one. */
  reused() {
    const body = this.size === this.#bodyBytes ? this.#scratch : this.#marker;
    this.stamp(body);
    return body;
  }
  /** The message in a buffer of its own, which the peer may keep. */
  fresh() {
    const body = Buffer.allocUnsafe(this.size);
    this.stamp(body);
    return body;
  }
  #moreByClock() {
    if (this.#kind === LAST) return false;
    const turned = performance.now() >= (this.#kind === MEASURED ? this.#until : this.#warmUntil);
    if (turned) this.#turn();
    this.size = turned ? Math.max(this.#bodyBytes, MIN_BYTES) : this.#bodyBytes;
    return true;
  }
  #turn() {
    this.#kind++;
    if (this.#kind === MEASURED) this.#onMeasured();
    else this.#clockMask = 0; // so that the next question is answered here, with no
  }
}

/** The receiver of one flood: counts between the first measured message and the last one. */
export class OneWaySink {
  #received = 0;
  #size;
  #isShort;
  #done;
  #onMeasured;
  #kind = WARM_UP;
  #from = { at: 0, received: 0 };

  constructor({ size }, done, onMeasured = () => {}) {
    this.#size = size;
    this.#isShort = size < MIN_BYTES;
    this.#done = done;
    this.#onMeasured = onMeasured;
  }
  onMessage(body) {
    const isMarker = this.#isShort && body.length === MIN_BYTES;
    checkBody(body, isMarker ? MIN_BYTES : this.#size, this.#received++, 0);
    if (this.#isShort && !isMarker) return;
    const kind = kindOf(body);
    if (kind !== this.#kind) this.#turn(kind);
  }
  #turn(kind) {
    if (kind !== this.#kind + 1) throw new Error(`integrity: a message of kind ${kind} came after ${this.#kind}`);
    this.#kind = kind;
    const at = performance.now();
    if (kind === MEASURED) {
      this.#from = { at, received: this.#received };
      this.#onMeasured();
    } else {
      const { at: since, received } = this.#from;
      this.#done({ messages: this.#received - received, seconds: (at - since) / 1000, total: this.#received });
    }
  }
}

/** The receiver of several floods at once, told apart by connection: measures while all of them do. */
export class ManySink {
  #received;
  #kinds;
  #size;
  #total = 0;
  #measuring = 0;
  #done;
  #onMeasured;
  #from = null;
  #result = null;
  #finished = 0;

  constructor({ size, connections }, done, onMeasured = () => {}) {
    this.#size = size;
    this.#received = new Uint32Array(connections);
    this.#kinds = new Uint8Array(connections);
    this.#done = done;
    this.#onMeasured = onMeasured;
  }
  onMessage(body) {
    const connection = connectionOf(body);
    checkBody(body, this.#size, this.#received[connection]++, connection);
    this.#total++;
    const kind = kindOf(body);
    if (kind !== this.#kinds[connection]) this.#turn(kind, connection);
  }
  #turn(kind, connection) {
    this.#kinds[connection] = kind;
    const at = performance.now();
    const all = this.#received.length;
    if (kind === MEASURED && ++this.#measuring === all) {
      this.#from = { at, total: this.#total };
      this.#onMeasured();
    } else if (kind === LAST) {
      if (this.#from === null) throw new Error('a flood ended before all others were warm');
      // The first that ends closes the measured part: after it there are fewer senders than wanted.
      this.#result ??= { messages: this.#total - this.#from.total, seconds: (at - this.#from.at) / 1000 };
      if (++this.#finished === all) this.#done({ ...this.#result, total: this.#total });
    }
  }
}
