// os-errors.ts: the addon's names for what the system refuses, in the order of its numbers, and the errno names that users know.
// Several numbers of a system have one name there; what is told is the one that is met most.

export const OS_ERRORS: readonly (readonly [name: string, code: string])[] = [
  ['none', ''],
  ['again', 'EAGAIN'],
  ['in_progress', 'EINPROGRESS'],
  ['peer_gone', 'ECONNRESET'],
  ['refused', 'ECONNREFUSED'],
  ['not_found', 'ENOENT'],
  ['in_use', 'EADDRINUSE'],
  ['unavailable', 'EADDRNOTAVAIL'],
  ['no_descriptors', 'EMFILE'],
  ['no_memory', 'ENOBUFS'],
  ['timed_out', 'ETIMEDOUT'],
  ['denied', 'EACCES'],
  ['unreachable', 'EHOSTUNREACH'],
  ['unresolved', 'ENOTFOUND'],
  ['other', ''],
];

/** The errno name for a number of the addon; '' where there is none. */
export function errorCodeOf(osError: number): string {
  return OS_ERRORS[osError]?.[1] ?? '';
}
