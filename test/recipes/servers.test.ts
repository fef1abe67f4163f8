// servers.test.ts: the server parts of the recipes: listeners that fail, services that throw, and who gets a Bye.

import { AmpeStatus, OpCode, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import {
  EchoServices,
  OpenChannels,
  answerHelloOrBye,
  connect,
  isEndOf,
  listen,
  serve,
  shutdownServer,
  startServer,
  tryPost,
  type Channel,
  type Services,
} from 'tofu-ampe/recipes';
import { Fixture, Scripted, event, isPeers, isRequest, transports, within } from './support';

describe.each(transports)('over $name', (transport) => {
  const fixture = new Fixture(transport);
  let ampe: Ampe;
  let group: ChannelGroup;
  beforeEach(() => ({ ampe, group } = fixture));
  const server = (services: Services) => fixture.server(services);

  describe('serve', () => {
    test('ends when the services say so; they are stopped once, and the channels are still open', async () => {
      const services = new Scripted((message, { group: own }) => {
        if (answerHelloOrBye(own, message)) return true;
        return !isRequest(message);
      });
      const listening = event<string[]>();
      const served = ampe.create();
      const serving = serve(ampe, served, [transport.listenAddress()], services, { onListening: listening.tell });
      const [address] = await within('listening', listening.happened);
      const channel = await connect(ampe, group, address);
      tryPost(ampe, group, channel, OpCode.Request);
      const open = await within('serve to end', serving);
      expect(services.stops).toBe(1);
      expect([open.listeners.size, open.clients.size]).toEqual([1, 1]);
      const parting = within('the client to part', receiveAndAnswerBye(channel));
      expect(await within('the shutdown', shutdownServer(ampe, served, open))).toEqual({ parted: 1, aborted: 0 });
      await parting;
      expect(open.isEmpty).toBe(true);
      await ampe.destroy(served);
    });

    async function receiveAndAnswerBye(channel: Channel): Promise<void> {
      for await (using message of group) {
        if (isEndOf(channel, message)) return;
        answerHelloOrBye(group, message);
      }
    }

    test('a second listener that cannot listen fails the whole, and nothing is left', async () => {
      await using echo = await server(new EchoServices());
      const services = new Scripted(() => {});
      const failed = startServer(ampe, [transport.listenAddress(), echo.addresses[0]], services);
      await expect(within('the start to fail', failed)).rejects.toMatchObject({ status: AmpeStatus.ListenFailed });
      expect(services.stops).toBe(1);
      expect(ampe.stats()).toMatchObject({ groups: 2, listeners: 1 });
    });

    test('what services throw comes out of stop(), and everything is closed', async () => {
      const failing = new Scripted((message) => {
        if (isPeers(message, OpCode.HelloRequest)) throw new Error('a bug');
      });
      const running = await server(failing);
      const failed = connect(ampe, group, running.addresses[0]);
      await expect(within('connect to fail', failed)).rejects.toMatchObject({ status: AmpeStatus.ChannelClosed });
      await expect(within('the server to stop', running.stop())).rejects.toThrow('a bug');
      expect(failing.stops).toBe(1);
    });

    test('stopping twice is stopping once', async () => {
      const running = await server(new EchoServices());
      expect(running.stop()).toBe(running.stop());
      expect(await within('the server to stop', running.stop())).toEqual({ parted: 0, aborted: 0 });
    });
  });

  describe('shutdownServer', () => {
    test('a client whose Hello arrives during the shutdown gets a Bye as well', async () => {
      const served = ampe.create();
      const listener = await within('listening', listen(ampe, served, transport.listenAddress()));
      const open = new OpenChannels();
      open.listeners.set(listener.channelNumber, listener);
      // Nobody has received the Hello yet when the shutdown begins: only the listener is known.
      const connecting = connect(ampe, group, listener.address).catch((error: unknown) => error);
      let hello = await within('the Hello', served.waitReceive());
      const received = (timeoutMs?: number): Promise<Message | null> => {
        const message = hello;
        hello = null;
        return message === null ? served.waitReceive(timeoutMs) : Promise.resolve(message);
      };
      const late = { post: (message: Message) => served.post(message), waitReceive: received } as ChannelGroup;
      const shutdown = await within('the shutdown', shutdownServer(ampe, late, open));
      expect(shutdown).toEqual({ parted: 1, aborted: 0 });
      await ampe.destroy(served);
      expect(await within('the client to fail', connecting)).toMatchObject({ status: AmpeStatus.ChannelClosed });
    });
  });
});
