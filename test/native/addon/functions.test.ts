// functions.test.ts: what the functions of the addon do with their arguments, and one conversation through the bare binding.
// Errors made in C++ belong to Node's realm and not to jest's, so they are told by their text.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { OpCode } from '../../../lib/protocol/op-code';
import { addon, addonFile, destroy, drain, drainUntil, frame, hostFrame, options, type FrameFields } from './addon';

const BAD_MEMORY = -2;
const noBell = (): void => undefined;

let port: number;
let group: number;
beforeEach(() => {
  port = addon.create(options, noBell);
  group = addon.openGroup(port);
});
afterEach(() => destroy(port));

/** Takes the memory away, as any code that has the buffer can. */
function detached<T extends Uint8Array | Uint32Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

function openChannel(listener: boolean): [channel: number, generation: number] {
  const words = new Uint32Array(1);
  return [addon.openChannel(port, group, listener, words), words[0]];
}

function post([channel, generation]: [number, number], fields: FrameFields): void {
  const bytes = hostFrame({ ...fields, channel });
  const taken = addon.flush(port, bytes, Uint32Array.of(channel, generation, bytes.length, 1, 0, group, 0), 1);
  expect(taken).toBeGreaterThanOrEqual(0);
}

describe('create()', () => {
  it.each([
    ['no object', null],
    ['a missing option', { ...options, udsMode: undefined }],
    ['a text for a number', { ...options, connectTimeoutMs: '1' }],
    ['a fraction', { ...options, closeTimeoutMs: 1.5 }],
    ['NaN', { ...options, keepAliveMs: NaN }],
    ['a number below its range', { ...options, handshakeTimeoutMs: 0 }],
    ['a number above its range', { ...options, maxChannels: 65_535 }],
    ['an unknown poller', { ...options, poller: 'select' }],
    ['a spin below -1', { ...options, spinUs: -2 }],
  ])('refuses %s', (_name, given) => {
    expect(() => addon.create(given, noBell)).toThrow(/options/);
  });

  it('refuses a doorbell that is no function', () => {
    expect(() => addon.create(options, {})).toThrow(/function/);
  });

  it('lets through what a getter of the options throws', () => {
    const given = {
      ...options,
      get poller(): string {
        throw new Error('mine');
      },
    };
    expect(() => addon.create(given, noBell)).toThrow('mine');
  });

  it('takes the ends of the ranges', () => {
    const least = { connectTimeoutMs: 1, handshakeTimeoutMs: 1, closeTimeoutMs: 1, keepAliveMs: 1 };
    const most = 2 ** 31 - 1;
    const ends = [
      { ...options, ...least, udsMode: 0, maxChannels: 1, spinUs: 0 },
      { ...options, connectTimeoutMs: most, keepAliveMs: most, udsMode: 0o777, maxChannels: 65_534, spinUs: 1_000_000 },
    ];
    for (const each of ends) {
      const made = addon.create(each, noBell);
      expect(made).toBeGreaterThan(0);
      destroy(made);
    }
  });

  it('names the poller, and says with a number that this platform lacks one', () => {
    const poll = addon.create({ ...options, poller: 'poll' }, noBell);
    expect(addon.pollerOf(poll)).toBe('poll');
    destroy(poll);
    const foreign = process.platform === 'linux' ? 'kqueue' : 'epoll';
    const refusal = addon.create({ ...options, poller: foreign }, noBell);
    expect(Object.values(addon.tables.osErrors)).toContain(-refusal);
    expect(-refusal).toBeGreaterThan(0);
  });
});

