// Whole dialogs of the original (test/vectors/dialogs.txt), played by a raw socket in either role: every frame of the
// engine's side is compared byte for byte, every frame of the other side with what the application receives.

import { OpCode, opCodeName } from 'tofu-ampe';
import { readVectors, rule, type Cell, type MessageInit, type OpCodeName, type RawPeer, type Side } from './support';
import { readDialogs, type Dialog, type Speaker, type Speech } from './support/dialogs';

const RECORDED_ADDRESS = 'tcp|127.0.0.1|38319';
const CHANNEL_BYTES = 2;

/** The engine's side of one dialog: which part it plays, and the raw socket at the other end. */
interface Stage {
  cell: Cell;
  side: Side;
  role: Speaker;
  peer: RawPeer;
  channel: number;
  address: string;
}

function initOf({ frame }: Speech): MessageInit {
  const op = opCodeName((frame.proto & 0x0f) as OpCode) as OpCodeName;
  return { op, id: frame.id, more: (frame.proto & 0x20) !== 0, rawHeaders: frame.headers, body: frame.body };
}

/** The recorded HelloRequest, but for the address of the peer it was sent to. */
function withAddress(headers: string, address: string): string {
  return headers.replace(RECORDED_ADDRESS, address);
}

async function enginesFrameArrives(stage: Stage, speech: Speech): Promise<void> {
  const arrived = await stage.peer.frame(speech.name);
  const { frame } = speech;
  const expected = { ...frame, channel: stage.channel, headers: withAddress(frame.headers, stage.address) };
  expect({ name: speech.name, ...arrived }).toEqual({ name: speech.name, ...expected });
}

async function peersFrameArrives(stage: Stage, speech: Speech): Promise<void> {
  const { op, id, more, body } = initOf(speech);
  const message = await stage.side.expect({
    op: op!,
    id: id as bigint,
    more: more!,
    origin: 'application',
    status: 'success',
    channel: stage.channel,
    body: body!.toString(),
  });
  expect(message.textHeaders.bytes().toString('latin1')).toBe(speech.frame.headers);
}

/** Both sides put out what is theirs, then it is read: of the engine's frames by the peer, of the peer's by the group. */
async function play(stage: Stage, block: Speech[]): Promise<void> {
  const own = block.filter((speech) => speech.from === stage.role);
  const others = block.filter((speech) => speech.from !== stage.role);
  for (const speech of own) stage.side.post({ ...initOf(speech), channel: stage.channel });
  if (others.length > 0) stage.peer.write(Buffer.concat(others.map(({ bytes }) => bytes)));
  for (const speech of own) await enginesFrameArrives(stage, speech);
  for (const speech of others) await peersFrameArrives(stage, speech);
}

async function begin(cell: Cell, role: Speaker, [hello]: Speech[]): Promise<Stage> {
  const side = cell.side();
  if (role === 'client') {
    const server = await cell.rawServer();
    const init = initOf(hello);
    const rawHeaders = withAddress(hello.frame.headers, server.address);
    const { channelNumber: channel } = side.post({ ...init, rawHeaders });
    const stage = { cell, side, role, channel, peer: await server.accept(), address: server.address };
    await enginesFrameArrives(stage, hello);
    return stage;
  }
  const { address } = await side.listen();
  const peer = await cell.rawClient(address);
  peer.write(hello.bytes);
  const message = await side.receive('the HelloRequest');
  const stage = { cell, side, role, channel: message.channelNumber, peer, address: RECORDED_ADDRESS };
  expect(initOf(hello)).toMatchObject({ op: opCodeName(message.opCode), id: message.messageId });
  expect(message.textHeaders.bytes().toString('latin1')).toBe(hello.frame.headers);
  expect(message.body.bytes().equals(hello.frame.body)).toBe(true);
  side.ampe.put(message);
  return stage;
}

async function end(stage: Stage, dialog: Dialog): Promise<void> {
  const { peer, side, channel, cell } = stage;
  const { by, how } = dialog.end;
  const opener = dialog.blocks[0][0].frame.id;
  if (by !== stage.role) {
    if (how === 'reset') peer.reset();
    else peer.halfClose();
  } else if (how === 'reset') {
    side.post({ op: 'ByeSignal', channel });
    await cell.expectReset(peer);
  } else {
    expect(await peer.ended()).toBe('fin');
    peer.halfClose();
  }
  // A Hello that was never answered is no failure to be told: it was sent.
  await side.expectClosed(channel, opener);
  if (by !== stage.role && how === 'fin') expect(await peer.ended()).toBe('fin');
  expect(peer.rest.length).toBe(0);
  side.expectNothing();
}

for (const dialog of readDialogs()) {
  for (const role of ['client', 'server'] as const) {
    rule(`dialog-as-${role}`, dialog.name, async (cell) => {
      const [hello, ...rest] = dialog.blocks;
      const stage = await begin(cell, role, hello);
      for (const block of rest) await play(stage, block);
      await end(stage, dialog);
    });
  }
}

test('every golden frame has its place in a dialog, from the side that recorded it', () => {
  const spoken = readDialogs().flatMap((dialog) => dialog.blocks.flat());
  const names = readVectors().frames.filter((vector) => vector.kind === 'good');
  expect(names.map(({ name }) => name).filter((name) => !spoken.some((speech) => speech.name === name))).toEqual([]);
  // One number per side: a frame given to the wrong side would stand out.
  const numbers = (from: Speaker): Set<number> =>
    new Set(spoken.filter((one) => one.from === from).map(({ bytes }) => bytes.readUIntBE(0, CHANNEL_BYTES)));
  expect(numbers('server')).toEqual(new Set([0x07c6]));
  expect([...numbers('client')].filter((number) => number !== 0x0562)).toEqual([0x4bc0]);
});
