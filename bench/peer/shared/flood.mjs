// flood.mjs: sends to one channel until a source is dry. Knows the public API only; the channel belongs to the caller.
import { OpCode } from 'tofu-ampe';

/** acquire() is what slows it down to the speed of its peer. */
export async function floodChannel(ampe, group, channelNumber, source) {
  while (floodWhileFree(ampe, group, channelNumber, source)) {
    floodOne(await ampe.acquire(), group, channelNumber, source);
  }
}

/** Plain code between the awaits, which the compiler optimises better. True: no message was free for the next one. */
function floodWhileFree(ampe, group, channelNumber, source) {
  while (source.more()) {
    const message = ampe.get('poolOnly');
    if (message === null) return true;
    floodOne(message, group, channelNumber, source);
  }
  return false;
}

function floodOne(message, group, channelNumber, source) {
  message.opCode = OpCode.Signal;
  message.channelNumber = channelNumber;
  if (typeof source.stamp === 'function') source.stamp(message.body.reserve(source.size));
  else message.body.set(source.reused());
  group.post(message);
}
