// Engines under an application's test with fake timers: what is faked is the application's time, messages come all the same.
import { OpCode, Reactor, UdsClientAddress, UdsServerAddress, echo } from '../../lib';
import { tempUdsPath } from '../../lib/testing';
import { requiredEngines } from '../conformance/support/engines';

const backends = new Set(requiredEngines().map(({ backend }) => backend));

afterEach(() => jest.useRealTimers());

test.each([...backends])('the %s engine goes on', async (backend) => {
  jest.useFakeTimers();
  await using reactor = Reactor.create({ backend });
  const ampe = reactor.ampe();
  const [server, client] = [ampe.create(), ampe.create()];
  const path = tempUdsPath();
  const welcome = ampe.get();
  new UdsServerAddress(path).format(welcome);
  server.post(welcome);
  ampe.put(await server.waitReceive());
  void (async () => {
    for await (const message of server) {
      if (message.isFromEngine) continue;
      message.opCode = echo(message.opCode);
      server.post(message);
    }
  })();
  const hello = ampe.get();
  new UdsClientAddress(path).format(hello);
  const { channelNumber } = client.post(hello);
  ampe.put(await client.waitReceive());
  for (let n = 0; n < 3; n++) {
    const request = ampe.get();
    request.opCode = OpCode.Request;
    request.channelNumber = channelNumber;
    client.post(request);
    const response = await client.waitReceive();
    expect(response).toMatchObject({ opCode: OpCode.Response, isFromEngine: false });
    ampe.put(response);
  }
});
