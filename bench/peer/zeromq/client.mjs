// client.mjs: zeromq.js: PUSH for a flood, DEALER for requests; each connection is a socket of its own.
import { packageOf, urlOf } from './sockets.mjs';

const LINGER_MS = 2_000;

export async function connect(ctx) {
  const { Push, Dealer } = packageOf(ctx);
  if (ctx.onReply === undefined) {
    const socket = new Push({ linger: LINGER_MS });
    socket.connect(urlOf(ctx));
    return {
      async flood(source) {
        while (source.more()) await socket.send(source.fresh()); // the socket keeps what it was given
      },
    };
  }
  const socket = new Dealer({ linger: 0 });
  socket.connect(urlOf(ctx));
  const connection = { reuse: false, request: sendInTurn(socket) };
  receiveReplies(socket, connection, ctx.onReply).catch((error) => {
    setImmediate(() => {
      throw error;
    });
  });
  return connection;
}

/** A socket takes one send() at a time: requests made meanwhile wait here. */
function sendInTurn(socket) {
  let waiting = [];
  let sending = false;
  const sendAll = async () => {
    sending = true;
    while (waiting.length > 0) {
      const bodies = waiting;
      waiting = [];
      for (const body of bodies) await socket.send(body);
    }
    sending = false;
  };
  return (body) => {
    waiting.push(body);
    if (!sending) void sendAll();
  };
}

async function receiveReplies(socket, connection, onReply) {
  for await (const [body] of socket) onReply(connection, body);
}
