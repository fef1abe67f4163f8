// server.mjs: the listening side. `ctx.onMessage(body)` gets what only flows in, `ctx.onRequest(body)` what is echoed.
import { AmpeStatus, OpCode, echo, statusToError } from 'tofu-ampe';
import { receiveAll, serverAddress, startEngine } from './engine.mjs';

/** Resolves when listening. `receive` is how messages are taken from the group. */
export function serveWith(backend, ctx, receive = receiveAll) {
  const { ampe, group } = startEngine(backend);
  const { onMessage, onRequest } = ctx;
  const welcome = ampe.get();
  serverAddress(ctx).format(welcome);
  group.post(welcome);
  return new Promise((resolve, reject) => {
    const onStatus = (message) => {
      if (message.opCode !== OpCode.WelcomeResponse) return;
      if (message.status === AmpeStatus.Success) resolve();
      else reject(statusToError(message.status));
    };
    receive(group, (message) => {
      if (message.isFromEngine) {
        onStatus(message);
        ampe.put(message);
        return;
      }
      const { opCode } = message;
      if (opCode === OpCode.Signal) {
        onMessage(message.body.bytes());
        ampe.put(message);
        return;
      }
      if (opCode === OpCode.Request) onRequest(message.body.bytes());
      message.opCode = echo(opCode);
      group.post(message);
    }).catch(reject);
  });
}
