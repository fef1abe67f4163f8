// spool-server.test.ts: the server against workers that do not behave, and files that may not be read.
// The workers run in this process on an engine of their own; only the demo's server is under test.

import { chmodSync } from 'node:fs';
import {
  Address,
  AmpeStatus,
  type ChannelGroup,
  echo,
  Message,
  OpCode,
  Reactor,
  TcpClientAddress,
  TcpServerAddress,
  UdsClientAddress,
  UdsServerAddress,
} from 'tofu-ampe';
import { openFile } from '../../demo/file-reader';
import { Failure } from '../../demo/failure';
import { writeCard, writeReport } from '../../demo/job-ticket';
import type { Progress } from '../../demo/progress';
import { runSpoolServer, type Verified } from '../../demo/spool-server';
import { runSpoolWorker } from '../../demo/spool-worker';
import type { WorkerEnd, WorkerProcess } from '../../demo/worker-process';
import { Scratch, underDeadline } from './demo-process';

const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const NOT_A_PID = 1;

type ClientAddress = TcpClientAddress | UdsClientAddress;
type Behaviour = (address: ClientAddress, killed: AbortSignal) => Promise<void>;

jest.setTimeout(120_000);

let scratch: Scratch;

beforeEach(() => {
  scratch = new Scratch();
});

afterEach(() => scratch.remove());

const silent: Progress = {
  note: () => undefined,
  start: () => undefined,
  update: () => undefined,
  stop: () => undefined,
};

/** A worker "process" that lives here. */
function worker(behave: Behaviour): (address: TcpServerAddress | UdsServerAddress) => WorkerProcess {
  return (address) => {
    const killed = new AbortController();
    const client =
      address instanceof TcpServerAddress
        ? new TcpClientAddress(address.host, address.port)
        : new UdsClientAddress(address.path);
    const ended = behave(client, killed.signal).then(
      (): WorkerEnd => ({ ok: true }),
      (error: unknown): WorkerEnd => ({ ok: false, reason: `failed: ${String(error)}` }),
    );
    return { pid: process.pid, ended, kill: () => killed.abort(new Error('killed')) };
  };
}

async function serve(behave: Behaviour, content: Uint8Array, stop = new AbortController()): Promise<Verified> {
  await using file = await openFile(scratch.file('some.bin', content));
  const address = new TcpServerAddress('127.0.0.1', 0);
  const run = runSpoolServer({ file, address, startWorker: worker(behave), progress: silent, stop });
  return await underDeadline(run, () => 'the spool server to settle');
}

/** Says Hello as the card tells and gives each message of the server to `react` until the channel ends. */
async function fakeWorker(
  address: ClientAddress,
  killed: AbortSignal,
  card: { pid: number; jobs: string[] },
  react: (message: Message, group: ChannelGroup) => void,
): Promise<void> {
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using group = ampe.create();
  const hello = ampe.get();
  address.format(hello);
  writeCard(hello.textHeaders, card);
  group.post(hello);
  for (;;) {
    using message = await group.waitReceive(Infinity, { signal: killed });
    if (message === null || (message.isFromEngine && message.status === AmpeStatus.ChannelClosed)) return;
    if (!message.isFromEngine) react(message, group);
  }
}

function answerWith(sha256: string, bytesDone: number) {
  return (message: Message, group: ChannelGroup): void => {
    if (message.opCode !== OpCode.Request || message.hasMore) return;
    message.opCode = echo(message.opCode);
    message.textHeaders.reset();
    message.body.reset();
    writeReport(message.textHeaders, { bytesDone, sha256 });
    group.post(message);
  };
}

const honestCard = { pid: process.pid, jobs: ['sha256'] };

test('the real worker, in one process with the server, is verified', async () => {
  await expect(serve((address) => runSpoolWorker(address), new Uint8Array(0))).resolves.toMatchObject({
    bytes: 0,
    sha256: SHA256_OF_NOTHING,
  });
});

test('a wrong digest is a failure that names both', async () => {
  const lying: Behaviour = (address, killed) =>
    fakeWorker(address, killed, honestCard, answerWith(SHA256_OF_NOTHING, 3));
  await expect(serve(lying, Buffer.from('abc'))).rejects.toThrow(
    /^NOT verified: .* 3 bytes with SHA-256 ba7816bf.* 3 bytes with SHA-256 e3b0c442/,
  );
});

test('a right digest of too few bytes is a failure', async () => {
  const sloppy: Behaviour = (address, killed) =>
    fakeWorker(address, killed, honestCard, answerWith(SHA256_OF_NOTHING, 1));
  await expect(serve(sloppy, new Uint8Array(0))).rejects.toThrow(/^NOT verified: the server read 0 bytes/);
});

test('a worker that cannot process the job is refused', async () => {
  const other: Behaviour = (address, killed) =>
    fakeWorker(address, killed, { pid: process.pid, jobs: ['md5'] }, () => undefined);
  await expect(serve(other, Buffer.from('abc'))).rejects.toThrow('The worker cannot process sha256 jobs.');
});

