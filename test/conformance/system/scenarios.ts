// The cases of system.test.ts: what an engine asks of the system underneath. They run inside jest for an engine which
// lives in node's own net, and in a child process with the shim preloaded for one that calls the system itself.
// Knows no jest: only the global expect, and the System it is given.

import { execFileSync } from 'node:child_process';
import * as net from 'node:net';
import { WIRE, helloFails, portOf, seen, within, type Cell } from '../support';
import { blockedListener } from '../support/blocked-listener';
import type { SocketOptions, System } from './system';

export type Scenario = (cell: Cell, system: System) => Promise<void>;

/** For cases in which the other side falls silent: a second is the shortest time a kernel can be told. */
const SILENCE = { keepAliveMs: 1_000, deadlineMs: 15_000 };

/** From now on no packet of this network arrives anywhere, and nobody is told so. Only in a namespace of one's own. */
function dropEverything(): void {
  execFileSync('ip', ['link', 'set', 'lo', 'down']);
}

/** Options of the engine's own ends of one accepted and one dialled connection. */
async function ownSockets(cell: Cell, system: System, keepAliveMs: number): Promise<SocketOptions[]> {
  const side = cell.side({ keepAliveMs });
  const listener = await side.listen();
  const server = await cell.rawServer();
  await cell.acceptedRaw(side, listener);
  await cell.dialledRaw(side, { server });
  const sockets = await system.sockets();
  const accepted = sockets.filter(({ localPort }) => localPort === portOf(listener.address));
  const dialled = sockets.filter(({ remotePort }) => remotePort === portOf(server.address));
  expect([accepted.length, dialled.length]).toEqual([1, 1]);
  return [...accepted, ...dialled];
}

