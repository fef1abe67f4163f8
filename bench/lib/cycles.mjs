// cycles.mjs: connections that come and go: connect, Hello, HelloResponse, Bye, ByeResponse, closed; so many at a time. On node:net
// the same exchange by hand: connect, a frame and its answer, another and its answer, end. Each step is checked.
import { performance } from 'node:perf_hooks';
import net from 'node:net';
import { AmpeStatus, OpCode, opCodeName, statusName } from 'tofu-ampe';
import { clientAddress, receiveAll, startEngine } from '../peer/shared/engine.mjs';
import { FramedSocket } from './net-framing.mjs';
import { YARDSTICK } from './peers.mjs';

const REQUEST = 1; // as net-framing has it
const GREETING = Buffer.alloc(64);

/** Resolves with { messages, seconds, total }: whole cycles in the measured part, and in all. */
export async function run({ workload, place, begin, peer }) {
  const counter = new CycleCounter(workload, begin);
  const start = peer === YARDSTICK ? cyclesOfNet(place, counter) : cyclesOfEngine(peer, place, counter);
  for (let i = 0; i < workload.atOnce; i++) start();
  return counter.finished;
}

/** Says whether another cycle is to begin, and when the measured part begins and ends. */
class CycleCounter {
  #completed = 0;
  #from = null;
  #warmUntil;
  #runMs;
  #begin;
  #settle;
  finished = new Promise((resolve) => (this.#settle = resolve));

  constructor({ warmMs, runMs }, begin) {
    this.#warmUntil = performance.now() + warmMs;
    this.#runMs = runMs;
    this.#begin = begin;
  }
  completed() {
    this.#completed++;
    const now = performance.now();
    if (this.#from === null) {
      if (now < this.#warmUntil) return true;
      this.#begin();
      this.#from = { at: performance.now(), completed: this.#completed };
    } else if (now - this.#from.at >= this.#runMs) {
      const messages = this.#completed - this.#from.completed;
      this.#settle({ messages, seconds: (now - this.#from.at) / 1000, total: this.#completed });
      return false;
    }
    return true;
  }
}

const throwLater = (error) =>
  setImmediate(() => {
    throw error;
  });

function cyclesOfEngine(backend, place, counter) {
  const { ampe, group } = startEngine(backend);
  const start = () => {
    const hello = ampe.get();
    clientAddress(place).format(hello);
    group.post(hello);
  };
  const handle = (message) => {
    const { opCode, status, channelNumber } = message;
    if (status === AmpeStatus.ChannelClosed) {
      ampe.put(message);
      if (counter.completed()) start();
      return;
    }
    if (status !== AmpeStatus.Success) throw new Error(`a cycle failed: ${opCodeName(opCode)} ${statusName(status)}`);
    if (opCode !== OpCode.HelloResponse) return ampe.put(message);
    ampe.put(message);
    const bye = ampe.get();
    bye.opCode = OpCode.ByeRequest;
    bye.channelNumber = channelNumber;
    group.post(bye);
  };
  receiveAll(group, handle).catch(throwLater);
  return start;
}

function cyclesOfNet({ transport, addr, host, port }, counter) {
  const place = transport === 'uds' ? { path: addr } : { host, port };
  const start = () => {
    const socket = net.connect({ ...place, noDelay: true });
    let answers = 0;
    const framed = new FramedSocket(socket, () => {
      if (++answers === 1) framed.send(REQUEST, GREETING);
      else socket.end();
    });
    socket.on('data', (chunk) => framed.onChunk(chunk));
    socket.on('error', throwLater);
    socket.on('close', () => {
      if (answers !== 2) throw new Error(`a cycle failed after ${answers} answers`);
      if (counter.completed()) start();
    });
    framed.send(REQUEST, GREETING);
  };
  return start;
}
