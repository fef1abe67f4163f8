// The end of a channel in the thread that owns it: acknowledged once, behind the last frame; what is posted later comes back
// before the last word.
import { ORIGIN_BIT } from '../../../lib/protocol/constants';
import { OpCode } from '../../../lib/protocol/op-code';
import { AmpeStatus } from '../../../lib/protocol/status';
import { looseFrame, type Frame } from '../../../lib/engine/frame';
import { Pool } from '../../../lib/engine/pool';
import { NativeChannel, type EngineOfChannel } from '../../../lib/native-engine/channel';
import type { NativeGroup } from '../../../lib/native-engine/group';
import { Slabs } from '../../../lib/native-engine/slab';

const GENERATION = 7;

/** A channel whose engine writes down what it is told. */
function channelWith(pool = new Pool(0, 10)) {
  const told: string[] = [];
  const lastWord = looseFrame();
  const engine: EngineOfChannel = {
    pool,
    delivered: { frames: 0, bytes: 0 },
    acknowledge: () => told.push('consumed'),
    acknowledgeEnd: () => told.push('endAck'),
    lastWord: () => lastWord,
    unsentAnswers: () => 0,
  };
  const mailbox = { addReady: () => told.push('ready'), addTail: () => told.push('tail') };
  const channel = new NativeChannel(engine, { mailbox } as unknown as NativeGroup, 1, GENERATION, 0, 1);
  return { channel, pool, told, lastWord };
}

/** `count` empty frames at the front of a slab. */
function framesIn(count: number) {
  const slab = new Slabs().current();
  slab.memory.fill(0, 0, count * 16);
  return { slab, at: 0, count };
}

function post(channel: NativeChannel, pool: Pool, opCode: number = OpCode.Request): Frame {
  const frame = pool.take()!;
  channel.postLate(frame, opCode);
  return frame;
}

test('the end is acknowledged when the last frame is taken, and not before', () => {
  const { channel, told } = channelWith();
  const { slab, at, count } = framesIn(2);
  channel.onFrames(slab, at, count);
  channel.onEnded();
  expect([channel.acknowledged, told]).toEqual([false, ['ready']]);
  channel.takeFrame();
  expect([channel.acknowledged, told]).toEqual([false, ['ready']]);
  channel.takeFrame();
  expect([channel.acknowledged, told]).toEqual([true, ['ready', 'endAck']]);
});

test('the end of a channel without frames is acknowledged at once', () => {
  const { channel, told } = channelWith();
  channel.onEnded();
  expect([channel.acknowledged, told]).toEqual([true, ['endAck']]);
});

test('what is posted behind the acknowledgement comes back in order, with the reason, and counts no more; then the last word', () => {
  const { channel, pool, told, lastWord } = channelWith();
  channel.onEnded();
  const late = [post(channel, pool), post(channel, pool)];
  channel.onLast(AmpeStatus.PeerDisconnected, '');
  late.push(post(channel, pool));
  expect([told, pool.free]).toEqual([['endAck', 'tail'], 0]);
  for (const posted of late) {
    const frame = channel.takeTail();
    expect(frame).toBe(posted);
    expect(frame.flags & ORIGIN_BIT).toBe(ORIGIN_BIT);
    expect(frame.status).toBe(AmpeStatus.PeerDisconnected);
    expect([frame.generation, frame.counted, channel.told]).toEqual([GENERATION, false, false]);
  }
  expect([channel.takeTail(), channel.told]).toEqual([lastWord, true]);
  expect(pool.free).toBe(pool.total);
});

test('a ByeSignal behind the acknowledgement is used up', () => {
  const { channel, pool, lastWord } = channelWith();
  channel.onEnded();
  post(channel, pool, OpCode.ByeSignal);
  expect(pool.free).toBe(pool.total);
  channel.onLast(AmpeStatus.ChannelClosed, '');
  expect(channel.takeTail()).toBe(lastWord);
});

test('what was received and what was posted late is given back with the group', () => {
  const { channel, pool } = channelWith();
  const { slab, at, count } = framesIn(3);
  channel.onFrames(slab, at, count);
  post(channel, pool);
  channel.clear();
  expect([slab.live, channel.hasFrames(), pool.free]).toEqual([0, false, pool.total]);
});

test('taken bytes are acknowledged 32 KiB at a time', () => {
  const { channel, told } = channelWith();
  const perRun = 32 * 1024;
  const { slab, at, count } = framesIn(perRun / 16);
  channel.onFrames(slab, at, count);
  for (let i = 1; i < count; i++) channel.takeFrame();
  expect(told).toEqual(['ready']);
  channel.takeFrame();
  expect(told).toEqual(['ready', 'consumed']);
});
