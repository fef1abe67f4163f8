// reconnecting-client.ts: a client that survives its server's restarts. It waits longer after each failure, at random,
// so that a thousand clients do not come back in the same moment; it can be cancelled at any time; and it gives up.

import { setTimeout as delay } from 'node:timers/promises';

import {
  AmpeStatus,
  OpCode,
  Reactor,
  errorToStatus,
  statusName,
  type Ampe,
  type ChannelGroup,
  type Message,
} from 'tofu-ampe';
import { findFreeTcpPort } from 'tofu-ampe/testing';
import { ask, connect, disconnect, runAlone, tryPost, type Channel, type RecipeOptions } from './support/connection';
import { answerHelloOrBye, startServer, type RunningServer, type Services } from './services';

/** Bounds of the delays between attempts. */
export interface BackoffOptions {
  /** Bound of the first delay; default 100 ms. */
  initialMs?: number | undefined;
  /** Bound of every delay; default 30 s. */
  maxMs?: number | undefined;
  /** How many delays there are before it is given up; default: no end. */
  attempts?: number | undefined;
  /** Instead of Math.random, for tests. */
  random?: (() => number) | undefined;
}

// #region backoff
/** The delays before each new attempt: bounds that double, and of each something between its half and the whole. */
export function* backoff(options: BackoffOptions = {}): Generator<number, undefined> {
  const { initialMs = 100, maxMs = 30_000, attempts = Infinity, random = Math.random } = options;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const boundMs = Math.min(maxMs, initialMs * 2 ** attempt);
    yield Math.round(boundMs * (0.5 + random() / 2));
  }
}
// #endregion

/** What a {@link ReconnectingClient} may be told. */
export interface ReconnectOptions extends BackoffOptions {
  /** Cancels: says Bye if connected, then rejects with signal.reason. */
  signal?: AbortSignal | undefined;
  /** Told before each delay. */
  onRetry?: ((error: unknown, delayMs: number) => void) | undefined;
}

/** What a client does while it is connected. Rejecting with an AmpeError of the connection means: connect again. */
export type Session<T> = (group: ChannelGroup, channel: Channel, signal: AbortSignal | undefined) => Promise<T>;

/** The peer or the way to it is the trouble, so it may go away. Everything else is a mistake of one's own. */
const worthRetrying: ReadonlySet<AmpeStatus> = new Set([
  AmpeStatus.InvalidAddress, // the name does not resolve, for now
  AmpeStatus.UdsPathNotFound,
  AmpeStatus.ConnectFailed,
  AmpeStatus.PeerDisconnected,
  AmpeStatus.CommunicationFailed,
  AmpeStatus.ChannelClosed,
]);

// #region reconnecting-client
/** Runs a session, over as many connections as it takes. */
export class ReconnectingClient {
  readonly #ampe: Ampe;
  readonly #address: string;
  readonly #options: ReconnectOptions;

  constructor(ampe: Ampe, address: string, options: ReconnectOptions = {}) {
    this.#ampe = ampe;
    this.#address = address;
    this.#options = options;
  }

  /**
   * Connects, runs the session, says Bye. After a lost connection the session is started anew, from its beginning: what
   * must not be done twice it has to remember itself. A connection that was made starts the delays anew.
   * @throws (rejects) the last failure when the attempts are used up; at once what a new attempt would not change;
   *   signal.reason
   */
  async run<T>(session: Session<T>): Promise<T> {
    const { signal, onRetry } = this.#options;
    let delays = backoff(this.#options);
    for (;;) {
      try {
        signal?.throwIfAborted();
        return await this.#once(session, () => (delays = backoff(this.#options)));
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (!worthRetrying.has(errorToStatus(error))) throw error;
        const next = delays.next();
        if (next.done) throw error;
        onRetry?.(error, next.value);
        // Its AbortError is not the signal's reason, which the next turn throws.
        await delay(next.value, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** One connection, in a group of its own: whatever is left of it goes with the group. */
  async #once<T>(session: Session<T>, onConnected: () => void): Promise<T> {
    const { signal } = this.#options;
    await using group = this.#ampe.create();
    const channel = await connect(this.#ampe, group, this.#address, { signal });
    onConnected();
    try {
      return await session(group, channel, signal);
    } finally {
      // Also when the session has failed or was cancelled: the peer need not wonder. A second is enough for a Bye.
      await disconnect(this.#ampe, group, channel, 1_000);
    }
  }
}
// #endregion

/** Answers two requests per client, then cuts it off, as a server does that crashes. */
class CrashingServices implements Services {
  #ampe!: Ampe;
  #group!: ChannelGroup;
  #answered = 0;

  start(ampe: Ampe, group: ChannelGroup): void {
    this.#ampe = ampe;
    this.#group = group;
  }

  onMessage(message: Message): boolean {
    if (answerHelloOrBye(this.#group, message) || message.isFromEngine || message.opCode !== OpCode.Request)
      return true;
    if (this.#answered++ % 3 === 2) {
      tryPost(this.#ampe, this.#group, message, OpCode.ByeSignal);
    } else {
      message.opCode = OpCode.Response;
      this.#group.post(message);
    }
    return true;
  }

  stop(): void {
    // Nothing to end.
  }
}

/**
 * Asks three questions of a server that is not there yet, and crashes once when it is.
 * @param options address: one where nobody listens
 * @returns the answers, and the names of the statuses that led to new attempts
 */
export async function run(
  options: RecipeOptions & ReconnectOptions = {},
): Promise<{ answers: string[]; failures: string[] }> {
  const { log = () => undefined, initialMs = 20, signal } = options;
  const address = options.address ?? `tcp|127.0.0.1|${await findFreeTcpPort()}`;
  const answers: string[] = [];
  const failures: string[] = [];
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  let server: Promise<RunningServer> | null = null;

  const onRetry = (error: unknown, delayMs: number): void => {
    failures.push(statusName(errorToStatus(error)));
    log(`${failures.at(-1)}: next attempt in ${delayMs} ms`);
    server ??= startServer(ampe, [address], new CrashingServices());
  };
  // #region reconnecting-session
  const client = new ReconnectingClient(ampe, address, { initialMs, signal, onRetry });
  await client.run(async (group, channel) => {
    // Each connection goes on where the last one stopped.
    for (const question of ['one', 'two', 'three'].slice(answers.length)) {
      using response = await ask(ampe, group, channel, question, { signal });
      answers.push(response.body.toString());
      log(response.body.toString());
    }
  });
  // #endregion
  await (server as Promise<RunningServer> | null)?.then((running) => running.stop());
  return { answers, failures };
}

runAlone(module, run);
