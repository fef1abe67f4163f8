import { AmpeError, errorToStatus, invalidArgument, statusToError } from '../../../lib/protocol/ampe-error';
import { AmpeStatus, rawToStatus, statusName } from '../../../lib/protocol/status';

// Written out: the numbers and the names are part of the protocol.
const table: [number, string, keyof typeof AmpeStatus, string][] = [
  [0, 'success', 'Success', 'ERR_AMPE_SUCCESS'],
  [1, 'not_implemented_yet', 'NotImplementedYet', 'ERR_AMPE_NOT_IMPLEMENTED_YET'],
  [2, 'wrong_address', 'WrongAddress', 'ERR_AMPE_WRONG_ADDRESS'],
  [3, 'not_allowed', 'NotAllowed', 'ERR_AMPE_NOT_ALLOWED'],
  [4, 'null_message', 'NullMessage', 'ERR_AMPE_NULL_MESSAGE'],
  [5, 'invalid_message', 'InvalidMessage', 'ERR_AMPE_INVALID_MESSAGE'],
  [6, 'invalid_op_code', 'InvalidOpCode', 'ERR_AMPE_INVALID_OP_CODE'],
  [7, 'invalid_headers_len', 'InvalidHeadersLen', 'ERR_AMPE_INVALID_HEADERS_LEN'],
  [8, 'invalid_body_len', 'InvalidBodyLen', 'ERR_AMPE_INVALID_BODY_LEN'],
  [9, 'invalid_more_usage', 'InvalidMoreUsage', 'ERR_AMPE_INVALID_MORE_USAGE'],
  [10, 'invalid_channel_number', 'InvalidChannelNumber', 'ERR_AMPE_INVALID_CHANNEL_NUMBER'],
  [11, 'invalid_channel_group', 'InvalidChannelGroup', 'ERR_AMPE_INVALID_CHANNEL_GROUP'],
  [12, 'invalid_message_id', 'InvalidMessageId', 'ERR_AMPE_INVALID_MESSAGE_ID'],
  [13, 'invalid_address', 'InvalidAddress', 'ERR_AMPE_INVALID_ADDRESS'],
  [14, 'uds_path_not_found', 'UdsPathNotFound', 'ERR_AMPE_UDS_PATH_NOT_FOUND'],
  [15, 'notification_disabled', 'NotificationDisabled', 'ERR_AMPE_NOTIFICATION_DISABLED'],
  [16, 'notification_failed', 'NotificationFailed', 'ERR_AMPE_NOTIFICATION_FAILED'],
  [17, 'peer_disconnected', 'PeerDisconnected', 'ERR_AMPE_PEER_DISCONNECTED'],
  [18, 'communication_failed', 'CommunicationFailed', 'ERR_AMPE_COMMUNICATION_FAILED'],
  [19, 'pool_empty', 'PoolEmpty', 'ERR_AMPE_POOL_EMPTY'],
  [20, 'allocation_failed', 'AllocationFailed', 'ERR_AMPE_ALLOCATION_FAILED'],
  [21, 'receiver_update', 'ReceiverUpdate', 'ERR_AMPE_RECEIVER_UPDATE'],
  [22, 'channel_closed', 'ChannelClosed', 'ERR_AMPE_CHANNEL_CLOSED'],
  [23, 'shutdown_started', 'ShutdownStarted', 'ERR_AMPE_SHUTDOWN_STARTED'],
  [24, 'connect_failed', 'ConnectFailed', 'ERR_AMPE_CONNECT_FAILED'],
  [25, 'listen_failed', 'ListenFailed', 'ERR_AMPE_LISTEN_FAILED'],
  [26, 'accept_failed', 'AcceptFailed', 'ERR_AMPE_ACCEPT_FAILED'],
  [27, 'send_failed', 'SendFailed', 'ERR_AMPE_SEND_FAILED'],
  [28, 'recv_failed', 'RecvFailed', 'ERR_AMPE_RECV_FAILED'],
  [29, 'setsockopt_failed', 'SetsockoptFailed', 'ERR_AMPE_SETSOCKOPT_FAILED'],
  [30, 'processing_failed', 'ProcessingFailed', 'ERR_AMPE_PROCESSING_FAILED'],
  [31, 'unknown_error', 'UnknownError', 'ERR_AMPE_UNKNOWN_ERROR'],
];

