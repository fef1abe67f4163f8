// open-channels.ts: which channels and listeners a server has, learnt from the messages it receives, and how to end
// them all in good order.

import { Address, AmpeStatus, OpCode, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import { countdown, isEndOf, tryPost, type Channel } from './connection';

/** The channels of a group. Show it every message the group receives, before anything else is done with it. */
export class OpenChannels {
  /** Listeners, by channel number. */
  readonly listeners = new Map<number, Channel & { address: string }>();
  /** Connected clients, by channel number. */
  readonly clients = new Map<number, Channel>();

  /** Looks at a message; it stays the caller's. */
  note(message: Message): void {
    const { channelNumber, messageId } = message;
    if (!message.isFromEngine) {
      if (message.opCode === OpCode.HelloRequest) this.clients.set(channelNumber, { channelNumber, messageId });
    } else if (message.opCode === OpCode.WelcomeResponse) {
      if (message.status !== AmpeStatus.Success) return;
      this.listeners.set(channelNumber, { channelNumber, messageId, address: String(Address.parse(message)) });
    } else {
      const { listeners, clients } = this;
      for (const channels of [listeners, clients]) {
        const channel = channels.get(channelNumber);
        if (channel !== undefined && isEndOf(channel, message)) channels.delete(channelNumber);
      }
    }
  }

  /** True when no client and no listener is left. */
  get isEmpty(): boolean {
    return this.listeners.size === 0 && this.clients.size === 0;
  }
}

/** How a shutdown went. */
export interface Shutdown {
  /** Clients that parted in time. */
  parted: number;
  /** Clients that had to be cut off. */
  aborted: number;
}

// #region shutdown-server
/**
 * Ends a server politely: no new clients, a Bye to each one there is, and nobody is waited for beyond the deadline.
 * What was posted before is still sent. Requests that arrive meanwhile get no answer; their clients see the Bye.
 * @param group nobody else may receive from it any more
 * @param open what the server's loop has noted; empty afterwards
 * @returns when every channel_closed was received, so ports and paths are free
 * @throws (rejects) AmpeError `shutdown_started` when the group is destroyed meanwhile
 */
export async function shutdownServer(
  ampe: Ampe,
  group: ChannelGroup,
  open: OpenChannels,
  deadlineMs = 10_000,
): Promise<Shutdown> {
  // A listener knows ByeSignal only. Clients accepted already, also those not yet heard of, live on.
  for (const listener of open.listeners.values()) tryPost(ampe, group, listener, OpCode.ByeSignal);
  // Refused (false) where the server has answered the client's own Bye: that channel is ending by itself.
  for (const client of open.clients.values()) tryPost(ampe, group, client, OpCode.ByeRequest);

  const shutdown: Shutdown = { parted: 0, aborted: 0 };
  const remainingMs = countdown(deadlineMs);
  let late = false;
  while (!open.isEmpty) {
    using message = await group.waitReceive(late ? undefined : remainingMs());
    if (message === null) {
      late = true;
      shutdown.aborted = open.clients.size;
      for (const channel of open.clients.values()) tryPost(ampe, group, channel, OpCode.ByeSignal);
      continue;
    }
    const before = open.clients.size;
    open.note(message);
    if (open.clients.size < before && !late) shutdown.parted++;
    // A client accepted just before the listener closed. A ByeRequest from a client needs no answer: it has crossed ours.
    if (open.clients.size > before) tryPost(ampe, group, message, late ? OpCode.ByeSignal : OpCode.ByeRequest);
  }
  return shutdown;
}
// #endregion
