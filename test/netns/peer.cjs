// peer.cjs: the far end of the link of netns.test.ts, in a network namespace of its own: accepts connections, greets, reads
// everything, never ends one by itself. Usage: node peer.cjs HOST
// Prints `listening PORT`, and `connection` for each.
const net = require('node:net');

/** A HelloResponse for whatever Hello came. */
function greeting(hello) {
  const frame = Buffer.alloc(16);
  frame[2] = 4;
  hello.copy(frame, 4, 4, 12); // its message id
  return frame;
}

const server = net.createServer((socket) => {
  console.log('connection');
  socket.on('error', () => undefined);
  socket.once('data', (hello) => socket.write(greeting(hello)));
  socket.on('data', () => undefined);
});
server.listen(0, process.argv[2], () => console.log(`listening ${server.address().port}`));
