// system-calls.mjs: how many system calls a message takes, with whatever counts them here: perf, which hardly disturbs, else strace,
// which slows the processes so much that batches grow, and the figures with strace are therefore too low.
// The calls of starting and ending are taken off by measuring a short run as well: the rest is divided by the rest of the messages.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runCase } from '../run-case.mjs';

const SHORT_MS = 200;
const LONG_MS = 1000;
const WARM_MS = 300;
const EVENT = 'raw_syscalls:sys_enter';

const isPerfHere = () => spawnSync('perf', ['stat', '-e', EVENT, 'true'], { stdio: 'ignore' }).status === 0; // it may be there and not allowed
const isStraceHere = () => spawnSync('strace', ['-V'], { stdio: 'ignore' }).status === 0;

/** The count of a `perf stat -x ,`; NaN when there is none. */
export const readPerf = (text) =>
  Number(
    text
      .split('\n')
      .find((line) => line.includes(EVENT))
      ?.split(',')[0],
  );

/** The calls of all lines of a `strace -c`: share, seconds, usecs/call, calls, errors if there were any, name. */
export function readStrace(text) {
  const lines = text.matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$/gm);
  return [...lines].reduce((sum, [, calls, name]) => sum + (name === 'total' ? 0 : Number(calls)), 0);
}

const perf = {
  name: 'perf',
  command: (file) => ['perf', 'stat', '-x', ',', '-e', EVENT, '-o', file],
  read: readPerf,
};
const strace = { name: 'strace', command: (file) => ['strace', '-f', '-c', '-o', file], read: readStrace };

/** What counts here: 'perf', 'strace' or null. */
export function counterHere() {
  if (isPerfHere()) return perf;
  return isStraceHere() ? strace : null;
}

/** { client, server }: system calls per message. */
export async function measureSystemCalls(counter, { peer, workload, transport }) {
  const short = await count(counter, { peer, workload, transport, runMs: SHORT_MS });
  const long = await count(counter, { peer, workload, transport, runMs: LONG_MS });
  const per = (role) => (long[role] - short[role]) / (long.total - short.total);
  return { client: per('client'), server: per('server') };
}

async function count(counter, task) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ampe-calls-'));
  try {
    const fileOf = (role) => path.join(folder, role);
    const commands = Object.fromEntries(['client', 'server'].map((role) => [role, counter.command(fileOf(role))]));
    const { total } = await runCase({ ...task, warmMs: WARM_MS, commands });
    const [client, server] = ['client', 'server'].map((role) => counter.read(fs.readFileSync(fileOf(role), 'utf8')));
    return { client, server, total };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
