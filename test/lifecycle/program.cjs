// program.cjs: what the programs of these tests have besides the package's exports: a listener, a connection, a flood, workers,
// and waits for what a process has open. Runs in child processes and in their workers, on any engine.
// Invariant: a wait that cannot end says what it waited for, and ends the process by an exception.
const assert = require('node:assert/strict');
const { randomInt } = require('node:crypto');
const fs = require('node:fs');
const { parentPort, workerData, Worker } = require('node:worker_threads');
const census = require('./census.cjs');

const DEADLINE_MS = 30_000;
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${DEADLINE_MS} ms in vain for: ${what}`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again in every turn of the loop; `describe` tells what there was instead. */
async function eventually(what, holds, describe = () => '') {
  const end = performance.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${DEADLINE_MS} ms in vain for: ${what}; ${describe()}`);
    await turn();
  }
}

const censusIs = (before) =>
  eventually(
    'descriptors and threads to be as before',
    () => JSON.stringify(census()) === JSON.stringify(before),
    () => `${JSON.stringify(before)} before, ${JSON.stringify(census())} now`,
  );

/** Draws that can be had again: the seed is told when the process ends badly. */
function draws(seed = Number(process.env.TEST_SEED) || randomInt(1, 2 ** 31)) {
  let state = seed;
  process.on('exit', (code) => {
    if (code !== 0) fs.writeSync(1, `TEST_SEED=${seed}\n`);
  });
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

module.exports = (api, index) => {
  const { OpCode, AmpeStatus } = api;

  function message(ampe, opCode, channel, body = '') {
    const made = ampe.get();
    made.opCode = opCode;
    made.channelNumber = channel;
    made.body.set(body);
    return made;
  }
  /** Posts a Request. */
  const send = (ampe, group, channel, body) => group.post(message(ampe, OpCode.Request, channel, body));

  /** Listens on a path or, without one, on a free port; gives the address. */
  async function listen(ampe, group, path) {
    const welcome = ampe.get();
    (path ? new api.UdsServerAddress(path) : new api.TcpServerAddress('127.0.0.1', 0)).format(welcome);
    group.post(welcome);
    const answer = await within('the answer to the Welcome', group.waitReceive());
    assert.equal(answer.status, AmpeStatus.Success, 'cannot listen');
    const address = answer.textHeaders.get('~listen_on');
    ampe.put(answer);
    return address;
  }
  function hello(ampe, address) {
    const [transport, where, port] = address.split('|');
    const made = ampe.get();
    const to = transport === 'uds' ? new api.UdsClientAddress(where) : new api.TcpClientAddress(where, Number(port));
    to.format(made);
    return made;
  }
  /** Connects and takes the peer's answer; gives the channel. */
  async function connect(ampe, group, address) {
    const { channelNumber } = group.post(hello(ampe, address));
    const answer = await within('the answer to the Hello', group.waitReceive());
    assert.equal(answer.status, AmpeStatus.Success, 'no connection');
    ampe.put(answer);
    return channelNumber;
  }
  /** The same for a thread that does nothing else. */
  function connectSync(ampe, group, address) {
    const { channelNumber } = group.post(hello(ampe, address));
    const answer = group.waitReceiveSync(DEADLINE_MS);
    assert.equal(answer?.status, AmpeStatus.Success, 'no connection');
    ampe.put(answer);
    return channelNumber;
  }

  /** Answers Hellos, Requests and Byes until the group is destroyed; `onAnswer` is called for each Request. */
  async function serve(ampe, group, onAnswer = () => undefined) {
    for await (const received of group) {
      if (received.isFromEngine || api.messageRole(received.opCode) === 'response') ampe.put(received);
      else {
        const isRequest = received.opCode === OpCode.Request;
        received.opCode = api.echo(received.opCode);
        group.post(received);
        if (isRequest) onAnswer();
      }
    }
  }

  /** Requests go out and answers come in for ever; `onAnswer` is called for each. */
  async function ask(ampe, group, channel, onAnswer = () => undefined, size = 500) {
    const body = 'x'.repeat(size);
    for (;;) {
      for (let i = 0; i < 32; i++) send(ampe, group, channel, body);
      for (let left = 32; left > 0; left--) {
        ampe.put(await group.waitReceive());
        onAnswer();
      }
    }
  }
  /** The same for a thread that does nothing else. */
  function askSync(ampe, group, channel, onAnswer = () => undefined) {
    for (;;) {
      for (let i = 0; i < 8; i++) send(ampe, group, channel, 'x'.repeat(500));
      for (let left = 8; left > 0; left--) {
        ampe.put(group.waitReceiveSync());
        onAnswer();
      }
    }
  }

  /** Answers the next Hello, and receives nothing behind it. */
  async function greetOnce(ampe, group) {
    const received = await within('a Hello', group.waitReceive());
    received.opCode = OpCode.HelloResponse;
    return group.post(received).channelNumber;
  }

  const ends = new WeakMap(); // of the workers: their exit codes
  const isShutdown = (error) => assert.equal(error.code, 'ERR_AMPE_SHUTDOWN_STARTED', String(error.stack));
  /** What may end only because group or engine is gone. */
  const endsWithShutdown = (promise) => promise.then(() => undefined, isShutdown);
  function untilShutdown(work) {
    try {
      work();
    } catch (error) {
      isShutdown(error);
    }
  }

  /** Runs a function, which must not use anything around it, in a worker that has all this as globals. */
  function startWorker(work, data) {
    const source = `
      const api = require(${JSON.stringify(index)});
      Object.assign(globalThis, api, { api }, require(${JSON.stringify(__filename)})(api, ${JSON.stringify(index)}));
      (${work})(require('node:worker_threads').workerData);`;
    const worker = new Worker(source, { eval: true, workerData: data });
    ends.set(worker, new Promise((resolve, reject) => worker.once('error', reject).once('exit', resolve)));
    ends.get(worker).catch(() => undefined);
    return worker;
  }
  /** The next word of a worker; fails when it ends or throws first. */
  function word(worker) {
    const spoken = new Promise((resolve, reject) => {
      const forget = () => worker.off('message', heard).off('error', failed).off('exit', ended);
      const heard = (text) => (forget(), resolve(text));
      const failed = (error) => (forget(), reject(error));
      const ended = (code) => (forget(), reject(new Error(`the worker ended with ${code}`)));
      worker.once('message', heard).once('error', failed).once('exit', ended);
    });
    return within('the word of a worker', spoken);
  }
  /** The end of a worker that must end well by itself. */
  const ended = async (worker) => assert.equal(await within('a worker to end', ends.get(worker)), 0);

  const common = { assert, parentPort, workerData, turn, within, eventually, census, censusIs, draws };
  const messages = { message, send, listen, hello, connect, connectSync, serve, ask, askSync, greetOnce };
  return { ...common, ...messages, isShutdown, endsWithShutdown, untilShutdown, startWorker, word, ended };
};
