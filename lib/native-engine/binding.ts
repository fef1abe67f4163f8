// binding.ts: the addon as this package calls it, and the only place that loads a .node file.
// Declares what native/addon exports; see docs/ARCHITECTURE.md for the contract. Which file: that of TOFU_AMPE_PREBUILD, else a local
// build, else a prebuilt one, as node-gyp-build finds them. One that does not load makes way for the next; every reason is kept.
// Invariant: only an absent or unloadable file leads to the fallback engine. One that loads and belongs to other sources throws.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import nodeGypBuild from 'node-gyp-build';
import { differenceOf } from './tables';

/** What create() takes; every field is checked by then. */
export interface NativeOptions {
  connectTimeoutMs: number;
  handshakeTimeoutMs: number;
  closeTimeoutMs: number;
  keepAliveMs: number;
  udsMode: number;
  maxChannels: number;
  poller: 'best' | 'epoll' | 'kqueue' | 'poll';
  /** -1: the default. */
  spinUs: number;
}

/** Plain functions; `port` stands for one engine in one thread. They return codes and throw only for wrong types. */
export interface Binding {
  readonly tables: {
    constants: Record<string, number>;
    statusNames: string[];
    opCodes: Record<string, number>;
    channelTable: Record<string, Record<string, [string, string]>>;
    recordKinds: Record<string, number>;
    commands: Record<string, number>;
    counterNames: string[];
    postChannelStates: Record<string, number>;
  };
  create(options: NativeOptions, onDoorbell: (port: number) => void): number;
  attach(engine: number, onDoorbell: (port: number) => void): number;
  engineOf(port: number): number;
  pollerOf(port: number): string;
  openGroup(port: number): number;
  groupIsOpen(port: number, group: number): boolean;
  openChannel(port: number, group: number, listener: boolean, words: Uint32Array): number;
  setPostState(port: number, channel: number, state: number): void;
  postState(port: number, channel: number, words: Uint32Array): number;
  flush(port: number, staging: Uint8Array, runs: Uint32Array, count: number): number;
  send(port: number, memory: Uint8Array, at: number, length: number, run: Uint32Array): number;
  update(port: number, group: number, memory: Uint8Array, at: number, length: number): number;
  command(port: number, kind: number, a: number, b: number, c: number): number;
  drain(port: number, slab: Uint8Array, at: number, records: Uint32Array): number;
  park(port: number): boolean;
  unpark(port: number): void;
  wantsSpin(port: number): boolean;
  spin(port: number): boolean;
  wantCredits(port: number): number;
  waitSync(port: number, timeoutMs: number): number;
  setReferenced(port: number, referenced: boolean): void;
  openSockets(port: number): number;
  counters(port: number, into: Float64Array): void;
  takeIds(port: number, words: Uint32Array): void;
  detach(port: number): void;
}

/** The addon and the file it came from, or why there is none. */
export type LoadResult = { binding: Binding; path: string } | { reason: string };

const PACKAGE = 'tofu-ampe';
/** Names a file: both builders write the first, prebuildify the second with tags behind it. */
const FILE_NAME = /^tofu[_-]ampe\b.*\.node$/;
const OVERRIDE = 'TOFU_AMPE_PREBUILD';

const requireFile = createRequire(__filename);
const results = new Map<string | undefined, LoadResult>();

/**
 * Loads the addon; what was found once is found again without looking.
 * @throws Error when a file loads but does not belong to this version of the package
 */
export function loadBinding(environment: NodeJS.ProcessEnv = process.env): LoadResult {
  const override = environment[OVERRIDE] || undefined;
  let result = results.get(override);
  if (result === undefined) {
    result = load(override);
    results.set(override, result);
  }
  return result;
}

function load(override: string | undefined): LoadResult {
  const files = candidates(override);
  if (typeof files === 'string') return { reason: files };
  const reasons: string[] = [];
  for (const file of files) {
    let binding: Binding;
    try {
      binding = requireFile(file) as Binding;
    } catch (error) {
      reasons.push(`${file} does not load: ${firstLineOf(error)}`);
      continue;
    }
    const difference = differenceOf(binding);
    if (difference !== null) {
      throw new Error(`the native engine in ${file} does not belong to this version of ${PACKAGE}: ${difference}`);
    }
    return { binding, path: file };
  }
  return { reason: reasons.join('; ') };
}

/** Files to try, best first; or why there are none. */
function candidates(override: string | undefined): string[] | string {
  if (override !== undefined && path.extname(override) === '.node') return [path.resolve(override)];
  const folder = override === undefined ? packageRoot(__dirname) : path.resolve(override);
  if (folder === null) return `no native engine: the package.json of ${PACKAGE} is not above ${__dirname}`;
  // node-gyp-build knows about tags in names; it stops at the first file that fits, so that the others are added here.
  const found: string[] = [];
  try {
    found.push(nodeGypBuild.resolve(folder));
  } catch {
    // nothing fits
  }
  const all = [...found, ...prebuildsBelow(folder)].filter((file) => FILE_NAME.test(path.basename(file)));
  const system = `${process.platform}-${process.arch}`;
  return all.length > 0 ? [...new Set(all)] : `no native engine for ${system} was found in ${folder}`;
}

/** The folder of this package, whether the sources run or the built modules; null when they were bundled into something else. */
function packageRoot(from: string): string | null {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (fs.existsSync(manifest)) {
      const { name } = JSON.parse(fs.readFileSync(manifest, 'utf8')) as { name?: unknown };
      return name === PACKAGE ? folder : null;
    }
    if (path.dirname(folder) === folder) return null;
  }
}

/** Prebuilt files for this system and processor, for whichever C library: one for the other does not load, and that is harmless. */
function prebuildsBelow(root: string): string[] {
  const folder = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder)
    .sort()
    .map((name) => path.join(folder, name));
}

function firstLineOf(error: unknown): string {
  return (isErrorLike(error) ? error.message : String(error)).split('\n')[0];
}
/** Errors of the loader may be of another realm. */
function isErrorLike(error: unknown): error is { message: string } {
  return typeof error === 'object' && error !== null && typeof (error as { message?: unknown }).message === 'string';
}
