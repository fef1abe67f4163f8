// threads.test.ts: one engine in several threads: share and attach, posting into another thread's group, groups of a worker's own,
// receiving without an event loop, and what is refused. Each program is a process of its own and asserts by itself.

import { killAll, runChild, describeNative } from '../lifecycle/child';

// Each wait has its own shorter deadline, whose text is better than jest's.
jest.setTimeout(70_000);
afterEach(killAll);

/** Blocks this thread, event loop and all, until `workers` have counted to `count` in shared memory. */
const BLOCKED = `
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const blockUntil = (count) => {
    const end = performance.now() + 10_000;
    for (let seen; (seen = Atomics.load(counter, 0)) < count; ) {
      assert.ok(performance.now() < end, 'waited 10 s in vain for ' + count + ' steps of the workers; there were ' + seen);
      Atomics.wait(counter, 0, seen, 100);
    }
  };`;

/** A connection of this thread to itself: what is posted on one side arrives on the other. */
const CONNECTED = `
  const reactor = Reactor.create();
  const ampe = reactor.ampe();
  const server = ampe.create();
  const address = await listen(ampe, server);
  const group = ampe.create();
  const greeted = greetOnce(ampe, server);
  const channel = await connect(ampe, group, address);
  const back = await greeted;`;

/** Runs `refuse(name, what)`: each must throw with that code. */
const REFUSE = `
  const refuse = (code, what) => {
    try { what(); } catch (error) { assert.equal(error.code, code, error.stack); return; }
    assert.fail('not refused with ' + code + ': ' + what);
  };`;

