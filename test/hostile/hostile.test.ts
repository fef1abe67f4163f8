// Hostile peers against an engine in a process of its own: what they send, hold back, or do not read must neither harm
// the dialogs of others nor take more memory than the documented bounds allow.
//
// The ceiling of an attack, above what the process used at most before it (its peak counts, not its state afterwards):
//   for each connection that has begun a frame      one read chunk and one partial frame        65,536 + 131,086 bytes
//   for each other connection                       its bookkeeping, native | fallback          4 | 16 KiB
//   the pool: maxPoolMsgs messages and one reserve  of the largest kind at worst                131,086 bytes each
//   what a group has received and not delivered     the ring of the group, slabs kept for it    1 MiB + 5 * 256 KiB
//   the runtime: garbage not yet collected, pieces  a constant                                  32 MiB
// Invariant: every attack is made beside a dialog that goes on.

import * as net from 'node:net';
import { WIRE, frame, readVectors } from '../conformance/support';
import { cellsOf, type CellName, type EngineSpec } from '../conformance/support/engines';
import { Crowd, GoodPeer, Server, signals, type Report, type ServerOptions } from './attack';

const KIB = 1024;
const MIB = 1024 * KIB;
const LARGEST_FRAME = 16 + 2 * 65_535;
const READ_CHUNK = 65_536;
const IDLE_CONNECTION = { native: 4 * KIB, fallback: 16 * KIB };
const RING = MIB + 5 * 256 * KIB;
const RUNTIME = 32 * MIB;
const TIMEOUT_MS = 60_000;

interface Scene {
  server: Server;
  good: GoodPeer;
  crowd: Crowd;
  /** Before the attack, the good peer being there. */
  before: Report;
}

interface Bounds {
  /** Connections that have begun a frame, and such that have sent nothing, at the worst moment. */
  begun: number;
  silent?: number;
}

function ceiling({ begun, silent = 0 }: Bounds, maxPoolMsgs: number, { backend }: EngineSpec): number {
  const connections = begun * (READ_CHUNK + LARGEST_FRAME) + silent * IDLE_CONNECTION[backend];
  return connections + (maxPoolMsgs + 1) * LARGEST_FRAME + RING + RUNTIME;
}

/** One attack on every engine and transport; afterwards the server must be as before, and end by itself. */
function attack(
  title: string,
  bounds: Bounds,
  run: (scene: Scene) => Promise<void>,
  options: ServerOptions & { maxPoolMsgs?: number } = {},
): void {
  const maxPoolMsgs = options.maxPoolMsgs ?? 64;
  const onCell = async (cell: CellName): Promise<void> => {
    const server = await Server.start(cell, { ...options, maxPoolMsgs });
    const crowd = new Crowd(server.address);
    let good: GoodPeer | null = null;
    try {
      good = await GoodPeer.join(server.address);
      await good.rounds(50);
      const before = await server.report();
      await run({ server, good, crowd, before });
      await good.rounds(20);
      crowd.reset();
      const after = await server.until(
        'everything of the attack to be gone',
        ({ channels, poolFree, poolTotal, descriptors }) =>
          // A peer that was reset before it was accepted is accepted for a moment.
          channels === 1 && poolFree === poolTotal && descriptors === before.descriptors,
      );
      await expectUnharmed(server.address, after);
      expect(after.peakBytes - before.peakBytes).toBeLessThan(ceiling(bounds, maxPoolMsgs, cell.engine));
      await server.end();
    } finally {
      crowd.reset();
      good?.close();
      await server.kill();
    }
  };
  test.each(cellsOf('all').map((cell) => [cell.label, cell] as const))(
    `${title} · %s`,
    (_label, cell) => onCell(cell),
    TIMEOUT_MS,
  );
}

async function expectUnharmed(address: string, after: Report): Promise<void> {
  expect(after.disorder).toBe(0);
  expect(after.listeners).toBe(1);
  const late = await GoodPeer.join(address);
  await late.rounds(5);
  late.close();
}

const HELLO = frame({ op: WIRE.HelloRequest, id: 9 });

// ── what is sent ──

const { bad } = readVectors();
const BAD_ROUNDS = 20;

attack(
  'every bad frame, first and behind a Hello, in crowds',
  { begun: 100 },
  async ({ server, good, crowd, before }) => {
    for (let round = 0; round < BAD_ROUNDS; round++) {
      for (const { frame: bytes } of bad) {
        const [first, behind] = await crowd.connect(2);
        first.write(bytes);
        behind.write(Buffer.concat([HELLO, bytes, signals(1, 5, 10)]));
      }
      await good.round();
    }
    await crowd.allEnded('all bad connections to be reset');
    const total = BAD_ROUNDS * bad.length;
    const report = await server.until('their ends to be told', ({ statuses }) => statuses['channel_closed'] === total);
    expect(report.protocolViolations - before.protocolViolations).toBe(2 * total);
    expect(report.hellos - before.hellos).toBe(total);
    // Nothing that stood behind a bad frame was delivered.
    expect(report.signals % 3).toBe(0);
  },
);

attack('a byte at a time', { begun: 40 }, async ({ server, good, crowd, before }) => {
  const requests = frame({ op: WIRE.Request, id: 3, headers: 'a:1\r\n', body: 'slow' });
  const bytes = Buffer.concat([HELLO, requests, signals(1, 2, 20)]);
  const slow = await crowd.connect(40);
  for (const socket of slow) socket.setNoDelay(true);
  for (let at = 0; at < bytes.length; at++) {
    for (const socket of slow) socket.write(bytes.subarray(at, at + 1));
    await good.round();
  }
  const report = await server.until('the slow ones to be heard', ({ hellos }) => hellos === before.hellos + 40);
  expect(report.protocolViolations).toBe(0);
  await server.until('their last frames', ({ statuses, disorder }) => {
    expect([statuses['channel_closed'], disorder]).toEqual([undefined, 0]);
    return true;
  });
  const echoed = crowd.sockets.map((socket) => socket.bytesRead);
  expect(Math.min(...echoed)).toBeGreaterThanOrEqual(HELLO.length);
});

