// spool-server.ts: listens, has a worker started, streams one file to it and compares the digests of both ends.
// Must not know how a worker process is made or how progress is drawn: both are given to it.
// One receiver sees all events in order; sending runs beside it. Whoever finds a failure first aborts `stop` with it.
// Invariant: when run() has settled, nothing of it is left: no process, no socket, no socket file, no read under way.

import { createHash } from 'node:crypto';
import {
  Address,
  type Ampe,
  AmpeStatus,
  type ChannelGroup,
  echo,
  type Message,
  OpCode,
  Reactor,
  statusName,
  TcpServerAddress,
  UdsServerAddress,
} from 'tofu-ampe';
import { Failure } from './failure';
import { type OpenFile, readPieces } from './file-reader';
import { readCard, readReport, SHA256_JOB, writeTicket } from './job-ticket';
import { megabytes, type Progress } from './progress';
import type { WorkerEnd, WorkerProcess } from './worker-process';

type ServerAddress = TcpServerAddress | UdsServerAddress;

/** Messages on their way at once, 60 KiB each: enough to keep both processes busy, and the bound of the memory. */
const POOL_MESSAGES = 64;
/** Starting a Node process takes well under a second; a machine may be busy. */
const CONNECT_DEADLINE_MS = 20_000;
/** How long a worker may take to end once its connection is closed. */
const EXIT_DEADLINE_MS = 5_000;

/** What a spool server is given. */
export interface SpoolOptions {
  readonly file: OpenFile;
  readonly address: ServerAddress;
  readonly startWorker: (address: ServerAddress) => WorkerProcess;
  readonly progress: Progress;
  /** Aborting it with a Failure ends the transfer with that failure. */
  readonly stop: AbortController;
}

/** A transfer whose digests agree. */
export interface Verified {
  readonly bytes: number;
  readonly sha256: string;
  readonly elapsedMs: number;
}

/** Sends the file to one worker. @throws Failure, or whatever `stop` was aborted with */
export async function runSpoolServer(options: SpoolOptions): Promise<Verified> {
  await using reactor = Reactor.create({ maxPoolMsgs: POOL_MESSAGES });
  const ampe = reactor.ampe();
  await using group = ampe.create();
  return await new SpoolServer(options, ampe, group).run();
}

class SpoolServer {
  private worker: WorkerProcess | null = null;
  private connectTimer: NodeJS.Timeout | undefined;
  private channelNumber = 0; // of the worker, 0 until it said Hello
  private jobId = 0n;
  private sending: Promise<void> = Promise.resolve();
  private sentSha256: string | null = null;
  private startedMs = 0;
  private bytesDone = 0; // by the worker, as it reports
  private verified: Verified | null = null;
  private byeAnswered = false;

  constructor(
    private readonly options: SpoolOptions,
    private readonly ampe: Ampe,
    private readonly group: ChannelGroup,
  ) {}

  async run(): Promise<Verified> {
    try {
      const verified = await this.receive();
      await this.settle();
      return verified;
    } finally {
      await this.cleanUp();
    }
  }

  private async receive(): Promise<Verified> {
    const { signal } = this.options.stop;
    this.listen();
    for (;;) {
      using message = await this.group.waitReceive(Infinity, { signal });
      if (message === null) continue;
      if (message.isFromEngine) {
        if (this.isEndOfWorker(message)) return await this.endOfConnection();
        this.onEngineMessage(message);
      } else {
        this.onPeerMessage(message);
      }
    }
  }

  private listen(): void {
    using welcome = this.ampe.get();
    this.options.address.format(welcome);
    this.group.post(welcome);
  }

  private onEngineMessage(message: Message): void {
    if (message.opCode !== OpCode.WelcomeResponse) return; // returned, or pool_empty: channel_closed or data follow
    const address = message.status === AmpeStatus.Success ? Address.parse(message) : null;
    if (address instanceof TcpServerAddress || address instanceof UdsServerAddress) this.onListening(address);
    else throw cannotListen(this.options.address, message.status);
  }

  private onPeerMessage(message: Message): void {
    if (message.opCode === OpCode.HelloRequest) this.onHello(message);
    else if (message.opCode === OpCode.ByeRequest) this.onBye(message);
    else if (message.channelNumber !== this.channelNumber) return;
    else if (message.opCode === OpCode.Signal) this.onReport(message);
    else if (message.opCode === OpCode.Response) this.onResult(message);
    else if (message.opCode === OpCode.ByeResponse) this.byeAnswered = true;
  }

  private onListening(address: ServerAddress): void {
    const { startWorker, progress, stop } = this.options;
    progress.note(`Spool server (pid ${process.pid}) listens on ${address}.`);
    const worker = startWorker(address);
    this.worker = worker;
    void worker.ended.then((end) => {
      if (!end.ok) stop.abort(this.lost(end));
    });
    this.connectTimer = setTimeout(
      () => stop.abort(new Failure(`The worker did not connect within ${CONNECT_DEADLINE_MS / 1000} seconds.`)),
      CONNECT_DEADLINE_MS,
    );
  }

