// status-frames.ts: the messages that an engine makes itself, where both engines make the same.
// They need no pool message and are never sent.
import { AT_CHANNEL, AT_FLAGS, AT_STATUS, ORIGIN_BIT } from '../protocol/constants';
import { writeU16 } from '../protocol/header';
import { OpCode } from '../protocol/op-code';
import { AmpeStatus } from '../protocol/status';
import { publishPoolEmpty } from './diagnostics';
import { looseFrame, type Frame } from './frame';
import type { Pool } from './pool';

/** A Signal of the engine: channel 0 and id 0 unless it says otherwise afterwards. */
export function statusSignal(status: AmpeStatus): Frame {
  const frame = looseFrame();
  frame.memory[frame.at + AT_FLAGS] = OpCode.Signal | ORIGIN_BIT;
  frame.memory[frame.at + AT_STATUS] = status;
  return frame;
}

/** The last word of a channel; the message id is the caller's to fill in. */
export function channelClosedSignal(channel: number, generation: number): Frame {
  const frame = statusSignal(AmpeStatus.ChannelClosed);
  writeU16(frame.memory, frame.at + AT_CHANNEL, channel);
  frame.generation = generation;
  return frame;
}

/** pool_empty; who subscribed to the diagnostics hears of it too. */
export function poolEmptySignal(pool: Pool, group: number): Frame {
  publishPoolEmpty(() => ({ group, poolTotal: pool.total, unreturned: pool.outstanding() }));
  return statusSignal(AmpeStatus.PoolEmpty);
}
