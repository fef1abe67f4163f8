// What a scenario asks of the system underneath an engine: names that no machine has, the options its sockets really
// carry, and how many writes it made. Implemented by mocks of node's modules, and by a preloaded shim over libc.

export interface SocketOptions {
  localPort: number;
  remotePort: number;
  noDelay: boolean;
  /** 0: off. */
  keepAliveMs: number;
  /** undefined: this implementation cannot see it. */
  userTimeoutMs?: number;
}

export interface System {
  /** From now on the name has these addresses; none: it does not resolve. */
  name(host: string, addresses: string[]): void;
  /** Whoever resolves the name waits until the function returned is called. */
  hold(host: string): (addresses: string[]) => Promise<void>;
  /** Every TCP connection of this process. */
  sockets(): Promise<SocketOptions[]>;
  /** Write calls on sockets so far. */
  writes(): Promise<number>;
}
