// Protocol section 6, shutdown: destroying groups and engines at every moment, what the peers see of it, and what is
// left afterwards: nothing. That ports, paths, sockets and pool are free is checked by the cell after each case too.

import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { AmpeStatus, Reactor, errorToStatus, type Message } from 'tofu-ampe';
import { findFreeTcpPort } from 'tofu-ampe/testing';
import {
  WIRE,
  eventually,
  fill,
  refusal,
  rejection,
  rule,
  seen,
  turns,
  within,
  type Cell,
  type RawLink,
  type Side,
} from './support';
import { compiledIndex } from '../lifecycle/child';

const LARGE = Buffer.alloc(64_000, 'x');
/** More messages of LARGE bytes than the buffers of one connection take. */
const MORE_THAN_BUFFERS = 400;

function destroyGroup(side: Side): Promise<void> {
  return within('the group to be destroyed', side.ampe.destroy(side.group));
}
function destroyEngine(side: Side): Promise<void> {
  return within('the engine to be destroyed', side.engine.reactor.destroy());
}

/** An address on which a listener can be opened again and again. */
async function fixedAddress(cell: Cell): Promise<string> {
  return cell.transport === 'tcp' ? `tcp|127.0.0.1|${await findFreeTcpPort()}` : `uds|${cell.freePath()}`;
}

function postUnsent(side: Side, { peer, channel }: RawLink): void {
  peer.stopReading();
  for (let i = 0; i < MORE_THAN_BUFFERS; i++) side.post({ op: 'Request', channel, body: LARGE });
}

// ── the group ──

rule('destroy-group-resets', 'every peer sees a reset; the group hears nothing of it', async (cell) => {
  const side = cell.side();
  const accepted = await cell.acceptedRaw(side);
  const dialled = await cell.dialledRaw(side);
  const waiting = side.group.waitReceive();
  await destroyGroup(side);
  expect(await rejection(waiting)).toBe('shutdown_started');
  await cell.expectReset(accepted.peer);
  await cell.expectReset(dialled.peer);
  expect(accepted.peer.received).toHaveLength(0);
});

rule('destroy-group-resets', 'connections that are not visible yet are closed too', async (cell) => {
  const side = cell.side();
  const listener = await side.listen();
  const unseen = await cell.rawClient(listener.address);
  await eventually('the connection to be accepted', () => side.ampe.stats().channels === 1);
  await destroyGroup(side);
  await cell.expectReset(unseen);
});

rule(
  'destroy-group-returns',
  'received, updated, failed and unsent ones are in the pool when it resolves',
  async (cell) => {
    const side = cell.side({ maxPoolMsgs: 16 });
    const link = await cell.dialledRaw(side);
    link.peer.send({ op: WIRE.Request, id: 1, body: 'unread' });
    for (let i = 0; i < 3; i++) side.group.updateReceiver(side.message());
    side.group.updateReceiver();
    const gone = await cell.rawServer();
    await gone.close();
    side.connect(gone.address);
    side.post({ op: 'WelcomeRequest', headers: [['~listen_on', 'nonsense']] });
    postUnsent(side, link);
    await turns(20);
    expect(side.ampe.stats().poolFree).toBeLessThan(16);
    await destroyGroup(side);
    expect(side.ampe.stats()).toMatchObject({ poolFree: 16, poolTotal: 16, channels: 0, listeners: 0, groups: 0 });
  },
);

rule('destroy-group-rejects-receiver', 'every kind of wait; for await ends', async (cell) => {
  const waits: ((side: Side) => Promise<unknown>)[] = [
    (side) => side.group.waitReceive(),
    (side) => side.group.waitReceive(100_000),
    (side) => side.group.receiveMany(3),
  ];
  for (const wait of waits) {
    const side = cell.side();
    const waiting = wait(side);
    const refused = rejection(waiting);
    await destroyGroup(side);
    expect(await refused).toBe('shutdown_started');
  }
  const side = cell.side();
  const loop = (async () => {
    for await (const message of side.group) side.ampe.put(message);
    return 'ended';
  })();
  await turns(1);
  await destroyGroup(side);
  expect(await within('the loop to end', loop)).toBe('ended');
});

