// When posted messages are written: the first of a tick early, so that the peer has something to do, the rest at its end.
import fs from 'node:fs';
import { OpCode, Reactor, UdsClientAddress, UdsServerAddress, echo, type ChannelGroup } from '../../../lib/index';
import { FIRST_FRAMES, nextBatch } from '../../../lib/engine/flush-pace';
import { tempUdsPath } from '../../../lib/testing';

const HEADER_BYTES = 16;

async function next(group: ChannelGroup, opCode: OpCode) {
  const message = await group.waitReceive();
  expect(message?.opCode).toBe(opCode);
  return message!;
}

test('many posts of one tick are written in growing batches, the rest at its end', async () => {
  const reactor = Reactor.create({ backend: 'fallback' });
  const ampe = reactor.ampe();
  const [near, far] = [ampe.create(), ampe.create()];
  const path = tempUdsPath();
  const welcome = ampe.get();
  new UdsServerAddress(path).format(welcome);
  far.post(welcome);
  ampe.put(await next(far, OpCode.WelcomeResponse));
  const request = ampe.get();
  new UdsClientAddress(path).format(request);
  const { channelNumber } = near.post(request);
  const hello = await next(far, OpCode.HelloRequest);
  hello.opCode = echo(hello.opCode);
  far.post(hello);
  ampe.put(await next(near, OpCode.HelloResponse));

  const write = jest.spyOn(fs, 'writeSync');
  try {
    for (let tick = 0; tick < 2; tick++) {
      write.mockClear();
      const early = FIRST_FRAMES + nextBatch(FIRST_FRAMES);
      for (let i = 0; i < early + 1; i++) {
        const message = ampe.get();
        message.opCode = OpCode.Signal;
        message.channelNumber = channelNumber;
        near.post(message);
      }
      const frames = (): number[] => write.mock.results.map(({ value }) => Number(value) / HEADER_BYTES);
      expect(frames()).toEqual([FIRST_FRAMES, early - FIRST_FRAMES]);
      await new Promise<void>((resolve) => setImmediate(resolve));
      expect(frames().slice(0, 3)).toEqual([FIRST_FRAMES, early - FIRST_FRAMES, 1]);
      for (let i = 0; i < early + 1; i++) ampe.put(await next(far, OpCode.Signal));
    }
  } finally {
    write.mockRestore();
    await reactor.destroy();
  }
});
