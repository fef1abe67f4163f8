// op-code.ts: what a message is for: its opcode, the type and role that follow from it, and where it comes from.
// Layer: protocol. Pure tables.
// Invariant: the four tables below are indexed by opcode and have the same length.

import { AmpeError, invalidArgument } from './ampe-error';
import { AmpeStatus } from './status';

/**
 * What a message is for. The numbers are those of the wire.
 * @see docs/PROTOCOL.md section 1
 */
export const OpCode = {
  /** 0: application data that wants an answer. */
  Request: 0,
  /** 1: the answer to a Request; carries its message id. */
  Response: 1,
  /** 2: application data that wants no answer; also the opcode of the engine's own notices. */
  Signal: 2,
  /** 3: opens a channel: connects to the address in its `~connect_to` header and is the first frame there. */
  HelloRequest: 3,
  /** 4: the answer to a HelloRequest. */
  HelloResponse: 4,
  /** 5: asks for a graceful end; everything posted before it is sent first. */
  ByeRequest: 5,
  /** 6: the answer to a ByeRequest. */
  ByeResponse: 6,
  /** 7: local order: ends a channel or listener at once. Never on the wire. */
  ByeSignal: 7,
  /** 8: local order: listens on the address in its `~listen_on` header. Never on the wire. */
  WelcomeRequest: 8,
  /** 9: the engine's answer to a WelcomeRequest. Cannot be posted. */
  WelcomeResponse: 9,
} as const;

/** One of the ten numbers of the {@link OpCode} table. */
export type OpCode = (typeof OpCode)[keyof typeof OpCode];

/**
 * Who made a message: look at it first, since a message of the engine is a status and not data.
 * @see docs/PROTOCOL.md section 1
 */
export const Origin = {
  /** 0: application code: the peer's, or this side's `updateReceiver` with a message. */
  application: 0,
  /** 1: the local engine. A peer cannot set it. */
  engine: 1,
} as const;

/** One of the two numbers of the {@link Origin} table. */
export type Origin = (typeof Origin)[keyof typeof Origin];

const names = Object.keys(OpCode);

const types = ['regular', 'regular', 'regular', 'hello', 'hello', 'bye', 'bye', 'bye', 'welcome', 'welcome'] as const;

const roles = [
  'request',
  'response',
  'signal',
  'request',
  'response',
  'request',
  'response',
  'signal',
  'request',
  'response',
] as const;

/** undefined: there is no answer to it. */
const echoes: readonly (OpCode | undefined)[] = [
  OpCode.Response,
  undefined,
  OpCode.Signal,
  OpCode.HelloResponse,
  undefined,
  OpCode.ByeResponse,
  undefined,
  undefined,
  OpCode.WelcomeResponse,
  undefined,
];

/**
 * Whether a value is one of the ten opcodes.
 * @param value anything
 * @see docs/PROTOCOL.md section 1
 */
export function isOpCode(value: number): value is OpCode {
  return Number.isInteger(value) && value >= 0 && value < names.length;
}

/**
 * The name of an opcode, spelled as in the {@link OpCode} table.
 * @param opCode an opcode, 0 to 9
 * @returns e.g. `'HelloRequest'`
 * @throws {@link AmpeError} `invalid_op_code` for a number that is no opcode
 * @see docs/PROTOCOL.md section 1
 */
export function opCodeName(opCode: OpCode): string {
  return names[checked(opCode)];
}

/**
 * The family an opcode belongs to: data, listening, opening or closing.
 * @param opCode an opcode, 0 to 9
 * @throws {@link AmpeError} `invalid_op_code` for a number that is no opcode
 * @see docs/PROTOCOL.md section 1
 */
export function messageType(opCode: OpCode): 'regular' | 'welcome' | 'hello' | 'bye' {
  return types[checked(opCode)];
}

/**
 * The part a message plays in an exchange: a request wants a response, a signal stands alone.
 * @param opCode an opcode, 0 to 9
 * @throws {@link AmpeError} `invalid_op_code` for a number that is no opcode
 * @see docs/PROTOCOL.md section 1
 */
export function messageRole(opCode: OpCode): 'request' | 'response' | 'signal' {
  return roles[checked(opCode)];
}

/**
 * The opcode that answers another, so that a received message can be posted back as its own answer.
 * @param opCode a request of any type, or Signal
 * @returns the matching response; Signal for Signal
 * @throws {@link AmpeError} `invalid_op_code` for a response, for ByeSignal and for a number that is no opcode
 * @see docs/PROTOCOL.md section 1
 */
export function echo(opCode: OpCode): OpCode {
  const answer = echoes[checked(opCode)];
  if (answer === undefined) {
    throw new AmpeError(AmpeStatus.InvalidOpCode, `invalid_op_code: nothing answers a ${names[opCode]}`);
  }
  return answer;
}

function checked(opCode: OpCode): OpCode {
  if (typeof opCode !== 'number') throw invalidArgument('opCode', 'a number', opCode);
  if (!isOpCode(opCode)) throw new AmpeError(AmpeStatus.InvalidOpCode, `invalid_op_code: ${String(opCode)}`);
  return opCode;
}