describe('ports', () => {
  const calls: Record<string, unknown[]> = {
    flush: [new Uint8Array(16), new Uint32Array(6), 0],
    send: [new Uint8Array(16), 0, 16, new Uint32Array(6)],
    update: [1, new Uint8Array(16), 0, 16],
    command: [4, 0, 0, 0],
    drain: [new Uint8Array(16), 0, new Uint32Array(16)],
    park: [],
    unpark: [],
    wantsSpin: [],
    spin: [],
    wantCredits: [],
    waitSync: [0],
    openChannel: [1, false, new Uint32Array(1)],
    setPostState: [1, 0],
    postState: [1, new Uint32Array(2)],
    unsentAnswers: [1],
    engineOf: [],
    pollerOf: [],
    openGroup: [],
    groupIsOpen: [1],
    setReferenced: [false],
    openSockets: [],
    counters: [new Float64Array(100)],
    takeIds: [new Uint32Array(3)],
    detach: [],
  };

  it('are taken by every function but those that make one', () => {
    const functions = Object.keys(addon).filter((name) => typeof addon[name] === 'function');
    expect(functions.sort()).toEqual([...Object.keys(calls), 'create', 'attach'].sort());
  });

  it.each(Object.keys(calls))('%s refuses one that does not exist, and none', (name) => {
    for (const number of [0, 1000, 2 ** 32 - 1, undefined, 'a', {}]) {
      expect(() => addon[name](number, ...calls[name])).toThrow();
    }
    expect(() => addon[name]()).toThrow();
  });

  it.each(Object.keys(calls).filter((name) => calls[name].length > 0))(
    '%s refuses arguments of wrong types',
    (name) => {
      calls[name].forEach((_argument, index) => {
        for (const wrong of [undefined, null, 'a', {}, new Int8Array(64)]) {
          expect(() => addon[name](port, ...calls[name].map((each, at) => (at === index ? wrong : each)))).toThrow();
        }
      });
    },
  );

  it('are dead after detach()', () => {
    const other = addon.attach(addon.engineOf(port), noBell);
    expect(other).not.toBe(port);
    expect(addon.engineOf(other)).toBe(addon.engineOf(port));
    addon.detach(other);
    expect(() => addon.park(other)).toThrow();
    expect(() => addon.detach(other)).toThrow();
  });

  it('cannot be had of an engine that does not exist', () => {
    for (const number of [0, -1, 0.5, NaN, Infinity, 2 ** 53, 1e300]) expect(addon.attach(number, noBell)).toBe(0);
    const gone = addon.create(options, noBell);
    const engine = addon.engineOf(gone);
    destroy(gone);
    expect(addon.attach(engine, noBell)).toBe(0);
  });
});

