#!/usr/bin/env node
// Micro-benchmarks behind decisions of the hot path: copying, views, small objects, promises, raw writes to a socket.
// Run it on an idle machine: `node bench/micro.mjs [name-part]`. It knows nothing of the package: it measures Node itself.
// Figures are the median of several repeats, in ns (µs for socket calls), with the slowest repeat beside them.
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { performance } from 'node:perf_hooks';

const only = process.argv[2] ?? '';
const REPEATS = 7;
const REPEAT_MS = 40;
const WARM_OPS = 1_000_000;
const WARM_LIMIT_MS = 500; // the slow ones (byte loop over 16 KiB) are hot long before a million rounds
let sink = 0; // what is computed ends here, so that no loop is optimised away

const now = () => Number(process.hrtime.bigint());
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

function report(name, unit, values) {
  const mid = median(values);
  const digits = mid < 10 ? 2 : 1;
  console.log(
    `${name.padEnd(62)} ${mid.toFixed(digits).padStart(9)} ${unit}   (worst ${Math.max(...values).toFixed(digits)})`,
  );
}

/** `loop(n)` performs n operations and returns a number. */
function measure(name, loop) {
  if (!name.includes(only)) return;
  const chunk = 2000;
  const began = now();
  let ops = 0;
  while (ops < WARM_OPS && now() - began < WARM_LIMIT_MS * 1e6) {
    sink += loop(chunk);
    ops += chunk;
  }
  const perOp = Math.max(0.2, (now() - began) / ops);
  const n = Math.max(100, Math.ceil((REPEAT_MS * 1e6) / perOp));
  const values = [];
  for (let r = 0; r < REPEATS; r++) {
    const t0 = now();
    sink += loop(n);
    values.push((now() - t0) / n);
  }
  report(name, 'ns', values);
}

async function measureAsync(name, loop, n = 200_000) {
  if (!name.includes(only)) return;
  for (let i = 0; i < WARM_OPS / n; i++) sink += await loop(n);
  const values = [];
  for (let r = 0; r < REPEATS; r++) {
    const t0 = now();
    sink += await loop(n);
    values.push((now() - t0) / n);
  }
  report(name, 'ns', values);
}

// Offsets change from operation to operation, as slots and read positions do. 4 MiB each: larger than the L2 cache.
const AREA = 4 * 1024 * 1024;
const from = Buffer.from(new ArrayBuffer(AREA));
const to = Buffer.from(new ArrayBuffer(AREA));
for (let i = 0; i < AREA; i++) from[i] = i & 255;
const STEP = 24_593; // odd, larger than any region: neighbours are no help

function copies() {
  for (const size of [32, 80, 256, 1024, 4096, 16384]) {
    const mask = AREA / 2 - 1;
    const label = (how) => `copy ${size} B: ${how}`;
    const run = (how, one) => measure(label(how), one);
    run('byte loop', (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) {
        const d = (o * 3) & mask;
        for (let i = 0; i < size; i++) to[d + i] = from[o + i];
      }
      return to[7];
    });
    run('dst.set(src.subarray())', (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) to.set(from.subarray(o, o + size), (o * 3) & mask);
      return to[7];
    });
    run('src.copy(dst, d, o, o + n)', (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) from.copy(to, (o * 3) & mask, o, o + size);
      return to[7];
    });
    const plainTo = new Uint8Array(to.buffer);
    const plainFrom = new Uint8Array(from.buffer);
    run('Uint8Array set(subarray())', (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask)
        plainTo.set(plainFrom.subarray(o, o + size), (o * 3) & mask);
      return to[7];
    });
    const ready = from.subarray(0, size);
    run('dst.set(view that exists)', (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) to.set(ready, (o * 3) & mask);
      return to[7];
    });
    const { set } = Uint8Array.prototype;
    run('set.call(dst, view that exists)', (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) set.call(to, ready, (o * 3) & mask);
      return to[7];
    });
    run('copyWithin in one buffer', (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) to.copyWithin((o * 3) & mask, o, o + size);
      return to[7];
    });
    const wordsTo = new Uint32Array(to.buffer);
    const wordsFrom = new Uint32Array(from.buffer);
    run('Uint32Array loop, aligned', (n) => {
      const words = size >> 2;
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) {
        const s = o >> 2;
        const d = ((o * 3) & mask) >> 2;
        for (let i = 0; i < words; i++) wordsTo[d + i] = wordsFrom[s + i];
      }
      return to[7];
    });
    const doublesTo = new Float64Array(to.buffer);
    const doublesFrom = new Float64Array(from.buffer);
    run('Float64Array loop, aligned', (n) => {
      const doubles = size >> 3;
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) {
        const s = o >> 3;
        const d = ((o * 3) & mask) >> 3;
        for (let i = 0; i < doubles; i++) doublesTo[d + i] = doublesFrom[s + i];
      }
      return to[7];
    });
  }
}

