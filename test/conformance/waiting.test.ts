// How a receiver waits: timeouts, aborts, two receivers, tryReceive, receiveMany, for await, and what a wait leaves.
// Most cases need no connection: updateReceiver() is the arrival.

import { getEventListeners } from 'node:events';
import { echo, type Message, type WaitOptions } from 'tofu-ampe';
import { eventually, rejection, rule, seen, turns, within, type Cell, type Side } from './support';

/** Each kind of wait, giving what arrived as an array; an empty one means that it timed out. */
const WAITS: Record<string, (side: Side, timeoutMs?: number, options?: WaitOptions) => Promise<Message[]>> = {
  waitReceive: async (side, timeoutMs, options) => {
    const message = await side.group.waitReceive(timeoutMs, options);
    return message === null ? [] : [message];
  },
  receiveMany: (side, timeoutMs, options) => side.group.receiveMany(5, timeoutMs, options),
};

async function forEachWait(
  cell: Cell,
  body: (side: Side, wait: (typeof WAITS)[string]) => Promise<void>,
): Promise<void> {
  for (const wait of Object.values(WAITS)) await body(cell.side(), wait);
}

/** Puts a message with this id into the side's queue without any network. */
function arrive(side: Side, id: number): void {
  side.group.updateReceiver(side.message({ op: 'Signal', id }));
}

function idsOf(cell: Cell, messages: Message[]): number[] {
  return messages.map((message) => Number(cell.keep(message).messageId));
}

/** The promise has not settled although the event loop went round several times. */
async function expectPending(promise: Promise<unknown>): Promise<void> {
  const pending = Symbol('pending');
  expect(await Promise.race([promise, turns(20).then(() => pending)])).toBe(pending);
}

rule('wait-never-throws', 'null for the options of acquire, with a message and without one', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1 });
  const nothing = null as unknown as undefined;
  const message = await side.ampe.acquire(nothing);
  const waiting = side.ampe.acquire(nothing);
  side.ampe.put(message);
  side.ampe.put(await within('the message that was put', waiting));
});

rule('wait-never-throws', 'bad arguments, dead group and second receiver reject, they do not throw', async (cell) => {
  const side = cell.side();
  const calls: (() => Promise<unknown>)[] = [
    () => side.group.waitReceive(-1),
    () => side.group.waitReceive(NaN),
    () => side.group.waitReceive('5' as unknown as number),
    () => side.group.waitReceive(0, { signal: 5 as unknown as AbortSignal }),
    () => side.group.waitReceive(0, { signal: AbortSignal.abort(new Error('why')) }),
    () => side.group.receiveMany(0),
    () => side.group.receiveMany(1, -1),
    () => side.ampe.acquire({ timeoutMs: -1 }),
    () => side.ampe.acquire({ signal: AbortSignal.abort(new Error('why')) }),
  ];
  const gone = cell.side();
  await gone.engine.reactor.destroy();
  calls.push(
    () => gone.group.waitReceive(0),
    () => gone.group.receiveMany(1),
    () => gone.ampe.acquire(),
  );
  calls.push(() =>
    gone.group[Symbol.asyncIterator]()
      .next()
      .then(() => Promise.reject(new Error('ended'))),
  );
  for (const call of calls) {
    let promise: Promise<unknown> | undefined;
    expect(() => (promise = call())).not.toThrow();
    await expect(within('a rejection', promise!)).rejects.toBeInstanceOf(Error);
  }
});

rule('wait-for-ever', 'undefined and Infinity stay pending until something arrives', (cell) =>
  forEachWait(cell, async (side, wait) => {
    for (const timeoutMs of [undefined, Infinity]) {
      const waiting = wait(side, timeoutMs);
      await expectPending(waiting);
      arrive(side, 3);
      expect(idsOf(cell, await within('the arrival', waiting))).toEqual([3]);
    }
  }),
);