describe('memory', () => {
  const bytes = frame({ headers: 'a:b\r\n', body: 'text' });
  const run = (length: number, frames: number): Uint32Array => Uint32Array.of(1, 1, length, frames, 0, 1, 0);
  const whole = run(bytes.length, 1);
  const staged = hostFrame({ headers: 'a:b\r\n', body: 'text' });
  const wholeStaged = run(staged.length, 1);

  it.each<[string, Uint8Array, Uint32Array, number]>([
    ['a detached array', detached(staged.slice()), wholeStaged, 1],
    ['detached runs', staged, detached(wholeStaged.slice()), 1],
    ['fewer bytes than a run says', staged.subarray(1), wholeStaged, 1],
    ['a run longer than any memory', staged, run(2 ** 32 - 1, 1), 1],
    ['fewer runs than said', staged, wholeStaged, 2],
    ['a count of runs that overflows', staged, wholeStaged, 2 ** 32 - 1],
    ['a channel number that no channel has', staged, Uint32Array.of(0, ...wholeStaged.subarray(1)), 1],
    ['a channel number beyond the last', staged, Uint32Array.of(65_535, ...wholeStaged.subarray(1)), 1],
    ['a run without a frame', staged, run(staged.length, 0), 1],
    ['more frames than the bytes hold', staged, run(staged.length, 2), 1],
    ['more answers than frames', staged, Uint32Array.of(...wholeStaged.subarray(0, 6), 2), 1],
    ['half a header', staged, run(15, 1), 1],
    ['a frame that is cut', staged, run(staged.length - 1, 1), 1],
    ['bytes behind the frame', Buffer.concat([staged, Buffer.alloc(16)]), run(staged.length + 16, 1), 1],
    ['a second run beyond the end', staged, Uint32Array.of(...wholeStaged, ...wholeStaged), 2],
  ])('of flush(): %s is an error', (_name, memory, runs, count) => {
    // flush() uses up what it is given.
    const copies = [memory, runs].map((array) => (array.length === 0 ? array : array.slice()));
    expect(addon.flush(port, ...copies, count)).toBe(BAD_MEMORY);
  });

  it.each<[string, Uint8Array, number, number, Uint32Array]>([
    ['a detached array', detached(bytes.slice()), 0, bytes.length, whole],
    ['a detached run', bytes, 0, bytes.length, detached(whole.slice())],
    ['an offset that leaves too little', bytes, 1, bytes.length, whole],
    ['an offset that overflows', bytes, 2 ** 32 - 1, bytes.length, whole],
    ['another length than the run has', bytes, 0, bytes.length - 1, whole],
  ])('of send(): %s is an error', (_name, memory, at, length, runs) => {
    expect(addon.send(port, memory, at, length, runs)).toBe(BAD_MEMORY);
  });

  it('of update(): what is not one frame is an error', () => {
    expect(addon.update(port, group, bytes, 0, bytes.length - 1)).toBe(BAD_MEMORY);
    expect(addon.update(port, group, bytes, 1, bytes.length)).toBe(BAD_MEMORY);
    expect(addon.update(port, group, detached(bytes.slice()), 0, bytes.length)).toBe(BAD_MEMORY);
  });

  it('of drain(): a detached slab is a full one, and an array too short for a record is an error', () => {
    expect(addon.update(port, group, bytes, 0, bytes.length)).toBe(1);
    while (addon.park(port)) addon.waitSync(port, 5_000);
    const records = new Uint32Array(16);
    for (const at of [0, 50]) {
      expect(addon.drain(port, detached(new Uint8Array(100)), at, records)).toBe(0);
      expect([...records.subarray(2, 5)]).toEqual([0, 1, staged.length]);
    }
    expect(addon.drain(port, new Uint8Array(100), 101, records)).toBe(BAD_MEMORY);
    expect(addon.drain(port, new Uint8Array(100), 0, new Uint32Array(15))).toBe(BAD_MEMORY);
    expect(addon.drain(port, new Uint8Array(100), 0, detached(records.slice()))).toBe(BAD_MEMORY);
    expect(drainUntil(port, 'mail')[0].bytes.equals(bytes)).toBe(true);
  });

  it('of answers: arrays that are too short are refused', () => {
    expect(() => addon.openChannel(port, group, false, new Uint32Array(0))).toThrow();
    expect(() => addon.postState(port, 1, new Uint32Array(1))).toThrow();
    expect(() => addon.takeIds(port, new Uint32Array(2))).toThrow();
    expect(() => addon.counters(port, new Float64Array(addon.tables.counterNames.length - 1))).toThrow();
    addon.counters(port, new Float64Array(addon.tables.counterNames.length));
  });
});

describe('numbers', () => {
  it('of commands, states and channels are checked', () => {
    for (const kind of [0, 7, 2 ** 32 - 1]) expect(() => addon.command(port, kind, 0, 0, 0)).toThrow(/command/);
    for (const [channel, state] of [
      [0, 1],
      [65_535, 1],
      [1, 5],
    ]) {
      expect(() => addon.setPostState(port, channel, state)).toThrow(/setPostState/);
    }
    for (const channel of [0, 65_535]) {
      expect(() => addon.unsentAnswers(port, channel)).toThrow(/unsentAnswers/);
    }
    expect(addon.unsentAnswers(port, 1)).toBe(0);
  });

  it('of channels that cannot be are unknown to postState()', () => {
    for (const channel of [0, 65_535, 2 ** 32 - 1]) expect(addon.postState(port, channel, new Uint32Array(2))).toBe(0);
  });

  it('of message ids are given out in blocks that do not overlap', () => {
    const take = (): [first: bigint, behind: bigint] => {
      const words = new Uint32Array(3);
      addon.takeIds(port, words);
      const first = (BigInt(words[0]) << 32n) | BigInt(words[1]);
      return [first, first + BigInt(words[2])];
    };
    const blocks = Array.from({ length: 10 }, take).sort((one, other) => (one[0] < other[0] ? -1 : 1));
    blocks.forEach(([first, behind], index) => {
      expect(behind).toBeGreaterThan(first);
      if (index > 0) expect(first).toBeGreaterThanOrEqual(blocks[index - 1][1]);
    });
  });
});

