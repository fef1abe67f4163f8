// parts.test.ts: the reusable parts of the recipes when things go wrong: what people copy must settle every wait with
// the right reason, and leave the pool full and no channel behind.

import {
  AmpeError,
  AmpeStatus,
  OpCode,
  Reactor,
  statusToError,
  type Ampe,
  type ChannelGroup,
  type Message,
} from 'tofu-ampe';
import {
  EchoServices,
  Heartbeat,
  JobServices,
  OpenChannels,
  ReconnectingClient,
  RequestMatcher,
  UpperCaseServices,
  answerHelloOrBye,
  ask,
  backoff,
  connect,
  disconnect,
  exchange,
  finish,
  forward,
  hangUp,
  isEndOf,
  listen,
  pipelined,
  receiveUntilEnd,
  receiveWithHeartbeat,
  requestWithProgress,
  sendStream,
  serve,
  shutdownServer,
  startServer,
  submit,
  tryPost,
  type Channel,
  type Services,
} from 'tofu-ampe/recipes';
import { event, transports, within } from './support';

/** Services that hand each message to a function. */
class Scripted implements Services {
  ampe!: Ampe;
  group!: ChannelGroup;
  stops = 0;
  constructor(readonly script: (message: Message, self: Scripted) => boolean | void) {}

  start(ampe: Ampe, group: ChannelGroup): void {
    this.ampe = ampe;
    this.group = group;
  }

  onMessage(message: Message): boolean {
    return this.script(message, this) ?? true;
  }

  stop(): void {
    this.stops++;
  }
}

const isRequest = (message: Message): boolean => !message.isFromEngine && message.opCode === OpCode.Request;
const isPeers = (message: Message, opCode: OpCode): boolean => !message.isFromEngine && message.opCode === opCode;