function views() {
  const memory = to.buffer;
  const mask = AREA / 2 - 1;
  const each = (name, make) =>
    measure(`view: ${name}`, (n) => {
      let sum = 0;
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) sum += make(o)[0];
      return sum;
    });
  const plain = new Uint8Array(memory);
  each('buffer.subarray(o, e)', (o) => to.subarray(o, o + 64));
  each('uint8Array.subarray(o, e)', (o) => plain.subarray(o, o + 64));
  each('new Uint8Array(ab, o, l)', (o) => new Uint8Array(memory, o, 64));
  each('Buffer.from(ab, o, l)', (o) => Buffer.from(memory, o, 64));
  each('Buffer.allocUnsafe(64)', () => Buffer.allocUnsafe(64));
}

class Plain5 {
  constructor(a, b) {
    this.a = a;
    this.b = b;
    this.c = 0;
    this.d = null;
    this.e = false;
  }
}
class Plain12 {
  constructor(a, b) {
    this.a = a;
    this.b = b;
    this.c = 0;
    this.d = null;
    this.e = false;
    this.f = 0;
    this.g = 0;
    this.h = null;
    this.i = null;
    this.j = 0;
    this.k = 0;
    this.l = 0;
  }
}
class Private5 {
  #a;
  #b;
  #c = 0;
  #d = null;
  #e = false;
  constructor(a, b) {
    this.#a = a;
    this.#b = b;
  }
  sum() {
    return this.#a + this.#c + (this.#d === null ? 1 : 0) + (this.#e ? 1 : 0) + this.#b;
  }
}
class Private12 {
  #a;
  #b;
  #c = 0;
  #d = null;
  #e = false;
  #f = 0;
  #g = 0;
  #h = null;
  #i = null;
  #j = 0;
  #k = 0;
  #l = 0;
  constructor(a, b) {
    this.#a = a;
    this.#b = b;
  }
  sum() {
    const none = (this.#d === null ? 1 : 0) + (this.#h === null ? 1 : 0) + (this.#i === null ? 1 : 0);
    return this.#a + this.#b + this.#c + this.#f + this.#g + this.#j + this.#k + this.#l + none + (this.#e ? 1 : 0);
  }
}
class LazyHeader {
  constructor(channel, flags, status, high, low) {
    this.channel = channel;
    this.flags = flags;
    this.status = status;
    this.high = high;
    this.low = low;
  }
  get messageId() {
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }
}

function objects() {
  // Kept in a ring, so that escape analysis cannot remove the allocation.
  const ring = new Array(256).fill(null);
  const each = (name, make) =>
    measure(`object: ${name}`, (n) => {
      for (let k = 0; k < n; k++) ring[k & 255] = make(k);
      return ring[0] === null ? 0 : 1;
    });
  each('class, 5 plain fields', (k) => new Plain5(k, 1));
  each('class, 12 plain fields', (k) => new Plain12(k, 1));
  each('class, 5 #private fields', (k) => new Private5(k, 1));
  each('class, 12 #private fields', (k) => new Private12(k, 1));
  each('literal, 6 fields', (k) => ({ a: k, b: 1, c: 2, d: false, e: 0, f: 7 }));
  each('literal, 6 fields, one a BigInt(k)', (k) => ({ a: k, b: 1, c: 2, d: false, e: 0, f: BigInt(k) }));
  each('lazy header, BigInt made on demand only', (k) => new LazyHeader(k & 0xffff, 0, 0, 0, k));
  each('BigInt(low)', (k) => BigInt(k));
  each('(BigInt(high) << 32n) | BigInt(low)', (k) => (BigInt(1) << 32n) | BigInt(k));
  const words = new BigUint64Array(1);
  const halves = new Uint32Array(words.buffer);
  each('BigUint64Array read of two halves', (k) => ((halves[0] = k), (halves[1] = 1), words[0]));
  each('buffer.readBigUInt64BE', (k) => from.readBigUInt64BE(k & 1023));
  const plain = new Plain12(1, 2);
  const hidden = new Private12(1, 2);
  measure('field access: sum of 5 plain fields', (n) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += plain.a + plain.b + plain.c + plain.f + plain.g;
    return sum;
  });
  measure('field access: method over 12 #private fields', (n) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += hidden.sum();
    return sum;
  });
}

