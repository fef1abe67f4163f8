// status.ts: the status byte, its numbers and its names.
// Layer: protocol. Knows neither errors (ampe-error.ts) nor messages.
// Invariant: names[n] is the name of status n; the numbers are part of the protocol and never move.

import { invalidArgument } from './invalid-argument';

/**
 * Outcome told by a message of the engine ({@link AmpeStatus.Success} is 0), or the reason of an error.
 * The numbers are part of the protocol.
 * @see docs/PROTOCOL.md section 2
 */
export const AmpeStatus = {
  /** 0: nothing went wrong. */
  Success: 0,
  /** 1: this build or platform cannot do it, e.g. the native engine was asked for and is absent. */
  NotImplementedYet: 1,
  /** 2: an address that is missing or not well-formed, noticed by this process before anything was done. */
  WrongAddress: 2,
  /** 3: not permitted here: a message or group of another engine, a second receiver, a listener asked to send. */
  NotAllowed: 3,
  /** 4: there is no message, or it was already posted, returned or disposed. */
  NullMessage: 4,
  /** 5: the content of a message is not valid, e.g. a text header with a forbidden name. */
  InvalidMessage: 5,
  /** 6: not an opcode, or one that does not fit the operation. */
  InvalidOpCode: 6,
  /** 7: more than 65535 bytes of text headers. */
  InvalidHeadersLen: 7,
  /** 8: a body of more than 65535 bytes. */
  InvalidBodyLen: 8,
  /** 9: `more` on a message that is not a Request, Response or Signal. */
  InvalidMoreUsage: 9,
  /** 10: a channel number out of range, unknown, or one that does not fit the opcode. */
  InvalidChannelNumber: 10,
  /** 11: the channel belongs to another group. */
  InvalidChannelGroup: 11,
  /** 12: not an unsigned 64 bit integer, or 0 on a response. */
  InvalidMessageId: 12,
  /** 13: an address the engine cannot use: bad text, a name that does not resolve, a transport the platform lacks. */
  InvalidAddress: 13,
  /** 14: nothing exists at the path of the Unix socket to connect to. */
  UdsPathNotFound: 14,
  /** 15: reserved by the protocol. */
  NotificationDisabled: 15,
  /** 16: reserved by the protocol. */
  NotificationFailed: 16,
  /** 17: the peer has gone: end of stream, reset or broken pipe. */
  PeerDisconnected: 17,
  /** 18: another socket error, or a reset by this side after a protocol violation of the peer. */
  CommunicationFailed: 18,
  /** 19: no message was free in the pool, so receiving (or `acquire`) had to stop. */
  PoolEmpty: 19,
  /** 20: no memory or no channel number was left. */
  AllocationFailed: 20,
  /** 21: not from a peer: another part of the program called `updateReceiver`. */
  ReceiverUpdate: 21,
  /** 22: the channel has ended. After a Bye of one's own this is the normal end, not a failure. */
  ChannelClosed: 22,
  /** 23: the group or the engine is being destroyed or is gone. */
  ShutdownStarted: 23,
  /** 24: connecting failed: refused, a stale socket file, or the deadline passed. */
  ConnectFailed: 24,
  /** 25: listening failed, e.g. the port or path is in use. */
  ListenFailed: 25,
  /** 26: the listener cannot accept for now, e.g. the process is out of file descriptors; it goes on trying. */
  AcceptFailed: 26,
  /** 27: sending failed. */
  SendFailed: 27,
  /** 28: receiving failed. */
  RecvFailed: 28,
  /** 29: an option of a socket could not be set. */
  SetsockoptFailed: 29,
  /** 30: processing failed. */
  ProcessingFailed: 30,
  /** 31: anything else; every raw status byte from 31 up reads as this. */
  UnknownError: 31,
} as const;

/** One of the 32 numbers of the {@link AmpeStatus} table. */
export type AmpeStatus = (typeof AmpeStatus)[keyof typeof AmpeStatus];

const names: readonly string[] = [
  'success',
  'not_implemented_yet',
  'wrong_address',
  'not_allowed',
  'null_message',
  'invalid_message',
  'invalid_op_code',
  'invalid_headers_len',
  'invalid_body_len',
  'invalid_more_usage',
  'invalid_channel_number',
  'invalid_channel_group',
  'invalid_message_id',
  'invalid_address',
  'uds_path_not_found',
  'notification_disabled',
  'notification_failed',
  'peer_disconnected',
  'communication_failed',
  'pool_empty',
  'allocation_failed',
  'receiver_update',
  'channel_closed',
  'shutdown_started',
  'connect_failed',
  'listen_failed',
  'accept_failed',
  'send_failed',
  'recv_failed',
  'setsockopt_failed',
  'processing_failed',
  'unknown_error',
];

/**
 * Reads a raw status byte.
 * @param raw the byte, 0 to 255
 * @returns the status of that number; {@link AmpeStatus.UnknownError} for 31 and above and for whatever is no status
 * @see docs/PROTOCOL.md section 2
 */
export function rawToStatus(raw: number): AmpeStatus {
  return Number.isInteger(raw) && raw >= 0 && raw < AmpeStatus.UnknownError
    ? (raw as AmpeStatus)
    : AmpeStatus.UnknownError;
}

/**
 * The name of a status as the protocol spells it.
 * @param status a status number
 * @returns e.g. `'channel_closed'`; `'unknown_error'` for a number that is no status
 * @throws TypeError (ERR_INVALID_ARG_TYPE) for something else than a number
 * @see docs/PROTOCOL.md section 2
 */
export function statusName(status: AmpeStatus): string {
  if (typeof status !== 'number') throw invalidArgument('status', 'a number', status);
  return names[rawToStatus(status)];
}
