// status-frames.ts: the messages that an engine makes itself, where both engines make the same.
// They need no pool message and are never sent.
import { ORIGIN_BIT } from '../protocol/constants';
import { OpCode } from '../protocol/op-code';
import { AmpeStatus } from '../protocol/status';
import { publishPoolEmpty } from './diagnostics';
import { looseFrame, type Frame } from './frame';
import type { Pool } from './pool';

/** A Signal of the engine: channel 0 and id 0 unless it says otherwise afterwards. */
export function statusSignal(status: AmpeStatus): Frame {
  const frame = looseFrame();
  frame.flags = OpCode.Signal | ORIGIN_BIT;
  frame.status = status;
  return frame;
}

/** A channel as its last word speaks of it: the id is that of the message that opened it. */
export interface ClosedChannel {
  readonly channel: number;
  readonly generation: number;
  readonly idHigh: number;
  readonly idLow: number;
  readonly errorCode: string;
}

/** The last word of a channel. */
export function channelClosedSignal({ channel, generation, idHigh, idLow, errorCode }: ClosedChannel): Frame {
  const frame = statusSignal(AmpeStatus.ChannelClosed);
  frame.channel = channel;
  frame.generation = generation;
  frame.idHigh = idHigh;
  frame.idLow = idLow;
  frame.errorCode = errorCode;
  return frame;
}

/** pool_empty; who subscribed to the diagnostics hears of it too. */
export function poolEmptySignal(pool: Pool, group: number): Frame {
  publishPoolEmpty(() => ({ group, poolTotal: pool.total, unreturned: pool.outstanding() }));
  return statusSignal(AmpeStatus.PoolEmpty);
}