const posting: Record<string, string> = {
  "a worker's posts into the main thread's group reach the peer in order": `
    ${CONNECTED}
    const worker = startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      const group = attachGroup(data.group);
      for (let i = 0; i < 5000; i++) send(ampe, group, data.channel, String(i));
    }, { engine: reactor.share(), group: group.share(), channel });
    for (let i = 0; i < 5000; i++) {
      const received = await within('message ' + i, server.waitReceive());
      assert.equal(received.body.toString(), String(i));
      ampe.put(received);
    }
    await ended(worker);`,
  "two workers and the owner post to one channel: each one's messages arrive in its order": `
    ${CONNECTED}
    const data = { engine: reactor.share(), group: group.share(), channel };
    const work = (data) => {
      const ampe = Reactor.attach(data.engine);
      const group = attachGroup(data.group);
      for (let i = 0; i < 3000; i++) send(ampe, group, data.channel, data.name + i);
    };
    const workers = ['a', 'b'].map((name) => startWorker(work, { ...data, name }));
    for (let i = 0; i < 3000; i++) {
      send(ampe, group, channel, 'c' + i);
      if (i % 10 === 0) await turn();
    }
    const next = { a: 0, b: 0, c: 0 };
    const ids = new Set();
    for (let left = 9000; left > 0; left--) {
      const received = await within('the next message', server.waitReceive());
      const [name, number] = [received.body.toString()[0], Number(received.body.toString().slice(1))];
      assert.equal(number, next[name]++);
      ids.add(received.messageId);
      ampe.put(received);
    }
    assert.equal(ids.size, 9000, 'message ids are unique in the process');
    await Promise.all(workers.map(ended));`,
  "a worker's updates wake the main thread's receiver, in order": `
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const group = ampe.create();
    const worker = startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      const group = attachGroup(data.group);
      for (let i = 0; i < 2000; i++) group.updateReceiver(message(ampe, OpCode.Request, 0, String(i)));
      group.updateReceiver();
    }, { engine: reactor.share(), group: group.share() });
    for (let i = 0; i < 2000; i++) {
      const received = await within('update ' + i, group.waitReceive());
      assert.deepEqual([received.body.toString(), received.status, received.origin, received.opCode],
        [String(i), AmpeStatus.ReceiverUpdate, Origin.application, OpCode.Request]);
      ampe.put(received);
    }
    const bare = await within('the bare update', group.waitReceive());
    assert.deepEqual([bare.status, bare.origin, bare.opCode, bare.channelNumber, bare.messageId],
      [AmpeStatus.ReceiverUpdate, Origin.engine, OpCode.Signal, 0, 0n]);
    await ended(worker);`,
  "a worker connects and listens for the main thread's group: the owner hears of it, and closes what it did not open": `
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const [server, group] = [ampe.create(), ampe.create()];
    const worker = startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      const server = attachGroup(data.server);
      const welcome = ampe.get();
      new TcpServerAddress('127.0.0.1', 0).format(welcome);
      const listener = server.post(welcome);
      parentPort.once('message', (address) => {
        const { channelNumber, messageId } = attachGroup(data.group).post(hello(ampe, address));
        parentPort.postMessage([listener.channelNumber, listener.messageId, channelNumber, messageId]);
      });
    }, { engine: reactor.share(), server: server.share(), group: group.share() });
    const answer = await within('the answer to the Welcome', server.waitReceive());
    assert.equal(answer.status, AmpeStatus.Success);
    const greeted = greetOnce(ampe, server);
    worker.postMessage(answer.textHeaders.get('~listen_on'));
    const [listener, listenerId, channel, helloId] = await word(worker);
    assert.deepEqual([answer.channelNumber, answer.messageId], [listener, listenerId]);
    await within('the Hello', greeted);
    const welcomed = await within('the answer to the Hello', group.waitReceive());
    assert.deepEqual([welcomed.channelNumber, welcomed.messageId, welcomed.status], [channel, helloId, 0]);
    await ended(worker);
    send(ampe, group, channel, 'from the owner');
    assert.equal((await within('a message', server.waitReceive())).body.toString(), 'from the owner');
    group.post(message(ampe, OpCode.ByeSignal, channel));
    const last = await within('the last word', group.waitReceive());
    assert.deepEqual([last.status, last.channelNumber, last.messageId], [AmpeStatus.ChannelClosed, channel, helloId]);
    server.post(message(ampe, OpCode.ByeSignal, listener));
    let end;
    do end = await within('the last word of the listener', server.waitReceive());
    while (end.channelNumber !== listener);
    assert.deepEqual([end.status, end.messageId], [AmpeStatus.ChannelClosed, listenerId]);`,
  "what a worker posts behind the owner's Bye is refused or comes back to the owner": `
    ${CONNECTED}
    const worker = startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      const group = attachGroup(data.group);
      let posted = 0;
      for (;;) {
        const request = message(ampe, OpCode.Request, data.channel, String(posted));
        try { group.post(request); } catch (error) {
          assert.deepEqual([error.code, request.owned], ['ERR_AMPE_CHANNEL_CLOSED', true], error.stack);
          parentPort.postMessage(posted);
          return;
        }
        if (++posted === 200) parentPort.postMessage('at work');
      }
    }, { engine: reactor.share(), group: group.share(), channel });
    await word(worker);
    group.post(message(ampe, OpCode.ByeRequest, channel));
    const posted = await word(worker);
    let arrived = 0;
    for (;;) {
      const received = await within('the Bye', server.waitReceive());
      if (received.opCode === OpCode.ByeRequest) {
        received.opCode = OpCode.ByeResponse;
        server.post(received);
        break;
      }
      assert.equal(received.body.toString(), String(arrived++));
      ampe.put(received);
    }
    let returned = arrived;
    for (;;) {
      const received = await within('the end', group.waitReceive(returned < posted ? undefined : 500));
      if (received === null) break;
      if (received.opCode === OpCode.Request) {
        assert.equal(received.status, AmpeStatus.ChannelClosed);
        assert.equal(received.body.toString(), String(returned++));
      }
      ampe.put(received);
    }
    assert.equal(returned, posted, 'each came back or arrived');
    await ended(worker);`,
  "a worker's pool is its own, and its messages come back to it when they are sent": `
    const reactor = Reactor.create({ maxPoolMsgs: 8, initialPoolMsgs: 8 });
    const ampe = reactor.ampe();
    const server = ampe.create();
    const address = await listen(ampe, server);
    void serve(ampe, server);
    for (let i = 0; i < 7; i++) ampe.get();
    const worker = startWorker(async (data) => {
      const ampe = Reactor.attach(data.engine);
      const { poolTotal, poolFree } = ampe.stats();
      assert.deepEqual([poolTotal, poolFree], [8, 8]);
      const group = ampe.create();
      const channel = await connect(ampe, group, data.address);
      for (let i = 0; i < 500; i++) {
        const made = await within('a message of the pool', ampe.acquire());
        made.opCode = OpCode.Request;
        made.channelNumber = channel;
        group.post(made);
        ampe.put(await within('an answer', group.waitReceive()));
      }
      await eventually('the pool to be full', () => ampe.stats().poolFree === 8);
      await ampe.destroy(group);
    }, { engine: reactor.share(), address });
    await ended(worker);`,
};

