// clients.test.ts: the client parts of the recipes when peers leave, sources fail or somebody cancels: every request
// settles, every stream ends, the pool is full again.

import { AmpeError, AmpeStatus, OpCode, type Ampe, type ChannelGroup, type Message } from 'tofu-ampe';
import {
  EchoServices,
  Heartbeat,
  JobServices,
  RequestMatcher,
  UpperCaseServices,
  answerHelloOrBye,
  connect,
  disconnect,
  exchange,
  finish,
  forward,
  hangUp,
  isEndOf,
  pipelined,
  receiveUntilEnd,
  receiveWithHeartbeat,
  requestWithProgress,
  sendStream,
  submit,
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

  describe('pipelined and RequestMatcher', () => {
    test('answers in another order still find their askers', async () => {
      const kept: { channelNumber: number; messageId: bigint; text: string }[] = [];
      const backwards = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message)) return;
        kept.push({
          channelNumber: message.channelNumber,
          messageId: message.messageId,
          text: message.body.toString(),
        });
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

    test.each([OpCode.ByeSignal, OpCode.ByeRequest])(
      'a server that leaves (opcode %d) rejects what it has not answered',
      async (opCode) => {
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
          if (isEndOf(channel, other)) break;
          answerHelloOrBye(group, other);
        }
        await within('every request to settle', Promise.all(asked));
        expect(outcomes).toHaveLength(2000);
        expect(outcomes.filter((outcome) => outcome === 'question').length).toBeLessThanOrEqual(2);
        const reasons = new Set(outcomes.filter((outcome) => outcome !== 'question'));
        for (const reason of reasons) {
          expect(reason).toMatch(/^ERR_AMPE_(CHANNEL_CLOSED|PEER_DISCONNECTED|COMMUNICATION_FAILED)$/);
        }
        expect(matcher.pending).toBe(0);
      },
    );

    test('a group that is destroyed rejects with shutdown_started', async () => {
      await using silent = await server(new Scripted((message, { group: own }) => void answerHelloOrBye(own, message)));
      const doomed = ampe.create();
      const channel = await connect(ampe, doomed, silent.addresses[0]);
      const asked = pipelined(ampe, doomed, channel, ['a', 'b']);
      const failed = expect(within('the requests to fail', asked)).rejects.toMatchObject({
        status: AmpeStatus.ShutdownStarted,
      });
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
      const failed = within(
        'the exchange to fail',
        exchange(ampe, group, channel, failing(), () => {}),
      );
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
      const error = await within(
        'the exchange to fail',
        failed.catch((reason: unknown) => reason),
      );
      expect(error).toBeInstanceOf(AmpeError);
      expect((error as AmpeError).code).toMatch(/^ERR_AMPE_(CHANNEL_CLOSED|PEER_DISCONNECTED|COMMUNICATION_FAILED)$/);
    });

    test('sendStream gives every piece the same id, and `more` to all but the last', async () => {
      const pieces: { length: number; more: boolean; messageId: bigint }[] = [];
      const ended = event<null>();
      const collect = (message: Message, { group: own }: Scripted): void => {
        if (answerHelloOrBye(own, message) || !isRequest(message)) return;
        pieces.push({ length: message.body.byteLength, more: message.more, messageId: message.messageId });
        if (!message.more) ended.tell(null);
      };
      await using collecting = await server(new Scripted(collect));
      const channel = await connect(ampe, group, collecting.addresses[0]);
      const messageId = await sendStream(ampe, group, channel, [
        Buffer.alloc(100_000),
        Buffer.alloc(0),
        Buffer.alloc(5),
      ]);
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
      const begun = event<null>();
      const working = requestWithProgress(ampe, group, channel, 'endless', () => begun.tell(null));
      const failed = expect(within('the request to fail', working)).rejects.toMatchObject({
        status: AmpeStatus.ChannelClosed,
      });
      await within('the first progress', begun.happened);
      tryPost(ampe, group, channel, OpCode.ByeSignal);
      await failed;
      const again = await connect(ampe, group, jobs.addresses[0]);
      await within('the Bye', disconnect(ampe, group, again));
    });

    test('a server that stops in the middle of a job says Bye instead of answering', async () => {
      await using jobs = await server(new JobServices(1_000_000));
      const channel = await connect(ampe, group, jobs.addresses[0]);
      const begun = event<null>();
      const working = requestWithProgress(ampe, group, channel, 'endless', () => begun.tell(null));
      const failed = expect(within('the request to fail', working)).rejects.toMatchObject({
        status: AmpeStatus.ChannelClosed,
      });
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
});
