// system-error.ts: what the system said about a failed socket, as Node's own errors tell it.
import * as util from 'node:util';

/** @param code an errno name, or ENOTFOUND, which is none and has no number */
export function systemError(code: string): NodeJS.ErrnoException {
  // Not every runtime has the map.
  const known = (util as Partial<typeof util>).getSystemErrorMap?.() ?? new Map<number, [string, string]>();
  for (const [errno, [name, text]] of known) {
    if (name === code) return Object.assign(new Error(`${code}: ${text}`), { code, errno });
  }
  return Object.assign(new Error(code), { code });
}
