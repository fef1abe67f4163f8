#!/usr/bin/env node
// soak.mjs: what only shows after a while: memory under a flood that nobody receives, and connections that come and go.
// (a) A producer floods with acquire() another process that does not receive: the memory of both stays under a ceiling,
//     and when the other one starts to receive, every message is there, in order.
// (b) Connect and Bye, over and over: no handle is left and the heap does not grow.
// Prints the figures; exit code 0 only when all of it held.
// Usage: node scripts/soak.mjs [--long]     short: 2 s and 1,000 cycles; long: 10 s and 10,000 cycles
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fileURLToPath } from 'node:url';
import { ensureBuild } from './ensure-build.mjs';

const self = fileURLToPath(import.meta.url);
const BODY_BYTES = 60_000;
/** Bytes one message may take, as the README has it: twice its size, and 6 KiB. */
const MESSAGE_BYTES = 2 * BODY_BYTES + 6 * 1024;
const MAX_POOL_MSGS = 64;
/**
 * The pool, what one connection keeps outside it (a read chunk and a partial frame, twice for what is being copied), and
 * 48 MiB for what a heap that is not under pressure lets lie: buffers are freed when it is collected.
 */
const GROWTH_CEILING_BYTES = MAX_POOL_MSGS * MESSAGE_BYTES + 2 * (65_536 + 131_086) + 48 * 2 ** 20;
const STEP_DEADLINE_MS = 60_000;
/** Heap that cycles may leave behind: caches of the runtime that fill once, not something per cycle. */
const HEAP_GROWTH_BYTES = 3 * 2 ** 20;

