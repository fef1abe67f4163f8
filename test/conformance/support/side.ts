// One group of one engine under test, with the few verbs a case needs: post, receive under a deadline, expect, listen,
// connect. Everything received through it is remembered and returned to the pool at the end of the case.
// Knows only the public API of the package; the cell that creates it owns it.

import {
  AmpeStatus,
  OpCode,
  opCodeName,
  statusName,
  type Ampe,
  type BinaryHeader,
  type ChannelGroup,
  type Message,
  type Reactor,
} from 'tofu-ampe';
import { DEADLINE_MS, within } from './deadline';
import type { Cell } from './cell';

export type OpCodeName = keyof typeof OpCode;

export interface MessageInit {
  op?: OpCodeName;
  channel?: number;
  id?: bigint | number;
  more?: boolean;
  headers?: ReadonlyArray<readonly [string, string]>;
  /** Raw bytes of the text headers, unchecked. */
  rawHeaders?: string | Uint8Array;
  body?: string | Uint8Array;
}

/** A message as plain data, with names instead of numbers, so that a failed comparison can be read. */
export interface Seen {
  op: string;
  channel: number;
  id: bigint;
  more: boolean;
  origin: 'application' | 'engine';
  status: string;
  headers: [string, string][];
  body: string;
}

export function seen(message: Message): Seen {
  return {
    op: opCodeName(message.opCode),
    channel: message.channelNumber,
    id: message.messageId,
    more: message.more,
    origin: message.isFromEngine ? 'engine' : 'application',
    status: statusName(message.status),
    headers: [...message.textHeaders],
    body: message.body.toString(),
  };
}

export interface ListenerInfo {
  channel: number;
  id: bigint;
  /** What a client puts behind ~connect_to: the real port on TCP. */
  address: string;
}

/** The engine object, its interface for applications, and its options. */
export interface EngineUnderTest {
  readonly reactor: Reactor;
  readonly ampe: Ampe;
  /** Another group of the same engine. */
  side(): Side;
}

export class Side {
  constructor(
    private readonly cell: Cell,
    readonly engine: EngineUnderTest,
    readonly group: ChannelGroup,
  ) {}

  get ampe(): Ampe {
    return this.engine.ampe;
  }

  /** Another group of the same engine. */
  sibling(): Side {
    return this.engine.side();
  }

  // ── sending ──

  /** A message that is still the case's own. */
  message(init: MessageInit = {}): Message {
    return this.cell.keep(fill(this.ampe.get(), init));
  }

  post(init: MessageInit): BinaryHeader {
    return this.group.post(this.message(init));
  }

  /** Posts `message` back to where it came from as `op`. */
  answer(message: Message, op: OpCodeName, body?: string | Uint8Array): BinaryHeader {
    message.opCode = OpCode[op];
    if (body !== undefined) message.body.set(body);
    return this.group.post(message);
  }

  // ── receiving ──

  async receive(what = 'a message', timeoutMs: number = DEADLINE_MS): Promise<Message> {
    // The wait itself has no timeout: one that ends takes what is there, and a lost wake would only be slow.
    const message = await within(what, this.group.waitReceive(), timeoutMs);
    return this.cell.keep(message!);
  }

  /** The next message, which must have these properties (a subset of Seen). */
  async expect(shape: Partial<Seen>): Promise<Message> {
    const message = await this.receive(`a message like ${describe(shape)}`);
    expect(seen(message)).toMatchObject(shape);
    return message;
  }

  /** channel_closed of a channel: Signal of the engine with the id of the message that opened the channel. */
  async expectClosed(channel: number, id?: bigint): Promise<void> {
    const shape: Partial<Seen> = { op: 'Signal', origin: 'engine', status: 'channel_closed', channel };
    if (id !== undefined) shape.id = id;
    await this.expect(shape);
  }

