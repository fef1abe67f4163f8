// blocked.test.ts: a process whose JavaScript is busy, seen from outside: its engine accepts connections and closes silent ones,
// reads what comes up to its bounds, sends all that was posted, and lets go of a peer that died. The process computes until this
// test has seen all that, and its event loop has no turn in between.

import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawPeer, connectRaw } from '../conformance/support/raw-peer';
import { WIRE, frame } from '../conformance/support/bytes';
import { eventually } from '../conformance/support/deadline';
import { backends, killAll, runChild, type Child, describeNative } from './child';

jest.setTimeout(60_000);

const POSTED = 400;
const BODY = 60_000;
const HANDSHAKE_MS = 300;
const DEADLINE_MS = 20_000;

let folder: string;
let peers: RawPeer[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ampe-'));
  peers = [];
});
afterEach(() => {
  for (const peer of peers) peer.close();
  killAll();
  rmSync(folder, { recursive: true, force: true });
});

/** Greets two peers, posts a lot to the first, and is then busy until the file is there; then tells what it has, at once. */
const program = (wordFile: string): string => `
  const fs = require('node:fs');
  const say = (text) => fs.writeSync(1, text + '\\n');
  const reactor = Reactor.create({ handshakeTimeoutMs: ${HANDSHAKE_MS} });
  const ampe = reactor.ampe();
  const group = ampe.create();
  say('address ' + (await listen(ampe, group)) + ';');
  const first = await greetOnce(ampe, group);
  const second = await greetOnce(ampe, group);
  for (let i = 0; i < ${POSTED}; i++) send(ampe, group, first, Buffer.alloc(${BODY}, i));
  await turn();
  const end = performance.now() + 40_000;
  say('busy');
  while (!fs.existsSync(${JSON.stringify(wordFile)})) assert.ok(performance.now() < end, 'nobody said that it is enough');
  // Still the same turn: nobody but the engine can have collected this.
  const got = { hellos: 0, requests: 0, closed: [] };
  while (got.closed.length === 0 || got.hellos < 2 || got.requests < 4) {
    const received = group.waitReceiveSync(10_000);
    assert.ok(received, 'waited 10 s in vain for Hellos, Requests and the end of the dead peer; ' + JSON.stringify(got));
    if (received.isFromEngine) got.closed.push([received.channelNumber === second, api.statusName(received.status)]);
    else if (received.opCode === OpCode.HelloRequest) got.hellos++;
    else if (received.opCode === OpCode.Request) got.requests++;
    ampe.put(received);
  }
  say(JSON.stringify(got));
  await reactor.destroy();`;

/** What the kernel holds for the other end of a peer's connection and nobody has read; null when the system knows no such end. */
function unreadOf(peer: RawPeer): number | null {
  const port = (value: number): string => value.toString(16).toUpperCase().padStart(4, '0');
  const { localPort, remotePort } = peer.socket;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local, remote, , queues] = line.trim().split(/\s+/);
    if (local?.endsWith(`:${port(remotePort!)}`) && remote?.endsWith(`:${port(localPort!)}`)) {
      return Number.parseInt(queues.split(':')[1], 16);
    }
  }
  return null;
}

function socketsOf(child: Child): number {
  const at = `/proc/${child.process.pid}/fd`;
  return readdirSync(at).filter((fd) => readlinkSync(join(at, fd)).startsWith('socket:')).length;
}

async function greeted(address: string): Promise<RawPeer> {
  const peer = await open(address);
  await peer.send({ op: WIRE.HelloRequest }).frame('the HelloResponse');
  return peer;
}
async function open(address: string): Promise<RawPeer> {
  const peer = await connectRaw(address);
  peers.push(peer);
  return peer;
}

describeNative('', (backend) => {
  test('while JavaScript computes, the engine accepts, reads, sends and notices', async () => {
    const word = join(folder, 'enough');
    const child = runChild(program(word), { backend, deadlineMs: 50_000 });
    await child.printed(';');
    const address = /address (.*);/.exec(child.printedText)![1];
    const slow = await greeted(address);
    slow.stopReading();
    const dying = await greeted(address);
    await child.printed('busy');

    // It sends what was posted, as far as the kernel had not taken it.
    slow.startReading();
    await eventually('all that was posted to arrive', () => slow.received.length === 16 + POSTED * (16 + BODY), {
      timeoutMs: DEADLINE_MS,
      describe: () => `${slow.received.length} bytes`,
    });
    // It notices that a peer has died.
    const before = socketsOf(child);
    dying.reset();
    await eventually('the socket of the dead peer to be closed', () => socketsOf(child) === before - 1);
    // It accepts, and closes what stays silent: the kernel alone would do neither.
    const silent = await open(address);
    expect(await silent.ended('the engine to close a silent connection')).toBeDefined();
    // It reads.
    const talking = await open(address);
    talking.send({ op: WIRE.HelloRequest }, { body: Buffer.alloc(20_000) }, { body: Buffer.alloc(20_000) });
    await eventually('what was sent to be read', () => talking.socket.bytesWritten > 40_000 && unreadOf(talking) === 0);
    // But not without end.
    const flooding = await open(address);
    flooding.send({ op: WIRE.HelloRequest });
    const piece = Buffer.concat(Array.from({ length: 32 }, () => frame({ body: Buffer.alloc(BODY) })));
    let written = 0;
    const flood = (): void => void flooding.socket.write(piece, (error) => error ?? (written++, flood()));
    flood();
    let [unread, seen, same] = [0, -1, 0];
    await eventually(
      'the flood to come to rest with the bytes in the kernel',
      () => {
        unread = unreadOf(flooding) ?? 0;
        same = written === seen && unread > 0 ? same + 1 : 0;
        seen = written;
        return same > 100;
      },
      { timeoutMs: DEADLINE_MS, describe: () => `${written} pieces written, ${unread} bytes unread` },
    );
    // Nothing came of it by the event loop, which has had no turn.
    expect(child.printedText).toMatch(/busy\n$/);

    writeFileSync(word, '');
    const { code, stdout, stderr } = await child.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const got = JSON.parse(stdout.trim().split('\n').at(-1)!) as { hellos: number; closed: unknown };
    expect(got.hellos).toBe(2);
    expect(got.closed).toEqual([[true, 'channel_closed']]);
  });
});

test('there is an engine to run this on, or it was left out by name', () => {
  expect(backends.length).toBeGreaterThan(0);
});
