// engines.test.ts: several engines in one process, engines that are destroyed while others use them, twice, or never because
// they were forgotten: threads and descriptors are as before. Each program is a process of its own and asserts by itself.

import { backends, killAll, runChild } from './child';

// Each wait has its own shorter deadline, whose text is better than jest's.
jest.setTimeout(60_000);
afterEach(killAll);

/** An engine whose two groups talk to each other for ever. */
const TALK = `
  async function talk(reactor, onAnswer) {
    const ampe = reactor.ampe();
    const [server, group] = [ampe.create(), ampe.create()];
    const address = await listen(ampe, server);
    void endsWithShutdown(serve(ampe, server));
    const channel = await connect(ampe, group, address);
    void endsWithShutdown(ask(ampe, group, channel, onAnswer));
    return { ampe, server, group, channel, address };
  }`;

/** Collects what is forgotten, and lets the finalizers run. */
const COLLECT = `
  const collected = (what, holds, describe) => eventually(what, async () => {
    gc();
    await turn();
    return holds();
  }, describe);`;

const programs: Record<string, string> = {
  'eight engines at work, destroyed in another order than they were made': `
    ${TALK}
    await Reactor.create().destroy();
    const before = census();
    const reactors = Array.from({ length: 8 }, () => Reactor.create());
    const answers = reactors.map(() => 0);
    await Promise.all(reactors.map((reactor, at) => talk(reactor, () => answers[at]++)));
    await eventually('all to be at work', () => answers.every((count) => count > 100));
    for (const at of [3, 0, 7, 5]) await reactors[at].destroy();
    const left = [1, 2, 4, 6];
    const seen = answers.slice();
    await eventually('the others to go on', () => left.every((at) => answers[at] > seen[at] + 100));
    await Promise.all(left.map((at) => reactors[at].destroy()));
    await censusIs(before);`,
  'a hundred engines one after the other, each destroyed at another moment': `
    ${TALK}
    const draw = draws();
    const one = async () => {
      const reactor = Reactor.create();
      let left = draw(40);
      if (left % 4 === 0) return reactor.destroy();
      await new Promise((resolve) => void talk(reactor, () => left-- === 0 && resolve()));
      await reactor.destroy();
    };
    await one();
    await one();
    const before = census();
    for (let i = 0; i < 100; i++) await one();
    await censusIs(before);`,
  'destroyed twice, and in every order with its groups': `
    ${TALK}
    const before = census();
    const orders = [
      ({ reactor }) => [reactor.destroy(), reactor.destroy()],
      ({ reactor, ampe, group }) => [ampe.destroy(group), ampe.destroy(group), reactor.destroy()],
      ({ reactor, ampe, group, server }) => [ampe.destroy(server), reactor.destroy(), ampe.destroy(group)],
      ({ reactor, ampe, group }) => [reactor.destroy(), ampe.destroy(group), group[Symbol.asyncDispose]()],
      ({ reactor, ampe, group, server }) => [group[Symbol.asyncDispose](), ampe.destroy(server), reactor[Symbol.asyncDispose]()],
    ];
    for (const order of orders) {
      const reactor = Reactor.create();
      const talking = await talk(reactor);
      await within('all to be destroyed', Promise.all(order({ reactor, ...talking })));
      await within('once more', Promise.all([reactor.destroy(), talking.ampe.destroy(talking.group)]));
      for (const late of [() => talking.ampe.get(), () => talking.ampe.create(), () => talking.group.tryReceive()]) {
        assert.throws(late, { code: 'ERR_AMPE_SHUTDOWN_STARTED' });
      }
    }
    await censusIs(before);`,
};

