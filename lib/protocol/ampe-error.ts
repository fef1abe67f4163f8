// ampe-error.ts: the one error class of this package, and the way between statuses and errors.
// Layer: protocol. Knows the status table only.
// Invariant: an AmpeError never carries Success; its code follows from its status unless a finer code is given.

import { AmpeStatus, rawToStatus, statusName } from './status';

export { invalidArgument } from './invalid-argument';

/** What can be told about an error besides its status. */
export interface AmpeErrorDetails {
  /** A finer code than the one of the status, e.g. `ERR_AMPE_BAD_NAME`. */
  code?: string | undefined;
  /** The channel concerned, 1 to 65534. */
  channelNumber?: number | undefined;
  /** The id of the message concerned. */
  messageId?: bigint | undefined;
  /** What lies behind it, e.g. the system error with its errno. */
  cause?: unknown;
}

const explanations: readonly string[] = [
  'no error',
  'not available in this build or on this platform',
  'the address is missing or not well-formed',
  'not allowed here',
  'no message, or it was already posted, returned or disposed',
  'the content of the message is not valid',
  'not an opcode that is allowed here',
  'the text headers take more than 65535 bytes',
  'the body takes more than 65535 bytes',
  'more is only for Request, Response and Signal',
  'the channel number is out of range, unknown or does not fit the opcode',
  'the channel belongs to another group',
  'the message id is not an unsigned 64 bit integer, or 0 on a response',
  'the address cannot be used',
  'nothing exists at the path of the Unix socket',
  'notifications are disabled',
  'the notification failed',
  'the peer has gone',
  'the connection failed',
  'no message is free in the pool',
  'no memory or no channel number is left',
  'the receiver was updated',
  'the channel has ended',
  'the group or the engine is shutting down or gone',
  'the connection could not be made',
  'listening failed',
  'no connection can be accepted for now',
  'sending failed',
  'receiving failed',
  'a socket option could not be set',
  'processing failed',
  'unknown error',
];

/** The name of a status and what it means, for a person: the text of an error that knows no more. */
export function explain(status: AmpeStatus): string {
  return `${statusName(status)}: ${explanations[status]}`;
}

/**
 * What this package throws and rejects with. Wrong types are a TypeError with code `ERR_INVALID_ARG_TYPE` instead, and
 * options or timeouts out of range a RangeError.
 * @see docs/PROTOCOL.md section 2
 */
export class AmpeError extends Error {
  /** `'ERR_AMPE_'` and the name of the status in upper case, e.g. `ERR_AMPE_CHANNEL_CLOSED`, or a finer code. */
  readonly code: string;
  /** The status behind the error; never {@link AmpeStatus.Success}. */
  readonly status: AmpeStatus;
  /** The channel concerned, where it is known. */
  declare readonly channelNumber?: number;
  /** The id of the message concerned, where it is known. */
  declare readonly messageId?: bigint;

  /**
   * @param status the status; anything that is no error status becomes {@link AmpeStatus.UnknownError}
   * @param message what to tell a person; default: the name of the status and a short explanation
   * @param details code, channel, message id and cause, as far as known
   */
  constructor(status: AmpeStatus, message?: string, details: AmpeErrorDetails = {}) {
    const known = rawToStatus(status) || AmpeStatus.UnknownError;
    super(message ?? explain(known), 'cause' in details ? { cause: details.cause } : undefined);
    this.status = known;
    this.code = details.code ?? `ERR_AMPE_${statusName(known).toUpperCase()}`;
    if (details.channelNumber !== undefined) this.channelNumber = details.channelNumber;
    if (details.messageId !== undefined) this.messageId = details.messageId;
  }
}

// On the prototype, as the names of the built-in errors: it is no detail of a single error.
Object.defineProperty(AmpeError.prototype, 'name', { value: 'AmpeError', writable: true, configurable: true });

/**
 * The error for a status, ready to be thrown.
 * @param status the status of a message, or a raw status byte
 * @returns a new error, or null for {@link AmpeStatus.Success}
 * @see docs/PROTOCOL.md section 2
 */
export function statusToError(status: AmpeStatus): AmpeError | null {
  return status === AmpeStatus.Success ? null : new AmpeError(status);
}

/**
 * The status behind an error.
 * @param error anything that was thrown
 * @returns its status; {@link AmpeStatus.UnknownError} when it is not an {@link AmpeError}
 * @see docs/PROTOCOL.md section 2
 */
export function errorToStatus(error: unknown): AmpeStatus {
  if (error instanceof AmpeError) return error.status;
  // Of another copy of this package in the process, whose class is another one.
  const { name, status } = Object(error) as Partial<AmpeError>;
  return name === 'AmpeError' && typeof status === 'number' ? rawToStatus(status) : AmpeStatus.UnknownError;
}
