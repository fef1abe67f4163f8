// first-example.mjs: server and client in one process, in plain JavaScript as Node 20 runs it. Prints "ping", ends.
// #region first-example
import { Address, OpCode, Reactor, TcpClientAddress, TcpServerAddress, echo, messageRole } from 'tofu-ampe';

async function serve(ampe, group) {
  for await (const message of group) {
    // Origin first: what the engine says is a status, not data. And an answer needs no answer.
    if (message.isFromEngine || messageRole(message.opCode) === 'response') {
      ampe.put(message); // what is not posted is put
    } else {
      message.opCode = echo(message.opCode); // Hello → HelloResponse, Request → Response, Bye → ByeResponse
      group.post(message); // the received message goes back as the answer
    }
  }
}

async function receive(group) {
  const message = await group.waitReceive(5_000);
  if (message === null) throw new Error('nothing was received in 5 s');
  const failure = message.toError(); // connect_failed, peer_disconnected … null: all is well
  if (failure !== null) throw failure;
  return message;
}

const reactor = Reactor.create();
try {
  const ampe = reactor.ampe();
  const server = ampe.create();
  const welcome = ampe.get();
  new TcpServerAddress('127.0.0.1', 0).format(welcome); // port 0: any free one
  server.post(welcome);
  const listening = await receive(server); // WelcomeResponse
  const { port } = Address.parse(listening);
  ampe.put(listening);
  serve(ampe, server);

  const client = ampe.create();
  const hello = ampe.get();
  new TcpClientAddress('127.0.0.1', port).format(hello);
  const { channelNumber } = client.post(hello);
  ampe.put(await receive(client)); // HelloResponse

  const request = ampe.get();
  request.opCode = OpCode.Request;
  request.channelNumber = channelNumber;
  request.body.append('ping');
  client.post(request);
  const response = await receive(client);
  console.log(response.body.toString());
  ampe.put(response);

  const bye = ampe.get();
  bye.opCode = OpCode.ByeRequest;
  bye.channelNumber = channelNumber;
  client.post(bye);
  ampe.put(await receive(client)); // ByeResponse: everything before it has arrived
} finally {
  await reactor.destroy(); // also ends serve()
}
// #endregion