const receiving: Record<string, string> = {
  'two workers talk to each other while the main thread is blocked: on their event loops': `
    ${BLOCKED}
    const reactor = Reactor.create();
    const engine = reactor.share();
    const server = startWorker(async (data) => {
      const ampe = Reactor.attach(data.engine);
      const group = ampe.create();
      parentPort.postMessage(await listen(ampe, group));
      await serve(ampe, group, () => Atomics.add(data.counter, 0, 1) && Atomics.notify(data.counter, 0));
    }, { engine, counter });
    const address = await word(server);
    const client = startWorker(async (data) => {
      const ampe = Reactor.attach(data.engine);
      const group = ampe.create();
      const channel = await connect(ampe, group, data.address);
      parentPort.postMessage('connected');
      await ask(ampe, group, channel);
    }, { engine, address });
    await word(client);
    blockUntil(2000);
    await Promise.all([server.terminate(), client.terminate()]);`,
  'two workers talk to each other while the main thread is blocked: without event loops': `
    ${BLOCKED}
    const reactor = Reactor.create();
    const engine = reactor.share();
    const server = startWorker(async (data) => {
      const ampe = Reactor.attach(data.engine);
      const group = ampe.create();
      parentPort.postMessage(await listen(ampe, group));
      for (;;) {
        const received = group.waitReceiveSync();
        if (received.isFromEngine) continue;
        received.opCode = api.echo(received.opCode);
        group.post(received);
        Atomics.add(data.counter, 0, 1);
        Atomics.notify(data.counter, 0);
      }
    }, { engine, counter });
    const address = await word(server);
    const client = startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      const group = ampe.create();
      askSync(ampe, group, connectSync(ampe, group, data.address));
    }, { engine, address });
    blockUntil(2000);
    await Promise.all([server.terminate(), client.terminate()]);`,
  "a worker's posts into the main thread's group are sent while that thread is blocked": `
    ${BLOCKED}
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const group = ampe.create();
    const engine = reactor.share();
    const server = startWorker(async (data) => {
      const ampe = Reactor.attach(data.engine);
      const group = ampe.create();
      parentPort.postMessage(await listen(ampe, group));
      await serve(ampe, group, () => Atomics.add(data.counter, 0, 1) && Atomics.notify(data.counter, 0));
    }, { engine, counter });
    const channel = await connect(ampe, group, await word(server));
    const poster = startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      const group = attachGroup(data.group);
      for (let i = 0; i < 1000; i++) send(ampe, group, data.channel, 'x');
      setInterval(() => undefined, 1000);
    }, { engine, group: group.share(), channel });
    blockUntil(1000);
    // The answers have waited for the main thread.
    for (let left = 1000; left > 0; left--) ampe.put(await within('an answer', group.waitReceive()));
    await Promise.all([server.terminate(), poster.terminate()]);`,
  'the main thread itself may receive without its event loop': `
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const [server, group] = [ampe.create(), ampe.create()];
    const welcome = ampe.get();
    new TcpServerAddress('127.0.0.1', 0).format(welcome);
    server.post(welcome);
    const answer = server.waitReceiveSync(10_000);
    const { channelNumber } = group.post(hello(ampe, answer.textHeaders.get('~listen_on')));
    const received = server.waitReceiveSync(10_000);
    assert.equal(received.opCode, OpCode.HelloRequest);
    received.opCode = OpCode.HelloResponse;
    server.post(received);
    assert.equal(group.waitReceiveSync(10_000).opCode, OpCode.HelloResponse);
    send(ampe, group, channelNumber, 'x'.repeat(60_000));
    assert.equal(server.waitReceiveSync(10_000).body.byteLength, 60_000);
    assert.equal(group.waitReceiveSync(0), null);
    const before = performance.now();
    assert.equal(group.waitReceiveSync(60), null);
    assert.ok(performance.now() - before >= 59, 'it waits for its time');`,
  'a blocked receiver is woken by an update, a message, and the end of its engine': `
    ${CONNECTED}
    const worker = startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      const group = ampe.create();
      parentPort.postMessage(group.share());
      const update = group.waitReceiveSync();
      assert.equal(update.status, AmpeStatus.ReceiverUpdate);
      const channel = connectSync(ampe, group, data.address);
      send(ampe, group, channel, 'question');
      assert.equal(group.waitReceiveSync().body.toString(), 'question');
      parentPort.postMessage('answered');
      let code;
      try { group.waitReceiveSync(); } catch (error) { code = error.code; }
      assert.equal(code, 'ERR_AMPE_SHUTDOWN_STARTED');
    }, { engine: reactor.share(), address });
    const handle = await word(worker);
    void endsWithShutdown(serve(ampe, server));
    attachGroup(handle).updateReceiver();
    assert.equal(await word(worker), 'answered');
    await reactor.destroy();
    await ended(worker);`,
};

