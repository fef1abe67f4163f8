// copy-bytes.ts: copies bytes into memory at a place, the way that is cheap for a Buffer too.
// A Buffer's prototype is so large that V8 keeps it as a dictionary, where looking up set() costs half as much as copying a small message.

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with a receiver below
const { set } = Uint8Array.prototype;

/** `target.set(bytes, at)`. */
export function copyBytes(target: Uint8Array, bytes: Uint8Array, at: number): void {
  set.call(target, bytes, at);
}
