// support.ts: what the tests of the recipes share: an address per transport, deadlines that say what they waited for,
// servers that follow a script, and the check that a test has left nothing open.

import { OpCode, Reactor, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import { startServer, type RunningServer, type Services } from 'tofu-ampe/recipes';
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

/** Services that hand each message to a function. */
export class Scripted implements Services {
  ampe!: Ampe;
  group!: ChannelGroup;
  stops = 0;
  constructor(readonly script: (message: Message, self: Scripted) => unknown) {}

  start(ampe: Ampe, group: ChannelGroup): void {
    this.ampe = ampe;
    this.group = group;
  }

  onMessage(message: Message): boolean {
    return this.script(message, this) !== false;
  }

  stop(): void {
    this.stops++;
  }
}

export const isPeers = (message: Message, opCode: OpCode): boolean =>
  !message.isFromEngine && message.opCode === opCode;
export const isRequest = (message: Message): boolean => isPeers(message, OpCode.Request);

/** An engine and a group of it, new for each test. */
export class Fixture {
  reactor!: Reactor;
  ampe!: Ampe;
  group!: ChannelGroup;
  readonly #transport: Transport;

  /** To be made in a describe: it sets up and checks each of its tests. */
  constructor(transport: Transport) {
    this.#transport = transport;
    beforeEach(() => {
      this.reactor = Reactor.create();
      this.ampe = this.reactor.ampe();
      this.group = this.ampe.create();
    });
    afterEach(() => this.#checkThatAllIsReturned());
  }

  server(services: Services): Promise<RunningServer> {
    return startServer(this.ampe, [this.#transport.listenAddress()], services);
  }

  async #checkThatAllIsReturned(): Promise<void> {
    await within('the group to be destroyed', this.ampe.destroy(this.group));
    const { poolFree, poolTotal, channels, listeners, groups } = this.ampe.stats();
    await within('the engine to be destroyed', this.reactor.destroy());
    const left = { messages: poolTotal - poolFree, channels, listeners, groups };
    expect(left).toEqual({ messages: 0, channels: 0, listeners: 0, groups: 0 });
  }
}