const refused: Record<string, string> = {
  'handles that are none': `
    ${REFUSE}
    const reactor = Reactor.create();
    for (const wrong of [undefined, null, 1, 'x', () => undefined, {}, [], { kind: 'tofu-ampe engine' }]) {
      refuse('ERR_INVALID_ARG_TYPE', () => Reactor.attach(wrong));
      refuse('ERR_INVALID_ARG_TYPE', () => attachGroup(wrong));
    }
    const [engine, group] = [reactor.share(), reactor.ampe().create().share()];
    refuse('ERR_INVALID_ARG_TYPE', () => Reactor.attach(group));
    refuse('ERR_INVALID_ARG_TYPE', () => attachGroup(engine));
    assert.deepEqual(structuredClone(engine), engine);
    assert.deepEqual(structuredClone(group), group);`,
  'a group whose engine this thread has not attached': `
    const reactor = Reactor.create();
    await ended(startWorker((data) => {
      ${REFUSE}
      refuse('ERR_AMPE_NOT_ALLOWED', () => attachGroup(data.group));
      Reactor.attach(data.engine);
      attachGroup(data.group).updateReceiver();
    }, { engine: reactor.share(), group: reactor.ampe().create().share() }));`,
  'an engine that is gone': `
    ${REFUSE}
    const reactor = Reactor.create();
    const handle = reactor.share();
    const group = reactor.ampe().create();
    const groupHandle = group.share();
    await reactor.destroy();
    refuse('ERR_AMPE_SHUTDOWN_STARTED', () => Reactor.attach(handle));
    refuse('ERR_AMPE_SHUTDOWN_STARTED', () => reactor.share());
    refuse('ERR_AMPE_SHUTDOWN_STARTED', () => group.share());
    refuse('ERR_AMPE_NOT_ALLOWED', () => attachGroup(groupHandle));
    await ended(startWorker((data) => {
      ${REFUSE}
      refuse('ERR_AMPE_SHUTDOWN_STARTED', () => Reactor.attach(data.handle));
    }, { handle }));`,
  'a group that is gone': `
    ${REFUSE}
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const group = ampe.create();
    const worker = startWorker((data) => {
      ${REFUSE}
      const ampe = Reactor.attach(data.engine);
      const group = attachGroup(data.group);
      group.updateReceiver();
      parentPort.once('message', () => {
        const kept = message(ampe, OpCode.Request, 1);
        refuse('ERR_AMPE_SHUTDOWN_STARTED', () => group.post(kept));
        refuse('ERR_AMPE_SHUTDOWN_STARTED', () => group.updateReceiver(kept));
        refuse('ERR_AMPE_SHUTDOWN_STARTED', () => group.updateReceiver());
        assert.ok(kept.owned);
      });
      parentPort.postMessage('attached');
    }, { engine: reactor.share(), group: group.share() });
    await word(worker);
    await ampe.destroy(group);
    worker.postMessage('gone');
    await ended(worker);
    refuse('ERR_AMPE_SHUTDOWN_STARTED', () => group.share());
    refuse('ERR_AMPE_SHUTDOWN_STARTED', () => group.waitReceiveSync(0));`,
  "messages and groups of another thread's engine": `
    const [one, other] = [Reactor.create(), Reactor.create()];
    await ended(startWorker(async (data) => {
      ${REFUSE}
      const ampe = Reactor.attach(data.one);
      const foreign = Reactor.attach(data.other);
      const group = attachGroup(data.group);
      const theirs = message(foreign, OpCode.Request, 1);
      refuse('ERR_AMPE_NOT_ALLOWED', () => group.post(theirs));
      refuse('ERR_AMPE_NOT_ALLOWED', () => group.updateReceiver(theirs));
      refuse('ERR_AMPE_NOT_ALLOWED', () => ampe.put(theirs));
      refuse('ERR_AMPE_NULL_MESSAGE', () => group.post(null));
      refuse('ERR_INVALID_ARG_TYPE', () => group.post({}));
      refuse('ERR_AMPE_INVALID_CHANNEL_NUMBER', () => group.post(message(ampe, OpCode.Request, 77)));
      await assert.rejects(ampe.destroy(foreign.create()), { code: 'ERR_AMPE_NOT_ALLOWED' });
    }, { one: one.share(), other: other.share(), group: one.ampe().create().share() }));`,
  "a channel of another group, also one of this thread's": `
    ${CONNECTED}
    const third = ampe.create();
    await ended(startWorker((data) => {
      const ampe = Reactor.attach(data.engine);
      let mine;
      try { attachGroup(data.third).post(message(ampe, OpCode.Request, data.channel)); } catch (error) { mine = error.code; }
      assert.equal(mine, data.expected);
    }, { engine: reactor.share(), third: third.share(), channel, expected: (() => {
      try { third.post(message(ampe, OpCode.Request, channel)); } catch (error) { return error.code; }
    })() }));`,
  'a second receiver, a bad timeout': `
    ${REFUSE}
    const reactor = Reactor.create();
    const group = reactor.ampe().create();
    const waiting = group.waitReceive();
    refuse('ERR_AMPE_NOT_ALLOWED', () => group.waitReceiveSync());
    refuse('ERR_AMPE_NOT_ALLOWED', () => group.waitReceiveSync(0));
    group.updateReceiver();
    await within('the first receiver', waiting);
    for (const wrong of [-1, NaN]) assert.throws(() => group.waitReceiveSync(wrong), RangeError);
    for (const wrong of ['1', {}]) assert.throws(() => group.waitReceiveSync(wrong), TypeError);
    assert.equal(group.waitReceiveSync(0), null);`,
};