const collection: Record<string, string> = {
  'forgotten engines: threads and descriptors go back': `
    ${COLLECT}
    await Reactor.create().destroy();
    const before = census();
    (() => { for (let i = 0; i < 20; i++) { const ampe = Reactor.create().ampe(); ampe.create(); ampe.put(ampe.get()); } })();
    await turn();
    await collected('threads and descriptors to go back', () => JSON.stringify(census()) === JSON.stringify(before),
      () => JSON.stringify([before, census()]));`,
  'not forgotten is what is at work: an engine whose receiver waits, a group with a channel': `
    ${COLLECT}
    let answered = 0;
    const clients = new Set();
    await (async () => {
      const reactor = Reactor.create();
      const ampe = reactor.ampe();
      const server = ampe.create();
      clients.add(await listen(ampe, server));
      void serve(ampe, server, () => answered++);
    })();
    const [address] = clients;
    for (let i = 0; i < 10; i++) { gc(); await turn(); }
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const group = ampe.create();
    const channel = await connect(ampe, group, address);
    for (let i = 0; i < 10; i++) { gc(); await turn(); }
    send(ampe, group, channel, 'anybody there?');
    assert.equal((await within('an answer', group.waitReceive())).body.toString(), 'anybody there?');
    assert.equal(answered, 1);
    setImmediate(process.exit);`,
};

