// binding.ts: the addon as this package calls it: declares what native/addon exports, see docs/ARCHITECTURE.md for the contract.
// Which file it comes from is the business of load.ts.
import type { BuildIdentity } from './build-identity';

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
  readonly build: BuildIdentity;
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
  unsentAnswers(port: number, channel: number): number;
  flush(port: number, staging: Uint8Array, runs: Uint32Array, count: number): number;
  send(port: number, memory: Uint8Array, at: number, length: number, run: Uint32Array): number;
  update(port: number, group: number, memory: Uint8Array, at: number, length: number): number;
  command(port: number, kind: number, a: number, b: number, c: number): number;
  drain(port: number, slab: Uint8Array, at: number, records: Uint32Array): number;
  park(port: number): boolean;
  unpark(port: number): void;
  wantsSpin(port: number): boolean;
  spin(port: number): number;
  wantCredits(port: number): number;
  waitSync(port: number, timeoutMs: number): number;
  setReferenced(port: number, referenced: boolean): void;
  openSockets(port: number): number;
  counters(port: number, into: Float64Array): void;
  takeIds(port: number, words: Uint32Array): void;
  detach(port: number): void;
}
