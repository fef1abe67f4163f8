// post-check.ts: the table of checks that post() makes before anything is queued, as pure functions.
// Layer: protocol. Takes plain numbers, so that a check allocates nothing.
// The first row (is there a message, does the engine run, is it this engine's) is the caller's: it needs objects.
// Invariant: the checks come in the order of docs/PROTOCOL.md section 3; the first one that fails names the status.

import { MAX_BODY_BYTES, MAX_TEXT_HEADERS_BYTES, MORE_BIT, OP_CODE_MASK } from './constants';
import { messageRole, messageType, OpCode } from './op-code';
import { AmpeStatus } from './status';

/** What a channel number stands for when something is posted to it. */
export const PostChannelState = {
  /** Never handed out, or a connection the application has not seen yet. */
  unknown: 0,
  /** A channel that takes messages, also while it is connecting. */
  open: 1,
  /** A listener. */
  listener: 2,
  /** A ByeRequest or ByeResponse was posted to it. */
  byePosted: 3,
  /** Its channel_closed was delivered, and the number is not in use again. */
  closed: 4,
} as const;
export type PostChannelState = (typeof PostChannelState)[keyof typeof PostChannelState];

/**
 * Rows 2 to 6: what the message alone tells.
 * @param flags the raw flags byte
 * @param idIsZero whether the message id is 0
 * @param channelNumber 0 to 65535
 * @param headersLength bytes of text headers
 * @param bodyLength bytes of the body
 * @returns Success, or why the message is refused
 */
export function refuseMessage(
  flags: number,
  idIsZero: boolean,
  channelNumber: number,
  headersLength: number,
  bodyLength: number,
): AmpeStatus {
  const raw = flags & OP_CODE_MASK;
  // WelcomeResponse is the last opcode, and only the engine makes it.
  if (raw >= OpCode.WelcomeResponse) return AmpeStatus.InvalidOpCode;
  const opCode = raw as OpCode;
  if (idIsZero && messageRole(opCode) === 'response') return AmpeStatus.InvalidMessageId;
  if ((flags & MORE_BIT) !== 0 && messageType(opCode) !== 'regular') return AmpeStatus.InvalidMoreUsage;
  const opensChannel = opCode === OpCode.HelloRequest || opCode === OpCode.WelcomeRequest;
  if ((channelNumber === 0) !== opensChannel) return AmpeStatus.InvalidChannelNumber;
  if (headersLength > MAX_TEXT_HEADERS_BYTES) return AmpeStatus.InvalidHeadersLen;
  if (opensChannel && headersLength === 0) return AmpeStatus.WrongAddress;
  if (bodyLength > MAX_BODY_BYTES) return AmpeStatus.InvalidBodyLen;
  return AmpeStatus.Success;
}

/**
 * Rows 7 to 9 for a message to an existing channel (a message that opens one needs a free number instead).
 * @param state what its number stands for
 * @param sameGroup whether it belongs to the group that posts; without meaning for an unknown one
 * @param opCode opcode of the message
 * @returns Success, or why the message is refused
 */
export function refuseChannel(state: PostChannelState, sameGroup: boolean, opCode: number): AmpeStatus {
  if (state === PostChannelState.unknown) return AmpeStatus.InvalidChannelNumber;
  if (!sameGroup) return AmpeStatus.InvalidChannelGroup;
  if (state === PostChannelState.closed) return AmpeStatus.ChannelClosed;
  if (opCode === OpCode.ByeSignal) return AmpeStatus.Success;
  if (state === PostChannelState.byePosted) return AmpeStatus.ChannelClosed;
  if (state === PostChannelState.listener) return AmpeStatus.NotAllowed;
  return AmpeStatus.Success;
}