function headers() {
  const view = new DataView(to.buffer);
  const mask = 0xfffff;
  const write = (name, one) =>
    measure(`header: ${name}`, (n) => {
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) one(o, k);
      return to[5];
    });
  write('write 16 bytes, byte stores', (o, k) => {
    to[o] = k >>> 8;
    to[o + 1] = k;
    to[o + 2] = 1;
    to[o + 3] = 0;
    to[o + 4] = 0;
    to[o + 5] = 0;
    to[o + 6] = 0;
    to[o + 7] = 0;
    to[o + 8] = k >>> 24;
    to[o + 9] = k >>> 16;
    to[o + 10] = k >>> 8;
    to[o + 11] = k;
    to[o + 12] = 0;
    to[o + 13] = 0;
    to[o + 14] = 0;
    to[o + 15] = 64;
  });
  write('write 16 bytes, DataView', (o, k) => {
    view.setUint16(o, k & 0xffff);
    view.setUint16(o + 2, 256);
    view.setUint32(o + 4, 0);
    view.setUint32(o + 8, k >>> 0);
    view.setUint32(o + 12, 64);
  });
  write('write 16 bytes, buffer.writeUInt32BE', (o, k) => {
    to.writeUInt16BE(k & 0xffff, o);
    to.writeUInt16BE(256, o + 2);
    to.writeUInt32BE(0, o + 4);
    to.writeUInt32BE(k >>> 0, o + 8);
    to.writeUInt32BE(64, o + 12);
  });
  const read = (name, one) =>
    measure(`header: ${name}`, (n) => {
      let sum = 0;
      for (let k = 0, o = 0; k < n; k++, o = (o + STEP) & mask) sum += one(o);
      return sum;
    });
  read('read 16 bytes, byte loads', (o) => {
    const channel = (from[o] << 8) | from[o + 1];
    const high = ((from[o + 4] << 24) | (from[o + 5] << 16) | (from[o + 6] << 8) | from[o + 7]) >>> 0;
    const low = ((from[o + 8] << 24) | (from[o + 9] << 16) | (from[o + 10] << 8) | from[o + 11]) >>> 0;
    return (
      channel +
      from[o + 2] +
      from[o + 3] +
      high +
      low +
      ((from[o + 12] << 8) | from[o + 13]) +
      ((from[o + 14] << 8) | from[o + 15])
    );
  });
  const source = new DataView(from.buffer);
  read('read 16 bytes, DataView', (o) => {
    const lengths = source.getUint32(o + 12);
    return source.getUint16(o) + source.getUint16(o + 2) + source.getUint32(o + 4) + source.getUint32(o + 8) + lengths;
  });
}

async function scheduling() {
  measure('clock: Date.now()', (n) => {
    let t = 0;
    for (let k = 0; k < n; k++) t = Date.now();
    return t;
  });
  measure('clock: performance.now()', (n) => {
    let t = 0;
    for (let k = 0; k < n; k++) t = performance.now();
    return t;
  });
  const resolved = Promise.resolve(1);
  await measureAsync('await: a promise already resolved', async (n) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += await resolved;
    return sum;
  });
  await measureAsync('await: Promise.resolve(value), new each time', async (n) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += await Promise.resolve(k);
    return sum;
  });
  const asynchronous = async (k) => k;
  await measureAsync('await: an async function that returns at once', async (n) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += await asynchronous(k);
    return sum;
  });
  await measureAsync('await: new Promise resolved later from a stored resolver', async (n) => {
    let resolve;
    let sum = 0;
    for (let k = 0; k < n; k++) {
      const promise = new Promise((r) => (resolve = r));
      resolve(k);
      sum += await promise;
    }
    return sum;
  });
  const chained = (schedule) => (n) =>
    new Promise((resolve) => {
      let left = n;
      const step = () => (--left === 0 ? resolve(n) : schedule(step));
      schedule(step);
    });
  await measureAsync('schedule: process.nextTick, one after the other', chained(process.nextTick));
  await measureAsync('schedule: queueMicrotask, one after the other', chained(queueMicrotask));
  await measureAsync('schedule: setImmediate, one after the other (a loop turn)', chained(setImmediate), 50_000);
}

