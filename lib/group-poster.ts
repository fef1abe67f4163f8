// group-poster.ts: the posting side of a group: the checks, the moving of the message, the snapshot.
// The owner of a group has it as part of its ChannelGroup; other threads have nothing else.
// Invariant: a message is the caller's, unchanged, until post() or updateReceiver() has succeeded.
import { AT_CHANNEL, AT_FLAGS, AT_ID_HIGH, AT_STATUS, ORIGIN_BIT, WIRE_MASK } from './protocol/constants';
import { AmpeError, invalidArgument } from './protocol/ampe-error';
import { readU16, readU32, snapshotOf, writeU16, type BinaryHeader } from './protocol/header';
import { OpCode } from './protocol/op-code';
import { refuseMessage } from './protocol/post-check';
import { AmpeStatus, statusName } from './protocol/status';
import type { Engine, PostingGroup } from './engine/engine';
import type { Frame } from './engine/frame';
import { statusSignal } from './engine/status-frames';
import { Message } from './message';
import { shutdownStarted } from './refusals';

/** @internal */
export class GroupPoster {
  readonly #engine: Engine;
  readonly #group: PostingGroup;

  constructor(engine: Engine, group: PostingGroup) {
    this.#engine = engine;
    this.#group = group;
  }

  post(message: Message): BinaryHeader {
    const group = this.#group;
    const frame = this.#own(message);
    const { memory, at } = frame;
    const flags = memory[at + AT_FLAGS];
    const idIsZero = (readU32(memory, at + AT_ID_HIGH) | readU32(memory, at + AT_ID_HIGH + 4)) === 0;
    let channel = readU16(memory, at + AT_CHANNEL);
    let refused = refuseMessage(flags, idIsZero, channel, frame.headersLength, frame.bodyLength);
    const opCode = flags & 0x0f;
    if (refused === AmpeStatus.Success) {
      if (channel !== 0) refused = group.refuse(channel, frame.generation, opCode);
      else if ((channel = group.openChannel(opCode === OpCode.WelcomeRequest)) === 0) {
        refused = group.closed ? AmpeStatus.ShutdownStarted : AmpeStatus.AllocationFailed;
      }
    }
    if (refused !== AmpeStatus.Success) throw this.#refusal(refused, message);
    message._take();
    memory[at + AT_FLAGS] = flags & WIRE_MASK;
    memory[at + AT_STATUS] = 0;
    writeU16(memory, at + AT_CHANNEL, channel);
    if (idIsZero) this.#engine.ids.assign(memory, at);
    const header = snapshotOf(memory, at);
    if (!frame.counted) this.#engine.pool.count(frame);
    group.post(frame, channel, opCode);
    return header;
  }

  updateReceiver(message?: Message | null): void {
    if (message === undefined || message === null) {
      if (this.#group.closed) throw shutdownStarted();
      this.#group.update(statusSignal(AmpeStatus.ReceiverUpdate));
      return;
    }
    const frame = this.#own(message);
    message._take();
    frame.memory[frame.at + AT_FLAGS] &= ~ORIGIN_BIT;
    frame.memory[frame.at + AT_STATUS] = AmpeStatus.ReceiverUpdate;
    this.#group.update(frame);
  }

  /** The frame of a message that may be moved into this group; the first row of the checks. */
  #own(message: Message | null | undefined): Frame {
    if (message === null || message === undefined) {
      throw new AmpeError(AmpeStatus.NullMessage, 'null_message: there is no message');
    }
    if (!(message instanceof Message)) throw invalidArgument('message', 'a Message', message);
    const frame = message._live();
    if (this.#group.closed) throw shutdownStarted();
    if (message._pool !== this.#engine.pool) {
      throw new AmpeError(AmpeStatus.NotAllowed, 'not_allowed: the message belongs to another engine');
    }
    return frame;
  }
  #refusal(status: AmpeStatus, message: Message): AmpeError {
    const { channelNumber, messageId } = message;
    return new AmpeError(status, `${statusName(status)}: post() on channel ${channelNumber}`, {
      channelNumber,
      messageId,
    });
  }
}