const STOPS = [1, 2, 15, 16, 17, 40_000, LARGEST_FRAME - 1];

attack(
  'stopping in the middle of a header or of the largest frame, before and behind the Hello',
  { begun: 20 * STOPS.length },
  async ({ server, good, crowd, before }) => {
    const hello = frame({
      op: WIRE.HelloRequest,
      id: 9,
      headers: Buffer.alloc(65_535, 'h'),
      body: Buffer.alloc(65_535),
    });
    const request = frame({ id: 4, headers: Buffer.alloc(65_535, 'h'), body: Buffer.alloc(65_535) });
    for (const stop of STOPS) {
      for (const socket of await crowd.connect(10)) socket.write(hello.subarray(0, stop));
      for (const socket of await crowd.connect(10)) socket.write(Buffer.concat([HELLO, request.subarray(0, stop)]));
      await good.rounds(5);
    }
    const visible = 10 * STOPS.length;
    await server.until('the Hellos of half of them', ({ hellos }) => hellos === before.hellos + visible);
    await good.rounds(50);
    const report = await server.report();
    expect(report.requests - before.requests).toBeGreaterThanOrEqual(50);
    expect(report.channels).toBe(1 + 2 * visible);
    expect(report.protocolViolations).toBe(0);
  },
);

// ── what is not sent ──

const SILENT = 2_000;

attack('two thousand silent connections', { begun: 0, silent: SILENT }, async ({ server, good, crowd }) => {
  await good.roundsWhile(crowd.connect(SILENT));
  await server.until('all of them to be accepted', ({ channels }) => channels === SILENT + 1);
  await good.rounds(50);
  const late = await GoodPeer.join(server.address);
  await late.rounds(20);
  late.close();
});

attack(
  'silent connections end with the handshake deadline',
  { begun: 0, silent: 500 },
  async ({ server, good, crowd, before }) => {
    await crowd.connect(500);
    for (const socket of crowd.sockets.slice(0, 100)) socket.write(HELLO.subarray(0, 10));
    await good.roundsWhile(crowd.allEnded('the handshake deadline of all'));
    const report = await server.until('nothing to be left of them', ({ channels }) => channels === 1);
    expect(report.statuses).toEqual(before.statuses);
    expect(report.hellos).toBe(before.hellos);
  },
  { handshakeTimeoutMs: 1_500 },
);

// ── too much ──

const FLOODERS = 6;
const DEAF = 2;
const FLOOD_MESSAGES = 40_000;

/** Writes numbered signals for as long as the other side takes them. */
function flood(socket: net.Socket): void {
  const AT_ONCE = 200;
  let next = 1;
  const write = (): void => {
    if (socket.destroyed || next >= FLOOD_MESSAGES * 10) return;
    const bytes = signals(next, AT_ONCE, 500);
    next += AT_ONCE;
    // Not at once when it is written: this process has a good peer to attend to as well.
    socket.write(bytes, () => setImmediate(write));
  };
  write();
}

attack(
  'flooding, and never reading',
  { begun: FLOODERS },
  async ({ server, good, crowd, before }) => {
    for (const socket of await crowd.connect(DEAF)) {
      socket.pause();
      socket.write(frame({ op: WIRE.HelloRequest, id: 9, body: 'blast' }));
    }
    // More is sent to each of them than any socket takes: the pool's messages are out until they go.
    await good.roundsWhile(server.until('unsent messages for all', ({ blasted }) => blasted === DEAF));
    for (const socket of await crowd.connect(FLOODERS)) {
      socket.pause();
      socket.write(HELLO);
      flood(socket);
    }
    const heard = server.until('the flood', ({ signals: all, hellos }) => {
      return all - before.signals > FLOOD_MESSAGES && hellos - before.hellos === FLOODERS + DEAF;
    });
    await good.roundsWhile(heard);
    const report = await heard;
    expect(report.disorder).toBe(0);
    expect(report.poolTotal - report.poolFree).toBeGreaterThan(DEAF);
  },
  { maxPoolMsgs: 256 },
);

attack('resets in bursts', { begun: 100 }, async ({ server, good, before }) => {
  for (let burst = 1; burst <= 20; burst++) {
    const crowd = new Crowd(server.address);
    const sockets = await crowd.connect(50);
    sockets.forEach((socket, i) => {
      if (i % 5 !== 0) socket.write(HELLO);
      if (i % 5 === 2) socket.write(signals(1, 100, 100));
      if (i % 5 === 3) socket.write(HELLO.subarray(0, 9));
    });
    await good.round();
    crowd.reset();
    await good.round();
  }
  const report = await server.until('all to be gone', ({ channels }) => channels === 1);
  const seen = report.hellos - before.hellos;
  expect(seen).toBeGreaterThan(0);
  await server.until('the end of each that was seen', ({ hellos, statuses }) => {
    return statuses['channel_closed'] === hellos - before.hellos;
  });
});

test('the good peer notices an answer that is not its own', async () => {
  const wrong = [frame({ op: WIRE.HelloResponse, id: 1 }), frame({ op: WIRE.Response, id: 2, body: 'request 2' })];
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.resume();
    socket.write(Buffer.concat(wrong));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const good = await GoodPeer.join(`tcp|127.0.0.1|${(server.address() as net.AddressInfo).port}`);
  await expect(good.round()).rejects.toThrow(/request 2/);
  good.close();
  await new Promise((resolve) => server.close(resolve));
});
