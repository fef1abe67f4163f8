// server.mjs: ws: WebSocket over TCP, binary messages, no compression.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';

/** Resolves when listening. */
export async function serve({ packages, host, port, onMessage, onRequest }) {
  const { WebSocketServer } = createRequire(path.join(packages, 'package.json'))('ws');
  const server = new WebSocketServer({ host, port, backlog: 4096, perMessageDeflate: false, skipUTF8Validation: true });
  server.on('connection', (socket) => {
    socket.on('error', () => {}); // the client's process ends without a goodbye
    if (onMessage) socket.on('message', onMessage);
    else {
      socket.on('message', (body) => {
        onRequest(body);
        socket.send(body);
      });
    }
  });
  await once(server, 'listening');
}
