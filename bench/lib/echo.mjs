// echo.mjs: the two ends of requests and their answers in a closed loop: a fixed number is open on each connection.
// Knows no transport: a peer calls onRequest() and onReply() with bodies, and offers request(body).
// Invariant: requests and answers of a connection come once, whole and in order, or it throws.
import { performance } from 'node:perf_hooks';
import { checkBody, connectionOf, kindOf, MEASURED, stampBody, WARM_UP } from './body.mjs';
import { percentilesUs } from './statistics.mjs';

const MOST_LATENCIES = 1 << 20;

/** The server. */
export class EchoCheck {
  total = 0;
  #size;
  #expected;
  #measured = false;
  #onMeasured;

  constructor({ size, connections }, onMeasured = () => {}) {
    this.#size = size;
    this.#expected = new Uint32Array(connections);
    this.#onMeasured = onMeasured;
  }
  onRequest(body) {
    const connection = connectionOf(body);
    checkBody(body, this.#size, this.#expected[connection]++, connection);
    this.total++;
    if (this.#measured || kindOf(body) !== MEASURED) return;
    this.#measured = true;
    this.#onMeasured();
  }
}

/** The client. The round trip of each request is taken only where one is open at a time. */
export class EchoClient {
  #workload;
  #done;
  #onMeasured;
  #connections;
  #next;
  #expected;
  #body;
  #reuse;
  #phase = 'warm-up';
  #outstanding = 0;
  #replies = 0;
  #startedAt = 0;
  #from = { at: 0, replies: 0 };
  #result = null;
  #sentAt = 0;
  #latenciesMs = null;
  #latencies = 0;

  constructor(workload, done, onMeasured = () => {}) {
    this.#workload = workload;
    this.#done = done;
    this.#onMeasured = onMeasured;
    this.#next = new Uint32Array(workload.connections);
    this.#expected = new Uint32Array(workload.connections);
    this.#body = Buffer.alloc(workload.size);
    if (workload.connections * workload.inFlight === 1) this.#latenciesMs = new Float64Array(MOST_LATENCIES);
  }
  start(connections) {
    this.#connections = connections;
    this.#reuse = connections[0].reuse === true;
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
      if (this.#phase === 'run' && this.#latencies < MOST_LATENCIES) {
        this.#latenciesMs[this.#latencies++] = at - this.#sentAt;
      }
      this.#turn(at);
    } else if ((this.#replies & 63) === 0) this.#turn(performance.now());
    if (this.#phase !== 'drain') this.#issue(index);
    else if (this.#outstanding === 0) this.#finish();
  }
  #issue(index) {
    const body = this.#reuse ? this.#body : Buffer.allocUnsafe(this.#workload.size);
    stampBody(body, this.#next[index]++, index, this.#phase === 'warm-up' ? WARM_UP : MEASURED);
    this.#outstanding++;
    if (this.#latenciesMs !== null) this.#sentAt = performance.now();
    this.#connections[index].request(body);
  }
  #turn(at) {
    if (this.#phase === 'warm-up' && at - this.#startedAt >= this.#workload.warmMs) {
      this.#phase = 'run';
      this.#onMeasured();
      this.#from = { at: performance.now(), replies: this.#replies };
    } else if (this.#phase === 'run' && at - this.#from.at >= this.#workload.runMs) {
      this.#phase = 'drain';
      this.#result = { messages: this.#replies - this.#from.replies, seconds: (at - this.#from.at) / 1000 };
    }
  }
  #finish() {
    const percentiles = this.#latencies > 0 ? percentilesUs(this.#latenciesMs.subarray(0, this.#latencies)) : {};
    this.#done({ ...this.#result, ...percentiles, total: this.#replies });
  }
}
