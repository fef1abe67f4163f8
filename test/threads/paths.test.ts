// paths.test.ts: the ways a message can go through the native engine, as stats().native counts them: each is taken when its time
// has come. How often depends on the machine, so each program goes on until it was, under a deadline that says what is missing.

import { killAll, runChild, describeNative } from '../lifecycle/child';

// Each wait has its own shorter deadline, whose text is better than jest's.
jest.setTimeout(70_000);
afterEach(killAll);

/** A peer that answers, on an engine and a thread of its own, and a connection to it. */
const PEER = `
  const worker = startWorker(async () => {
    const ampe = Reactor.create().ampe();
    const server = ampe.create();
    parentPort.postMessage(await listen(ampe, server));
    await serve(ampe, server);
  });
  const address = await word(worker);
  const reactor = Reactor.create();
  const ampe = reactor.ampe();
  const group = ampe.create();
  const channel = await connect(ampe, group, address);
  const missing = (...names) => names.filter((name) => ampe.stats().native[name] === 0n).join(', ');
  const text = () => JSON.stringify(ampe.stats().native, (_, value) => (typeof value === 'bigint' ? Number(value) : value));`;

const programs: Record<string, string> = {
  'a dialog of single messages is sent inline, and the thread that waits for answers runs the reactor itself': `
    ${PEER}
    const ping = async () => {
      send(ampe, group, channel, 'ping');
      const answer = await within('an answer', group.waitReceive());
      assert.equal(answer.body.toString(), 'ping');
      ampe.put(answer);
    };
    // Where one thread runs at a time, looking for an answer would only delay it.
    const looks = require('node:os').availableParallelism() > 1 ? ['waits', 'waitHits'] : [];
    const ways = ['inlineSends', ...looks, 'drives', 'batches', 'doorbells'];
    await eventually('all of these ways to be taken', async () => {
      await ping();
      return missing(...ways) === '';
    }, () => 'missing: ' + missing(...ways) + text());
    const { waits, waitHits, drives, turns } = ampe.stats().native;
    assert.ok(waitHits <= waits && drives <= turns, text());`,
  'bound to one processor nobody looks for an answer that another thread would have to make': `
    if (process.platform === 'linux') {
      const [allowed] = /Cpus_allowed_list:\\s*(\\d+)/.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8')).slice(1);
      require('node:child_process').execFileSync('taskset', ['-pc', allowed, String(process.pid)]);
      ${PEER}
      for (let i = 0; i < 300; i++) {
        send(ampe, group, channel, 'ping');
        ampe.put(await within('an answer', group.waitReceive()));
      }
      const { spins, waits } = ampe.stats().native;
      assert.deepEqual([spins, waits], [0n, 0n], text());
      assert.notEqual(missing('doorbells'), 'doorbells');
    }`,
  'a flood is left to the engine thread, in blocks that are not copied again': `
    ${PEER}
    const body = 'x'.repeat(3000);
    await eventually('all of these ways to be taken', async () => {
      for (let i = 0; i < 2000; i++) send(ampe, group, channel, body);
      for (let i = 0; i < 2000; i++) {
        const answer = await within('an answer', group.waitReceive());
        assert.equal(answer.body.toString(), body);
        ampe.put(answer);
      }
      return missing('queuedRuns', 'queuedBlocks', 'sendCalls', 'readCalls', 'turns') === '';
    }, () => 'missing: ' + missing('queuedRuns', 'queuedBlocks', 'sendCalls', 'readCalls', 'turns') + text());
    const { queuedRuns, queuedBlocks, batches, batchedEvents } = ampe.stats().native;
    assert.ok(queuedBlocks <= queuedRuns && batches <= batchedEvents, text());`,
  'with two threads attached none of them runs the reactor': `
    ${PEER}
    const second = startWorker((data) => {
      const ampe = Reactor.attach(data);
      const group = ampe.create();
      parentPort.postMessage('attached');
      assert.throws(() => group.waitReceiveSync(), { code: 'ERR_AMPE_SHUTDOWN_STARTED' });
    }, reactor.share());
    assert.equal(await word(second), 'attached');
    const ping = async (count) => {
      for (let i = 0; i < count; i++) {
        send(ampe, group, channel, 'ping');
        ampe.put(await within('an answer', group.waitReceive()));
      }
    };
    const { drives } = ampe.stats().native;
    await ping(1000);
    assert.equal(ampe.stats().native.drives, drives);
    await reactor.destroy();
    await ended(second);`,
};

describeNative('', (backend) => {
  test.each(Object.entries(programs))('%s', async (_name, program) => {
    const source = `${program}\nconsole.log('passed');\nprocess.exit();`;
    expect(await runChild(source, { backend }).ended).toEqual({
      code: 0,
      signal: null,
      stdout: 'passed\n',
      stderr: '',
    });
  });
});