rule('destroy-group-frees-addresses', 'another engine listens there at once, and so on', async (cell) => {
  const address = await fixedAddress(cell);
  for (let round = 0; round < 5; round++) {
    const side = cell.side();
    const listener = await side.listen(address);
    if (round % 2 === 1) await cell.acceptedRaw(side, listener);
    await destroyGroup(side);
    if (cell.transport === 'uds') expect(existsSync(address.slice('uds|'.length))).toBe(false);
  }
});

rule('destroy-group-frees-addresses', 'nothing of many channels is left either', async (cell) => {
  const side = cell.side();
  const listener = await side.listen(await fixedAddress(cell));
  for (let i = 0; i < 50; i++) await cell.acceptedRaw(side, listener);
  // Whatever looked for work meanwhile sleeps after this: somebody has to be woken.
  expect(await side.group.waitReceive(20)).toBeNull();
  await destroyGroup(side);
  expect(side.ampe.stats()).toMatchObject({ channels: 0, listeners: 0, groups: 0 });
});

rule('destroy-group-frees-addresses', 'also when it was just about to listen', async (cell) => {
  const address = await fixedAddress(cell);
  for (let pause = 0; pause < 6; pause++) {
    const early = cell.side();
    early.post({ op: 'WelcomeRequest', headers: [['~listen_on', address]] });
    await turns(pause);
    await destroyGroup(early);
    if (cell.transport === 'uds') expect(existsSync(address.slice('uds|'.length))).toBe(false);
    const next = cell.side();
    await next.listen(address);
    await destroyGroup(next);
  }
});

rule('destroy-group-twice', 'at once and later, by ampe and by dispose', async (cell) => {
  const side = cell.side();
  await side.listen();
  await within(
    'all of them',
    Promise.all([side.ampe.destroy(side.group), side.ampe.destroy(side.group), side.group[Symbol.asyncDispose]()]),
  );
  await destroyGroup(side);
  expect(side.ampe.stats().groups).toBe(0);
});

rule(
  'destroy-group-held-messages',
  'received, returned and own ones, group and then engine destroyed',
  async (cell) => {
    const side = cell.side();
    const { peer } = await cell.acceptedRaw(side);
    peer.send({ op: WIRE.Request, id: 5, headers: 'a:b\r\n', body: 'held' });
    const received = await side.expect({ op: 'Request' });
    const own = side.message({ op: 'Signal', id: 6, body: 'own' });
    const view = received.body.bytes();
    const readable = (): void => {
      expect(seen(received)).toMatchObject({ id: 5n, headers: [['a', 'b']], body: 'held' });
      expect(seen(own)).toMatchObject({ id: 6n, body: 'own' });
      expect(view.toString()).toBe('held');
    };
    await destroyGroup(side);
    readable();
    await destroyEngine(side);
    readable();
    own.body.append(' and writable');
    expect(own.clone().body.toString()).toBe('own and writable');
    side.ampe.put(received);
    side.ampe.put(received);
    own[Symbol.dispose]();
    expect(own.owned).toBe(false);
  },
);

rule('destroy-group-others-live', 'the other group goes on, its traffic unharmed', async (cell) => {
  const one = cell.side();
  const two = one.sibling();
  const doomed = await cell.dialledRaw(one);
  const living = await cell.acceptedRaw(two);
  postUnsent(one, doomed);
  const waiting = two.receive('a request');
  await destroyGroup(one);
  living.peer.send({ op: WIRE.Request, id: 1 });
  two.answer(await waiting, 'Response');
  expect(await living.peer.frame()).toMatchObject({ id: 1n });
  const third = two.sibling();
  await cell.acceptedRaw(third);
});

rule('destroy-group-numbers', 'a live channel and one whose end is untold give their numbers back', async (cell) => {
  let side = cell.side({ maxChannels: 2 });
  const server = await cell.rawServer();
  for (let round = 0; round < 5; round++) {
    const live = await cell.dialledRaw(side, { server });
    const ended = await cell.dialledRaw(side, { server });
    ended.peer.close();
    live.peer.send({ op: WIRE.Request, id: 1 });
    await turns(20);
    expect(refusal(() => side.connect(server.address))).toBe('allocation_failed');
    await destroyGroup(side);
    side = side.sibling();
  }
});

