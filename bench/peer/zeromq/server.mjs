// server.mjs: zeromq.js: PULL for what only flows in, ROUTER for what is echoed.
import { packageOf, urlOf } from './sockets.mjs';

/** Resolves when listening. */
export async function serve(ctx) {
  const { Pull, Router } = packageOf(ctx);
  const socket = ctx.onMessage ? new Pull() : new Router({ backlog: 4096 });
  await socket.bind(urlOf(ctx));
  const received = ctx.onMessage ? takeAll(socket, ctx.onMessage) : echoAll(socket, ctx.onRequest);
  received.catch((error) => {
    setImmediate(() => {
      throw error;
    });
  });
}

async function takeAll(socket, onMessage) {
  for await (const [body] of socket) onMessage(body);
}
async function echoAll(socket, onRequest) {
  for await (const [sender, body] of socket) {
    onRequest(body);
    await socket.send([sender, body]);
  }
}