describe.each(transports)('over $name', (transport) => {
  let reactor: Reactor;
  let ampe: Ampe;
  let group: ChannelGroup;

  beforeEach(() => {
    reactor = Reactor.create();
    ampe = reactor.ampe();
    group = ampe.create();
  });

  afterEach(async () => {
    await within('the group to be destroyed', ampe.destroy(group));
    const { poolFree, poolTotal, channels, listeners, groups } = ampe.stats();
    await within('the engine to be destroyed', reactor.destroy());
    expect({ missing: poolTotal - poolFree, channels, listeners, groups }).toEqual({
      missing: 0,
      channels: 0,
      listeners: 0,
      groups: 0,
    });
  });

  const server = (services: Services) => startServer(ampe, [transport.listenAddress()], services);

  describe('connect', () => {
    test('gives up a server that never answers, and leaves nothing behind', async () => {
      await using silent = await server(new Scripted(() => {}));
      const failed = within('connect to fail', connect(ampe, group, silent.addresses[0], { timeoutMs: 50 }));
      await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ConnectFailed });
      expect(group.tryReceive()).toBeNull();
    });

    test('rejects with the reason of an AbortSignal, and leaves nothing behind', async () => {
      const cancel = new AbortController();
      await using silent = await server(new Scripted((message) => void (isPeers(message, OpCode.HelloRequest) && cancel.abort(new Error('enough')))));
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
      expect(await leaving.stop()).toEqual({ parted: 0, aborted: 0 });
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
      expect(await within('the server to stop', leaving.stop())).toEqual({ parted: 0, aborted: 0 });
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

  describe('pipelined and RequestMatcher', () => {
    test('answers in another order still find their askers', async () => {
      const kept: { channelNumber: number; messageId: bigint; text: string }[] = [];
      const backwards = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message)) return;
        kept.push({ channelNumber: message.channelNumber, messageId: message.messageId, text: message.body.toString() });
        if (kept.length < 20) return;
        for (const { text, ...ids } of kept.reverse()) {
          using response = ampe.get();
          Object.assign(response, ids, { opCode: OpCode.Response });
          response.body.set(`re: ${text}`);
          own.post(response);
        }
      };
      await using peer = await server(new Scripted(backwards));
      const channel = await connect(ampe, group, peer.addresses[0]);
      const questions = Array.from({ length: 20 }, (_, index) => `${index}`);
      const answers = await within('the answers', pipelined(ampe, group, channel, questions));
      expect(answers.map(String)).toEqual(questions.map((question) => `re: ${question}`));
      await within('the Bye', disconnect(ampe, group, channel));
    });

    test('no requests: no waiting', async () => {
      await using echo = await server(new EchoServices());
      const channel = await connect(ampe, group, echo.addresses[0]);
      expect(await within('nothing', pipelined(ampe, group, channel, []))).toEqual([]);
      await within('the Bye', disconnect(ampe, group, channel));
    });

    test.each([OpCode.ByeSignal, OpCode.ByeRequest])('a server that leaves (opcode %d) rejects what it has not answered', async (opCode) => {
      let requests = 0;
      const leave = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message)) return;
        if (++requests === 3) tryPost(ampe, own, message, opCode);
        if (requests >= 3) return;
        message.opCode = OpCode.Response;
        own.post(message);
      };
      await using leaving = await server(new Scripted(leave));
      const channel = await connect(ampe, group, leaving.addresses[0]);
      const matcher = new RequestMatcher(ampe, group, channel);
      const outcomes: string[] = [];
      // More than the pool holds, so that some requests are not even posted when the channel ends.
      const asked = Array.from({ length: 2000 }, async () => {
        try {
          using response = await matcher.request('question');
          outcomes.push(response.body.toString());
        } catch (error) {
          outcomes.push((error as AmpeError).code);
        }
      });
      for await (const message of group) {
        if (matcher.take(message)) continue;
        using other = message;
        if (isPeers(other, OpCode.ByeRequest)) answerHelloOrBye(group, other);
        if (isEndOf(channel, other)) break;
      }
      await within('every request to settle', Promise.all(asked));
      expect(outcomes).toHaveLength(2000);
      expect(outcomes.filter((outcome) => outcome === 'question').length).toBeLessThanOrEqual(2);
      const reasons = new Set(outcomes.filter((outcome) => outcome !== 'question'));
      for (const reason of reasons) {
        expect(reason).toMatch(/^ERR_AMPE_(CHANNEL_CLOSED|PEER_DISCONNECTED|COMMUNICATION_FAILED)$/);
      }
      expect(matcher.pending).toBe(0);
    });

    test('a group that is destroyed rejects with shutdown_started', async () => {
      await using silent = await server(new Scripted((message, { group: own }) => void answerHelloOrBye(own, message)));
      const doomed = ampe.create();
      const channel = await connect(ampe, doomed, silent.addresses[0]);
      const asked = pipelined(ampe, doomed, channel, ['a', 'b']);
      const failed = expect(within('the requests to fail', asked)).rejects.toMatchObject({ status: AmpeStatus.ShutdownStarted });
      await ampe.destroy(doomed);
      await failed;
    });
  });

  describe('streaming', () => {
    test('a source that fails: the failure is told, and the peer sees the channel end', async () => {
      await using upper = await server(new UpperCaseServices());
      const channel = await connect(ampe, group, upper.addresses[0]);
      function* failing(): Generator<Uint8Array> {
        yield Buffer.alloc(200_000, 'a');
        throw new Error('the disk is gone');
      }
      const failed = within('the exchange to fail', exchange(ampe, group, channel, failing(), () => {}));
      await expect(failed).rejects.toThrow('the disk is gone');
      await within('the channel to end', hangUp(ampe, group, channel));
      expect(await upper.stop()).toMatchObject({ aborted: 0 });
    });

    test('a receiver that fails stops the sender', async () => {
      await using upper = await server(new UpperCaseServices());
      const channel = await connect(ampe, group, upper.addresses[0]);
      function* endless(): Generator<Uint8Array> {
        for (;;) yield Buffer.alloc(50_000, 'a');
      }
      const full = (): never => {
        throw new Error('no room');
      };
      const failed = within('the exchange to fail', exchange(ampe, group, channel, endless(), full));
      await expect(failed).rejects.toThrow('no room');
      await within('the channel to end', hangUp(ampe, group, channel));
    });

    test('a server that dies half-way ends both directions', async () => {
      let pieces = 0;
      const crash = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message)) return;
        if (++pieces === 5) tryPost(ampe, own, message, OpCode.ByeSignal);
      };
      await using crashing = await server(new Scripted(crash));
      const channel = await connect(ampe, group, crashing.addresses[0]);
      function* endless(): Generator<Uint8Array> {
        for (;;) yield Buffer.alloc(50_000, 'a');
      }
      const failed = exchange(ampe, group, channel, endless(), () => {});
      const error = await within('the exchange to fail', failed.catch((reason: unknown) => reason));
      expect(error).toBeInstanceOf(AmpeError);
      expect((error as AmpeError).code).toMatch(/^ERR_AMPE_(CHANNEL_CLOSED|PEER_DISCONNECTED|COMMUNICATION_FAILED)$/);
    });

    test('sendStream gives every piece the same id, and `more` to all but the last', async () => {
      const pieces: { length: number; more: boolean; messageId: bigint }[] = [];
      const ended = event<void>();
      const collect = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message)) return;
        pieces.push({ length: message.body.byteLength, more: message.more, messageId: message.messageId });
        if (!message.more) ended.tell();
      };
      await using collecting = await server(new Scripted(collect));
      const channel = await connect(ampe, group, collecting.addresses[0]);
      const messageId = await sendStream(ampe, group, channel, [Buffer.alloc(100_000), Buffer.alloc(0), Buffer.alloc(5)]);
      await within('the last piece', ended.happened);
      expect(pieces).toEqual([
        { length: 61_440, more: true, messageId },
        { length: 38_560, more: true, messageId },
        { length: 5, more: false, messageId },
      ]);
      await within('the Bye', disconnect(ampe, group, channel));
    });

    test('a cancelled sendStream rejects with the reason', async () => {
      const channel: Channel = { channelNumber: 1, messageId: 1n };
      const sent = sendStream(ampe, group, channel, [Buffer.from('x')], AbortSignal.abort(new Error('enough')));
      await expect(sent).rejects.toThrow('enough');
    });
  });

  describe('progress', () => {
    test('jobs of a client that leaves are given up, and the server serves on', async () => {
      await using jobs = await server(new JobServices(1_000_000));
      const channel = await connect(ampe, group, jobs.addresses[0]);
      const begun = event<void>();
      const working = requestWithProgress(ampe, group, channel, 'endless', () => begun.tell());
      const failed = expect(within('the request to fail', working)).rejects.toMatchObject({ status: AmpeStatus.ChannelClosed });
      await within('the first progress', begun.happened);
      tryPost(ampe, group, channel, OpCode.ByeSignal);
      await failed;
      const again = await connect(ampe, group, jobs.addresses[0]);
      await within('the Bye', disconnect(ampe, group, again));
    });

    test('a server that stops in the middle of a job says Bye instead of answering', async () => {
      await using jobs = await server(new JobServices(1_000_000));
      const channel = await connect(ampe, group, jobs.addresses[0]);
      const begun = event<void>();
      const working = requestWithProgress(ampe, group, channel, 'endless', () => begun.tell());
      const failed = expect(within('the request to fail', working)).rejects.toMatchObject({ status: AmpeStatus.ChannelClosed });
      await within('the first progress', begun.happened);
      expect(await within('the server to stop', jobs.stop())).toEqual({ parted: 1, aborted: 0 });
      await failed;
    });
  });

  describe('heartbeat', () => {
    test('messages of the peer pass, beats do not, and a Bye of the peer is answered', async () => {
      let beats = 0;
      const talk = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isPeers(message, OpCode.Signal)) return;
        const { channelNumber } = message;
        own.post(message);
        using news = ampe.get();
        news.opCode = OpCode.Signal;
        news.channelNumber = channelNumber;
        news.body.set(`news ${++beats}`);
        own.post(news);
        if (beats === 3) tryPost(ampe, own, { channelNumber, messageId: 0n }, OpCode.ByeRequest);
      };
      await using talking = await server(new Scripted(talk));
      const channel = await connect(ampe, group, talking.addresses[0]);
      const heard: string[] = [];
      const onMessage = (message: Message): void => void heard.push(message.body.toString());
      await within('the channel to end', receiveWithHeartbeat(ampe, group, channel, onMessage, { intervalMs: 5 }));
      expect(heard).toEqual(['news 1', 'news 2', 'news 3']);
    });

    test('stops by itself when the channel is gone', async () => {
      await using echo = await server(new EchoServices());
      const channel = await connect(ampe, group, echo.addresses[0]);
      await within('the Bye', disconnect(ampe, group, channel));
      jest.useFakeTimers();
      try {
        const heartbeat = new Heartbeat(ampe, group, channel, { intervalMs: 10 });
        expect(jest.getTimerCount()).toBe(1);
        jest.advanceTimersByTime(10);
        expect(jest.getTimerCount()).toBe(0);
        heartbeat.stop();
      } finally {
        jest.useRealTimers();
      }
    });
  });

  describe('ReconnectingClient', () => {
    test('gives up with the last failure when the attempts are used up', async () => {
      const delays: number[] = [];
      const onRetry = (_: unknown, delayMs: number): void => void delays.push(delayMs);
      const options = { initialMs: 1, attempts: 3, random: () => 1, onRetry };
      const client = new ReconnectingClient(ampe, await transport.knownAddress(), options);
      const status = transport.name === 'tcp' ? AmpeStatus.ConnectFailed : AmpeStatus.UdsPathNotFound;
      await expect(within('the client to give up', client.run(async () => {}))).rejects.toMatchObject({ status });
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
      await expect(within('the client to stop', client.run(async () => {}))).rejects.toThrow('enough');
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
      const failed = within('the client to fail', client.run(async () => {}));
      await expect(failed).rejects.toMatchObject({ status: AmpeStatus.ShutdownStarted });
    });
  });

  describe('waking a receiver', () => {
    test('the loop ends when the peer goes, with the answers it has', async () => {
      let requests = 0;
      const leave = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message)) return;
        if (++requests === 2) return void tryPost(ampe, own, message, OpCode.ByeRequest);
        message.opCode = OpCode.Response;
        own.post(message);
      };
      await using leaving = await server(new Scripted(leave));
      const channel = await connect(ampe, group, leaving.addresses[0]);
      const forwarding = forward(group, channel);
      submit(ampe, group, 'one');
      submit(ampe, group, 'two');
      finish(group);
      expect(await within('the loop to end', forwarding)).toEqual(['one']);
      await within('the channel to end', receiveUntilEnd(group, channel));
    });
  });

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
      const first = await within('the Hello', served.waitReceive());
      served.updateReceiver(first); // moved; comes again as an update, which is no Hello of a client
      open.clients.set(1_000, { channelNumber: 1_000, messageId: 1n });
      open.clients.clear();
      const shutdown = await within('the shutdown', shutdownServer(ampe, served, open, 200));
      expect(shutdown).toEqual({ parted: 0, aborted: 0 });
      await ampe.destroy(served);
      expect(await within('the client to fail', connecting)).toMatchObject({ status: AmpeStatus.ChannelClosed });
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

test('statusToError has an error for each status the recipes throw by name', () => {
  for (const status of [AmpeStatus.ChannelClosed, AmpeStatus.ShutdownStarted]) expect(statusToError(status)).toBeInstanceOf(AmpeError);
});