rule('wait-zero', 'nothing there: settles without time passing; something there: takes it', (cell) =>
  forEachWait(cell, async (side, wait) => {
    expect(await within('a wait of 0', wait(side, 0))).toEqual([]);
    arrive(side, 4);
    expect(idsOf(cell, await wait(side, 0))).toEqual([4]);
  }),
);

rule('wait-timeout', 'null or an empty array, and the group goes on', (cell) =>
  forEachWait(cell, async (side, wait) => {
    expect(await within('a wait of 5 ms', wait(side, 5))).toEqual([]);
    // Fractions are times too.
    expect(await within('a wait of 0.5 ms', wait(side, 0.5))).toEqual([]);
    arrive(side, 5);
    expect(idsOf(cell, await wait(side, 5))).toEqual([5]);
  }),
);

rule('wait-timeout', 'what was asked for is waited for', async (cell) => {
  const side = cell.side();
  const start = performance.now();
  expect(await side.group.waitReceive(40)).toBeNull();
  // Timers of node count in whole milliseconds from a clock that is cached per turn: one may be missing.
  expect(performance.now() - start).toBeGreaterThanOrEqual(38);
});

rule('wait-bad-timeout', 'negative and NaN are RangeError and take nothing', (cell) =>
  forEachWait(cell, async (side, wait) => {
    arrive(side, 6);
    for (const timeoutMs of [-1, -0.001, -Infinity, NaN]) {
      expect(await rejection(wait(side, timeoutMs))).toMatch(/^RangeError/);
      expect(await rejection(side.ampe.acquire({ timeoutMs }))).toMatch(/^RangeError/);
    }
    // Minus zero is zero.
    expect(idsOf(cell, await wait(side, -0))).toEqual([6]);
  }),
);

rule('wait-long-timeout', '2^31 and more do not end early', (cell) =>
  forEachWait(cell, async (side, wait) => {
    for (const timeoutMs of [2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, Number.MAX_VALUE]) {
      const waiting = wait(side, timeoutMs);
      // setTimeout() cuts what does not fit to 1 ms: this timer is due after that one.
      await new Promise((resolve) => setTimeout(resolve, 3));
      await expectPending(waiting);
      arrive(side, 7);
      expect(idsOf(cell, await within('the arrival', waiting))).toEqual([7]);
    }
  }),
);

rule('wait-abort-before', 'the reason, even if it is no error, and nothing is taken', (cell) =>
  forEachWait(cell, async (side, wait) => {
    arrive(side, 8);
    for (const reason of [new Error('why'), 'text', 42, null]) {
      const signal = AbortSignal.abort(reason);
      await expect(wait(side, undefined, { signal })).rejects.toBe(signal.reason);
      await expect(wait(side, 0, { signal })).rejects.toBe(signal.reason);
      await expect(side.ampe.acquire({ signal })).rejects.toBe(signal.reason);
    }
    expect(idsOf(cell, await wait(side, 0))).toEqual([8]);
  }),
);

rule('wait-abort-during', 'the reason, and the group goes on', (cell) =>
  forEachWait(cell, async (side, wait) => {
    for (const timeoutMs of [undefined, 60_000]) {
      const controller = new AbortController();
      const reason = new Error('changed my mind');
      const waiting = wait(side, timeoutMs, { signal: controller.signal });
      await expectPending(waiting);
      controller.abort(reason);
      await expect(within('the abort', waiting)).rejects.toBe(reason);
    }
    const controller = new AbortController();
    const waiting = wait(side, undefined, { signal: controller.signal });
    controller.abort();
    await expect(within('the abort', waiting)).rejects.toMatchObject({ name: 'AbortError' });
    arrive(side, 9);
    expect(idsOf(cell, await wait(side, 0))).toEqual([9]);
  }),
);

rule('wait-race-loses-nothing', 'arrivals in the same turn as the abort', async (cell) => {
  const side = cell.side();
  for (let i = 1; i <= 20; i++) {
    const controller = new AbortController();
    const waiting = side.group.waitReceive(undefined, { signal: controller.signal });
    if (i % 2 === 0) {
      arrive(side, i);
      controller.abort(new Error('race'));
    } else {
      controller.abort(new Error('race'));
      arrive(side, i);
    }
    const message = (await waiting.catch(() => null)) ?? side.group.tryReceive();
    expect(idsOf(cell, [message!])).toEqual([i]);
  }
  side.expectNothing();
});