export const scenarios = {
  async noDelay(cell, system) {
    for (const socket of await ownSockets(cell, system, 60_000)) expect(socket.noDelay).toBe(true);
  },

  async keepAlive(cell, system) {
    // Systems count it in seconds, and Linux to 32,767 of them.
    const cases = [
      [12_000, 12_000],
      [500, 1_000],
      [1_001, 2_000],
      [40_000_000, 32_767_000],
    ];
    for (const [askedMs, setMs] of cases) {
      for (const socket of await ownSockets(cell, system, askedMs)) {
        expect(socket.keepAliveMs).toBe(setMs);
        // node:net has no way to the time after which unacknowledged data is given up.
        if (cell.name.engine.backend === 'native') expect(socket.userTimeoutMs).toBeGreaterThanOrEqual(askedMs);
      }
    }
  },

  async otherChannelsWorkMeanwhile(cell, system) {
    const side = cell.side();
    const answer = system.hold('slow.test');
    const listener = await side.listen();
    const { channelNumber, messageId } = side.connect(`tcp|slow.test|${portOf(listener.address)}`);
    const { peer } = await cell.acceptedRaw(side, listener);
    peer.send({ op: WIRE.Signal, id: 9 });
    await side.expect({ op: 'Signal', id: 9n });
    await answer(['127.0.0.1']);
    const hello = await side.expect({ op: 'HelloRequest', id: messageId });
    expect(hello.channelNumber).not.toBe(channelNumber);
  },

  async deadlineCoversResolution(cell, system) {
    const side = cell.side({ connectTimeoutMs: 50 });
    const server = await cell.rawServer();
    const answer = system.hold('slow.test');
    await helloFails(side, `tcp|slow.test|${portOf(server.address)}`, 'connect_failed');
    await answer(['127.0.0.1']);
    await cell.dialledRaw(side, { server });
    expect(server.peers).toHaveLength(1);
  },

  async abortDoesNotWait(cell, system) {
    const side = cell.side();
    system.hold('never.test');
    const { channelNumber, messageId } = side.connect('tcp|never.test|7099');
    side.post({ op: 'ByeSignal', channel: channelNumber });
    await side.expect({ op: 'HelloResponse', status: 'channel_closed', id: messageId });
    await side.expectClosed(channelNumber, messageId);
  },

  async destroyDoesNotWait(cell, system) {
    const side = cell.side();
    const answer = system.hold('slow.test');
    side.connect('tcp|slow.test|7099');
    side.post({ op: 'WelcomeRequest', headers: [['~listen_on', 'tcp|slow.test|0']] });
    const { reactor } = side.engine;
    await within('an engine to be destroyed while a name is being resolved', reactor.destroy());
    await answer(['127.0.0.1']);
  },

  async listenerOnName(cell, system) {
    const side = cell.side();
    system.name('here.test', ['127.0.0.3']);
    const { address } = await side.listen('tcp|here.test|0');
    expect(address).toBe(`tcp|here.test|${portOf(address)}`);
    await cell.acceptedRaw(side, { address: `tcp|127.0.0.3|${portOf(address)}`, channel: 0, id: 0n });
  },

  async refusedPassedOver(cell, system) {
    const side = cell.side();
    const server = await cell.rawServer();
    system.name('many.test', ['127.0.0.9', '::1', '127.0.0.8', '127.0.0.1']);
    const { channelNumber, messageId } = side.connect(`tcp|many.test|${portOf(server.address)}`);
    const peer = await server.accept();
    expect((await peer.frame()).id).toBe(messageId);
    await side.abort(channelNumber);
  },

  async oneThatHangs(cell, system) {
    const side = cell.side({ connectTimeoutMs: 600 });
    const address = await blockedListener(cell);
    const server = net.createServer();
    cell.atEnd(() => within('the server to close', new Promise((resolve) => server.close(resolve))));
    await new Promise<void>((resolve) => server.listen(portOf(address), '127.0.0.2', resolve));
    const connected = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
    system.name('many.test', ['127.0.0.1', '127.0.0.2']);
    const { channelNumber } = side.connect(`tcp|many.test|${portOf(address)}`);
    const socket = await within('the second address to be tried', connected);
    socket.on('error', () => {});
    await within('the Hello', new Promise((resolve) => socket.once('data', resolve)));
    await side.abort(channelNumber);
    socket.destroy();
  },

  async noneLeft(cell, system) {
    const side = cell.side();
    const server = await cell.rawServer();
    system.name('none.test', ['127.0.0.8', '127.0.0.9']);
    await helloFails(side, `tcp|none.test|${portOf(server.address)}`, 'connect_failed');
    system.name('empty.test', []);
    await helloFails(side, 'tcp|empty.test|7099', 'invalid_address');
  },

  async thousandFrames(cell, system) {
    const side = cell.side();
    const links = [await cell.acceptedRaw(side), await cell.acceptedRaw(side, await side.listen())];
    const before = await system.writes();
    for (let i = 0; i < 1000; i++) {
      for (const { channel } of links) side.post({ op: 'Signal', channel, id: 1000 + i });
    }
    for (const { peer } of links) {
      const ids = (await peer.frames(1000)).map(({ id }) => Number(id));
      expect(ids).toEqual(Array.from({ length: 1000 }, (_, i) => 1000 + i));
    }
    const writes = (await system.writes()) - before;
    expect(writes).toBeGreaterThanOrEqual(links.length);
    // At least fifty frames in each.
    expect(writes).toBeLessThanOrEqual(40);
  },

  async idlePeerFallsSilent(cell) {
    const side = cell.side({ keepAliveMs: SILENCE.keepAliveMs });
    const { channel, id } = await cell.acceptedRaw(side);
    dropEverything();
    const last = await side.receive('the end of a channel whose peer is gone', SILENCE.deadlineMs);
    expect(seen(last)).toMatchObject({ op: 'Signal', status: 'channel_closed', channel, id });
  },

  async peerFallsSilentBeforeData(cell) {
    const side = cell.side({ keepAliveMs: SILENCE.keepAliveMs });
    const { peer, channel, id } = await cell.acceptedRaw(side);
    dropEverything();
    // The kernel takes some and repeats them in vain; the rest has to come back, in order and with the reason.
    const count = 400;
    for (let i = 1; i <= count; i++) side.post({ op: 'Signal', channel, id: i, body: Buffer.alloc(60_000) });
    const sent = Number(side.ampe.stats().messagesOut);
    for (let i = 1; ; i++) {
      const message = seen(await side.receive('unsent messages, then the end of the channel', SILENCE.deadlineMs));
      if (message.status === 'channel_closed') {
        expect(message).toMatchObject({ op: 'Signal', channel, id });
        expect(i).toBeGreaterThan(1);
        break;
      }
      const returned = Number(side.ampe.stats().messagesOut) + i;
      expect(message).toMatchObject({ status: 'communication_failed', id: BigInt(returned), origin: 'engine' });
    }
    expect(sent).toBeLessThan(count);
    peer.close();
  },
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;