rule('destroy-group-numbers', 'the new owner of a number hears nothing of the old one', async (cell) => {
  const old = cell.side({ maxChannels: 1 });
  const server = await cell.rawServer();
  const { channel, peer } = await cell.dialledRaw(old, { server });
  peer.send({ op: WIRE.Request, id: 1, body: 'for the old one' });
  await turns(5);
  await destroyGroup(old);
  const next = old.sibling();
  const link = await cell.dialledRaw(next, { server });
  expect(link.channel).toBeGreaterThan(0);
  expect(refusal(() => old.post({ op: 'Request', channel }))).toBe('shutdown_started');
  link.peer.send({ op: WIRE.Request, id: 2 });
  await next.expect({ op: 'Request', id: 2n });
  next.expectNothing();
});

rule('destroy-foreign-group', 'and the group is unharmed', async (cell) => {
  const side = cell.side();
  const other = cell.side();
  expect(await rejection(side.ampe.destroy(other.group))).toBe('not_allowed');
  other.group.updateReceiver();
  await other.expect({ status: 'receiver_update' });
  expect(await rejection(side.ampe.destroy({} as never))).toBe('TypeError ERR_INVALID_ARG_TYPE');
  expect(await rejection(side.ampe.destroy(null as never))).toBe('TypeError ERR_INVALID_ARG_TYPE');
});

// ── the engine ──

rule('destroy-engine-groups', 'their receivers are told, their peers reset, their addresses free', async (cell) => {
  const address = await fixedAddress(cell);
  const one = cell.side();
  const two = one.sibling();
  const listener = await one.listen(address);
  const { peer } = await cell.acceptedRaw(one, listener);
  const dialled = await cell.dialledRaw(two);
  const refused = [rejection(one.group.waitReceive()), rejection(two.group.receiveMany(2))];
  await destroyEngine(one);
  expect(await Promise.all(refused)).toEqual(['shutdown_started', 'shutdown_started']);
  await cell.expectReset(peer);
  await cell.expectReset(dialled.peer);
  await cell.side().listen(address);
});