rule('wait-race-loses-nothing', 'frames from a socket against short timeouts', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  const got: bigint[] = [];
  const count = 200;
  const sending = (async () => {
    for (let id = 1; id <= count; id++) {
      peer.send({ id });
      if (id % 3 === 0) await turns(1);
    }
  })();
  let timeouts = 0;
  while (got.length < count && timeouts < 10_000) {
    const message = await side.group.waitReceive(got.length % 2);
    if (message === null) {
      timeouts++;
      await turns(1);
      continue;
    }
    expect(message.channelNumber).toBe(channel);
    got.push(message.messageId);
    side.ampe.put(message);
  }
  await sending;
  expect(got).toEqual(Array.from({ length: count }, (_, i) => BigInt(i + 1)));
});

rule('wait-leaves-nothing', 'no abort listener and no timer after each way to settle', async (cell) => {
  // Timers of a wait need not hold the process, so the process does not list them: they are followed one by one.
  const running = new Set<unknown>();
  const { setTimeout: start, clearTimeout: stop } = globalThis;
  const starting = jest.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms?: number) => {
    const timer = start(() => {
      running.delete(timer);
      run();
    }, ms);
    if (ms === 60_000 || ms === 3) running.add(timer);
    return timer;
  }) as typeof setTimeout);
  const stopping = jest.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
    running.delete(timer);
    stop(timer);
  });
  cell.atEnd(() => {
    starting.mockRestore();
    stopping.mockRestore();
  });
  await forEachWait(cell, async (side, wait) => {
    const controller = new AbortController();
    const { signal } = controller;
    const settled = (how: string): void => {
      expect([how, getEventListeners(signal, 'abort').length, running.size]).toEqual([how, 0, 0]);
    };
    expect(await wait(side, 3, { signal })).toEqual([]);
    settled('timeout');
    const waiting = wait(side, 60_000, { signal });
    expect(running.size).toBe(1);
    arrive(side, 3);
    expect(idsOf(cell, await waiting)).toEqual([3]);
    settled('arrival');
    arrive(side, 4);
    expect(idsOf(cell, await wait(side, 60_000, { signal }))).toEqual([4]);
    settled('message that was there');
    const aborted = wait(side, 60_000, { signal });
    controller.abort(new Error('why'));
    await expect(aborted).rejects.toThrow('why');
    settled('abort');
    const other = new AbortController().signal;
    const destroyed = wait(side, 60_000, { signal: other });
    const outcome = rejection(destroyed);
    await side.ampe.destroy(side.group);
    expect(await outcome).toBe('shutdown_started');
    expect(getEventListeners(other, 'abort').length).toBe(0);
    settled('destroy');
  });
});

rule('wait-second-receiver', 'every kind of second wait is refused, the first goes on', async (cell) => {
  const side = cell.side();
  const first = side.group.waitReceive();
  for (const wait of Object.values(WAITS)) {
    expect(await rejection(wait(side))).toBe('not_allowed');
    expect(await rejection(wait(side, 0))).toBe('not_allowed');
  }
  expect(await rejection(side.group[Symbol.asyncIterator]().next())).toBe('not_allowed');
  expect(side.group.tryReceive()).toBeNull();
  arrive(side, 5);
  expect(idsOf(cell, [(await within('the first wait', first))!])).toEqual([5]);
  const many = side.group.receiveMany(3);
  expect(await rejection(side.group.waitReceive())).toBe('not_allowed');
  arrive(side, 6);
  expect(idsOf(cell, await many)).toEqual([6]);
});

rule('wait-second-receiver', 'tryReceive does not steal from a wait whose message is on its way', async (cell) => {
  const side = cell.side();
  const first = side.group.waitReceive();
  arrive(side, 5);
  const stolen = side.group.tryReceive();
  const message = (await within('the first wait', first))!;
  expect(stolen).toBeNull();
  expect(idsOf(cell, [message])).toEqual([5]);
});

