// recipes.test.ts: every recipe does what it says, over TCP and over Unix sockets.

import { AmpeError, AmpeStatus, Reactor } from 'tofu-ampe';
import { run as runClient } from '../../recipes/echo-client';
import { run as runServer } from '../../recipes/echo-server';
import { run as runShutdown } from '../../recipes/graceful-shutdown';
import { run as runHeartbeat } from '../../recipes/heartbeat';
import { run as runPipelined } from '../../recipes/pipelined-requests';
import { run as runProgress } from '../../recipes/progress-signals';
import { run as runReconnecting } from '../../recipes/reconnecting-client';
import { run as runServices } from '../../recipes/services';
import { run as runStreaming } from '../../recipes/streaming';
import { run as runWake } from '../../recipes/wake-receiver';
import { event, transports, within } from './support';

describe.each(transports)('over $name', (transport) => {
  test('echo server and client: each text comes back, and the server stops when told', async () => {
    const stop = new AbortController();
    const lines: string[] = [];
    const listening = event<string>();
    const serving = runServer({
      address: transport.listenAddress(),
      log: (line) => lines.push(line),
      signal: stop.signal,
      onListening: listening.tell,
    });
    const address = await within('the server to listen', Promise.race([listening.happened, serving.then(String)]));
    const answers = await within('the answers', runClient({ address, texts: ['a', 'ü', 'x'.repeat(60_000)] }));
    expect(answers).toEqual(['a', 'ü', 'x'.repeat(60_000)]);
    stop.abort();
    // Hello, three Requests, Bye.
    expect(await within('the server to end', serving)).toBe(5);
    expect(lines).toEqual([`listening on ${address}`, 'answered 5 messages']);
  });

  test('echo server: an address in use is told, and nothing keeps running', async () => {
    const stop = new AbortController();
    const listening = event<string>();
    const first = runServer({ address: transport.listenAddress(), signal: stop.signal, onListening: listening.tell });
    const address = await within('the first server to listen', listening.happened);
    await expect(within('the second server', runServer({ address }))).rejects.toMatchObject({
      code: 'ERR_AMPE_LISTEN_FAILED',
    });
    stop.abort();
    await within('the first server to end', first);
  });

  test('echo server: told to stop before it has begun, it ends', async () => {
    const answered = runServer({ address: transport.listenAddress(), signal: AbortSignal.abort() });
    expect(await within('the server to end', answered)).toBe(0);
  });

  test('echo client: no server there is told by its status', async () => {
    const failed = within('the client to fail', runClient({ address: await transport.knownAddress() }));
    const code = transport.name === 'tcp' ? 'ERR_AMPE_CONNECT_FAILED' : 'ERR_AMPE_UDS_PATH_NOT_FOUND';
    await expect(failed).rejects.toMatchObject({ code });
  });

  test('pipelined requests: a thousand at once, each gets its own answer', async () => {
    const lines: string[] = [];
    const run = runPipelined({ address: transport.listenAddress(), log: (line) => lines.push(line) });
    const answers = await within('the answers', run);
    expect(answers).toEqual(Array.from({ length: 1000 }, (_, index) => `question ${index}`));
    expect(lines).toEqual(['1000 answers']);
  });

  test('streaming: a megabyte there and back, both at once', async () => {
    const lines: string[] = [];
    const run = runStreaming({ address: transport.listenAddress(), log: (line) => lines.push(line) });
    expect(await within('the stream', run)).toEqual({ bytes: 1_000_000, correct: true });
    expect(lines).toEqual(['1000000 bytes came back, all in upper case']);
  });

  test.each([0, 1, 61_439, 61_440, 61_441, 122_880])('streaming: %d bytes', async (bytes) => {
    const run = runStreaming({ address: transport.listenAddress(), bytes });
    expect(await within('the stream', run)).toEqual({ bytes, correct: true });
  });

  test('progress by Signals: every tenth is told, then the answer', async () => {
    const lines: string[] = [];
    const run = runProgress({ address: transport.listenAddress(), log: (line) => lines.push(line) });
    const percents = Array.from({ length: 10 }, (_, index) => `${10 * (index + 1)} %`);
    expect(await within('the job', run)).toEqual({ progress: percents, answer: 'big job: done' });
    expect(lines).toEqual([...percents, 'big job: done']);
  });

  test('heartbeat: a server that hangs is noticed after the beats it has answered', async () => {
    const lines: string[] = [];
    const options = { address: transport.listenAddress(), beats: 3, intervalMs: 20, misses: 3 };
    const run = runHeartbeat({ ...options, log: (line) => lines.push(line) });
    expect(await within('the channel to be given up', run)).toBe(3);
    expect(lines).toEqual(['beat 1', 'beat 2', 'beat 3', 'no answer any more: the channel was closed']);
  });

  test('reconnecting client: a late server and a crash do not keep it from its answers', async () => {
    const run = runReconnecting({ address: await transport.knownAddress(), initialMs: 5 });
    const { answers, failures } = await within('the answers', run);
    expect(answers).toEqual(['one', 'two', 'three']);
    expect(failures[0]).toBe(transport.name === 'tcp' ? 'connect_failed' : 'uds_path_not_found');
    expect(failures.at(-1)).toMatch(/^(channel_closed|peer_disconnected)$/);
    expect(failures.length).toBeGreaterThanOrEqual(2);
  });

  test('waking a receiver: what is submitted from outside is sent, in order', async () => {
    const lines: string[] = [];
    const run = runWake({ address: transport.listenAddress(), log: (line) => lines.push(line) });
    expect(await within('the answers', run)).toEqual(['red', 'green', 'blue']);
    expect(lines).toEqual(['answers: red, green, blue']);
  });

  test('waking a receiver: told to finish without a job, it does', async () => {
    expect(await within('the loop to end', runWake({ address: transport.listenAddress(), texts: [] }))).toEqual([]);
  });

  test('graceful shutdown: polite clients part, a rude one is cut off at the deadline', async () => {
    const lines: string[] = [];
    const run = runShutdown({ address: transport.listenAddress(), deadlineMs: 300, log: (line) => lines.push(line) });
    expect(await within('the shutdown', run)).toEqual({ parted: 2, aborted: 1 });
    expect(lines).toEqual(['stopping, with 3 clients', '2 parted, 1 were cut off']);
  });

  test('graceful shutdown: with polite clients only nobody waits for the deadline', async () => {
    const run = runShutdown({ address: transport.listenAddress(), clients: 5, rude: 0, deadlineMs: 2 ** 31 - 1 });
    expect(await within('the shutdown', run)).toEqual({ parted: 5, aborted: 0 });
  });
});

test('services: two listeners, TCP and Unix, are served by one loop', async () => {
  const lines: string[] = [];
  const addresses = await Promise.all(transports.map((transport) => transport.knownAddress()));
  const answers = await within('the answers', runServices({ addresses, log: (line) => lines.push(line) }));
  expect(answers).toEqual(['hello by tcp', 'hello by uds']);
  expect(lines).toEqual([`listening on ${addresses[0]}`, answers[0], `listening on ${addresses[1]}`, answers[1]]);
});

test('a wrong address is refused before anything is opened', async () => {
  for (const address of ['tcp|127.0.0.1', 'tcp|127.0.0.1|1|2', 'tcp|127.0.0.1|x', 'udp|127.0.0.1|1', 'uds|', '']) {
    const failed = await runServer({ address }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(AmpeError);
    expect(failed).toMatchObject({ status: AmpeStatus.WrongAddress });
  }
  await using reactor = Reactor.create();
  expect(reactor.ampe().stats()).toMatchObject({ groups: 0, channels: 0, listeners: 0 });
});