const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function within(what, promise) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${STEP_DEADLINE_MS} ms in vain for: ${what}`)), STEP_DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The resident set of this process, looked at often; `peak` is what it grew by at most. */
function watchMemory() {
  const start = process.memoryUsage.rss();
  const watch = { peak: 0, stop: () => clearInterval(timer) };
  const timer = setInterval(() => (watch.peak = Math.max(watch.peak, process.memoryUsage.rss() - start)), 20);
  return watch;
}

// ── the package, a few verbs ──

let api;
const loadPackage = async () => (api = await import('tofu-ampe'));

function message(ampe, opCode, channelNumber) {
  const made = ampe.get();
  made.opCode = opCode;
  made.channelNumber = channelNumber;
  return made;
}

async function listen(ampe, group) {
  const welcome = ampe.get();
  new api.TcpServerAddress('127.0.0.1', 0).format(welcome);
  group.post(welcome);
  const answer = await group.waitReceive();
  if (answer.status !== api.AmpeStatus.Success) throw api.statusToError(answer.status);
  const port = Number(answer.textHeaders.get('~listen_on').split('|')[2]);
  ampe.put(answer);
  return port;
}

/** Receives the next message, which must be that opcode from the peer. */
async function expectFromPeer(ampe, group, opCode) {
  const got = await group.waitReceive();
  if (got.isFromEngine || got.opCode !== opCode) {
    throw new Error(
      `expected ${api.opCodeName(opCode)}, got ${api.opCodeName(got.opCode)}, ${api.statusName(got.status)}`,
    );
  }
  ampe.put(got);
}

async function expectClosed(ampe, group) {
  const got = await group.waitReceive();
  if (got.status !== api.AmpeStatus.ChannelClosed)
    throw new Error(`expected channel_closed, got ${api.statusName(got.status)}`);
  ampe.put(got);
}

async function connect(ampe, group, port) {
  const hello = ampe.get();
  new api.TcpClientAddress('127.0.0.1', port).format(hello);
  const { channelNumber } = group.post(hello);
  await expectFromPeer(ampe, group, api.OpCode.HelloResponse);
  return channelNumber;
}

// ── (a) the flood ──

/** Answers the Hello, then receives nothing until it is told to; then counts until the Bye. */
async function runReceiver() {
  const reactor = api.Reactor.create({ maxPoolMsgs: MAX_POOL_MSGS });
  const ampe = reactor.ampe();
  const group = ampe.create();
  const port = await listen(ampe, group);
  process.send({ port });
  const hello = await group.waitReceive();
  hello.opCode = api.OpCode.HelloResponse;
  group.post(hello);
  const memory = watchMemory();
  await once(process, 'message');
  memory.stop();
  let count = 0;
  let inOrder = true;
  for await (const got of group) {
    if (got.isFromEngine) ampe.put(got);
    else if (got.opCode === api.OpCode.ByeRequest) {
      got.opCode = api.OpCode.ByeResponse;
      group.post(got);
      break;
    } else {
      count++;
      inOrder &&= Number(got.textHeaders.get('n')) === count && got.body.byteLength === BODY_BYTES;
      ampe.put(got);
    }
  }
  await expectClosed(ampe, group);
  await reactor.destroy();
  process.send({ count, inOrder, peak: memory.peak });
  process.disconnect();
}

/** Floods for that long, with acquire() as the only brake; then says Bye and waits until all of it is through. */
async function runProducer(port, floodMs) {
  const reactor = api.Reactor.create({ maxPoolMsgs: MAX_POOL_MSGS });
  const ampe = reactor.ampe();
  const group = ampe.create();
  const channel = await connect(ampe, group, port);
  const memory = watchMemory();
  const body = Buffer.alloc(BODY_BYTES, 'x');
  const end = performance.now() + floodMs;
  let posted = 0;
  for (let leftMs = floodMs; leftMs > 0; leftMs = end - performance.now()) {
    let next;
    try {
      next = await ampe.acquire({ timeoutMs: leftMs });
    } catch (error) {
      if (error.status === api.AmpeStatus.PoolEmpty) break;
      throw error;
    }
    next.opCode = api.OpCode.Request;
    next.channelNumber = channel;
    next.textHeaders.append('n', String(++posted));
    next.body.set(body);
    group.post(next);
  }
  memory.stop();
  const stalled = ampe.stats().poolFree === 0;
  process.send({ flooded: true });
  group.post(message(ampe, api.OpCode.ByeRequest, channel));
  await expectFromPeer(ampe, group, api.OpCode.ByeResponse);
  await expectClosed(ampe, group);
  await reactor.destroy();
  process.send({ posted, stalled, peak: memory.peak });
  process.disconnect();
}

function startRole(...args) {
  const child = fork(self, args.map(String));
  const queue = [];
  const wake = [];
  child.on('message', (data) => (wake.length > 0 ? wake.shift()(data) : queue.push(data)));
  const failed = once(child, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`the ${args[0]} ended with ${code}`);
    return code;
  });
  failed.catch(() => undefined);
  const answer = () => (queue.length > 0 ? queue.shift() : new Promise((resolve) => wake.push(resolve)));
  const ended = () => within(`the ${args[0]} to end`, failed);
  // An end with code 0 is no answer: the deadline says what did not come.
  const next = (what) => within(what, Promise.race([answer(), failed.then(() => new Promise(() => undefined))]));
  return { child, next, ended };
}

async function flood(floodMs) {
  const receiver = startRole('receiver');
  const children = [receiver];
  try {
    const { port } = await receiver.next('the receiver to listen');
    const producer = startRole('producer', port, floodMs);
    children.push(producer);
    await producer.next('the producer to flood');
    receiver.child.send('receive');
    const [sent, got] = await Promise.all([producer.next('the producer to finish'), receiver.next('all messages')]);
    await Promise.all([producer.ended(), receiver.ended()]);
    console.log(`flood: ${sent.posted} messages of ${BODY_BYTES} bytes posted, ${got.count} received`);
    console.log(
      `flood: grew by ${mib(sent.peak)} (producer), ${mib(got.peak)} (receiver); ceiling ${mib(GROWTH_CEILING_BYTES)}`,
    );
    const faults = [];
    if (!sent.stalled) faults.push('the producer was never held back');
    if (sent.posted !== got.count) faults.push(`${sent.posted - got.count} messages lost`);
    if (!got.inOrder) faults.push('messages out of order or damaged');
    if (Math.max(sent.peak, got.peak) > GROWTH_CEILING_BYTES) faults.push('memory above the ceiling');
    return faults;
  } finally {
    for (const { child } of children) if (child.exitCode === null) child.kill('SIGKILL');
  }
}

// ── (b) connections that come and go ──

async function serve(ampe, group) {
  for await (const got of group) {
    if (got.isFromEngine) ampe.put(got);
    else {
      got.opCode = api.echo(got.opCode);
      group.post(got);
    }
  }
}

function openResources() {
  const counts = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

async function cycles(count) {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const settledHeap = async () => {
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      gc();
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = openResources();
  const reactor = api.Reactor.create();
  const ampe = reactor.ampe();
  const server = ampe.create();
  const client = ampe.create();
  const port = await listen(ampe, server);
  const serving = serve(ampe, server);
  const warmUp = Math.ceil(count / 2);
  let heap = 0;
  for (let i = 0; i < count; i++) {
    if (i === warmUp) heap = await settledHeap();
    const channel = await connect(ampe, client, port);
    client.post(message(ampe, api.OpCode.ByeRequest, channel));
    await expectFromPeer(ampe, client, api.OpCode.ByeResponse);
    await expectClosed(ampe, client);
  }
  // The server hears of the last end a little later.
  for (let i = 0; i < 1000 && ampe.stats().channels > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  const stats = ampe.stats();
  const grown = (await settledHeap()) - heap;
  await reactor.destroy();
  await serving;
  await new Promise((resolve) => setImmediate(resolve));
  const after = openResources();
  const left = Object.keys(after).filter((kind) => kind !== 'Immediate' && after[kind] > (before[kind] ?? 0));
  console.log(
    `cycles: ${count}; heap grew by ${mib(grown)} in the second half; handles left: ${left.join(', ') || 'none'}`,
  );
  const faults = [];
  if (stats.channels !== 0) faults.push(`${stats.channels} channels left`);
  if (stats.poolFree !== stats.poolTotal) faults.push(`${stats.poolTotal - stats.poolFree} messages not returned`);
  if (left.length > 0) faults.push(`handles left: ${left.join(', ')}`);
  if (grown > HEAP_GROWTH_BYTES) faults.push(`the heap grew by ${mib(grown)}`);
  return faults;
}

async function main(args) {
  const unknown = args.find((argument) => argument !== '--long');
  if (unknown !== undefined) {
    console.error(`soak: unknown argument ${unknown}; known: --long`);
    process.exitCode = 2;
    return;
  }
  const long = args.includes('--long');
  if (ensureBuild() === 'failed') throw new Error('the build failed, see above');
  await loadPackage();
  const faults = [...(await flood(long ? 10_000 : 2_000)), ...(await cycles(long ? 10_000 : 1_000))];
  for (const fault of faults) console.error(`soak: ${fault}`);
  console.log(faults.length === 0 ? 'soak: ok' : `soak: ${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

const [role, ...rest] = process.argv.slice(2);
try {
  if (role === 'receiver' || role === 'producer') {
    await loadPackage();
    await (role === 'receiver' ? runReceiver() : runProducer(Number(rest[0]), Number(rest[1])));
  } else await main(process.argv.slice(2));
} catch (error) {
  console.error(`soak: ${error.stack}`);
  process.exitCode = 1;
  process.channel?.unref();
  if (role === 'receiver' || role === 'producer') process.exit(1);
}