test('an answer before the end of the file is refused', async () => {
  const hasty: Behaviour = (address, killed) =>
    fakeWorker(address, killed, honestCard, (message, group) => {
      if (message.opCode !== OpCode.Request) return;
      message.more = false;
      answerWith(SHA256_OF_NOTHING, 0)(message, group);
    });
  await expect(serve(hasty, new Uint8Array(50_000_000))).rejects.toThrow(/answered something that was not asked/);
});

test('a worker that leaves without an answer is told', async () => {
  const leaving: Behaviour = async (address, killed) => {
    let seen = 0;
    await fakeWorker(address, killed, honestCard, (message, group) => {
      if (message.opCode !== OpCode.Request || (seen += 1) > 1) return;
      message.opCode = OpCode.ByeRequest;
      message.more = false;
      group.post(message);
    });
  };
  await expect(serve(leaving, new Uint8Array(1_000_000))).rejects.toThrow(
    /^The worker \(pid \d+\) left, when 0\.0 of 1\.0 MB were done\.$/,
  );
});

test('a worker whose connection breaks without an answer is told', async () => {
  const breaking: Behaviour = (address, killed) =>
    fakeWorker(address, killed, honestCard, (message, group) => {
      if (message.opCode !== OpCode.Request) return;
      message.opCode = OpCode.ByeSignal;
      message.more = false;
      group.post(message);
    });
  await expect(serve(breaking, new Uint8Array(10))).rejects.toThrow(/^The worker \(pid \d+\) closed the connection/);
});

test('a Bye of the worker that crosses the one of the server is as good as the answer', async () => {
  const eager: Behaviour = (address, killed) =>
    fakeWorker(address, killed, honestCard, (message, group) => {
      if (message.opCode !== OpCode.Request) return;
      const bye = message.clone();
      answerWith(SHA256_OF_NOTHING, 0)(message, group);
      bye.opCode = OpCode.ByeRequest;
      group.post(bye);
    });
  await expect(serve(eager, new Uint8Array(0))).resolves.toMatchObject({ bytes: 0 });
});

test('a stranger is sent away and does not disturb the transfer', async () => {
  const strangerSaw: OpCode[] = [];
  const both: Behaviour = async (address, killed) => {
    await fakeWorker(address, killed, { pid: NOT_A_PID, jobs: ['sha256'] }, (message, group) => {
      strangerSaw.push(message.opCode);
      message.opCode = echo(message.opCode);
      group.post(message);
    });
    await runSpoolWorker(address);
  };
  await expect(serve(both, Buffer.from('abc'))).resolves.toMatchObject({ bytes: 3 });
  expect(strangerSaw).toEqual([OpCode.ByeRequest]);
});

test('a stop before the worker connected is what it fails with', async () => {
  const stop = new AbortController();
  const stopping: Behaviour = (_address, killed) => {
    stop.abort(new Failure('Enough.'));
    return new Promise((resolve) => killed.addEventListener('abort', () => resolve(), { once: true }));
  };
  await expect(serve(stopping, Buffer.from('abc'), stop)).rejects.toThrow('Enough.');
});

test('a worker that finds no server says so', async () => {
  const address = new UdsClientAddress(`${scratch.folder}/none.sock`);
  const run = runSpoolWorker(address);
  await expect(underDeadline(run, () => 'the worker to give up')).rejects.toThrow(
    /could not connect to the server \(uds_path_not_found\)/,
  );
});

test('a server that leaves without Bye is told by the worker', async () => {
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  const group = ampe.create();
  const welcome = ampe.get();
  new TcpServerAddress('127.0.0.1', 0).format(welcome);
  group.post(welcome);
  using listening = await group.waitReceive(10_000);
  const address = listening && Address.parse(listening);
  if (!(address instanceof TcpServerAddress)) throw new Error('not listening');
  const outcome = expect(runSpoolWorker(new TcpClientAddress(address.host, address.port))).rejects.toThrow(
    'The server closed the connection before it said Bye.',
  );
  using hello = await group.waitReceive(10_000);
  expect(hello?.opCode).toBe(OpCode.HelloRequest);
  await ampe.destroy(group);
  await underDeadline(outcome, () => 'the worker to notice');
});

test('a file that this user may not read is told in one sentence', async () => {
  const path = scratch.file('secret.bin', Buffer.from('abc'));
  chmodSync(path, 0);
  await asOrdinaryUser(async () => {
    await expect(openFile(path)).rejects.toThrow(/^The file '.*secret\.bin' may not be read by this user\.$/);
  });
});

/** To root nothing is forbidden, so root becomes nobody for a while. */
async function asOrdinaryUser(body: () => Promise<void>): Promise<void> {
  const nobody = 65_534;
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(nobody);
  try {
    await body();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
