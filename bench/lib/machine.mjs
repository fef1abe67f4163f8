// machine.mjs: what the figures were measured on, and how busy others keep it. Knows no benchmark.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

export const root = path.resolve(fileURLToPath(new URL('../..', import.meta.url)));
const SAMPLE_MS = 200;
/** Of one CPU: what the rest of the machine may use while something is measured. */
export const QUIET_SHARE = 0.1;

function git(...args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null; // a copy without history
  }
}

export function describeMachine() {
  const { version } = createRequire(import.meta.url)(path.join(root, 'package.json'));
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'lib', 'native', 'bench');
  return {
    version,
    revision: git('rev-parse', '--short=12', 'HEAD'),
    hasChanges: changed === null ? null : changed !== '',
    node: process.version,
    platform: `${os.platform()} ${os.arch()}`,
    kernel: os.release(),
    cpu: os.cpus()[0]?.model?.trim(),
    cpus: os.availableParallelism(),
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
  };
}

/** CPU time all processes have used since the machine started, and what its host took away, in ms. */
export function machineCpuMs() {
  const busyMs = os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys, 0);
  return { busyMs, stolenMs: stolenMs() };
}
function stolenMs() {
  try {
    const [, ...ticks] = fs.readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/\s+/);
    return Number(ticks[7] ?? 0) * 10;
  } catch {
    return 0; // not Linux
  }
}
export function ownCpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Watches the machine from now on: stop() tells which share of one CPU went to neither this process nor `childrenCpuMs`. */
export function watchOthers() {
  const [before, own, at] = [machineCpuMs(), ownCpuMs(), performance.now()];
  return (childrenCpuMs) => {
    const now = machineCpuMs();
    const elapsedMs = performance.now() - at;
    const otherMs = now.busyMs - before.busyMs - (ownCpuMs() - own) - childrenCpuMs;
    return {
      othersShare: Math.max(0, otherMs) / elapsedMs,
      stolenShare: (now.stolenMs - before.stolenMs) / elapsedMs,
    };
  };
}

/** Waits until others use little, at most `mostMs`; returns how long it took. */
export async function waitForQuiet(mostMs) {
  const began = performance.now();
  while (performance.now() - began < mostMs) {
    const stop = watchOthers();
    await sleep(SAMPLE_MS);
    if (stop(0).othersShare < QUIET_SHARE + 0.05) break; // times are counted in ticks of 10 ms
  }
  return performance.now() - began;
}