test('there are 32 statuses', () => {
  expect(Object.keys(AmpeStatus)).toHaveLength(32);
  expect(table.map(([number]) => number)).toEqual(Array.from({ length: 32 }, (_, number) => number));
});

test.each(table)('status %i is %s', (number, name, key) => {
  expect(AmpeStatus[key]).toBe(number);
  expect(rawToStatus(number)).toBe(number);
  expect(statusName(number as AmpeStatus)).toBe(name);
});

test.each([31, 32, 128, 255, -1, 1.5, NaN])('a raw %p reads as unknown_error', (raw) => {
  expect(rawToStatus(raw)).toBe(AmpeStatus.UnknownError);
  expect(statusName(raw as AmpeStatus)).toBe('unknown_error');
});

test.each(table.slice(1))('status %i (%s) becomes an error and comes back', (number, name, _key, code) => {
  const error = statusToError(number as AmpeStatus);
  expect(error).toBeInstanceOf(AmpeError);
  expect(error).toBeInstanceOf(Error);
  expect(error!.name).toBe('AmpeError');
  expect(error!.status).toBe(number);
  expect(error!.code).toBe(code);
  expect(error!.message).toMatch(new RegExp(`^${name}: .`));
  expect(errorToStatus(error)).toBe(number);
});

test('success has no error', () => {
  expect(statusToError(AmpeStatus.Success)).toBeNull();
  expect(new AmpeError(AmpeStatus.Success).status).toBe(AmpeStatus.UnknownError);
});

test('a raw byte out of the table becomes unknown_error', () => {
  expect(statusToError(77 as AmpeStatus)).toMatchObject({ status: 31, code: 'ERR_AMPE_UNKNOWN_ERROR' });
});

test.each([new Error('x'), new TypeError('x'), 'text', 22, null, undefined, { status: 22 }])(
  '%p is not an AmpeError, so its status is unknown_error',
  (thing) => {
    expect(errorToStatus(thing)).toBe(AmpeStatus.UnknownError);
  },
);

test('the status of another copy of the package is known, although its class is another one', () => {
  class AmpeErrorOfOtherCopy extends Error {
    override name = 'AmpeError';
    status = AmpeStatus.ChannelClosed;
  }
  expect(errorToStatus(new AmpeErrorOfOtherCopy())).toBe(AmpeStatus.ChannelClosed);
});

test('an AmpeError keeps what is known about it', () => {
  const cause = new Error('ECONNRESET');
  const details = { code: 'ERR_AMPE_BAD_NAME', channelNumber: 7, messageId: 9n, cause };
  const error = new AmpeError(AmpeStatus.InvalidMessage, 'told', details);
  expect(error).toMatchObject({ message: 'told', status: 5, ...details });
  expect(error.stack).toContain('AmpeError: told');
});

test('what is not known about an AmpeError is not there at all', () => {
  const error = new AmpeError(AmpeStatus.PoolEmpty, undefined, { channelNumber: undefined });
  expect('channelNumber' in error).toBe(false);
  expect('messageId' in error).toBe(false);
  expect('cause' in error).toBe(false);
});

test.each([
  [null, 'Received null'],
  [undefined, 'Received undefined'],
  [5, 'Received type number'],
  [[1], 'Received an instance of Array'],
  [Object.create(null), 'Received an object'],
])('invalidArgument tells what came instead: %p', (actual, told) => {
  const error = invalidArgument('host', 'a string', actual);
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(error.message).toBe(`The "host" argument must be a string. ${told}`);
});
