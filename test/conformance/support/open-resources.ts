// Proves that a case leaves nothing open: kinds of handles and requests node reports, plus the process's sockets
// where /proc tells them (node does not report handles that were unref'd).
// Invariant: comparing is one-sided; what was open before the case may have gone, nothing may have been added.

import { readdirSync, readlinkSync } from 'node:fs';
import { eventually } from './deadline';

export type Resources = ReadonlyMap<string, number>;

function countSocketDescriptors(): number {
  if (process.platform !== 'linux') return 0;
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) count++;
    } catch {
      // The descriptor of the listing itself is gone by now.
    }
  }
  return count;
}

export function openResources(): Resources {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  counts.set('socket descriptor', countSocketDescriptors());
  return counts;
}

function addedSince(before: Resources): string[] {
  const added: string[] = [];
  for (const [kind, count] of openResources()) {
    const more = count - (before.get(kind) ?? 0);
    if (more > 0) added.push(`${more} ${kind}`);
  }
  return added;
}

export function nothingAddedSince(before: Resources, timeoutMs: number): Promise<void> {
  return eventually('sockets and timers of the case to be gone', () => addedSince(before).length === 0, {
    timeoutMs,
    describe: () => addedSince(before).join(', '),
  });
}