const together: Record<string, string> = {
  'attaching twice, and in the thread that made the engine, gives the same Ampe': `
    const reactor = Reactor.create();
    assert.equal(Reactor.attach(reactor.share()), reactor.ampe());
    await ended(startWorker((data) => {
      assert.equal(Reactor.attach(data.engine), Reactor.attach(structuredClone(data.engine)));
    }, { engine: reactor.share() }));`,
  'a worker passes the handles on to its own worker': `
    const reactor = Reactor.create();
    const group = reactor.ampe().create();
    const worker = startWorker((data) => {
      startWorker((inner) => {
        Reactor.attach(inner.engine);
        attachGroup(inner.group).updateReceiver();
      }, data);
    }, { engine: reactor.share(), group: group.share() });
    assert.equal((await within('the update', group.waitReceive())).status, AmpeStatus.ReceiverUpdate);
    await ended(worker);`,
  'statistics are of the whole engine, but for the pool': `
    const reactor = Reactor.create();
    const ampe = reactor.ampe();
    const worker = startWorker(async (data) => {
      const ampe = Reactor.attach(data.engine);
      ampe.create();
      await listen(ampe, ampe.create());
      parentPort.postMessage([ampe.stats().groups, ampe.stats().listeners]);
    }, { engine: reactor.share() });
    ampe.create();
    assert.deepEqual(await word(worker), [3, 1]);
    assert.deepEqual([ampe.stats().groups, ampe.stats().listeners], [3, 1]);
    await worker.terminate();
    await eventually('the groups of the worker to go', () => ampe.stats().groups === 1 && ampe.stats().listeners === 0);`,
  'the end of the thread that made the engine ends it for the others': `
    const owner = startWorker(async () => {
      const reactor = Reactor.create();
      const ampe = reactor.ampe();
      const server = ampe.create();
      const address = await listen(ampe, server);
      parentPort.postMessage({ engine: reactor.share(), group: server.share(), address });
      await serve(ampe, server);
    });
    const { engine, group: handle, address } = await word(owner);
    const ampe = Reactor.attach(engine);
    const group = ampe.create();
    await connect(ampe, group, address);
    const abroad = attachGroup(handle);
    const waiting = group.waitReceive();
    const rejected = assert.rejects(within('the receiver to be told', waiting), { code: 'ERR_AMPE_SHUTDOWN_STARTED' });
    await owner.terminate();
    await rejected;
    for (const late of [() => ampe.get(), () => ampe.create(), () => abroad.updateReceiver(), () => group.tryReceive()]) {
      assert.throws(late, { code: 'ERR_AMPE_SHUTDOWN_STARTED' });
    }
    await ampe.destroy(group);`,
};

describeNative('', (backend) => {
  const passes = async (_name: string, program: string): Promise<void> => {
    const source = `${program}\nconsole.log('passed');\nprocess.exit();`;
    expect(await runChild(source, { backend }).ended).toEqual({
      code: 0,
      signal: null,
      stdout: 'passed\n',
      stderr: '',
    });
  };

  describe('posting', () => {
    test.each(Object.entries(posting))('%s', passes);
  });
  describe('receiving', () => {
    test.each(Object.entries(receiving))('%s', passes);
  });
  describe('refused is', () => {
    test.each(Object.entries(refused))('%s', passes);
  });
  describe('together', () => {
    test.each(Object.entries(together))('%s', passes);
  });
});

test('on the fallback engine all of it is not allowed', async () => {
  const program = `
    ${REFUSE}
    const reactor = Reactor.create();
    const group = reactor.ampe().create();
    for (const what of [() => reactor.share(), () => group.share(), () => group.waitReceiveSync(0)]) {
      refuse('ERR_AMPE_NOT_ALLOWED', what);
    }`;
  expect(await runChild(program, { backend: 'fallback' }).ended).toMatchObject({ code: 0, stderr: '' });
});
