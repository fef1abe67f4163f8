// echo-server.ts: answers everything it is sent. The smallest complete server.
//
//     node dist/recipes/echo-server.js 'tcp|127.0.0.1|7099'      (or 'uds|/tmp/echo.sock'; Ctrl-C ends it)

import { Address, AmpeStatus, OpCode, Reactor, echo, messageRole } from 'tofu-ampe';
import { runAlone, serverAddress, type RecipeOptions } from './support/connection';

export interface EchoServerOptions extends RecipeOptions {
  /** Ends the server. */
  signal?: AbortSignal | undefined;
  /** Told the address, with the real port, once clients can connect. */
  onListening?: ((address: string) => void) | undefined;
}

/**
 * Serves until the signal aborts.
 * @returns how many messages it has answered
 */
export async function run(options: EchoServerOptions = {}): Promise<number> {
  const { address = 'tcp|127.0.0.1|7099', log = () => undefined, signal, onListening } = options;
  let answered = 0;
  // #region echo-server
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using group = ampe.create();

  using welcome = ampe.get();
  serverAddress(address).format(welcome);
  group.post(welcome);

  // Destroying the group ends the loop below. Unsent answers are dropped; graceful-shutdown.ts shows the polite way.
  const stop = (): void => void ampe.destroy(group);
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();

  // `using` puts each message that was not posted; posting moves it, so then there is nothing to put.
  for await (using message of group) {
    if (message.isFromEngine) {
      // Origin first: messages of the engine are statuses, not data.
      if (message.opCode === OpCode.WelcomeResponse) {
        const failure = message.toError();
        if (failure !== null) throw failure; // listen_failed, invalid_address
        onListening?.(String(Address.parse(message)));
        log(`listening on ${String(Address.parse(message))}`);
      } else if (message.status === AmpeStatus.AcceptFailed) {
        log('out of file descriptors; the engine tries again');
      }
      // The rest is for servers that keep something per channel: channel_closed, answers that came back unsent,
      // pool_empty (messages were not put).
    } else if (messageRole(message.opCode) !== 'response') {
      message.opCode = echo(message.opCode); // Hello→HelloResponse, Request→Response, Signal→Signal, Bye→ByeResponse
      group.post(message); // the received message is the answer: headers, body, id and `more` stay
      answered++;
    }
  }
  // #endregion
  signal?.removeEventListener('abort', stop);
  log(`answered ${answered} messages`);
  return answered;
}

runAlone(module, (options) => {
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  return run({ ...options, signal: interrupted.signal });
});