rule('destroy-engine-later-calls', 'each is refused by its name, none crashes', async (cell) => {
  const side = cell.side();
  const { ampe, group } = side;
  const message = side.message({ op: 'Signal', channel: 1 });
  await destroyEngine(side);
  for (const call of [
    () => ampe.get(),
    () => ampe.get('poolOnly'),
    () => ampe.create(),
    () => group.post(message),
    () => group.updateReceiver(),
    () => group.updateReceiver(message),
    () => group.tryReceive(),
  ]) {
    expect(refusal(call)).toBe('shutdown_started');
  }
  expect(await rejection(ampe.acquire())).toBe('shutdown_started');
  expect(await rejection(group.waitReceive())).toBe('shutdown_started');
  expect(await rejection(group.waitReceive(0))).toBe('shutdown_started');
  expect(await rejection(group.receiveMany(1, 0))).toBe('shutdown_started');
  expect(await group[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
  expect(message.owned).toBe(true);
  ampe.put(message);
  ampe.put(message);
  ampe.put(null);
  expect(ampe.stats()).toMatchObject({ channels: 0, listeners: 0, groups: 0 });
  await within('a group of a dead engine', ampe.destroy(group));
  side.engine.reactor.ref().unref();
});

rule('destroy-engine-twice', 'at once and later, and by dispose', async (cell) => {
  const side = cell.side();
  const { reactor } = side.engine;
  await side.listen();
  await within('all of them', Promise.all([reactor.destroy(), reactor.destroy(), reactor[Symbol.asyncDispose]()]));
  await within('once more', reactor.destroy());
  await within('a group of it', Promise.resolve(side.group[Symbol.asyncDispose]()));
});

rule('destroy-engine-twice', 'group and engine at the same time, in either order', async (cell) => {
  for (const groupFirst of [true, false]) {
    const side = cell.side();
    const { peer } = await cell.acceptedRaw(side);
    const both = groupFirst
      ? [side.ampe.destroy(side.group), side.engine.reactor.destroy()]
      : [side.engine.reactor.destroy(), side.ampe.destroy(side.group)];
    await within('both', Promise.all(both));
    await cell.expectReset(peer);
  }
});

rule('destroy-rejects-acquire', 'all of them, in whatever way they wait', async (cell) => {
  const side = cell.side({ maxPoolMsgs: 1 });
  cell.keep(side.ampe.get('poolOnly')!);
  const refused = [
    rejection(side.ampe.acquire()),
    rejection(side.ampe.acquire({ timeoutMs: 100_000 })),
    rejection(side.ampe.acquire({ signal: new AbortController().signal })),
  ];
  await destroyEngine(side);
  expect(await Promise.all(refused)).toEqual(Array(3).fill('shutdown_started'));
});

rule(
  'destroy-while-granting',
  'unsent messages come back to the pool, and who waits for one is refused',
  async (cell) => {
    const side = cell.side({ maxPoolMsgs: 1 });
    postUnsent(side, await cell.dialledRaw(side));
    await turns(20);
    expect(side.ampe.get('poolOnly')).toBeNull();
    const refused = [rejection(side.ampe.acquire()), rejection(side.ampe.acquire())];
    await destroyEngine(side);
    expect(await Promise.all(refused)).toEqual(['shutdown_started', 'shutdown_started']);
  },
);

// ── any moment ──

/** What may be going on when the end comes. */
const MOMENTS: Record<string, (cell: Cell, side: Side) => unknown> = {
  'nothing at all': () => undefined,
  'a connect just posted': async (cell, side) => side.connect((await cell.rawServer()).address),
  'a connect under way': async (cell, side) => {
    side.connect((await cell.rawServer()).address);
    await turns(1);
  },
  'a Hello sent and unanswered': (cell, side) => cell.dialledRaw(side, { answer: false }),
  'a failed connect untold': async (cell, side) => {
    const server = await cell.rawServer();
    await server.close();
    side.connect(server.address);
    await turns(20);
  },
  'a listener just posted': (cell, side) => {
    side.post({ op: 'WelcomeRequest', headers: [['~listen_on', cell.freeServerAddress()]] });
  },
  'a frame half received': async (cell, side) => {
    const { peer } = await cell.acceptedRaw(side);
    await peer.flush(Buffer.alloc(10));
  },
  'a Hello half received': async (cell, side) => {
    const { address } = await side.listen();
    await (await cell.rawClient(address)).flush(Buffer.alloc(10));
  },
  'a flood unread': async (cell, side) => {
    const { peer } = await cell.acceptedRaw(side);
    for (let id = 1; id <= MORE_THAN_BUFFERS; id++) peer.send({ op: WIRE.Request, id, body: LARGE });
    await turns(20);
  },
  'posts of this very tick': async (cell, side) => {
    const { channel } = await cell.dialledRaw(side);
    for (let i = 0; i < 10; i++) side.post({ op: 'Request', channel, body: LARGE });
  },
  'much unsent': async (cell, side) => {
    postUnsent(side, await cell.dialledRaw(side));
    await turns(20);
  },
  'much unsent and aborted': async (cell, side) => {
    const link = await cell.dialledRaw(side);
    postUnsent(side, link);
    await turns(20);
    side.post({ op: 'ByeSignal', channel: link.channel });
  },
  'a Bye behind what is unsent': async (cell, side) => {
    const link = await cell.dialledRaw(side);
    postUnsent(side, link);
    side.post({ op: 'ByeRequest', channel: link.channel });
    await turns(5);
  },
  'a Bye sent and unanswered': async (cell, side) => {
    const { peer, channel } = await cell.dialledRaw(side);
    side.post({ op: 'ByeRequest', channel });
    await peer.frame('the Bye');
  },
  'a Bye answered': async (cell, side) => {
    const { peer, id } = await cell.acceptedRaw(side);
    peer.send({ op: WIRE.ByeRequest, id });
    side.answer(await side.expect({ op: 'ByeRequest' }), 'ByeResponse');
    await peer.frame('the ByeResponse');
  },
  'an end untold': async (cell, side) => {
    const { peer } = await cell.acceptedRaw(side);
    peer.reset();
    await turns(20);
  },
  'a receiver that waits': (_cell, side) => {
    side.group.waitReceive().catch(() => undefined);
  },
  'an acquire that waits': (cell, side) => {
    for (let message = side.ampe.get('poolOnly'); message !== null; message = side.ampe.get('poolOnly')) {
      cell.keep(message);
    }
    side.ampe.acquire().then(
      (message: Message) => side.ampe.put(message),
      (error: unknown) => expect(errorToStatus(error)).toBe(AmpeStatus.ShutdownStarted),
    );
  },
};

for (const [moment, reach] of Object.entries(MOMENTS)) {
  rule('destroy-any-moment', `the group, with ${moment}`, async (cell) => {
    const side = cell.side({ maxPoolMsgs: 32 });
    await reach(cell, side);
    await destroyGroup(side);
    expect(side.ampe.stats()).toMatchObject({ channels: 0, listeners: 0, groups: 0 });
    // The engine is as good as new.
    const { peer, channel } = await cell.acceptedRaw(side.sibling());
    expect(channel).toBeGreaterThan(0);
    peer.close();
  });

  rule('destroy-any-moment', `the engine, with ${moment}`, async (cell) => {
    const side = cell.side({ maxPoolMsgs: 32 });
    await reach(cell, side);
    await destroyEngine(side);
    expect(refusal(() => side.ampe.get())).toBe('shutdown_started');
    await turns(5);
  });
}

rule('destroy-any-moment', 'by the receiver itself, between two messages', async (cell) => {
  const side = cell.side();
  const { peer } = await cell.acceptedRaw(side);
  peer.send(...[1, 2, 3, 4].map((id) => ({ op: WIRE.Request, id })));
  const got: bigint[] = [];
  let destroyed: Promise<void> | undefined;
  for await (const message of side.group) {
    got.push(message.messageId);
    side.ampe.put(message);
    if (got.length === 2) destroyed = side.ampe.destroy(side.group);
  }
  await within('the group to be destroyed', destroyed!);
  expect(got).toEqual([1n, 2n]);
});

rule('destroy-dispose', 'at the end of their block', async (cell) => {
  const address = await fixedAddress(cell);
  let ampe;
  let group;
  {
    await using reactor = Reactor.create({ backend: cell.name.engine.backend });
    ampe = reactor.ampe();
    {
      await using inner = ampe.create();
      group = inner;
      const welcome = fill(ampe.get(), { op: 'WelcomeRequest', headers: [['~listen_on', address]] });
      inner.post(welcome);
      ampe.put(await within('the WelcomeResponse', inner.waitReceive()));
    }
    expect(refusal(() => group!.tryReceive())).toBe('shutdown_started');
    expect(ampe.stats().groups).toBe(0);
    ampe.put(ampe.get());
  }
  expect(refusal(() => ampe!.get())).toBe('shutdown_started');
  await cell.side().listen(address);
});

// ── the thread ──

rule('destroy-creating-thread-ends', 'its listener is gone, its peer sees the end', async (cell) => {
  const address = await fixedAddress(cell);
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const { Reactor, OpCode } = require(workerData.index);
     const ampe = Reactor.create({ backend: workerData.backend }).ampe();
     const group = ampe.create();
     const welcome = ampe.get();
     welcome.opCode = OpCode.WelcomeRequest;
     welcome.textHeaders.append('~listen_on', workerData.address);
     group.post(welcome);
     (async () => {
       for await (const message of group) { parentPort.postMessage(message.opCode); ampe.put(message); }
     })();`,
    { eval: true, workerData: { index: compiledIndex(), backend: cell.name.engine.backend, address } },
  );
  cell.atEnd(() => worker.terminate());
  await within('the worker to listen', once(worker, 'message'));
  const peer = await cell.rawClient(address);
  peer.send({ op: WIRE.HelloRequest, id: 1 });
  await within('the worker to receive the Hello', once(worker, 'message'));
  await within('the worker to end', worker.terminate());
  await peer.ended('the end of the connection');
  await cell.side().listen(address);
});
