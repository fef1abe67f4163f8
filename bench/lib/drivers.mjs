// drivers.mjs: makes and checks the messages of a workload and counts them. Knows no transport: a peer calls
// onMessage/onRequest/onReply with bodies, and offers flood(source) and request(body).
// Invariant: every message is checked by each side that receives it; totals of both sides are compared by the parent.
import { performance } from 'node:perf_hooks';
import { checkBody, connectionOf, isLast, stampBody } from './body.mjs';

/** What is sent in one direction; the message that is the last says so. */
export class OneWaySource {
  sent = 0;
  #last = false;
  #until;
  #clockMask;
  #scratch;

  constructor({ size, warmMs, runMs }) {
    this.size = size;
    this.#until = performance.now() + warmMs + runMs;
    this.#clockMask = size <= 1024 ? 63 : 7;
    this.#scratch = Buffer.alloc(size);
  }
  /** Whether there is one more to send: each true is to be followed by one stamp() or reused(). */
  more() {
    if (this.#last) return false;
    this.#last = (this.sent & this.#clockMask) === 0 && performance.now() >= this.#until;
    return true;
  }
  stamp(body) {
    stampBody(body, this.sent++, 0, this.#last);
  }
  /** The same, in a buffer that is used again for the next message. */
  reused() {
    this.stamp(this.#scratch);
    return this.#scratch;
  }
}

/** The receiver of one direction: counts between the end of the warm-up and the last message. */
export class OneWaySink {
  #received = 0;
  #size;
  #warmMs;
  #done;
  #clockMask;
  #firstAt = 0;
  #from = null; // where measuring began: { at, received }

  constructor({ size, warmMs }, done) {
    this.#size = size;
    this.#warmMs = warmMs;
    this.#done = done;
    this.#clockMask = size <= 1024 ? 63 : 7;
  }
  onMessage(body) {
    checkBody(body, this.#size, this.#received, 0);
    if (this.#received === 0) this.#firstAt = performance.now();
    this.#received++;
    if (this.#from === null && (this.#received & this.#clockMask) === 0) this.#endWarmUp();
    if (isLast(body)) this.#finish();
  }
  #endWarmUp() {
    const at = performance.now();
    if (at - this.#firstAt >= this.#warmMs) this.#from = { at, received: this.#received };
  }
  #finish() {
    if (this.#from === null) throw new Error('the last message came before the warm-up was over');
    const seconds = (performance.now() - this.#from.at) / 1000;
    this.#done({ messages: this.#received - this.#from.received, seconds, total: this.#received });
  }
}

/** The server of an echo: each request of each connection comes once and in order. */
export class EchoCheck {
  total = 0;
  #size;
  #expected;

  constructor({ size, connections }) {
    this.#size = size;
    this.#expected = new Uint32Array(connections);
  }
  onRequest(body) {
    const connection = connectionOf(body);
    checkBody(body, this.#size, this.#expected[connection]++, connection);
    this.total++;
  }
}

/** The client of an echo: keeps `inFlight` requests open on each connection; replies come in order. */
export class EchoClient {
  #workload;
  #done;
  #connections;
  #next;
  #expected;
  #body;
  #phase = 'warm-up';
  #outstanding = 0;
  #replies = 0;
  #startedAt = 0;
  #from = { at: 0, replies: 0 };
  #result = null;
  #sentAt = 0;
  #latenciesMs = null; // only when one request is open at a time

  constructor(workload, done) {
    this.#workload = workload;
    this.#done = done;
    this.#next = new Uint32Array(workload.connections);
    this.#expected = new Uint32Array(workload.connections);
    this.#body = Buffer.alloc(workload.size);
    if (workload.connections * workload.inFlight === 1) this.#latenciesMs = [];
  }
  start(connections) {
    this.#connections = connections;
    this.#startedAt = performance.now();
    for (let index = 0; index < connections.length; index++) {
      for (let i = 0; i < this.#workload.inFlight; i++) this.#issue(index);
    }
  }
  onReply(index, body) {
    checkBody(body, this.#workload.size, this.#expected[index]++, index);
    this.#outstanding--;
    this.#replies++;
    if (this.#latenciesMs !== null) {
      const at = performance.now();
      if (this.#phase === 'run') this.#latenciesMs.push(at - this.#sentAt);
      this.#turn(at);
    } else if ((this.#replies & 63) === 0) this.#turn(performance.now());
    if (this.#phase !== 'drain') this.#issue(index);
    else if (this.#outstanding === 0) this.#finish();
  }
  #issue(index) {
    stampBody(this.#body, this.#next[index]++, index, false);
    this.#outstanding++;
    if (this.#latenciesMs !== null) this.#sentAt = performance.now();
    this.#connections[index].request(this.#body);
  }
  #turn(at) {
    if (this.#phase === 'warm-up' && at - this.#startedAt >= this.#workload.warmMs) {
      this.#phase = 'run';
      this.#from = { at, replies: this.#replies };
    } else if (this.#phase === 'run' && at - this.#from.at >= this.#workload.runMs) {
      this.#phase = 'drain';
      this.#result = { messages: this.#replies - this.#from.replies, seconds: (at - this.#from.at) / 1000 };
    }
  }
  #finish() {
    const latencies = this.#latenciesMs?.sort((a, b) => a - b);
    const at = (share) => latencies[Math.floor(latencies.length * share)] * 1000;
    const percentiles = latencies?.length > 0 ? { p50Us: at(0.5), p99Us: at(0.99) } : {};
    this.#done({ ...this.#result, ...percentiles, total: this.#replies });
  }
}
