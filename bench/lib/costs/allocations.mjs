// allocations.mjs: how often the native engine asks for memory while messages flow. A counter in C is compiled now and preloaded;
// as for system calls, two runs of different length take off what starting and ending cost. Linux only, and with a compiler.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCase } from '../run-case.mjs';

const SOURCE = fileURLToPath(new URL('count-allocations.c', import.meta.url));
const SHORT_MS = 300;
const LONG_MS = 1000;
const WARM_MS = 500;
const COUNTERS = 2;

/** The compiled counter; throws with the reason where it cannot be. `folder` is the caller's to remove. */
export function compileCounter(folder) {
  if (os.platform() !== 'linux') throw new Error('allocations are counted on Linux only');
  const library = path.join(folder, 'count-allocations.so');
  const args = ['-shared', '-fPIC', '-O2', '-std=gnu11', '-fno-builtin', '-o', library, SOURCE, '-ldl'];
  const { status, stderr, error } = spawnSync('cc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(error === undefined ? `cc: ${stderr}` : 'no C compiler (cc)');
  return library;
}

/** { client, server }, each { engine, node }: allocations per message. */
export async function measureAllocations(library, folder, task) {
  const short = await count(library, folder, { ...task, runMs: SHORT_MS });
  const long = await count(library, folder, { ...task, runMs: LONG_MS });
  const messages = long.total - short.total;
  const per = (role) => {
    const [engine, node] = long[role].map((value, index) => (value - short[role][index]) / messages);
    return { engine, node };
  };
  return { client: per('client'), server: per('server'), messages };
}

async function count(library, folder, task) {
  const fileOf = (role) => path.join(folder, `${role}.counters`);
  const roles = ['client', 'server'];
  for (const role of roles) fs.writeFileSync(fileOf(role), Buffer.alloc(8 * COUNTERS));
  const environmentOf = (role) => ({ LD_PRELOAD: library, TOFU_BENCH_ALLOCATIONS: fileOf(role) });
  const environments = Object.fromEntries(roles.map((role) => [role, environmentOf(role)]));
  const { total } = await runCase({ ...task, warmMs: WARM_MS, environments });
  const read = (role) => {
    const words = new BigUint64Array(new Uint8Array(fs.readFileSync(fileOf(role))).buffer);
    return [...words].map(Number);
  };
  return { client: read('client'), server: read('server'), total };
}
