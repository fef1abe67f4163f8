// engine.cjs: an engine at the near end of the link of netns.test.ts, with one connection to the peer.
// Usage: node engine.cjs INDEX HOST PORT KEEP_ALIVE_MS WHAT (idle: posts nothing; posting: posts when told on stdin)
// Prints `connected`, then each message it receives as JSON, and ends with the channel.
const { index, host, port, keepAliveMs, what } = Object.fromEntries(
  ['index', 'host', 'port', 'keepAliveMs', 'what'].map((name, at) => [name, process.argv[2 + at]]),
);
const api = require(index);
const { assert, connect, message, within } = require('../lifecycle/program.cjs')(api, index);
const { AmpeStatus, OpCode, Reactor } = api;

async function main() {
  const reactor = Reactor.create({ keepAliveMs: Number(keepAliveMs), closeTimeoutMs: 600_000 });
  const ampe = reactor.ampe();
  const group = ampe.create();
  const channel = await connect(ampe, group, `tcp|${host}|${port}`);
  console.log('connected');
  if (what === 'posting') {
    await within('the word to post', new Promise((resolve) => process.stdin.once('data', resolve)));
    // More than the kernel takes, so that something is left to come back.
    for (let i = 0; i < 400; i++) group.post(message(ampe, OpCode.Request, channel, Buffer.alloc(60_000)));
    console.log('posted');
  }
  process.stdin.destroy();
  let returned = 0;
  for (let ended = false; !ended;) {
    const received = await group.waitReceive();
    assert.ok(received.isFromEngine, 'a message from nowhere');
    ended = received.opCode === OpCode.Signal && received.status === AmpeStatus.ChannelClosed;
    if (received.opCode === OpCode.Request) returned++;
    console.log(JSON.stringify({ opCode: received.opCode, status: api.statusName(received.status) }));
    ampe.put(received);
  }
  console.log(JSON.stringify({ returned, free: ampe.stats().poolFree === ampe.stats().poolTotal }));
  await reactor.destroy();
}
void main();
