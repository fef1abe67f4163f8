// open-loop.mjs: a client that sends at a fixed rate whatever comes back, and counts latency from the time each request
// should have been sent. So a stall costs every request that was due during it, as it costs the users of a service; a closed
// loop would send fewer then and not notice. Knows no transport; the server is that of the closed loop.
import { performance } from 'node:perf_hooks';
import { checkBody, MEASURED, stampBody, WARM_UP } from './body.mjs';
import { percentilesUs } from './statistics.mjs';

const MOST_BEHIND_SECONDS = 3; // more requests open than this is worth: the rate is too high for the peer
const EVERY = 16; // of the sends, for how late the client itself is

export class OpenLoopClient {
  #workload;
  #done;
  #onMeasured;
  #connection;
  #body;
  #intervalMs;
  #firstMeasured;
  #total;
  #startedAt = 0;
  #sent = 0;
  #replies = 0;
  #latenciesMs;
  #lateMs;
  #late = 0;

  /** `rate` is requests in a second, on one connection. */
  constructor(workload, done, onMeasured = () => {}) {
    const { rate, warmMs, runMs, size } = workload;
    this.#workload = workload;
    this.#done = done;
    this.#onMeasured = onMeasured;
    this.#body = Buffer.alloc(size);
    this.#intervalMs = 1000 / rate;
    this.#firstMeasured = Math.ceil(warmMs / this.#intervalMs);
    this.#total = this.#firstMeasured + Math.max(1, Math.floor(runMs / this.#intervalMs));
    this.#latenciesMs = new Float64Array(this.#total - this.#firstMeasured);
    this.#lateMs = new Float64Array(Math.ceil(this.#latenciesMs.length / EVERY) + 1);
  }
  start([connection]) {
    if (connection.reuse !== true) throw new Error('the open loop needs a peer whose request() copies');
    this.#connection = connection;
    this.#startedAt = performance.now();
    this.#turn();
  }
  onReply(_index, body) {
    const sequence = this.#replies++;
    checkBody(body, this.#workload.size, sequence, 0);
    if (sequence < this.#firstMeasured) return;
    this.#latenciesMs[sequence - this.#firstMeasured] = performance.now() - this.#dueAt(sequence);
    if (this.#replies === this.#total) this.#finish();
  }
  #dueAt(sequence) {
    return this.#startedAt + sequence * this.#intervalMs;
  }
  /** Sends what is due; then the event loop has a turn for what has come. It never sleeps: that would make answers late. */
  #turn = () => {
    const now = performance.now();
    const due = Math.min(this.#total, Math.floor((now - this.#startedAt) / this.#intervalMs) + 1);
    while (this.#sent < due) this.#send(now);
    if (this.#sent - this.#replies > MOST_BEHIND_SECONDS * this.#workload.rate) {
      throw new Error(`${this.#workload.rate} requests a second are too many: the answers fall behind`);
    }
    if (this.#sent < this.#total) setImmediate(this.#turn);
  };
  #send(now) {
    const sequence = this.#sent++;
    if (sequence === this.#firstMeasured) this.#onMeasured();
    if (sequence >= this.#firstMeasured && sequence % EVERY === 0)
      this.#lateMs[this.#late++] = now - this.#dueAt(sequence);
    stampBody(this.#body, sequence, 0, sequence < this.#firstMeasured ? WARM_UP : MEASURED);
    this.#connection.request(this.#body);
  }
  #finish() {
    const messages = this.#latenciesMs.length;
    const seconds = (performance.now() - this.#dueAt(this.#firstMeasured)) / 1000;
    const late = percentilesUs(this.#lateMs.subarray(0, this.#late));
    const sending = { sentLateP50Us: late.p50Us, sentLateP99Us: late.p99Us };
    this.#done({ ...percentilesUs(this.#latenciesMs), ...sending, messages, seconds, total: this.#replies });
  }
}

/** Keeps this thread busy for `blockMs` at the start of every second from now on, as a long computation would. */
export function blockEverySecond(blockMs) {
  const block = () => {
    const until = performance.now() + blockMs;
    while (performance.now() < until);
  };
  setInterval(block, 1000);
  setTimeout(block, 250); // a short run is to have at least one
}
