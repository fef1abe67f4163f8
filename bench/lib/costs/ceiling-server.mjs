// ceiling-server.mjs: an engine that accepts and answers Hello, and then never receives again. Its own growth is asked for by the parent.
import { AmpeStatus, OpCode, echo } from 'tofu-ampe';
import { serverAddress, startEngine } from '../../peer/shared/engine.mjs';

/** One module for each engine would say nothing more: the name of the backend comes with the place. */
export async function serve(ctx) {
  const { ampe, group } = startEngine(ctx.peer);
  const welcome = ampe.get();
  serverAddress(ctx).format(welcome);
  group.post(welcome);
  const listening = await group.waitReceive();
  if (listening.status !== AmpeStatus.Success) throw new Error('not listening');
  ampe.put(listening);
  void answerHello(group);
}

async function answerHello(group) {
  for (;;) {
    const message = await group.waitReceive();
    if (message.opCode !== OpCode.HelloRequest) continue;
    message.opCode = echo(message.opCode);
    group.post(message);
    return;
  }
}