rule('try-receive', 'null on an empty queue, then what is there in order', async (cell) => {
  const side = cell.side();
  expect(side.group.tryReceive()).toBeNull();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.send({ id: 1 }, { id: 2 });
  const got: Message[] = [];
  await eventually('two messages by tryReceive alone', () => {
    const message = side.group.tryReceive();
    if (message !== null) got.push(cell.keep(message));
    return got.length === 2;
  });
  expect(got.map((message) => [message.messageId, message.channelNumber])).toEqual([
    [1n, channel],
    [2n, channel],
  ]);
  expect(side.group.tryReceive()).toBeNull();
});

rule('receive-many', 'waits for the first, takes at most max of what is there', async (cell) => {
  const side = cell.side();
  for (let id = 1; id <= 7; id++) arrive(side, id);
  expect(idsOf(cell, await side.group.receiveMany(1.5))).toEqual([1]);
  expect(idsOf(cell, await side.group.receiveMany(2))).toEqual([2, 3]);
  expect(idsOf(cell, await side.group.receiveMany(100))).toEqual([4, 5, 6, 7]);
  const { peer } = await cell.acceptedRaw(side);
  const waiting = side.group.receiveMany(10);
  peer.send({ id: 8 });
  expect(idsOf(cell, await within('the first of many', waiting))).toEqual([8]);
});

rule('receive-many', 'max below 1 or NaN is RangeError and takes nothing', async (cell) => {
  const side = cell.side();
  arrive(side, 1);
  for (const max of [0, -1, NaN, -Infinity])
    expect(await rejection(side.group.receiveMany(max))).toMatch(/^RangeError/);
  expect(await rejection(side.group.receiveMany('2' as unknown as number))).toBe('TypeError ERR_INVALID_ARG_TYPE');
  expect(idsOf(cell, await side.group.receiveMany(1, 0))).toEqual([1]);
});

rule('for-await', 'an iterator that was returned gives nothing more', async (cell) => {
  const side = cell.side();
  arrive(side, 1);
  const iterator = side.group[Symbol.asyncIterator]();
  expect(await iterator.return!()).toEqual({ done: true, value: undefined });
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
  expect(idsOf(cell, await side.group.receiveMany(1, 0))).toEqual([1]);
});

rule('for-await', 'break, return and throw leave the group open; the next loop goes on behind', async (cell) => {
  const side = cell.side();
  const { peer, channel } = await cell.acceptedRaw(side);
  peer.send(...Array.from({ length: 9 }, (_, i) => ({ id: i + 1 })));
  const got: number[] = [];
  const take = (message: Message): void => {
    got.push(Number(message.messageId));
    side.ampe.put(message);
  };
  for await (const message of side.group) {
    take(message);
    if (got.length === 3) break;
  }
  await (async () => {
    for await (const message of side.group) {
      take(message);
      if (got.length === 6) return;
    }
  })();
  const throwing = async (): Promise<void> => {
    for await (const message of side.group) {
      take(message);
      throw new Error('body');
    }
  };
  await expect(throwing()).rejects.toThrow('body');
  await side.expect({ id: 8n, channel });
  await side.expect({ id: 9n, channel });
  expect(got).toEqual([1, 2, 3, 4, 5, 6, 7]);
  side.post({ op: 'Request', channel });
  await peer.frame('the group to be open still');
});

rule('for-await-destroy', 'a waiting loop ends when its group or its engine is destroyed', async (cell) => {
  for (const what of ['group', 'engine'] as const) {
    const side = cell.side();
    const loop = (async () => {
      let count = 0;
      for await (const message of side.group) {
        count++;
        side.ampe.put(message);
      }
      return count;
    })();
    arrive(side, 1);
    await turns(5);
    await (what === 'group' ? side.ampe.destroy(side.group) : side.engine.reactor.destroy());
    expect(await within(`the loop to end with its ${what}`, loop)).toBe(1);
    // A loop over a dead group ends at once.
    for await (const message of side.group) throw new Error(`got ${JSON.stringify(message.opCode)} of a dead group`);
  }
});