  /** Receives until `last` is true for a message; returns all of them, that one included. */
  async collect(what: string, last: (message: Seen) => boolean): Promise<Seen[]> {
    const all: Seen[] = [];
    for (;;) {
      const message = await this.receive(`${what}; got ${all.length} messages so far`);
      const one = seen(message);
      this.ampe.put(message);
      all.push(one);
      if (last(one)) return all;
    }
  }

  /** Nothing is in the queue now. Only meaningful behind an event that would have come later. */
  expectNothing(): void {
    const message = this.group.tryReceive();
    if (message === null) return;
    this.cell.keep(message);
    throw new Error(`expected an empty queue, got ${describe(seen(message))}`);
  }

  // ── connections ──

  /** Listens on a free address of the cell's transport (or on `address`) and waits for the WelcomeResponse. */
  async listen(address: string = this.cell.freeServerAddress()): Promise<ListenerInfo> {
    const header = this.post({ op: 'WelcomeRequest', headers: [['~listen_on', address]] });
    const response = await this.expect({ op: 'WelcomeResponse', status: 'success', channel: header.channelNumber });
    const real = response.textHeaders.get('~listen_on')!;
    this.ampe.put(response);
    return { channel: header.channelNumber, id: header.messageId, address: real };
  }

  /** Posts a HelloRequest; the channel number and id are in the header returned. */
  connect(address: string, init: MessageInit = {}): BinaryHeader {
    const headers = [['~connect_to', address] as const, ...(init.headers ?? [])];
    return this.post({ ...init, op: 'HelloRequest', headers });
  }

  /** Posts a ByeSignal and waits for the end of the channel, putting back what comes before it. */
  async abort(channel: number): Promise<void> {
    this.post({ op: 'ByeSignal', channel });
    await this.collect(`channel_closed of ${channel}`, (m) => m.status === 'channel_closed' && m.channel === channel);
  }
}

/** A HelloRequest to `address` fails with that status, and its channel ends. */
export async function helloFails(side: Side, address: string, status: string): Promise<void> {
  const { channelNumber, messageId } = side.connect(address);
  await side.expect({ op: 'HelloResponse', origin: 'engine', status, channel: channelNumber });
  await side.expectClosed(channelNumber, messageId);
}

/** The port of 'tcp|host|port'. */
export function portOf(address: string): number {
  return Number(address.split('|')[2]);
}

export function fill(message: Message, init: MessageInit): Message {
  if (init.op !== undefined) message.opCode = OpCode[init.op];
  if (init.channel !== undefined) message.channelNumber = init.channel;
  if (init.id !== undefined) message.messageId = init.id;
  if (init.more !== undefined) message.more = init.more;
  for (const [name, value] of init.headers ?? []) message.textHeaders.append(name, value);
  if (init.rawHeaders !== undefined) message.textHeaders.setBytes(Buffer.from(init.rawHeaders));
  if (init.body !== undefined) message.body.set(init.body);
  return message;
}

export function describe(value: object): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner));
}

/** The name of the status an action is refused with; fails when it is not refused, or not with an AmpeError. */
export function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return statusOf(error);
  }
  throw new Error('expected a refusal, but nothing was thrown');
}

/** The same for a promise; also fails when the call throws synchronously instead of rejecting. */
export async function rejection(promise: Promise<unknown>): Promise<string> {
  const outcome = await within(
    'a promise to reject',
    promise.then(
      () => null,
      (error: unknown) => ({ error }),
    ),
  );
  if (outcome === null) throw new Error('expected a rejection, but the promise was fulfilled');
  return statusOf(outcome.error);
}

/** 'channel_closed' for an AmpeError, 'RangeError ERR_X' for another error. */
function statusOf(error: unknown): string {
  const { status, code, name } = error as { status?: AmpeStatus; code?: string; name: string };
  if (status !== undefined) {
    const text = statusName(status);
    // One error of the same name per status: the code must agree with the status.
    expect(code === `ERR_AMPE_${text.toUpperCase()}` || text === 'invalid_message').toBe(true);
    return text;
  }
  return code === undefined ? name : `${name} ${code}`;
}
