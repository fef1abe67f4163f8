// group-poster.ts: the posting side of a group: the checks, the moving of the message, the snapshot.
// The owner of a group has it as part of its ChannelGroup; other threads have nothing else.
// Invariant: a message is the caller's, unchanged, until post() or updateReceiver() has succeeded.
import { OP_CODE_MASK, ORIGIN_BIT, WIRE_MASK } from './protocol/constants';
import { AmpeError, explain, invalidArgument } from './protocol/ampe-error';
import { messageIdOf, postedHeader, type BinaryHeader } from './protocol/header';
import { OpCode, opCodeName } from './protocol/op-code';
import { isSound, refuseMessage } from './protocol/post-check';
import { AmpeStatus } from './protocol/status';
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
    const { idHigh, idLow, flags } = frame;
    const idIsZero = (idHigh | idLow) === 0;
    let { channel } = frame;
    if (!isSound(flags, idIsZero) || !group.isOpen(channel, frame.generation)) channel = this.#check(frame, message);
    message._take();
    frame.flags = flags & WIRE_MASK;
    frame.status = 0;
    frame.channel = channel;
    const id = idIsZero ? this.#engine.ids.assign(frame) : messageIdOf(idHigh, idLow);
    if (!frame.counted) this.#engine.pool.count(frame);
    group.post(frame, channel, flags & OP_CODE_MASK);
    return postedHeader(channel, flags, id);
  }

  updateReceiver(message?: Message | null): void {
    if (message === undefined || message === null) {
      if (this.#group.closed) throw shutdownStarted();
      this.#group.update(statusSignal(AmpeStatus.ReceiverUpdate));
      return;
    }
    const frame = this.#own(message);
    message._take();
    frame.flags &= ~ORIGIN_BIT;
    frame.status = AmpeStatus.ReceiverUpdate;
    this.#group.update(frame);
  }

  /** The frame of a message that may be moved into this group; the first row of the checks. */
  #own(message: Message | null | undefined): Frame {
    // In this order instanceof costs nothing: the compiler knows the class from the property before it.
    if (message?._pool === this.#engine.pool && message instanceof Message) {
      const frame = message._frame;
      if (frame !== null && !this.#group.closed) return frame;
    }
    throw this.#notOwned(message);
  }
  /**
   * All the other rows.
   * @returns the channel it is for, which is a new one for a Hello or Welcome
   */
  #check(frame: Frame, message: Message): number {
    const group = this.#group;
    const { flags, opCode } = frame;
    const idIsZero = (frame.idHigh | frame.idLow) === 0;
    let { channel } = frame;
    let refused = refuseMessage(flags, idIsZero, channel, frame.headersLength, frame.bodyLength);
    if (refused === AmpeStatus.Success) {
      if (channel !== 0) refused = group.refuse(channel, frame.generation, opCode);
      else if ((channel = group.openChannel(opCode === OpCode.WelcomeRequest)) === 0) {
        refused = group.closed ? AmpeStatus.ShutdownStarted : AmpeStatus.AllocationFailed;
      }
    }
    if (refused !== AmpeStatus.Success) throw this.#refusal(refused, message);
    return channel;
  }
  #notOwned(message: Message | null | undefined): Error {
    if (message === null || message === undefined) {
      return new AmpeError(AmpeStatus.NullMessage, 'null_message: there is no message');
    }
    if (!(message instanceof Message)) return invalidArgument('message', 'a Message', message);
    message._live();
    if (this.#group.closed) return shutdownStarted();
    return new AmpeError(AmpeStatus.NotAllowed, 'not_allowed: the message belongs to another engine');
  }
  #refusal(status: AmpeStatus, message: Message): AmpeError {
    const { opCode, channelNumber, messageId } = message;
    const what = `${explain(status)}; post() of a ${opCodeName(opCode)} on channel ${channelNumber}`;
    return new AmpeError(status, what, { channelNumber, messageId });
  }
}
