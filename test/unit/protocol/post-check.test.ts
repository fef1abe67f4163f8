// The table of docs/PROTOCOL.md section 3, rows 2 to 9, row by row, and the order of the rows.

import { MORE_BIT } from '../../../lib/protocol/constants';
import { OpCode } from '../../../lib/protocol/op-code';
import { PostChannelState, refuseChannel, refuseMessage } from '../../../lib/protocol/post-check';
import { AmpeStatus, statusName } from '../../../lib/protocol/status';

interface Posted {
  flags: number;
  idIsZero?: boolean;
  channel?: number;
  headers?: number;
  body?: number;
}

function verdict({ flags, idIsZero = false, channel = 7, headers = 0, body = 0 }: Posted): string {
  return statusName(refuseMessage(flags, idIsZero, channel, headers, body));
}

const opCodes = Object.entries(OpCode);
const opening: number[] = [OpCode.HelloRequest, OpCode.WelcomeRequest];
const responses: number[] = [OpCode.Response, OpCode.HelloResponse, OpCode.ByeResponse];
const regular: number[] = [OpCode.Request, OpCode.Response, OpCode.Signal];

/** A message of this opcode that nothing is wrong with. */
function sound(opCode: number): Posted {
  return opening.includes(opCode) ? { flags: opCode, channel: 0, headers: 20 } : { flags: opCode };
}

describe.each(opCodes.filter(([, opCode]) => opCode !== OpCode.WelcomeResponse))('%s', (_name, opCode) => {
  test('is accepted when nothing is wrong with it', () => {
    expect(verdict(sound(opCode))).toBe('success');
  });

  test('row 3: message id 0 is refused on responses only', () => {
    expect(verdict({ ...sound(opCode), idIsZero: true })).toBe(
      responses.includes(opCode) ? 'invalid_message_id' : 'success',
    );
  });

  test('row 4: more is refused on everything but regular messages', () => {
    const flags = opCode | MORE_BIT;
    expect(verdict({ ...sound(opCode), flags })).toBe(regular.includes(opCode) ? 'success' : 'invalid_more_usage');
  });

  test('row 5: channel 0 is for Hello and Welcome requests, and only for them', () => {
    const wrong = opening.includes(opCode) ? 7 : 0;
    expect(verdict({ ...sound(opCode), channel: wrong })).toBe('invalid_channel_number');
  });

  test('row 6: 65535 bytes of headers and of body are the most', () => {
    expect(verdict({ ...sound(opCode), headers: 65_535, body: 65_535 })).toBe('success');
    expect(verdict({ ...sound(opCode), headers: 65_536 })).toBe('invalid_headers_len');
    expect(verdict({ ...sound(opCode), body: 65_536 })).toBe('invalid_body_len');
  });

  test('row 6: only Hello and Welcome requests need headers', () => {
    expect(verdict({ ...sound(opCode), headers: 0 })).toBe(opening.includes(opCode) ? 'wrong_address' : 'success');
  });
});

test.each([9, 10, 11, 12, 13, 14, 15])('row 2: opcode %i cannot be posted', (opCode) => {
  expect(verdict({ flags: opCode })).toBe('invalid_op_code');
});

test('the origin bit and internal bits of the flags do not matter', () => {
  expect(verdict({ flags: OpCode.Request | 0xd0 })).toBe('success');
  expect(verdict({ flags: OpCode.WelcomeResponse | 0xd0 })).toBe('invalid_op_code');
});

describe('the first row that fails names the status', () => {
  const everythingWrong = { idIsZero: true, channel: 0, headers: 65_536, body: 65_536 };

  test.each([
    ['opcode before message id', { ...everythingWrong, flags: 9 | MORE_BIT }, 'invalid_op_code'],
    ['message id before more', { ...everythingWrong, flags: OpCode.ByeResponse | MORE_BIT }, 'invalid_message_id'],
    ['more before channel', { ...everythingWrong, flags: OpCode.ByeRequest | MORE_BIT }, 'invalid_more_usage'],
    ['channel before lengths', { ...everythingWrong, flags: OpCode.ByeRequest }, 'invalid_channel_number'],
    ['headers before body', { ...everythingWrong, channel: 7, flags: OpCode.Request }, 'invalid_headers_len'],
    ['address before body', { ...everythingWrong, headers: 0, flags: OpCode.HelloRequest }, 'wrong_address'],
  ])('%s', (_what, posted, expected) => {
    expect(verdict(posted)).toBe(expected);
  });
});

describe.each(opCodes)('%s to a channel', (_name, opCode) => {
  const told = (state: PostChannelState, sameGroup = true): AmpeStatus => refuseChannel(state, sameGroup, opCode);
  const isByeSignal = opCode === OpCode.ByeSignal;

  test('row 7: an unknown channel is refused, whoever asks', () => {
    expect(told(PostChannelState.unknown)).toBe(AmpeStatus.InvalidChannelNumber);
    expect(told(PostChannelState.unknown, false)).toBe(AmpeStatus.InvalidChannelNumber);
  });

  test.each(['open', 'listener', 'byePosted', 'closed'] as const)(
    'row 7: %s, of another group, is refused',
    (state) => {
      expect(told(PostChannelState[state], false)).toBe(AmpeStatus.InvalidChannelGroup);
    },
  );

  test('row 8: a closed channel takes nothing', () => {
    expect(told(PostChannelState.closed)).toBe(AmpeStatus.ChannelClosed);
  });

  test('row 8: behind a Bye only ByeSignal is taken', () => {
    expect(told(PostChannelState.byePosted)).toBe(isByeSignal ? AmpeStatus.Success : AmpeStatus.ChannelClosed);
  });

  test('row 9: a listener takes ByeSignal only', () => {
    expect(told(PostChannelState.listener)).toBe(isByeSignal ? AmpeStatus.Success : AmpeStatus.NotAllowed);
  });

  test('an open channel takes it', () => {
    expect(told(PostChannelState.open)).toBe(AmpeStatus.Success);
  });
});
