// spool-worker.ts: the worker process: connects, takes one job after another, answers with the SHA-256 of what it got.
// Must not know where the file lies or how big memory is: it sees one piece at a time and returns it to the pool.
// Its stdout is silent; when it cannot go on it says one sentence on stderr, which the server passes on.

import { createHash } from 'node:crypto';
import {
  type Ampe,
  AmpeStatus,
  type ChannelGroup,
  echo,
  type Message,
  OpCode,
  Reactor,
  statusName,
  TcpClientAddress,
  UdsClientAddress,
} from 'tofu-ampe';
import { Failure, sentenceOf } from './failure';
import { type JobTicket, readTicket, SHA256_JOB, writeCard, writeReport } from './job-ticket';

/** 20 reports a second draw a smooth bar and cost nothing beside the pieces. */
const REPORT_INTERVAL_MS = 50;

/** Works for the server at the address until it says Bye. */
export async function runSpoolWorker(address: TcpClientAddress | UdsClientAddress): Promise<void> {
  await using reactor = Reactor.create();
  const ampe = reactor.ampe();
  await using group = ampe.create();

  const hello = ampe.get();
  address.format(hello);
  writeCard(hello.textHeaders, { pid: process.pid, jobs: [SHA256_JOB] });
  group.post(hello);

  const bench = new Workbench(ampe, group);
  let leaving = false;
  for await (using message of group) {
    if (message.isFromEngine) {
      if (leaving && message.status === AmpeStatus.ChannelClosed) return;
      refuseTrouble(message);
    } else if (message.opCode === OpCode.Request) {
      bench.take(message);
    } else if (message.opCode === OpCode.ByeRequest) {
      leaving = true;
      message.opCode = echo(message.opCode);
      group.post(message);
    }
  }
}

/** A message of the engine tells what became of the connection. */
function refuseTrouble(message: Message): void {
  if (message.opCode === OpCode.HelloResponse) {
    throw new Failure(`The worker could not connect to the server (${statusName(message.status)}).`);
  }
  if (message.status === AmpeStatus.ChannelClosed) {
    throw new Failure('The server closed the connection before it said Bye.');
  }
  // Else: a message of ours came back because the channel ends, or reading pauses; channel_closed or more data follow.
}

/** The job in hand. */
class Workbench {
  private ticket: JobTicket | null = null;
  private messageId = 0n;
  private hash = createHash('sha256');
  private bytesDone = 0;
  private reportedMs = 0;

  constructor(
    private readonly ampe: Ampe,
    private readonly group: ChannelGroup,
  ) {}

  /** The ticket, or a piece of the file; with the last one the same message goes back as the answer. */
  take(message: Message): void {
    if (this.ticket === null) this.begin(message);
    if (message.messageId !== this.messageId) throw new Failure('The server mixed two jobs.');
    const piece = message.body.bytes();
    this.hash.update(piece);
    this.bytesDone += piece.length;
    if (message.hasMore) this.reportNowAndThen(message.channelNumber);
    else this.answer(message);
  }

  private begin(message: Message): void {
    this.ticket = readTicket(message.textHeaders);
    if (this.ticket?.job !== SHA256_JOB) throw new Failure('The server sent a job this worker does not know.');
    this.messageId = message.messageId;
    this.hash = createHash('sha256');
    this.bytesDone = 0;
    this.reportedMs = performance.now();
  }

  private reportNowAndThen(channelNumber: number): void {
    const nowMs = performance.now();
    if (nowMs - this.reportedMs < REPORT_INTERVAL_MS) return;
    using signal = this.ampe.get('poolOnly');
    if (signal === null) return; // a report is worth no waiting: the next one says more
    this.reportedMs = nowMs;
    signal.opCode = OpCode.Signal;
    signal.channelNumber = channelNumber;
    signal.messageId = this.messageId;
    writeReport(signal.textHeaders, { bytesDone: this.bytesDone, sha256: undefined });
    this.group.post(signal);
  }

  private answer(message: Message): void {
    message.opCode = echo(message.opCode);
    message.body.reset();
    message.textHeaders.reset();
    writeReport(message.textHeaders, { bytesDone: this.bytesDone, sha256: this.hash.digest('hex') });
    this.group.post(message);
    this.ticket = null;
  }
}

function addressFrom([transport, ...rest]: readonly string[]): TcpClientAddress | UdsClientAddress {
  if (transport === 'tcp') return new TcpClientAddress(rest[0], Number(rest[1]));
  return new UdsClientAddress(rest[0]);
}

async function main(): Promise<void> {
  // Ctrl-C reaches every process of the terminal; the server ends the job and this process with it.
  process.on('SIGINT', () => undefined);
  process.stderr.on('error', () => undefined); // the server is gone: nobody is left to tell
  try {
    await runSpoolWorker(addressFrom(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`${sentenceOf(error)}\n`);
    process.exitCode = 1;
  }
}

if (require.main === module) void main();
