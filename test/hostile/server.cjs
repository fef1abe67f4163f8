// The process under attack: one engine, one group, one listener; echoes requests, counts everything else, and tells on
// request what it has heard and how much memory it has used at most. Started by attack.ts with an IPC channel.
// Usage: node server.cjs PATH-OF-THE-LIBRARY BACKEND ADDRESS OPTIONS-AS-JSON. Invariant: it keeps no message.
'use strict';

const { readFileSync, readdirSync } = require('node:fs');
const [library, backend, address, options] = process.argv.slice(2);
const { OpCode, Reactor, echo, statusName } = require(library);

/** A peer whose Hello has this body is sent messages until so many stay unsent, however often one looks. */
const BLAST = { body: 'blast', unsent: 16, looks: 20, bytes: 60_000 };

const reactor = Reactor.create({ backend, ...JSON.parse(options) });
const ampe = reactor.ampe();
const group = ampe.create();
/** Last signal of each channel: they are numbered from 1. */
const lastSignal = new Map();
/** One after the other, so that each looks at its own unsent messages. */
let blasts = Promise.resolve();
const heard = { hellos: 0, requests: 0, signals: 0, disorder: 0, unsent: 0, blasted: 0, statuses: {} };

function onSignal(message) {
  heard.signals++;
  const before = lastSignal.get(message.channelNumber) ?? 0n;
  if (message.messageId !== before + 1n) heard.disorder++;
  lastSignal.set(message.channelNumber, message.messageId);
  ampe.put(message);
}

function onStatus(message) {
  const name = statusName(message.status);
  if (message.opCode === OpCode.WelcomeResponse) process.send({ address: message.textHeaders.get('~listen_on') });
  else if (message.opCode === OpCode.Signal && message.body.byteLength === 0) {
    heard.statuses[name] = (heard.statuses[name] ?? 0) + 1;
    if (name === 'channel_closed') lastSignal.delete(message.channelNumber);
  } else heard.unsent++;
  ampe.put(message);
}

function outNow() {
  const { poolTotal, poolFree } = ampe.stats();
  return poolTotal - poolFree;
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function blast(channel) {
  const before = outNow();
  for (let looks = 0; looks < BLAST.looks; await turn()) {
    if (outNow() - before >= BLAST.unsent) {
      looks++;
      continue;
    }
    looks = 0;
    const message = ampe.get();
    message.opCode = OpCode.Signal;
    message.channelNumber = channel;
    message.body.reserve(BLAST.bytes).fill(1);
    group.post(message);
  }
  heard.blasted++;
}

async function serve() {
  const welcome = ampe.get();
  welcome.opCode = OpCode.WelcomeRequest;
  welcome.textHeaders.append('~listen_on', address);
  group.post(welcome);
  for await (const message of group) {
    if (message.isFromEngine) {
      onStatus(message);
    } else if (message.opCode === OpCode.Signal) {
      onSignal(message);
    } else {
      const hello = message.opCode === OpCode.HelloRequest;
      if (hello) heard.hellos++;
      else heard.requests++;
      const wantsBlast = hello && message.body.toString() === BLAST.body;
      message.opCode = echo(message.opCode);
      const { channelNumber } = group.post(message);
      if (wantsBlast) blasts = blasts.then(() => blast(channelNumber));
    }
  }
}

/** Resident memory at most since this program started; what resourceUsage() tells begins with that of its parent. */
function peakBytes() {
  if (process.platform !== 'linux') return process.memoryUsage.rss();
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]) * 1024;
}

function report() {
  const { channels, listeners, poolFree, poolTotal, protocolViolations } = ampe.stats();
  return {
    ...heard,
    channels,
    listeners,
    poolFree,
    poolTotal,
    protocolViolations: Number(protocolViolations),
    peakBytes: peakBytes(),
    descriptors: process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0,
    backend: reactor.backend,
    reason: reactor.backendReason,
  };
}

process.on('message', async (what) => {
  if (what === 'report') return process.send({ report: report() });
  await reactor.destroy();
  process.disconnect();
});
serve();
