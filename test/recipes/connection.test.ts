// connection.test.ts: how channels begin and end when things go wrong: every wait settles with the right reason,
// and nothing of a failed attempt is left in the group.

import { AmpeStatus, OpCode, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import {
  EchoServices,
  answerHelloOrBye,
  ask,
  connect,
  disconnect,
  hangUp,
  isEndOf,
  listen,
  tryPost,
  type Services,
} from 'tofu-ampe/recipes';
import { Fixture, Scripted, isPeers, isRequest, transports, within } from './support';

describe.each(transports)('over $name', (transport) => {
  const fixture = new Fixture(transport);
  let ampe: Ampe;
  let group: ChannelGroup;
  beforeEach(() => ({ ampe, group } = fixture));
  const server = (services: Services) => fixture.server(services);

  describe('connect', () => {
    test('gives up a server that never answers, and leaves nothing behind', async () => {
      await using silent = await server(new Scripted(() => {}));
      const failed = within('connect to fail', connect(ampe, group, silent.addresses[0], { timeoutMs: 50 }));
      await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ConnectFailed });
      expect(group.tryReceive()).toBeNull();
    });

    test('rejects with the reason of an AbortSignal, and leaves nothing behind', async () => {
      const cancel = new AbortController();
      await using silent = await server(
        new Scripted((message) => void (isPeers(message, OpCode.HelloRequest) && cancel.abort(new Error('enough')))),
      );
      const failed = connect(ampe, group, silent.addresses[0], { signal: cancel.signal });
      await expect(within('connect to fail', failed)).rejects.toThrow('enough');
      expect(group.tryReceive()).toBeNull();
    });

    test('rejects with channel_closed when the server hangs up or says Bye instead of answering', async () => {
      for (const opCode of [OpCode.ByeSignal, OpCode.ByeRequest]) {
        const refuse = (message: Message, { group: own }: Scripted): void => {
          if (isPeers(message, OpCode.HelloRequest)) tryPost(ampe, own, message, opCode);
        };
        await using unkind = await server(new Scripted(refuse));
        const failed = within('connect to fail', connect(ampe, group, unkind.addresses[0]));
        await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ChannelClosed });
        expect(group.tryReceive()).toBeNull();
      }
    });

    test('rejects with the reason of the engine, and leaves nothing behind', async () => {
      const status = transport.name === 'tcp' ? AmpeStatus.ConnectFailed : AmpeStatus.UdsPathNotFound;
      const failed = within('connect to fail', connect(ampe, group, await transport.knownAddress()));
      await expect(failed).rejects.toMatchObject({ status });
      expect(group.tryReceive()).toBeNull();
    });
  });

  describe('listen', () => {
    test('tells the address with the real port, and the channel', async () => {
      const listener = await within('listening', listen(ampe, group, transport.listenAddress()));
      expect(listener.address).toMatch(transport.name === 'tcp' ? /^tcp\|127\.0\.0\.1\|[1-9]\d*$/ : /^uds\|\//);
      await within('the listener to close', hangUp(ampe, group, listener));
    });

    test('rejects when the address is taken', async () => {
      await using echo = await server(new EchoServices());
      const failed = within('listen to fail', listen(ampe, group, echo.addresses[0]));
      await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ListenFailed });
    });
  });

  describe('ask', () => {
    test('rejects with channel_closed when the server goes instead of answering', async () => {
      const crash = (message: Message, { group: own }: Scripted): void => {
        if (!answerHelloOrBye(own, message) && isRequest(message)) tryPost(ampe, own, message, OpCode.ByeSignal);
      };
      await using crashing = await server(new Scripted(crash));
      const channel = await connect(ampe, group, crashing.addresses[0]);
      const failed = within('ask to fail', ask(ampe, group, channel, 'anything'));
      await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ChannelClosed });
    });

    test('rejects when the answer takes too long; the channel stays usable', async () => {
      const lazy = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message) || message.body.toString() !== 'now') return;
        message.opCode = OpCode.Response;
        own.post(message);
      };
      await using slow = await server(new Scripted(lazy));
      const channel = await connect(ampe, group, slow.addresses[0]);
      await expect(ask(ampe, group, channel, 'later', { timeoutMs: 20 })).rejects.toThrow('no answer in time');
      using response = await within('the second answer', ask(ampe, group, channel, 'now'));
      expect(response.body.toString()).toBe('now');
      expect(await within('the Bye', disconnect(ampe, group, channel))).toBe(true);
    });

    test('answers a Bye of the server, then rejects with channel_closed', async () => {
      const leave = (message: Message, { group: own }: Scripted): void => {
        if (!answerHelloOrBye(own, message) && isRequest(message)) tryPost(ampe, own, message, OpCode.ByeRequest);
      };
      await using leaving = await server(new Scripted(leave));
      const channel = await connect(ampe, group, leaving.addresses[0]);
      const failed = within('ask to fail', ask(ampe, group, channel, 'anything'));
      await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ChannelClosed });
      expect(await within('the server to stop', leaving.stop())).toMatchObject({ aborted: 0 });
    });
  });

  describe('disconnect and hangUp', () => {
    test('disconnect: a server that does not answer the Bye is cut off at the deadline', async () => {
      const rude = (message: Message, { group: own }: Scripted): void => {
        if (!isPeers(message, OpCode.ByeRequest)) answerHelloOrBye(own, message);
      };
      await using echo = await server(new Scripted(rude));
      const channel = await connect(ampe, group, echo.addresses[0]);
      expect(await within('disconnect', disconnect(ampe, group, channel, 30))).toBe(false);
      expect(group.tryReceive()).toBeNull();
    });

    test('both are harmless when the channel is closed already', async () => {
      await using echo = await server(new EchoServices());
      const channel = await connect(ampe, group, echo.addresses[0]);
      expect(await within('the first Bye', disconnect(ampe, group, channel))).toBe(true);
      expect(await within('the second Bye', disconnect(ampe, group, channel))).toBe(true);
      await within('hangUp', hangUp(ampe, group, channel));
    });

    test('Byes of both sides at once end the channel for both', async () => {
      const leave = (message: Message, { group: own }: Scripted): void => {
        if (isPeers(message, OpCode.HelloRequest)) answerHelloOrBye(own, message);
        if (message.owned && isRequest(message)) tryPost(ampe, own, message, OpCode.ByeRequest);
      };
      await using leaving = await server(new Scripted(leave));
      const channel = await connect(ampe, group, leaving.addresses[0]);
      expect(tryPost(ampe, group, channel, OpCode.Request)).toBe(true);
      expect(await within('disconnect', disconnect(ampe, group, channel))).toBe(true);
      expect(await within('the server to stop', leaving.stop())).toMatchObject({ aborted: 0 });
    });
  });

  describe('isEndOf', () => {
    test('a Signal that comes back unsent is not taken for the last word', async () => {
      // A peer that is slow to accept: messages behind the Hello are not sent yet when the channel is aborted.
      await using echo = await server(new EchoServices());
      using hello = ampe.get();
      hello.opCode = OpCode.HelloRequest;
      const address = echo.addresses[0];
      hello.textHeaders.append('~connect_to', address);
      const channel = group.post(hello);
      using signal = ampe.get();
      signal.opCode = OpCode.Signal;
      signal.channelNumber = channel.channelNumber;
      group.post(signal);
      tryPost(ampe, group, channel, OpCode.ByeSignal);
      const ends: boolean[] = [];
      const opCodes: OpCode[] = [];
      while (ends.at(-1) !== true) {
        using message = await within('the last word', group.waitReceive());
        ends.push(isEndOf(channel, message!));
        opCodes.push(message!.opCode);
        expect(message!.status).toBe(AmpeStatus.ChannelClosed);
      }
      expect(opCodes).toEqual([OpCode.HelloResponse, OpCode.Signal, OpCode.Signal]);
      expect(ends).toEqual([false, false, true]);
    });
  });
});
