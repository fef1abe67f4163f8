// tables.test.ts: the constants and tables that exist twice, in TypeScript and in C++, are the same.
import { addon } from '../../native/addon/addon';
import { Command } from '../../../lib/native-engine/engine';
import { RecordKind } from '../../../lib/native-engine/inbox';
import { OS_ERRORS } from '../../../lib/native-engine/os-errors';
import { CHANNEL_TABLE } from '../../../lib/protocol/channel-state';
import * as constants from '../../../lib/protocol/constants';
import { OpCode } from '../../../lib/protocol/op-code';
import { PostChannelState } from '../../../lib/protocol/post-check';
import { AmpeStatus, statusName } from '../../../lib/protocol/status';

const { tables } = addon;

test('constants of the wire', () => {
  const numbers = Object.entries(constants).filter(([, value]) => typeof value === 'number');
  expect(numbers.length).toBeGreaterThan(0);
  expect(tables.constants).toEqual(Object.fromEntries(numbers));
});

test('names of the statuses, by their number', () => {
  expect(tables.statusNames).toEqual(Object.values(AmpeStatus).map((status) => statusName(status)));
});

test('opcodes', () => {
  expect(tables.opCodes).toEqual({ ...OpCode });
});

test('states of a channel that post() knows', () => {
  expect(tables.postChannelStates).toEqual({ ...PostChannelState });
});

describe('states of a channel', () => {
  it('are the same, in the same order', () => {
    expect(Object.keys(tables.channelTable)).toEqual(Object.keys(CHANNEL_TABLE));
  });

  it.each(Object.entries(CHANNEL_TABLE))('%s has the same row', (state, row) => {
    expect(tables.channelTable[state]).toEqual(row);
  });
});

test('kinds of records', () => {
  expect(tables.recordKinds).toEqual({ ...RecordKind });
});

test('commands', () => {
  expect(tables.commands).toEqual({ ...Command });
});

test('errors of the system', () => {
  expect(tables.osErrors).toEqual(Object.fromEntries(OS_ERRORS.map(([name], number) => [name, number])));
});

test('counters have names, each once', () => {
  expect(tables.counterNames).toEqual(expect.arrayContaining(['channels', 'messagesIn', 'bytesOut', 'doorbells']));
  expect(new Set(tables.counterNames).size).toBe(tables.counterNames.length);
});
