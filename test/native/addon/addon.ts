// addon.ts: the built addon as the tests of this folder use it: bare, without the half of the engine in lib/.
// Knows the binding only. Invariant: a frame made here is whole.
import { loadBinding } from '../../../lib/native-engine/load';

const loaded = loadBinding();
if ('reason' in loaded) throw new Error(`there is no addon to test: ${loaded.reason}`);

/** Where it is. */
export const addonFile = loaded.path;
/** Untyped: its answers to wrong arguments are tested too. */
export const addon = loaded.binding as Record<string, any>;

export const options = {
  connectTimeoutMs: 5_000,
  handshakeTimeoutMs: 5_000,
  closeTimeoutMs: 5_000,
  keepAliveMs: 60_000,
  udsMode: 0o600,
  maxChannels: 100,
  poller: 'best',
  spinUs: -1,
};

export interface FrameFields {
  channel?: number;
  opCode?: number;
  id?: number;
  headers?: string;
  body?: string;
}

/** A frame as it goes over the wire. */
export function frame({ channel = 0, opCode = 0, id = 1, headers = '', body = '' }: FrameFields): Uint8Array {
  const bytes = Buffer.alloc(16 + headers.length + body.length);
  bytes.writeUInt16BE(channel, 0);
  bytes[2] = opCode;
  bytes.writeUInt32BE(id, 8);
  bytes.writeUInt16BE(headers.length, 12);
  bytes.writeUInt16BE(body.length, 14);
  bytes.write(headers + body, 16, 'latin1');
  return new Uint8Array(bytes);
}

/** The same as flush() is given it and drain() gives it: four words of this machine in front, a multiple of 16 bytes. */
export function hostFrame({ channel = 0, opCode = 0, id = 1, headers = '', body = '' }: FrameFields): Uint8Array {
  const content = headers.length + body.length;
  const bytes = Buffer.alloc((16 + content + 15) & ~15);
  const words = [opCode | (channel << 16), 0, id, headers.length | (body.length << 16)];
  bytes.set(new Uint8Array(Uint32Array.from(words).buffer));
  bytes.write(headers + body, 16, 'latin1');
  return new Uint8Array(bytes);
}

/** Frames that were drained, as they go over the wire. */
function wireOf(places: Uint8Array): Buffer {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < places.length;) {
    const [about, , id, lengths] = new Uint32Array(places.slice(at, at + 16).buffer);
    const content = (lengths & 0xffff) + (lengths >>> 16);
    const text = Buffer.from(places.slice(at + 16, at + 16 + content)).toString('latin1');
    const [headers, body] = [text.slice(0, lengths & 0xffff), text.slice(lengths & 0xffff)];
    const bytes = frame({ channel: about >>> 16, opCode: about & 0xff, id, headers, body });
    bytes[3] = (about >>> 8) & 0xff;
    frames.push(bytes);
    at += (16 + content + 15) & ~15;
  }
  return Buffer.concat(frames);
}

export interface RecordSeen {
  kind: string;
  group: number;
  channel: number;
  generation: number;
  a: number;
  bytes: Buffer;
}

const kindNames = new Map(Object.entries(addon.tables.recordKinds as Record<string, number>).map(([k, v]) => [v, k]));
const slab = new Uint8Array(1 << 18);
const records = new Uint32Array(8 + 8 * 64);

/** One drain, which also tells what was taken of the one before. */
export function drain(port: number, taken = { frames: 0, bytes: 0 }): RecordSeen[] {
  records[5] = taken.frames;
  records[6] = taken.bytes;
  const count = addon.drain(port, slab, 0, records) as number;
  const seen: RecordSeen[] = [];
  for (let index = 0; index < count; index++) {
    const [kind, group, channel, generation, at, length, a] = records.subarray(8 + 8 * index, 16 + 8 * index);
    const holdsFrames = ['frames', 'mail', 'tail'].includes(kindNames.get(kind) ?? '');
    const bytes = holdsFrames ? wireOf(slab.slice(at, at + length)) : Buffer.alloc(0);
    seen.push({ kind: kindNames.get(kind) ?? String(kind), group, channel, generation, a, bytes });
  }
  return seen;
}

/** Blocks until a record of that kind comes; gives all that came up to it. */
export function drainUntil(port: number, kind: string, timeoutMs = 5_000): RecordSeen[] {
  const end = performance.now() + timeoutMs;
  const seen: RecordSeen[] = [];
  for (;;) {
    seen.push(...drain(port));
    if (seen.some((record) => record.kind === kind)) return seen;
    if (performance.now() > end) {
      throw new Error(`waited ${timeoutMs} ms in vain for: ${kind}; seen: ${seen.map((each) => each.kind).join()}`);
    }
    addon.waitSync(port, end - performance.now());
  }
}

/** Stops the engine and detaches its owner. */
export function destroy(port: number): void {
  addon.command(port, addon.tables.commands.destroyEngine, 0, 0, 0);
  drainUntil(port, 'engineGone');
  addon.detach(port);
}
