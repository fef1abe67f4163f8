// first-example.ts: the first example of the README in TypeScript: `using` puts what was not posted, `await using`
// destroys. The README leaves out the function around it, which modules of ECMAScript do not need.

// #region first-example
import { Address, AmpeStatus, OpCode, Reactor, TcpClientAddress, TcpServerAddress } from 'tofu-ampe';
import { echo, messageRole, type ChannelGroup, type Message } from 'tofu-ampe';

async function serve(group: ChannelGroup): Promise<void> {
  for await (using message of group) {
    // Origin first: what the engine says is a status, not data. And an answer needs no answer.
    if (message.isFromEngine || messageRole(message.opCode) === 'response') continue;
    message.opCode = echo(message.opCode); // Hello → HelloResponse, Request → Response, Bye → ByeResponse
    group.post(message); // the received message goes back as the answer
  }
}

async function receive(group: ChannelGroup): Promise<Message> {
  const message = await group.waitReceive(5_000);
  if (message === null) throw new Error('nothing was received in 5 s');
  if (message.status === AmpeStatus.Success) return message;
  using failed = message; // connect_failed, peer_disconnected …
  throw failed.toError()!;
}

// #endregion
async function main(): Promise<void> {
  // #region first-example
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using server = ampe.create();
  using welcome = ampe.get();
  new TcpServerAddress('127.0.0.1', 0).format(welcome); // port 0: any free one
  server.post(welcome);
  using listening = await receive(server); // WelcomeResponse
  const address = Address.parse(listening); // with the real port
  if (!(address instanceof TcpServerAddress)) throw new Error('no TCP address');
  void serve(server);

  await using client = ampe.create();
  using hello = ampe.get();
  new TcpClientAddress(address.host, address.port).format(hello);
  const { channelNumber } = client.post(hello);
  using _accepted = await receive(client); // HelloResponse

  using request = ampe.get();
  request.opCode = OpCode.Request;
  request.channelNumber = channelNumber;
  request.body.append('ping');
  client.post(request);
  using response = await receive(client);
  console.log(response.body.toString());

  using bye = ampe.get();
  bye.opCode = OpCode.ByeRequest;
  bye.channelNumber = channelNumber;
  client.post(bye);
  using _answered = await receive(client); // ByeResponse: everything before it has arrived
  // #endregion
}

if (require.main === module) void main();
