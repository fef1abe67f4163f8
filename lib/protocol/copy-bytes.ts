// copy-bytes.ts: copies bytes into memory at a place, without looking for the function that does it.
// V8 compiles hot code in another thread, which cannot see what a typed array inherits: `target.set()` would stay a look-up
// of 5 ns each time, half of what copying a small message costs.

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with a receiver below
const { set } = Uint8Array.prototype;

/** `target.set(bytes, at)`. */
export function copyBytes(target: Uint8Array, bytes: Uint8Array, at: number): void {
  set.call(target, bytes, at);
}
