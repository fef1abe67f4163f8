// client.mjs: ws: the connecting side. Its frames are masked, as the protocol wants of clients.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';

const MOST_BUFFERED_BYTES = 64 * 1024;

export async function connect({ packages, addr, onReply }) {
  const { WebSocket } = createRequire(path.join(packages, 'package.json'))('ws');
  const socket = new WebSocket(`ws://${addr}`, { perMessageDeflate: false, skipUTF8Validation: true });
  await once(socket, 'open');
  const connection = {
    reuse: false, // masking writes into what it was given
    request: (body) => socket.send(body),
    async flood(source) {
      while (source.more()) {
        const body = source.fresh();
        if (socket.bufferedAmount <= MOST_BUFFERED_BYTES) socket.send(body);
        else await new Promise((resolve) => socket.send(body, resolve));
      }
      while (socket.bufferedAmount > 0) await new Promise(setImmediate);
    },
  };
  if (onReply) socket.on('message', (body) => onReply(connection, body));
  return connection;
}
