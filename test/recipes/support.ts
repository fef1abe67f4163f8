// support.ts: what the tests of the recipes share: an address per transport, deadlines that say what they waited for,
// and the check that a run has left nothing open.

import { findFreeTcpPort, tempUdsPath } from 'tofu-ampe/testing';

export interface Transport {
  readonly name: 'tcp' | 'uds';
  /** An address to listen on; for TCP with port 0. */
  listenAddress(): string;
  /** An address that is known before anybody listens there. */
  knownAddress(): Promise<string>;
}

export const transports: readonly Transport[] = [
  {
    name: 'tcp',
    listenAddress: () => 'tcp|127.0.0.1|0',
    knownAddress: async () => `tcp|127.0.0.1|${await findFreeTcpPort()}`,
  },
  {
    name: 'uds',
    listenAddress: () => `uds|${tempUdsPath()}`,
    knownAddress: async () => `uds|${tempUdsPath()}`,
  },
];

/** Fails with what was waited for. Never the way a test is meant to go on. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = 15_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadlineMs} ms for ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise and the function that fulfils it. */
export function event<T>(): { happened: Promise<T>; tell: (value: T) => void } {
  let tell: (value: T) => void = () => {};
  const happened = new Promise<T>((resolve) => (tell = resolve));
  return { happened, tell };
}
