#!/usr/bin/env node
// soak.mjs: what only shows after a while: memory under a flood that nobody receives, and connections that come and go.
// (a) A producer floods with acquire() another process that does not receive: the memory of both stays under the ceiling
//     that the README states, and when the other one starts to receive, every message is there, in order.
// (b) Connect and Bye, over and over: no handle is left and the heap does not grow.
// Prints the figures; exit code 0 only when all of it held.
// Usage: node scripts/soak.mjs [--long]     short: 2 s and 1,000 cycles; long: 10 s and 10,000 cycles
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fileURLToPath } from 'node:url';
import { ensureBuild } from './ensure-build.mjs';

const self = fileURLToPath(import.meta.url);
const BODY_BYTES = 60_000;
/** Bytes one message may take at most: a slot of the pool. */
const SLOT_BYTES = 131_136;
const MAX_POOL_MSGS = 64;
/**
 * The pool, what one connection keeps outside it (a read chunk and a partial frame, twice for what is being copied), and
 * 48 MiB for what a heap that is not under pressure lets lie: buffers are freed when it is collected.
 */
const GROWTH_CEILING_BYTES = MAX_POOL_MSGS * SLOT_BYTES + 2 * (65_536 + 131_086) + 48 * 2 ** 20;
const STEP_DEADLINE_MS = 60_000;
/** Heap that cycles may leave behind: caches of the runtime that fill once, not something per cycle. */
const HEAP_GROWTH_BYTES = 3 * 2 ** 20;

const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

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

async function listen(api, ampe, group) {
  const welcome = ampe.get();
  new api.TcpServerAddress('127.0.0.1', 0).format(welcome);
  group.post(welcome);
  using answer = await group.waitReceiveSoon();
  return Number(answer.textHeaders.get('~listen_on').split('|')[2]);
}
