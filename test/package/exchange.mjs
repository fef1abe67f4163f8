// exchange.mjs: the program a new user writes first, as a test of an installed package: two groups exchange messages over TCP and over
// a Unix socket, check every byte, and end. Knows the package by its name only; runs on Node, Bun and Deno alike.
// Prints one line of JSON: { backend, backendReason, exchanged: { tcp, uds } }. Invariant: exit code 0 only after both Byes.
import { Address, AmpeStatus, OpCode, Reactor, TcpClientAddress, TcpServerAddress } from 'tofu-ampe';
import { UdsClientAddress, UdsServerAddress, echo, errorToStatus, statusToError } from 'tofu-ampe';
import { tempUdsPath } from 'tofu-ampe/testing';

/** Around what fits one packet, one read, and the largest body there is. */
const SIZES = [0, 1, 64, 1_500, 16_384, 65_535];

const reactor = Reactor.create();
const ampe = reactor.ampe();

async function receive(group) {
  const message = await group.waitReceive(20_000);
  if (message === null) throw new Error('nothing was received in 20 s');
  const failure = statusToError(message.status);
  if (failure !== null) throw failure;
  return message;
}

async function serve(group) {
  for await (const message of group) {
    if (message.isFromEngine) ampe.put(message);
    else {
      message.opCode = echo(message.opCode);
      group.post(message);
    }
  }
}

/** Resolves to how many bodies came back as they were sent. */
async function exchange(serverAddress, clientAddress) {
  const server = ampe.create();
  const client = ampe.create();
  const send = (group, opCode, channelNumber, fill) => {
    const message = ampe.get();
    message.opCode = opCode;
    message.channelNumber = channelNumber;
    fill?.(message);
    return group.post(message).channelNumber;
  };
  send(server, OpCode.WelcomeRequest, 0, (message) => serverAddress.format(message));
  const welcome = await receive(server);
  const address = clientAddress(Address.parse(welcome));
  ampe.put(welcome);
  const served = serve(server);
  const channel = send(client, OpCode.HelloRequest, 0, (message) => address.format(message));
  ampe.put(await receive(client));
  for (const size of SIZES) {
    const body = Buffer.alloc(size, `${size} bytes, `);
    send(client, OpCode.Request, channel, (message) => message.body.set(body));
    const response = await receive(client);
    if (!body.equals(response.body.bytes())) throw new Error(`${size} bytes came back as something else`);
    ampe.put(response);
  }
  send(client, OpCode.ByeRequest, channel);
  ampe.put(await receive(client));
  await ampe.destroy(client);
  await ampe.destroy(server);
  await served;
  return SIZES.length;
}

const exchanged = {
  tcp: await exchange(new TcpServerAddress('127.0.0.1', 0), ({ port }) => new TcpClientAddress('127.0.0.1', port)),
};
const path = tempUdsPath();
try {
  exchanged.uds = await exchange(new UdsServerAddress(path), () => new UdsClientAddress(path));
} catch (error) {
  // As documented: there are no Unix sockets on Windows.
  if (process.platform !== 'win32' || errorToStatus(error) !== AmpeStatus.InvalidAddress) throw error;
  exchanged.uds = 'invalid_address';
}
await reactor.destroy();
console.log(JSON.stringify({ backend: reactor.backend, backendReason: reactor.backendReason, exchanged }));
