// tables.ts: what a loaded addon must agree with: the functions this package calls, the numbers both sides write down, the tables
// that exist in both languages. Layer: native engine.
// Invariant: an addon that differs in any of it is never used; it would exchange frames or orders that the other side misreads.
import { CHANNEL_TABLE } from '../protocol/channel-state';
import * as constants from '../protocol/constants';
import { OpCode } from '../protocol/op-code';
import { PostChannelState } from '../protocol/post-check';
import { AmpeStatus, statusName } from '../protocol/status';
import type { Binding } from './binding';
import { Command } from './engine';
import { RecordKind } from './inbox';

type FunctionName = Exclude<keyof Binding, 'build' | 'tables'>;
// An object and not a list, so that the compiler notices when one is missing.
const functions: Record<FunctionName, true> = {
  create: true,
  attach: true,
  engineOf: true,
  pollerOf: true,
  openGroup: true,
  groupIsOpen: true,
  openChannel: true,
  setPostState: true,
  postState: true,
  unsentAnswers: true,
  flush: true,
  send: true,
  update: true,
  command: true,
  drain: true,
  park: true,
  unpark: true,
  wantsSpin: true,
  spin: true,
  wantCredits: true,
  waitSync: true,
  setReferenced: true,
  openSockets: true,
  counters: true,
  takeIds: true,
  detach: true,
};

/** The tables of an addon that fits, but for the names of its counters, which are its own business. */
export function expectedTables(): Omit<Binding['tables'], 'counterNames'> {
  const numbers = Object.entries(constants).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  return {
    constants: Object.fromEntries(numbers),
    statusNames: Object.values(AmpeStatus).map((status) => statusName(status)),
    opCodes: OpCode,
    channelTable: CHANNEL_TABLE as unknown as Binding['tables']['channelTable'],
    recordKinds: RecordKind,
    commands: Command,
    postChannelStates: PostChannelState,
  };
}

/** The first difference between the addon and this package; null when it fits. */
export function differenceOf(binding: Partial<Binding>): string | null {
  const absent = (Object.keys(functions) as FunctionName[]).find((name) => typeof binding[name] !== 'function');
  if (absent !== undefined) return `it has no ${absent}()`;
  const { tables } = binding;
  for (const [name, expected] of Object.entries(expectedTables())) {
    const actual = tables?.[name as keyof typeof tables];
    const place = firstDifference(expected, actual, name);
    if (place !== null) return `${place} differs`;
  }
  return Array.isArray(tables?.counterNames) ? null : 'counterNames differs';
}

/** Where two values of plain objects, arrays, numbers and strings are not the same; null when they are. */
function firstDifference(expected: unknown, actual: unknown, place: string): string | null {
  if (typeof expected !== 'object' || expected === null) return expected === actual ? null : place;
  if (typeof actual !== 'object' || actual === null) return place;
  const names = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  for (const name of names) {
    const [a, b] = [expected, actual].map((each) => (each as Record<string, unknown>)[name]);
    const inner = firstDifference(a, b, `${place}.${name}`);
    if (inner !== null) return inner;
  }
  return null;
}
