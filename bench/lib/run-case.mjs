// run-case.mjs: one run: two fresh processes, a server and a client, over one transport. Returns what was measured;
// throws when a process fails, a message is damaged, or the two sides disagree on how many there were.
// Invariant: whatever happens, both processes are gone when it settles; they have a deadline of their own besides.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreeTcpPort, tempUdsPath } from 'tofu-ampe/testing';

const CHILD = fileURLToPath(new URL('./child.mjs', import.meta.url));
const SLACK_MS = 15_000; // for starting, connecting and draining
const END_MS = 2_000;
const SETTLE_MS = 500; // before memory is read

class Child {
  cpuMs = 0;
  /** Rejects when the process fails or ends; never resolves. */
  failed;
  #fail;
  #process;
  #name;
  #answers = [];
  #wake = () => {};

  /** `command` is put before node: [name, ...arguments]; `nodeArguments` behind it. */
  constructor(task, { command = [], nodeArguments = [], environment = {} }) {
    this.#name = `${task.role} of ${task.peer}`;
    this.failed = new Promise((_, reject) => (this.#fail = reject));
    this.failed.catch(() => {}); // nobody may be listening when it is told to end
    const [first, ...rest] = [...command, process.execPath, ...nodeArguments];
    this.#process = fork(CHILD, { execPath: first, execArgv: rest, env: { ...process.env, ...environment } });
    this.#process.on('message', (message) => this.#tell(message));
    this.#process.on('error', (error) => this.#tell({ error: error.message }));
    this.#process.on('exit', (code, signal) => this.#tell({ error: `ended early: ${signal ?? `exit code ${code}`}` }));
    this.#process.send(task, () => {}); // that it failed is told by the exit
  }
  /** The next answer's `key`. The child has a deadline of its own, so this ends. */
  async next(key) {
    while (this.#answers.length === 0) await new Promise((resolve) => (this.#wake = resolve));
    const answer = this.#answers.shift();
    if (!(key in answer)) throw new Error(`${this.#name}: ${answer.error ?? JSON.stringify(answer)}`);
    return answer[key];
  }
  ask(question) {
    this.#process.send(question, () => {});
  }
  async end() {
    const { exitCode, signalCode, connected, pid } = this.#process;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    if (connected) this.#process.disconnect();
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS);
    await ended;
    clearTimeout(killer);
  }
  #tell(answer) {
    this.cpuMs = answer.cpuMs ?? this.cpuMs;
    if (answer.error !== undefined) this.#fail(new Error(`${this.#name}: ${answer.error}`));
    this.#answers.push(answer);
    this.#wake();
  }
}

async function placeFor(transport) {
  if (transport === 'uds') return { transport, addr: tempUdsPath() };
  const port = await findFreeTcpPort();
  return { transport, addr: `127.0.0.1:${port}`, host: '127.0.0.1', port };
}

/** What is put before node to keep it on the last CPU. */
const oneCpu = () => ['taskset', '-c', String(os.cpus().length - 1)];

/**
 * `commands` and `environments` may have one for `server` and one for `client`; `packages` is where a peer's own packages are.
 * The result has `childrenCpuMs`, all the CPU both used, for whoever asks how busy others were.
 */
export async function runCase({ peer, workload, transport, warmMs, runMs, ...more }) {
  const { packages, commands = {}, environments = {} } = more;
  const common = {
    peer: peer.name,
    packages: packages ?? peer.packages,
    place: await placeFor(transport),
    workload: { ...workload, warmMs, runMs },
    limitMs: warmMs + runMs + (workload.slackMs ?? SLACK_MS),
  };
  const children = [];
  const start = (role, module) => {
    const command = [...(commands[role] ?? []), ...(workload.sameCpu ? oneCpu() : [])];
    const { nodeArguments } = peer;
    const child = new Child({ ...common, role, module }, { command, nodeArguments, environment: environments[role] });
    children.push(child);
    return child;
  };
  try {
    const server = start('server', peer.server);
    const serverBytes = await server.next('ready');
    const client = start('client', peer.client);
    const measure = workload.kind === 'idle' ? idle : busy;
    const measured = await Promise.race([measure(server, client, workload, serverBytes), server.failed, client.failed]);
    return { ...measured, childrenCpuMs: children.reduce((sum, { cpuMs }) => sum + cpuMs, 0) };
  } finally {
    await Promise.all(children.map((child) => child.end()));
    if (transport === 'uds') fs.rmSync(common.place.addr, { force: true }); // the server was ended, not closed
  }
}

const UNCOUNTED = ['cycles', 'ceiling']; // by the server: the client knows the outcome of each

async function busy(server, client, workload, serverBytes) {
  const isOneWay = workload.kind === 'one-way';
  const fromClient = client.next('result');
  const fromServer = server.next('result');
  const asked = isOneWay ? fromClient : fromClient.then(() => server.ask({ ask: 'result' }));
  const [sent, received] = await Promise.all([fromClient, fromServer, asked]);
  if (!UNCOUNTED.includes(workload.kind) && sent.total !== received.total) {
    throw new Error(`integrity: the client counted ${sent.total} messages, the server ${received.total}`);
  }
  const { messages, seconds, ...rest } = isOneWay ? received : sent;
  const usage = { client: sent.usage, server: received.usage };
  return {
    ...rest,
    messages,
    seconds,
    rate: messages / seconds,
    megabytes: (messages * workload.size) / seconds / 1e6,
    ...perMessage(usage, messages),
    ...(received.rss === undefined ? {} : { serverGrownKib: (received.rss - serverBytes) / 1024 }),
    usage,
  };
}

function perMessage({ client, server }, messages) {
  const cpuMs = ({ cpuUserMs, cpuSystemMs }) => cpuUserMs + cpuSystemMs;
  const switches = ({ voluntarySwitches, involuntarySwitches }) => voluntarySwitches + involuntarySwitches;
  return {
    cpuNs: ((cpuMs(client) + cpuMs(server)) * 1e6) / messages,
    clientCpuNs: (cpuMs(client) * 1e6) / messages,
    serverCpuNs: (cpuMs(server) * 1e6) / messages,
    switches: (switches(client) + switches(server)) / messages,
  };
}

/** The server's memory before, and with as many connections as each step says. */
async function idle(server, client, { steps }) {
  await client.next('ready');
  const memory = async () => {
    await sleep(SETTLE_MS);
    server.ask({ ask: 'memory' });
    return (await server.next('memory')) / 1024;
  };
  const points = [{ connections: 0, kib: await memory() }];
  for (const connections of steps) {
    client.ask({ connections });
    await client.next('connected');
    points.push({ connections, kib: await memory() });
  }
  server.ask({ ask: 'result' });
  client.ask({ ask: 'result' });
  const [{ total }, counted] = [await server.next('result'), await client.next('result')];
  if (total !== counted.total) throw new Error(`integrity: ${counted.total} connections, ${total} requests`);
  const [before, first, last] = [points[0], points[1], points.at(-1)];
  return {
    points,
    perConnectionKib: (first.kib - before.kib) / first.connections,
    ...(last === first ? {} : { slopeKib: (last.kib - first.kib) / (last.connections - first.connections) }),
  };
}
