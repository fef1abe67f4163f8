// services.ts: one server, several listeners, one loop: what a server does is written as Services, where it listens is
// given to serve().

import { OpCode, Reactor, echo, messageRole, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import { findFreeTcpPort, tempUdsPath } from 'tofu-ampe/testing';
import {
  answerBye,
  ask,
  connect,
  disconnect,
  receive,
  runAlone,
  serverAddress,
  type RecipeOptions,
} from './support/connection';
import { OpenChannels, shutdownServer, type Shutdown } from './support/open-channels';

// #region services
/** What a server does with messages; where they come from is not its business. */
export interface Services {
  /** Called once, before anything is received. Keep both: messages come from one and are posted to the other. */
  start(ampe: Ampe, group: ChannelGroup): void | Promise<void>;
  /**
   * Called for every message but the answers to the listening itself: peers', statuses, and what came back unsent.
   * Post it, or leave it: what is still owned afterwards is put. To keep something, copy it. Do not wait in here.
   * @returns true: go on; false: stop serving
   */
  onMessage(message: Message): boolean;
  /** Called once, after the last message. */
  stop(): void | Promise<void>;
}

/** Says everything back. */
export class EchoServices implements Services {
  #group: ChannelGroup | null = null;

  start(_ampe: Ampe, group: ChannelGroup): void {
    this.#group = group;
  }

  onMessage(message: Message): boolean {
    if (message.isFromEngine || messageRole(message.opCode) === 'response') return true; // nothing to answer
    message.opCode = echo(message.opCode);
    this.#group!.post(message);
    return true;
  }

  stop(): void {
    this.#group = null;
  }
}
// #endregion

/**
 * Answers a client's Hello and Bye, which most Services treat alike.
 * @returns true when the message was one of them; then it is posted
 */
export function answerHelloOrBye(group: ChannelGroup, message: Message): boolean {
  if (message.isFromEngine) return false;
  if (message.opCode === OpCode.ByeRequest) {
    answerBye(group, message);
    return true;
  }
  if (message.opCode !== OpCode.HelloRequest) return false;
  message.opCode = OpCode.HelloResponse;
  group.post(message);
  return true;
}

/** What {@link serve} may be told. */
export interface ServeOptions {
  /** Ends the loop. */
  signal?: AbortSignal | undefined;
  /** Told the addresses, with real ports, once all listeners accept clients. */
  onListening?: ((addresses: [string, ...string[]]) => void) | undefined;
}

// #region serve
/**
 * Listens on all addresses and serves all their clients in one loop, until the services say so, the signal aborts, or
 * the group is destroyed. Channels stay open: what becomes of them is the caller's choice, see shutdownServer().
 * @returns the channels and listeners that are open
 * @throws (rejects) AmpeError `listen_failed`, `invalid_address`, `wrong_address`, and whatever the services throw
 */
export async function serve(
  ampe: Ampe,
  group: ChannelGroup,
  addresses: readonly string[],
  services: Services,
  { signal, onListening }: ServeOptions = {},
): Promise<OpenChannels> {
  const open = new OpenChannels();
  const listeners: number[] = [];
  await services.start(ampe, group);
  try {
    for (const address of addresses) {
      using welcome = ampe.get();
      serverAddress(address).format(welcome);
      listeners.push(group.post(welcome).channelNumber);
    }
    for (let received; (received = await receive(group, signal)) !== null;) {
      using message = received;
      open.note(message);
      if (message.opCode === OpCode.WelcomeResponse) {
        const failure = message.toError();
        if (failure !== null) throw failure;
        const found = listeners.map((number) => open.listeners.get(number)?.address);
        if (!found.includes(undefined)) onListening?.(found as [string, ...string[]]);
      } else if (!services.onMessage(message)) {
        break;
      }
    }
  } finally {
    await services.stop();
  }
  return open;
}
// #endregion

/** A server that runs in the background. */
export interface RunningServer extends AsyncDisposable {
  /** Where it listens, with real ports. */
  readonly addresses: readonly [string, ...string[]];
  /** Ends it politely; the group is destroyed afterwards. */
  stop(deadlineMs?: number): Promise<Shutdown>;
}

/**
 * Starts serve() in a group of its own, and waits until clients can connect.
 * @throws (rejects) as {@link serve}, when listening fails; nothing is left then
 */
export async function startServer(
  ampe: Ampe,
  addresses: readonly string[],
  services: Services,
): Promise<RunningServer> {
  const group = ampe.create();
  const stopping = new AbortController();
  let stopped: Promise<Shutdown> | null = null;
  let serving: Promise<OpenChannels>;
  const end = async (deadlineMs?: number): Promise<Shutdown> => {
    stopping.abort();
    try {
      return await shutdownServer(ampe, group, await serving, deadlineMs);
    } finally {
      await ampe.destroy(group);
    }
  };
  const listening = await new Promise<[string, ...string[]]>((resolve, reject) => {
    serving = serve(ampe, group, addresses, services, { signal: stopping.signal, onListening: resolve });
    serving.catch((error: unknown) => {
      void ampe.destroy(group).then(() => reject(error as Error));
    });
  });
  const stop = (deadlineMs?: number): Promise<Shutdown> => (stopped ??= end(deadlineMs));
  return { addresses: listening, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

/**
 * Serves TCP and Unix socket at once, with a client on each.
 * @returns what each client was answered
 */
export async function run(options: Omit<RecipeOptions, 'address'> & { addresses?: string[] } = {}): Promise<string[]> {
  const { log = () => undefined } = options;
  const addresses = options.addresses ?? [`tcp|127.0.0.1|${await findFreeTcpPort()}`, `uds|${tempUdsPath()}`];
  const answers: string[] = [];
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using server = await startServer(ampe, addresses, new EchoServices());
  for (const address of server.addresses) {
    log(`listening on ${address}`);
    await using group = ampe.create();
    const channel = await connect(ampe, group, address);
    using response = await ask(ampe, group, channel, `hello by ${address.split('|')[0]}`);
    answers.push(response.body.toString());
    log(response.body.toString());
    await disconnect(ampe, group, channel);
  }
  return answers;
}

runAlone(module, ({ log }) => run({ log }));
