import { echo, isOpCode, messageRole, messageType, OpCode, opCodeName, Origin } from '../../../lib/protocol/op-code';
import { AmpeStatus } from '../../../lib/protocol/status';

// number, name, type, role, what echo makes of it (null: refused)
const table = [
  [0, 'Request', 'regular', 'request', 1],
  [1, 'Response', 'regular', 'response', null],
  [2, 'Signal', 'regular', 'signal', 2],
  [3, 'HelloRequest', 'hello', 'request', 4],
  [4, 'HelloResponse', 'hello', 'response', null],
  [5, 'ByeRequest', 'bye', 'request', 6],
  [6, 'ByeResponse', 'bye', 'response', null],
  [7, 'ByeSignal', 'bye', 'signal', null],
  [8, 'WelcomeRequest', 'welcome', 'request', 9],
  [9, 'WelcomeResponse', 'welcome', 'response', null],
] as const;

const refusal = expect.objectContaining({ name: 'AmpeError', status: AmpeStatus.InvalidOpCode });

test.each(table)('opcode %i is %s: %s %s', (number, name, type, role, answer) => {
  expect(OpCode[name]).toBe(number);
  expect(isOpCode(number)).toBe(true);
  expect(opCodeName(number)).toBe(name);
  expect(messageType(number)).toBe(type);
  expect(messageRole(number)).toBe(role);
  if (answer === null) expect(() => echo(number)).toThrow(refusal);
  else expect(echo(number)).toBe(answer);
});

test('there are ten opcodes and two origins', () => {
  expect(Object.keys(OpCode)).toHaveLength(10);
  expect(Origin).toEqual({ application: 0, engine: 1 });
});

test.each([10, 15, -1, 0.5, NaN, Infinity])('%p is no opcode, and nothing can be told of it', (value) => {
  expect(isOpCode(value)).toBe(false);
  for (const ask of [opCodeName, messageType, messageRole, echo]) {
    expect(() => ask(value as OpCode)).toThrow(refusal);
  }
});

test.each([
  ['a string', '1'],
  ['null', null],
  ['undefined', undefined],
  ['a bigint', 1n],
  ['an array', [1]],
])('%s instead of an opcode is a TypeError', (_what, value) => {
  expect(isOpCode(value as never)).toBe(false);
  for (const ask of [opCodeName, messageType, messageRole, echo]) {
    expect(() => ask(value as never)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }),
    );
  }
});