// A thread that reads and throws away, so that writes are measured against a peer that drains. It is the side that
// connects, because node offers `onread` (one buffer for all reads) to that side only.
const DRAIN = `
const net = require('node:net');
const { parentPort, workerData } = require('node:worker_threads');
const shared = Buffer.allocUnsafeSlow(1 << 18);
const s = net.connect({ path: workerData, onread: { buffer: shared, callback: () => true } });
s.on('error', () => {}); s.on('close', () => parentPort.close());
`;

/** µs per accepted call; calls refused with EAGAIN are counted and not part of the time of a call. */
async function rawWrites(name, fd, call) {
  if (!name.includes(only)) return;
  const values = [];
  let refused = 0;
  let short = 0;
  let calls = 0;
  for (let r = 0; r < REPEATS + 2; r++) {
    let spent = 0;
    let done = 0;
    while (done < 1500) {
      const t0 = now();
      try {
        const wrote = call(fd);
        spent += now() - t0;
        done++;
        calls++;
        if (wrote.short) short++;
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
        refused++;
        await new Promise(setImmediate);
      }
    }
    if (r >= 2) values.push(spent / done / 1000);
  }
  report(`${name} [refused ${refused}, short ${short} of ${calls}]`, 'µs', values);
}

async function socketWrites(name, socket, data, alsoAwait) {
  if (!name.includes(only)) return;
  const values = [];
  for (let r = 0; r < REPEATS + 2; r++) {
    const count = 1500;
    let spent = 0;
    await new Promise((resolve) => {
      let done = 0;
      const t00 = now();
      const next = () => {
        if (done++ === count) {
          if (alsoAwait) spent = now() - t00;
          return resolve();
        }
        const t0 = now();
        socket.write(data, next);
        if (!alsoAwait) spent += now() - t0;
      };
      next();
    });
    if (r >= 2) values.push(spent / count / 1000);
  }
  report(name, 'µs', values);
}

async function sockets() {
  const where = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'micro-')), 's');
  const server = net.createServer();
  server.listen(where);
  await once(server, 'listening');
  const drain = new Worker(DRAIN, { eval: true, workerData: where });
  const [socket] = await once(server, 'connection');
  const fd = socket._handle.fd;
  for (const size of [80, 10 * 1024, 64 * 1024]) {
    const data = Buffer.alloc(size, 1);
    const part = size / 16;
    const parts = Array.from({ length: 16 }, (_, k) => data.subarray(k * part, (k + 1) * part));
    const label = size >= 1024 ? `${size / 1024} KiB` : `${size} B`;
    await rawWrites(`socket: fs.writeSync ${label}`, fd, (f) => ({ short: fs.writeSync(f, data, 0, size) < size }));
    await rawWrites(`socket: fs.writevSync ${label} in 16 parts`, fd, (f) => ({
      short: fs.writevSync(f, parts) < size,
    }));
    await socketWrites(`socket: write(${label}, callback), the call alone`, socket, data, false);
    await socketWrites(`socket: write(${label}, callback), until the callback`, socket, data, true);
  }
  const refused = fs.openSync('/dev/null', 'r');
  measure('socket: fs.writeSync that throws (cost of an exception)', (n) => {
    let caught = 0;
    for (let k = 0; k < n; k++) {
      try {
        fs.writeSync(refused, from, 0, 16);
      } catch {
        caught++;
      }
    }
    return caught;
  });
  fs.closeSync(refused);
  socket.resume();
  measure('socket: pause() and resume(), same tick', (n) => {
    for (let k = 0; k < n; k++) {
      socket.pause();
      socket.resume();
    }
    return 1;
  });
  measure('socket: _handle.readStop() and readStart()', (n) => {
    for (let k = 0; k < n; k++) {
      socket._handle.readStop();
      socket._handle.readStart();
    }
    return 1;
  });
  await measureAsync(
    'socket: pause() and resume(), a loop turn between (turn included)',
    async (n) => {
      for (let k = 0; k < n; k++) {
        socket.pause();
        socket.resume();
        await new Promise(setImmediate);
      }
      return 1;
    },
    20_000,
  );
  socket.destroy();
  server.close();
  await once(drain, 'exit');
  fs.rmSync(path.dirname(where), { recursive: true, force: true });
}

console.log(
  `node ${process.version} ${process.arch}, ${os.cpus()[0]?.model ?? 'cpu unknown'}, load ${os.loadavg()[0].toFixed(1)}\n`,
);
copies();
views();
objects();
headers();
await scheduling();
await sockets();
if (Number.isNaN(sink)) console.log(sink);
