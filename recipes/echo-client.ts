// echo-client.ts: connects, asks one question after the other, says Bye.
//
//     node dist/recipes/echo-client.js 'tcp|127.0.0.1|7099'

import { Reactor } from 'tofu-ampe';
import { ask, connect, disconnect, runAlone, type RecipeOptions } from './support/connection';

export interface EchoClientOptions extends RecipeOptions {
  /** What to send, one Request each. */
  texts?: readonly string[] | undefined;
}

/**
 * Sends each text and waits for its answer.
 * @returns the bodies of the answers
 */
export async function run(options: EchoClientOptions = {}): Promise<string[]> {
  const { address = 'tcp|127.0.0.1|7099', log = () => undefined, texts = ['hello', 'from', 'tofu'] } = options;
  const answers: string[] = [];
  // #region echo-client
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using group = ampe.create();

  const channel = await connect(ampe, group, address);
  for (const text of texts) {
    using response = await ask(ampe, group, channel, text);
    answers.push(response.body.toString());
    log(`${text} → ${response.body.toString()}`);
  }
  await disconnect(ampe, group, channel);
  // #endregion
  return answers;
}

runAlone(module, run);
