// messages.test.ts: a benchmark that loses, doubles, mixes up or damages a message must notice. So: what each check notices.

import { evaluate } from './evaluate';

const modules = ['lib/body.mjs', 'lib/one-way.mjs', 'lib/echo.mjs', 'lib/net-framing.mjs'];
const check = <T>(body: string, input?: unknown): T => evaluate<T>(modules, body, input);

describe('a body', () => {
  test('is recognised as sent, of every size', () => {
    const sizes = [0, 3, 4, 19, 20, 64, 4096, 4100, 61_440, 65_535];
    const body = `for (const size of input) {
      const body = Buffer.alloc(size);
      stampBody(body, 7, 3, MEASURED);
      checkBody(body, size, 7, 3);
    }
    return 'all'`;
    expect(check(body, sizes)).toBe('all');
  });

  test.each([
    ['another sequence', 'checkBody(body, 9000, 8, 3)'],
    ['another connection', 'checkBody(body, 9000, 7, 4)'],
    ['another length', 'checkBody(body.subarray(1), 9000, 7, 3)'],
    ['damage at its end', 'body[8999] ^= 1; checkBody(body, 9000, 7, 3)'],
    ['damage within', 'body[8192] ^= 1; checkBody(body, 9000, 7, 3)'],
  ])('is refused with %s', (_, act) => {
    const body = `const body = Buffer.alloc(9000);
    stampBody(body, 7, 3, MEASURED);
    try { ${act} } catch (error) { return error.message }
    return 'accepted'`;
    expect(check(body)).toMatch(/^integrity: /);
  });
});

describe('a flood', () => {
  const flood = (size: number, onEach: string): { total?: number; sent?: number; error?: string } =>
    check(
      `let result = null;
      const workload = { size: input, warmMs: 0, runMs: 1 };
      const sink = new OneWaySink(workload, (done) => (result = done));
      const source = new OneWaySource(workload);
      const pass = (body) => sink.onMessage(body);
      try {
        while (source.more()) { const body = source.fresh(); ${onEach} }
      } catch (error) { return { error: error.message } }
      return { total: result?.total, sent: source.sent }`,
      size,
    );

  test.each([0, 10, 64, 5000])('of %i bytes arrives whole, and its end is seen', (size) => {
    const { total, sent, error } = flood(size, 'pass(body)');
    expect(error).toBeUndefined();
    expect(total).toBe(sent);
    expect(sent).toBeGreaterThan(0);
  });

  test.each([
    ['a lost message', 'if (source.sent !== 30) pass(body)'],
    ['a message that comes twice', 'pass(body); if (source.sent === 30) pass(body)'],
    ['a message that is cut', 'pass(source.sent === 30 ? body.subarray(1) : body)'],
  ])('notices %s', (_, onEach) => {
    expect(flood(64, onEach).error).toMatch(/^integrity: /);
  });
});

describe('the framing of the yardstick', () => {
  test('gives the same bodies however the stream is cut', () => {
    const body = `const stream = [];
    const socket = { writableLength: 0, cork() {}, uncork() {}, write: (chunk) => stream.push(Buffer.from(chunk)) };
    const sender = new FramedSocket(socket, () => {});
    const sizes = [0, 1, 64, 5000, 40_000, 7];
    const sent = sizes.map((size, index) => Buffer.alloc(size, index + 1));
    sent.forEach((each, index) => sender.send(index, each));
    sender.flush();
    const bytes = Buffer.concat(stream);
    return [1, 2, 3, 7, 8, 9, 1000, 4999, bytes.length].filter((step) => {
      const got = [];
      const receiver = new FramedSocket(socket, (kind, each) => got.push([kind, Buffer.from(each)]));
      for (let at = 0; at < bytes.length; at += step) receiver.onChunk(bytes.subarray(at, at + step));
      return got.length !== sent.length || got.some(([kind, each], index) => kind !== index || !each.equals(sent[index]));
    });`;
    expect(check(body)).toEqual([]);
  });
});

describe('a run', () => {
  // A peer within one process would prove nothing: these are the real processes, with a server that cheats.
  test.each([
    ['loses one', 'ctx.onMessage = (body) => { if (++count !== 100) pass(body); };'],
    ['damages one', 'ctx.onMessage = (body) => { if (++count === 100) body[0] ^= 1; pass(body); };'],
  ])('fails when the server %s', (_, wrap) => {
    const server = `import { serve as honest } from ${JSON.stringify('FRAMING')};
      let count = 0;
      export const serve = (ctx) => { const pass = ctx.onMessage; ${wrap} return honest(ctx); };`;
    const body = `const framing = input.framing;
      const server = 'data:text/javascript,' + encodeURIComponent(input.server.replace('FRAMING', framing));
      const workload = { name: 'x', kind: 'one-way', size: 64, connections: 1, inFlight: 0 };
      const peer = { name: 'cheat', server, client: framing };
      try { await runCase({ peer, workload, transport: 'uds', warmMs: 1, runMs: 20 }); } catch (error) { return error.message }
      return 'accepted'`;
    const framing = new URL('../../bench/lib/net-framing.mjs', `file://${__filename}`).href;
    expect(evaluate(['lib/run-case.mjs'], body, { framing, server })).toMatch(/integrity: wanted message 99 /);
  });
});
