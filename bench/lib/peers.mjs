// peers.mjs: who is measured: where the modules of each peer are, and what it takes part in. Data, and whether an engine is there.
import fs from 'node:fs';
import { AmpeError, Reactor } from 'tofu-ampe';
import { FALLBACK, FOR_AWAIT, NATIVE, SMALL_HEAP, YARDSTICK } from './names.mjs';

export * from './names.mjs';

const here = (relative) => new URL(relative, import.meta.url).href;
const adapter = (name, folder, more = {}) => ({
  name,
  server: here(`../peer/${folder}/server.mjs`),
  client: here(`../peer/${folder}/client.mjs`),
  ...more,
});

export const yardstick = { name: YARDSTICK, server: here('net-framing.mjs'), client: here('net-framing.mjs') };
export const native = adapter(NATIVE, 'tofu-ampe');
export const fallback = adapter(FALLBACK, 'tofu-ampe-fallback');
/** The flood received as the examples do it. */
export const forAwait = adapter(FOR_AWAIT, 'tofu-ampe-for-await', { only: ['one-way-64', 'one-way-1k'] });
const smallHeapFacts = new URL('../peer/tofu-ampe-small-heap/peer.json', import.meta.url);
/** As the README recommends for many idle connections: Node's own options. */
export const smallHeap = adapter(SMALL_HEAP, 'tofu-ampe-small-heap', {
  only: ['idle-1000', 'idle-4000'],
  nodeArguments: JSON.parse(fs.readFileSync(smallHeapFacts, 'utf8')).nodeArgs,
});

/** Peers from npm; `packages` is the folder they were installed in. */
export const foreign = (packages) => [
  { ...adapter('zeromq.js', 'zeromq'), packages, needs: 'zeromq' },
  { ...adapter('ws', 'ws'), packages, needs: 'ws', transports: ['tcp'] },
];

/** Whether the native engine loads; says so when it does not. */
export async function hasNative(say = console.log) {
  try {
    await Reactor.create({ backend: 'native' }).destroy();
    return true;
  } catch (error) {
    if (!(error instanceof AmpeError)) throw error;
    say(`without the native engine (${error.message})`);
    return false;
  }
}

/** The yardstick and the engines of this clone. */
export async function ownPeers() {
  return (await hasNative()) ? [yardstick, native, forAwait, smallHeap, fallback] : [yardstick, fallback];
}
