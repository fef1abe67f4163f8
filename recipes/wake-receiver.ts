// wake-receiver.ts: only one place receives from a group, but other parts of the program have something to say to it:
// a job to send, or that it is time to stop. updateReceiver() puts that into the same queue, in order.

import { AmpeStatus, OpCode, Reactor, type Ampe, type ChannelGroup } from 'tofu-ampe';
import {
  answerBye,
  connect,
  disconnect,
  isEndOf,
  runAlone,
  type Channel,
  type RecipeOptions,
} from './support/connection';
import { EchoServices, startServer } from './services';

// #region wake-receiver
/** Gives the loop a text to send. To be called from anywhere, at any time. */
export function submit(ampe: Ampe, group: ChannelGroup, text: string): void {
  using job = ampe.get();
  job.opCode = OpCode.Request;
  job.body.set(text);
  group.updateReceiver(job); // moved, as by post()
}

/** Tells the loop to finish: it gets this after all that was submitted before. */
export function finish(group: ChannelGroup): void {
  group.updateReceiver();
}

/**
 * The loop: sends what is submitted, receives the answers, ends when it was told to and nothing is open any more.
 * @returns the answers, in the order they came
 */
export async function forward(group: ChannelGroup, channel: Channel): Promise<string[]> {
  const answers: string[] = [];
  let unanswered = 0;
  let finishing = false;
  for await (using message of group) {
    if (message.status === AmpeStatus.ReceiverUpdate) {
      // Status first here: from this program, not from the peer, whose messages never have this status.
      if (message.isFromEngine) {
        finishing = true; // no message was given
      } else {
        message.channelNumber = channel.channelNumber;
        group.post(message); // what was submitted is sent as it is
        unanswered++;
      }
    } else if (isEndOf(channel, message)) {
      break; // the peer has gone; what is unanswered stays so
    } else if (message.isFromEngine) {
      if (message.opCode === OpCode.Request) unanswered--; // came back unsent
    } else if (message.opCode === OpCode.Response) {
      answers.push(message.body.toString());
      unanswered--;
    } else if (message.opCode === OpCode.ByeRequest) {
      answerBye(group, message);
      break;
    }
    if (finishing && unanswered === 0) break;
  }
  return answers;
}
// #endregion

/**
 * Submits texts from outside the loop, then finishes it.
 * @returns the answers
 */
export async function run(options: RecipeOptions & { texts?: string[] } = {}): Promise<string[]> {
  const { address = 'tcp|127.0.0.1|0', log = () => undefined, texts = ['red', 'green', 'blue'] } = options;
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using server = await startServer(ampe, [address], new EchoServices());
  await using group = ampe.create();
  const channel = await connect(ampe, group, server.addresses[0]);
  const forwarding = forward(group, channel);
  for (const text of texts) submit(ampe, group, text);
  finish(group);
  const answers = await forwarding;
  log(`answers: ${answers.join(', ')}`);
  await disconnect(ampe, group, channel);
  return answers;
}

runAlone(module, run);
