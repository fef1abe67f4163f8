// graceful-shutdown.ts: how a server ends: no new clients, what was posted is sent, a Bye to every client, and those
// that do not answer it are cut off at the deadline. The work is done by shutdownServer() of support/open-channels.ts.

import { OpCode, Reactor, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import { answerBye, ask, connect, isEndOf, runAlone, type Channel, type RecipeOptions } from './support/connection';
import { shutdownServer, type Shutdown } from './support/open-channels';
import { EchoServices, serve, type ServeOptions } from './services';

/** A client that does nothing but wait: it answers the server's Bye, unless it is a rude one. */
async function waitForBye(group: ChannelGroup, channel: Channel, rude: boolean): Promise<void> {
  for await (using message of group) {
    if (isEndOf(channel, message)) return;
    if (!message.isFromEngine && message.opCode === OpCode.ByeRequest && !rude) answerBye(group, message);
  }
}

/** Says everything back, and stops serving when somebody asks for it. */
class StoppableEcho extends EchoServices {
  override onMessage(message: Message): boolean {
    const isStop = !message.isFromEngine && message.opCode === OpCode.Request && message.body.toString() === 'stop';
    return super.onMessage(message) && !isStop;
  }
}

export interface GracefulShutdownOptions extends RecipeOptions {
  /** How many clients are connected; default 3. */
  clients?: number | undefined;
  /** How many of them do not answer the Bye; default 1. */
  rude?: number | undefined;
  /** How long the server waits for them; default 500 ms. */
  deadlineMs?: number | undefined;
}

/**
 * Shuts a server down while clients are connected.
 * @returns how many parted and how many were cut off
 */
export async function run(options: GracefulShutdownOptions = {}): Promise<Shutdown> {
  const { address = 'tcp|127.0.0.1|0', log = () => undefined, clients = 3, rude = 1, deadlineMs = 500 } = options;
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  // #region graceful-shutdown
  await using group = ampe.create();
  const waiting: Promise<void>[] = [];
  const onListening: ServeOptions['onListening'] = ([first]) => {
    waiting.push(startClients(ampe, first, clients, rude));
  };
  const open = await serve(ampe, group, [address], new StoppableEcho(), { onListening });
  log(`stopping, with ${open.clients.size} clients`);
  const shutdown = await shutdownServer(ampe, group, open, deadlineMs);
  log(`${shutdown.parted} parted, ${shutdown.aborted} were cut off`);
  // #endregion
  await Promise.all(waiting);
  return shutdown;
}

/** Connects the clients, each with a group of its own; the last one asks the server to stop. */
async function startClients(ampe: Ampe, address: string, clients: number, rude: number): Promise<void> {
  const groups = Array.from({ length: clients }, () => ampe.create());
  try {
    const connected = await Promise.all(
      groups.map(async (group) => ({ group, channel: await connect(ampe, group, address) })),
    );
    const last = connected.at(-1)!; // without clients nobody would stop the server
    (await ask(ampe, last.group, last.channel, 'stop'))[Symbol.dispose]();
    await Promise.all(connected.map(({ group, channel }, index) => waitForBye(group, channel, index < rude)));
  } finally {
    await Promise.all(groups.map((group) => ampe.destroy(group)));
  }
}

runAlone(module, run);
