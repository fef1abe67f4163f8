// post-check.ts: the table of checks that post() makes before anything is queued, as pure functions.
// Layer: protocol. Takes plain numbers, so that a check allocates nothing.
// The first row (is there a message, does the engine run, is it this engine's) is the caller's: it needs objects.
// Invariant: the checks come in the order of docs/PROTOCOL.md section 3; the first one that fails names the status.

import { MAX_BODY_BYTES, MAX_TEXT_HEADERS_BYTES, MORE_BIT, WIRE_MASK } from './constants';
import { isOpCode, messageRole, messageType, OpCode } from './op-code';
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

// What opcode and `more` say about a message, by the bits of the flags byte: one look instead of several questions.
const REFUSED_OP_CODE = 1;
const NEEDS_ID = 2;
const REFUSED_MORE = 4;
const OPENS_CHANNEL = 8;
const TRAITS = Uint8Array.from({ length: WIRE_MASK + 1 }, (_, flags) => {
  const opCode = flags & ~MORE_BIT;
  // WelcomeResponse is the last opcode, and only the engine makes it.
  if (!isOpCode(opCode) || opCode === OpCode.WelcomeResponse) return REFUSED_OP_CODE;
  const opens = opCode === OpCode.HelloRequest || opCode === OpCode.WelcomeRequest;
  return (
    (messageRole(opCode) === 'response' ? NEEDS_ID : 0) |
    ((flags & MORE_BIT) !== 0 && messageType(opCode) !== 'regular' ? REFUSED_MORE : 0) |
    (opens ? OPENS_CHANNEL : 0)
  );
});

/**
 * Whether rows 2 to 6 have nothing against a message to an existing channel, by a look that is enough for nearly all of them. Its lengths
 * are in range, as those of every frame in memory are.
 */
export function isSound(flags: number, idIsZero: boolean): boolean {
  const traits = TRAITS[flags & WIRE_MASK];
  return traits === 0 || (traits === NEEDS_ID && !idIsZero);
}

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
  const traits = TRAITS[flags & WIRE_MASK];
  if (traits === REFUSED_OP_CODE) return AmpeStatus.InvalidOpCode;
  if (idIsZero && (traits & NEEDS_ID) !== 0) return AmpeStatus.InvalidMessageId;
  if ((traits & REFUSED_MORE) !== 0) return AmpeStatus.InvalidMoreUsage;
  const opensChannel = (traits & OPENS_CHANNEL) !== 0;
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
