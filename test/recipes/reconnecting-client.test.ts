// reconnecting-client.test.ts: when a client tries again, when it does not, and that it parts politely.

import { AmpeStatus, OpCode, Reactor, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import {
  EchoServices,
  ReconnectingClient,
  answerHelloOrBye,
  ask,
  backoff,
  tryPost,
  type Channel,
  type Services,
} from 'tofu-ampe/recipes';
import { Fixture, Scripted, isRequest, transports, within } from './support';

describe.each(transports)('over $name', (transport) => {
  const fixture = new Fixture(transport);
  let ampe: Ampe;
  beforeEach(() => ({ ampe } = fixture));
  const server = (services: Services) => fixture.server(services);

  describe('ReconnectingClient', () => {
    test('gives up with the last failure when the attempts are used up', async () => {
      const delays: number[] = [];
      const onRetry = (_: unknown, delayMs: number): void => void delays.push(delayMs);
      const options = { initialMs: 1, attempts: 3, random: () => 1, onRetry };
      const client = new ReconnectingClient(ampe, await transport.knownAddress(), options);
      const status = transport.name === 'tcp' ? AmpeStatus.ConnectFailed : AmpeStatus.UdsPathNotFound;
      await expect(
        within(
          'the client to give up',
          client.run(async () => {}),
        ),
      ).rejects.toMatchObject({ status });
      expect(delays).toEqual([1, 2, 4]);
    });

    test('a connection that was made starts the delays anew', async () => {
      const crash = (message: Message, { group: own }: Scripted): void => {
        if (!answerHelloOrBye(own, message) && isRequest(message)) tryPost(ampe, own, message, OpCode.ByeSignal);
      };
      await using crashing = await server(new Scripted(crash));
      const delays: number[] = [];
      const onRetry = (_: unknown, delayMs: number): void => void delays.push(delayMs);
      const options = { initialMs: 1, attempts: 1, random: () => 1, onRetry };
      const client = new ReconnectingClient(ampe, crashing.addresses[0], options);
      const session = async (own: ChannelGroup, channel: Channel): Promise<string> => {
        if (delays.length === 4) return 'done';
        using response = await ask(ampe, own, channel, 'anything');
        return response.body.toString();
      };
      expect(await within('the fifth session', client.run(session))).toBe('done');
      expect(delays).toEqual([1, 1, 1, 1]);
    });

    test('cancelled while it waits for the next attempt, it rejects with the reason at once', async () => {
      const cancel = new AbortController();
      const onRetry = (): void => void setImmediate(() => cancel.abort(new Error('enough')));
      const options = { initialMs: 2 ** 30, maxMs: 2 ** 30, signal: cancel.signal, onRetry };
      const client = new ReconnectingClient(ampe, await transport.knownAddress(), options);
      await expect(
        within(
          'the client to stop',
          client.run(async () => {}),
        ),
      ).rejects.toThrow('enough');
    });

    test('cancelled in a session, it says Bye before it rejects', async () => {
      const opCodes: OpCode[] = [];
      const note = (message: Message, { group: own }: Scripted): void => {
        if (!message.isFromEngine) opCodes.push(message.opCode);
        answerHelloOrBye(own, message);
      };
      await using noting = await server(new Scripted(note));
      const cancel = new AbortController();
      const client = new ReconnectingClient(ampe, noting.addresses[0], { signal: cancel.signal });
      const session = async (own: ChannelGroup, _: Channel, signal?: AbortSignal): Promise<void> => {
        setImmediate(() => cancel.abort(new Error('enough')));
        await own.waitReceive(undefined, { signal });
      };
      await expect(within('the client to stop', client.run(session))).rejects.toThrow('enough');
      expect(opCodes).toEqual([OpCode.HelloRequest, OpCode.ByeRequest]);
    });

    test('a mistake of the session is not repeated, and the server gets its Bye', async () => {
      await using echo = await server(new EchoServices());
      const client = new ReconnectingClient(ampe, echo.addresses[0]);
      let sessions = 0;
      const session = async (): Promise<void> => {
        sessions++;
        throw new TypeError('a bug');
      };
      await expect(within('the client to fail', client.run(session))).rejects.toThrow('a bug');
      expect(sessions).toBe(1);
    });

    test('an engine that is destroyed is no reason to try again', async () => {
      const other = Reactor.create();
      const client = new ReconnectingClient(other.ampe(), await transport.knownAddress());
      await other.destroy();
      const failed = within(
        'the client to fail',
        client.run(async () => {}),
      );
      await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ShutdownStarted });
    });
  });
});

describe('backoff', () => {
  test('bounds double up to the most, and each delay is between half its bound and the whole', () => {
    const least = [...backoff({ initialMs: 100, maxMs: 1000, attempts: 6, random: () => 0 })];
    const most = [...backoff({ initialMs: 100, maxMs: 1000, attempts: 6, random: () => 1 })];
    expect(least).toEqual([50, 100, 200, 400, 500, 500]);
    expect(most).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  test('has no end unless attempts are counted, and stays finite', () => {
    const delays = backoff({ random: () => 1 });
    let last = 0;
    for (let attempt = 0; attempt < 2000; attempt++) last = delays.next().value!;
    expect(last).toBe(30_000);
  });

  test('without attempts there is no delay at all', () => {
    expect([...backoff({ attempts: 0 })]).toEqual([]);
  });
});
