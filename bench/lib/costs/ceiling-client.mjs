// ceiling-client.mjs: a producer that sends as fast as acquire() lets it, to a server that never receives; tells how much its process
// grew. acquire() is what must stop it: the figure is the ceiling of a sending engine's memory.
import { setTimeout as sleep } from 'node:timers/promises';
import { AmpeStatus, OpCode, statusName } from 'tofu-ampe';
import { clientAddress, startEngine } from '../../peer/shared/engine.mjs';

const STALLED_MS = 500; // no message free for so long: the peer takes nothing any more

export async function run({ workload, place, begin, peer }) {
  const { ampe, group } = startEngine(peer);
  const hello = ampe.get();
  clientAddress(place).format(hello);
  const { channelNumber } = group.post(hello);
  const answer = await group.waitReceive();
  if (answer.status !== AmpeStatus.Success) throw new Error(`no connection: ${statusName(answer.status)}`);
  ampe.put(answer);
  begin();
  const beforeKib = process.memoryUsage().rss / 1024;
  let sent = 0;
  for (;;) {
    const message = await ampe.acquire({ timeoutMs: STALLED_MS }).catch(() => null);
    if (message === null) break;
    message.opCode = OpCode.Signal;
    message.channelNumber = channelNumber;
    message.body.reserve(workload.size).fill(sent & 255);
    group.post(message);
    sent++;
  }
  await sleep(STALLED_MS);
  const grownKib = process.memoryUsage().rss / 1024 - beforeKib;
  return { grownKib, size: workload.size, messages: sent, seconds: 1, total: sent };
}