  private onHello(message: Message): void {
    const card = readCard(message.textHeaders);
    if (this.channelNumber !== 0 || card === null || card.pid !== this.worker?.pid) {
      message.opCode = OpCode.ByeRequest; // not the worker we started: it is told politely
      this.group.post(message);
      return;
    }
    if (!card.jobs.includes(SHA256_JOB)) throw new Failure(`The worker cannot process ${SHA256_JOB} jobs.`);
    clearTimeout(this.connectTimer);
    this.options.progress.note(`Worker (pid ${card.pid}) connected; it can process: ${card.jobs.join(', ')}.`);
    this.channelNumber = message.channelNumber;
    message.opCode = echo(message.opCode);
    this.group.post(message);
    this.sending = this.send().catch((error: unknown) => this.options.stop.abort(error));
  }

  /** The ticket, then the file. acquire() waits while the worker is behind, so memory stays bounded. */
  private async send(): Promise<void> {
    const { file, stop, progress } = this.options;
    const hash = createHash('sha256');
    let unsent = file.size;

    using ticket = await this.ampe.acquire({ signal: stop.signal });
    writeTicket(ticket.textHeaders, { job: SHA256_JOB, fileName: file.name, fileSize: file.size });
    progress.note(`Sending '${file.path}', ${megabytes(file.size)} MB.`);
    progress.start(file.size);
    this.startedMs = performance.now();
    this.postPart(ticket, unsent > 0);

    for await (using piece of readPieces(file, this.ampe, stop.signal)) {
      unsent -= piece.body.byteLength;
      hash.update(piece.body.bytes());
      this.postPart(piece, unsent > 0);
    }
    this.sentSha256 = hash.digest('hex');
  }

  /** The engine numbers the first message; the others carry the same id. */
  private postPart(message: Message, more: boolean): void {
    message.opCode = OpCode.Request;
    message.channelNumber = this.channelNumber;
    message.messageId = this.jobId;
    message.more = more;
    this.jobId = this.group.post(message).messageId;
  }

  private onReport(message: Message): void {
    const report = readReport(message.textHeaders);
    if (report === null || message.messageId !== this.jobId) return;
    this.bytesDone = report.bytesDone;
    this.options.progress.update(report.bytesDone);
  }

  private onResult(message: Message): void {
    const { file, progress } = this.options;
    const report = readReport(message.textHeaders);
    const elapsedMs = performance.now() - this.startedMs;
    if (report === null || message.messageId !== this.jobId || this.sentSha256 === null) {
      throw new Failure('The worker answered something that was not asked.');
    }
    if (report.sha256 !== this.sentSha256 || report.bytesDone !== file.size) {
      throw new Failure(
        `NOT verified: the server read ${file.size} bytes with SHA-256 ${this.sentSha256}, ` +
          `the worker got ${report.bytesDone} bytes with SHA-256 ${report.sha256 ?? '(none)'}.`,
      );
    }
    progress.update(report.bytesDone);
    this.verified = { bytes: file.size, sha256: this.sentSha256, elapsedMs };
    this.sayBye();
  }

  /** Nobody but this server is to say Bye; when it has, a Bye that crossed it is as good as the answer. */
  private onBye(message: Message): void {
    const isWorker = message.channelNumber === this.channelNumber;
    if (isWorker && this.verified === null) throw this.lost({ ok: false, reason: 'left' });
    if (isWorker) {
      this.byeAnswered = true;
      return;
    }
    message.opCode = echo(message.opCode);
    this.group.post(message);
  }

  private sayBye(): void {
    using bye = this.ampe.get();
    bye.opCode = OpCode.ByeRequest;
    bye.channelNumber = this.channelNumber;
    this.group.post(bye);
  }

  private isEndOfWorker(message: Message): boolean {
    return (
      message.opCode === OpCode.Signal &&
      message.status === AmpeStatus.ChannelClosed &&
      message.channelNumber === this.channelNumber
    );
  }

  private async endOfConnection(): Promise<Verified> {
    if (this.verified !== null && this.byeAnswered) return this.verified;
    const end = await within(EXIT_DEADLINE_MS, this.worker?.ended);
    throw this.lost(end?.ok === false ? end : { ok: false, reason: 'closed the connection' });
  }

  private lost(end: WorkerEnd & { ok: false }): Failure {
    const amount = `${megabytes(this.bytesDone)} of ${megabytes(this.options.file.size)} MB`;
    return new Failure(`The worker (pid ${this.worker?.pid}) ${end.reason}, when ${amount} were done.`);
  }

  /** After Bye the worker leaves by itself. */
  private async settle(): Promise<void> {
    await this.sending;
    const end = await within(EXIT_DEADLINE_MS, this.worker?.ended);
    if (end === null) throw new Failure('The worker did not end after Bye.');
    if (!end.ok) throw this.lost(end);
  }

  private async cleanUp(): Promise<void> {
    this.options.progress.stop();
    clearTimeout(this.connectTimer);
    this.options.stop.abort(); // without effect when a failure did it before
    await this.sending;
    this.worker?.kill();
    await this.worker?.ended;
  }
}

function cannotListen(address: ServerAddress, status: AmpeStatus): Failure {
  const what = address instanceof TcpServerAddress ? `port ${address.port}` : `the socket path '${address.path}'`;
  if (status !== AmpeStatus.ListenFailed) return new Failure(`Cannot listen on ${what} (${statusName(status)}).`);
  return new Failure(`Cannot listen on ${what} (${statusName(status)}): it is in use, or not allowed for this user.`);
}

/** null when the promise takes too long. */
async function within<T>(limitMs: number, promise: Promise<T> | undefined): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), limitMs);
  });
  const first = await Promise.race([promise ?? null, tooLate]);
  clearTimeout(timer);
  return first;
}