describe('waitSync()', () => {
  const update = frame({ opCode: OpCode.Signal });

  it('comes back when there is something, and by itself when there is not', () => {
    expect(addon.waitSync(port, 0)).toBe(0);
    expect(addon.waitSync(port, 0.1)).toBe(0);
    // Without limit, but in slices: the thread must get back to JavaScript now and then.
    expect(addon.waitSync(port, -1)).toBe(0);
    addon.update(port, group, update, 0, update.length);
    let answer = 0;
    while (answer === 0) answer = addon.waitSync(port, -1);
    expect(answer).toBe(1);
    expect(drain(port)).toMatchObject([{ kind: 'mail', group, a: 0 }]);
  });
});

describe('the doorbell', () => {
  it('rings once for each time the port was parked', async () => {
    const update = frame({ opCode: OpCode.Signal });
    const ringing: (() => void)[] = [];
    const bell = addon.create(options, (number: number) => {
      expect(number).toBe(bell);
      ringing.shift()!();
    });
    const room = addon.openGroup(bell);
    addon.setReferenced(bell, true);
    for (let round = 0; round < 100; round++) {
      const rung = new Promise<void>((resolve) => ringing.push(resolve));
      expect(addon.park(bell)).toBe(true);
      for (let each = 0; each < 3; each++) addon.update(bell, room, update, 0, update.length);
      await rung;
      for (let left = 3; left > 0; left -= drainUntil(bell, 'mail').length);
      expect(ringing).toEqual([]);
    }
    destroy(bell);
  });
});

describe('a conversation', () => {
  let folder: string;
  beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ampe-'))));
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  it('goes through one port: listening, connecting, sending', () => {
    const address = `uds|${path.join(folder, 's')}`;
    const listener = openChannel(true);
    post(listener, { opCode: OpCode.WelcomeRequest, headers: `~listen_on: ${address}\r\n` });
    const [welcome] = drainUntil(port, 'mail');
    expect([welcome.channel, welcome.bytes[2] & 0x0f, welcome.bytes[3]]).toEqual([listener[0], 9, 0]);

    const channel = openChannel(false);
    post(channel, { opCode: OpCode.HelloRequest, id: 77, headers: `~connect_to: ${address}\r\n` });
    const arrived = drainUntil(port, 'frames');
    expect(arrived.map((record) => record.kind)).toEqual(['opened', 'frames']);
    const accepted = arrived[1];
    expect(accepted).toMatchObject({ group, a: 1 });
    expect(accepted.bytes[2]).toBe(OpCode.HelloRequest);
    expect(accepted.bytes.readUInt32BE(8)).toBe(77);
    expect(addon.openSockets(port)).toBe(3);

    post(channel, { opCode: OpCode.Request, id: 78, body: 'question' });
    const [question] = drainUntil(port, 'frames');
    expect(question).toMatchObject({ channel: accepted.channel, generation: accepted.generation, a: 1 });
    expect(question.bytes.subarray(16).toString()).toBe('question');
    const totals = new Float64Array(addon.tables.counterNames.length);
    const total = (name: string): number => {
      addon.counters(port, totals);
      return totals[addon.tables.counterNames.indexOf(name)];
    };
    expect([total('channels'), total('listeners'), total('messagesOut')]).toEqual([2, 1, 2]);
    // What came in counts when the application says that it has taken it.
    expect(total('messagesIn')).toBe(0);
    const bytes = accepted.bytes.length + question.bytes.length;
    expect(drain(port, { frames: 2, bytes })).toEqual([]);
    expect([total('messagesIn'), total('bytesIn')]).toEqual([2, bytes]);
  });
});

describe('another initialisation in the same environment', () => {
  it('has ports of its own and leaves those of the first alone', () => {
    const second = { exports: {} as Record<string, any> };
    process.dlopen(second, addonFile);
    expect(second.exports.create).not.toBe(addon.create);
    const other = second.exports.create(options, noBell);
    expect(other).toBeGreaterThan(0);
    expect(second.exports.engineOf(other)).not.toBe(addon.engineOf(port));
    expect(second.exports.attach(addon.engineOf(port), noBell)).toBeGreaterThan(0);
    second.exports.detach(other);
    expect(addon.groupIsOpen(port, group)).toBe(true);
  });
});