/** The fallback engine has neither threads nor a reason to forget a group: it costs nothing but memory. */
const onlyNative: Record<string, string> = {
  'forgotten groups without channels: the engine has them no longer': `
    ${COLLECT}
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const kept = ampe.create();
    (() => { for (let i = 0; i < 100; i++) ampe.create().updateReceiver(); })();
    assert.equal(ampe.stats().groups, 101);
    await turn();
    await collected('the groups to go', () => ampe.stats().groups === 1, () => ampe.stats().groups);
    kept.updateReceiver();
    assert.ok(kept.tryReceive());
    await reactor.destroy();`,
  'destroyed fifty times while two workers post and one waits': `
    const draw = draws();
    const work = (data) => {
      const untilGone = async (handles) => {
        const ampe = Reactor.attach(handles.engine);
        const group = attachGroup(handles.group);
        const own = ampe.create();
        parentPort.postMessage('at work');
        try {
          if (data.kind === 'waits') own.waitReceiveSync();
          else for (;;) {
            for (let i = 0; i < 10; i++) send(ampe, group, handles.channel, 'x'.repeat(2000));
            group.updateReceiver();
            await turn();
          }
        } catch (error) {
          // The channel may be gone a moment before the engine.
          if (error.code !== 'ERR_AMPE_CHANNEL_CLOSED') isShutdown(error);
        }
        // And a post is refused a moment before this thread has left the engine, whose descriptors stay until all have.
        await assert.rejects(own.waitReceive(), { code: 'ERR_AMPE_SHUTDOWN_STARTED' });
        parentPort.postMessage('gone');
      };
      parentPort.on('message', (handles) => handles === null ? process.exit() : void untilGone(handles));
    };
    const workers = ['posts', 'posts', 'waits'].map((kind) => startWorker(work, { kind }));
    const heard = { 'at work': 0, gone: 0 };
    for (const worker of workers) worker.on('message', (text) => heard[text]++);
    let before;
    for (let round = 1; round <= 51; round++) {
      const reactor = Reactor.create();
      const ampe = reactor.ampe();
      const [server, group] = [ampe.create(), ampe.create()];
      const address = await listen(ampe, server);
      let left = draw(200);
      const moment = new Promise((resolve) => void endsWithShutdown(serve(ampe, server, () => left-- <= 0 && resolve())));
      const channel = await connect(ampe, group, address);
      void endsWithShutdown((async () => { for (;;) ampe.put(await group.waitReceive()); })());
      const handles = { engine: reactor.share(), group: group.share(), channel };
      for (const worker of workers) worker.postMessage(handles);
      await eventually('the workers to begin', () => heard['at work'] === 3 * round, () => JSON.stringify(heard));
      await within('the moment', moment);
      await within('the engine to be destroyed', reactor.destroy());
      await eventually('the workers to notice', () => heard.gone === 3 * round, () => JSON.stringify(heard));
      // The first round has filled what stays: buffers of the system's, threads of Node's.
      if (round === 1) before = census();
    }
    await censusIs(before);
    for (const worker of workers) worker.postMessage(null);
    await Promise.all(workers.map(ended));`,
  "whatever looks or waits before its thread has heard of the engine's end is refused": `
    const reactor = Reactor.create({ initialPoolMsgs: 1, maxPoolMsgs: 1 });
    const ampe = reactor.ampe();
    const server = ampe.create();
    const address = await listen(ampe, server);
    const destroyed = new Int32Array(new SharedArrayBuffer(4));
    const looks = {
      async receive(ampe) {
        const group = ampe.create();
        return () => group.waitReceive();
      },
      async 'receive at once'(ampe) {
        const group = ampe.create();
        return () => group.waitReceive(0);
      },
      async acquire(ampe) {
        ampe.get();
        return () => ampe.acquire();
      },
      async 'post a Hello'(ampe, address) {
        const group = ampe.create();
        const message = hello(ampe, address);
        return async () => {
          try {
            group.post(message);
          } finally {
            assert.equal(message.opCode, OpCode.HelloRequest, 'it was lost');
          }
        };
      },
      // With the pool's only message and the group's reserve in hand, a third message in its queue, and one on its way back.
      async 'receive what is there'(ampe, address) {
        const group = ampe.create();
        await connect(ampe, group, address);
        const [first, second, third] = [await group.waitReceive(), await group.waitReceive(), await group.waitReceive()];
        assert.deepEqual([first.body.toString(), second.body.toString()], ['0', '1']);
        assert.equal(third.status, AmpeStatus.PoolEmpty);
        // Not as an answer: a look at how many are unsent would bring its credit back before.
        first.channelNumber = first.channelNumber;
        group.post(first);
        return () => group.waitReceive();
      },
    };
    const workers = Object.values(looks).map((look) => startWorker(\`async (data) => {
      const look = await ({ \${look} })[data.name](Reactor.attach(data.engine), data.address);
      parentPort.postMessage('ready');
      Atomics.wait(data.destroyed, 0, 0, 20_000);
      await within('the refusal', assert.rejects(look(), { code: 'ERR_AMPE_SHUTDOWN_STARTED' }));
    }\`, { name: look.name, engine: reactor.share(), address, destroyed }));
    const ready = Promise.all(workers.map(word));
    const channel = await greetOnce(ampe, server);
    for (let i = 0; i < 3; i++) send(ampe, server, channel, String(i));
    await ready;
    await within('the engine to be destroyed', reactor.destroy());
    Atomics.store(destroyed, 0, 1);
    Atomics.notify(destroyed, 0);
    await Promise.all(workers.map(ended));`,
  'an attached worker keeps no more and no less alive than its own work': `
    const reactor = Reactor.create();
    const listening = startWorker(async (data) => {
      const ampe = Reactor.attach(data.engine);
      const group = ampe.create();
      await listen(ampe, group);
      parentPort.once('message', () => void ampe.destroy(group));
      parentPort.unref();
      parentPort.postMessage('listening');
    }, { engine: reactor.share() });
    assert.equal(await word(listening), 'listening');
    const idle = startWorker((data) => { Reactor.attach(data.engine).create(); }, { engine: reactor.share() });
    await ended(idle);
    let over = false;
    listening.once('exit', () => (over = true));
    for (let i = 0; i < 200; i++) await turn();
    assert.equal(over, false, 'a listener keeps its thread');
    listening.postMessage('enough');
    await ended(listening);
    await reactor.destroy();`,
};

describe.each(backends)('on the %s engine', (backend) => {
  const passes = async (_name: string, program: string): Promise<void> => {
    const child = runChild(`${program}\nconsole.log('passed');`, {
      backend,
      flags: ['--expose-gc'],
      deadlineMs: 50_000,
    });
    const { stdout, ...end } = await child.ended;
    expect(end).toEqual({ code: 0, signal: null, stderr: '' });
    expect(stdout).toBe('passed\n');
  };

  test.each(Object.entries(programs))('%s', passes);
  test.each(Object.entries(collection))('%s', passes);
  if (backend === 'native') test.each(Object.entries(onlyNative))('%s', passes);
});