rule('for-await-destroy', 'destroying inside the body ends the loop', async (cell) => {
  const side = cell.side();
  for (let id = 1; id <= 3; id++) arrive(side, id);
  const got: number[] = [];
  for await (const message of side.group) {
    got.push(...idsOf(cell, [message]));
    await side.ampe.destroy(side.group);
  }
  expect(got).toEqual([1]);
});

rule('for-await-owns', 'the loop returns nothing by itself', async (cell) => {
  const side = cell.side();
  const kept: Message[] = [];
  for (let id = 1; id <= 3; id++) arrive(side, id);
  for await (const message of side.group) {
    kept.push(cell.keep(message));
    if (kept.length === 3) break;
  }
  expect(kept.map((message) => [message.owned, seen(message).id])).toEqual([
    [true, 1n],
    [true, 2n],
    [true, 3n],
  ]);
});

rule('no-starvation', 'timers and immediates run while the queue is never empty', async (cell) => {
  const side = cell.side();
  const { peer } = await cell.acceptedRaw(side);
  let timer = false;
  let immediate = false;
  let received = 0;
  setTimeout(() => (timer = true), 1);
  setImmediate(() => (immediate = true));
  const limit = 1_000_000;
  arrive(side, 1);
  // Each message goes back into the queue at once: there is always one. The raw peer adds work of the network.
  peer.send({ id: 99 });
  while (!(timer && immediate) && received < limit) {
    const message = (await side.group.waitReceive())!;
    received++;
    side.group.updateReceiver(message);
  }
  expect({ timer, immediate }).toEqual({ timer: true, immediate: true });
});

rule('no-starvation', 'timers run while two groups of one thread never stop talking', async (cell) => {
  const server = cell.side();
  const client = server.sibling();
  const { clientChannel: channel } = await cell.join(server, client, await server.listen());
  let over = false;
  const serve = async (): Promise<void> => {
    while (!over) {
      const message = await server.receive();
      message.opCode = echo(message.opCode);
      server.group.post(message);
    }
  };
  const serving = serve();
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 1);
  cell.atEnd(() => clearInterval(ticking));
  // A message takes ten microseconds or more: these are ten times as many as the ticks would let through.
  let answers = 0;
  while (ticks < 20 && answers < 20_000) {
    client.post({ op: 'Request', channel });
    client.ampe.put(await client.receive());
    answers++;
  }
  over = true;
  client.post({ op: 'Request', channel });
  await serving;
  expect(ticks).toBeGreaterThanOrEqual(20);
});

rule('no-starvation', 'timers run for who only asks, again and again', async (cell) => {
  const side = cell.side();
  for (const ask of [() => side.group.waitReceive(0), () => side.group.receiveMany(1, 0)]) {
    let timer = false;
    setTimeout(() => (timer = true), 1);
    let asked = 0;
    while (!timer && asked < 1_000_000) {
      expect([null, []]).toContainEqual(await ask());
      asked++;
    }
    expect(timer).toBe(true);
  }
});

rule('no-starvation', 'the same for a for await loop and for receiveMany', async (cell) => {
  const side = cell.side();
  for (const kind of ['for await', 'receiveMany'] as const) {
    let timer = false;
    let received = 0;
    setTimeout(() => (timer = true), 1);
    arrive(side, 1);
    const again = (message: Message): boolean => {
      received++;
      side.group.updateReceiver(message);
      return timer || received > 1_000_000;
    };
    if (kind === 'for await') {
      for await (const message of side.group) if (again(message)) break;
    } else {
      let done = false;
      while (!done) for (const message of await side.group.receiveMany(4)) done = again(message);
    }
    expect([kind, timer]).toEqual([kind, true]);
    side.ampe.put(await side.receive('the message that goes round'));
  }
});
