// run-case.mjs: one run: two fresh processes, a server and a client, over one transport. Returns what was measured;
// throws when a process fails, a message is damaged, or the two sides disagree on how many there were.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findFreeTcpPort, tempUdsPath } from 'tofu-ampe/testing';

const CHILD = fileURLToPath(new URL('./child.mjs', import.meta.url));
const SLACK_MS = 10_000; // for starting, connecting and draining

class Child {
  #process;
  #name;
  #answers = [];
  #wake = () => {};

  constructor(task) {
    this.#name = `${task.role} of ${task.peer}`;
    this.#process = fork(CHILD);
    this.#process.on('message', (message) => this.#tell(message));
    this.#process.on('exit', (code, signal) => this.#tell({ error: `ended early: ${signal ?? `exit code ${code}`}` }));
    this.#process.send(task);
  }
  /** The next answer's `key`. The child has a deadline of its own, so this ends. */
  async next(key) {
    while (this.#answers.length === 0) await new Promise((resolve) => (this.#wake = resolve));
    const answer = this.#answers.shift();
    if (!(key in answer)) throw new Error(`${this.#name}: ${answer.error ?? JSON.stringify(answer)}`);
    return answer[key];
  }
  ask() {
    this.#process.send({ ask: 'total' });
  }
  async end() {
    const { exitCode, signalCode, connected } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    if (connected) this.#process.disconnect();
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), 2000);
    await ended;
    clearTimeout(killer);
  }
  #tell(answer) {
    this.#answers.push(answer);
    this.#wake();
  }
}

async function placeFor(transport) {
  if (transport === 'uds') return { transport, addr: tempUdsPath() };
  const port = await findFreeTcpPort();
  return { transport, addr: `127.0.0.1:${port}`, host: '127.0.0.1', port };
}

export async function runCase({ peer, workload, transport, warmMs, runMs }) {
  const limitMs = warmMs + runMs + SLACK_MS;
  const common = {
    peer: peer.name,
    place: await placeFor(transport),
    workload: { ...workload, warmMs, runMs },
    limitMs,
  };
  const children = [];
  const start = (role, module) => {
    const child = new Child({ ...common, role, module });
    children.push(child);
    return child;
  };
  try {
    const server = start('server', peer.server);
    await server.next('ready');
    const client = start('client', peer.client);
    const fromClient = client.next('result');
    const fromServer = server.next('result');
    const asked = workload.oneWay ? fromClient : fromClient.then(() => server.ask());
    const [sent, received] = await Promise.all([fromClient, fromServer, asked]);
    if (sent.total !== received.total) {
      throw new Error(`integrity: the client counted ${sent.total} messages, the server ${received.total}`);
    }
    const { messages, seconds, ...rest } = workload.oneWay ? received : sent;
    return {
      ...rest,
      messages,
      seconds,
      rate: messages / seconds,
      megabytes: (messages * workload.size) / seconds / 1e6,
    };
  } finally {
    await Promise.all(children.map((child) => child.end()));
    if (transport === 'uds') fs.rmSync(common.place.addr, { force: true }); // the server was ended, not closed
  }
}
