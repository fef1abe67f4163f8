// progress.ts: what a person sees of a transfer: a bar on a terminal, a few plain lines elsewhere.
// Must not know processes, sockets or files; it is told how many bytes are done and draws.
// Invariant: after stop() nothing is drawn any more and no timer is left.

import { SingleBar } from 'cli-progress';

/** How a transfer is shown. stop() may be called at any time, also twice. */
export interface Progress {
  note(line: string): void;
  start(totalBytes: number): void;
  update(bytesDone: number): void;
  stop(): void;
}

/** Share of the transfer between two plain lines: ten lines at most. */
const PLAIN_STEP_PERCENT = 10;
const FRAMES_PER_SECOND = 10;
const BAR_FORMAT = '{bar} {percentage} % | {done} of {all} MB | {speed} MB/s';

/** A bar when the stream is a terminal, else plain lines. */
export function createProgress(stream: NodeJS.WriteStream, now: () => number = () => performance.now()): Progress {
  return stream.isTTY ? new BarProgress(stream, now) : new PlainProgress(stream, now);
}

/** 1 MB is 1,000,000 bytes, as disks and networks count. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** MB per second, rounded; 0 while no time has passed. */
export function speed(bytes: number, elapsedMs: number): string {
  return elapsedMs > 0 ? (bytes / 1e3 / elapsedMs).toFixed(0) : '0';
}

class BarProgress implements Progress {
  private bar: SingleBar | null = null;
  private totalBytes = 0;
  private startedMs = 0;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly now: () => number,
  ) {}

  note(line: string): void {
    this.stream.write(`${line}\n`);
  }

  start(totalBytes: number): void {
    this.totalBytes = totalBytes;
    this.startedMs = this.now();
    // gracefulExit would end the bar on SIGINT behind our back: main.ts ends the whole transfer and with it the bar.
    this.bar = new SingleBar({
      stream: this.stream,
      format: BAR_FORMAT,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      gracefulExit: false,
    });
    this.bar.start(totalBytes, 0, this.payload(0));
  }

  update(bytesDone: number): void {
    this.bar?.update(bytesDone, this.payload(bytesDone));
  }

  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }

  private payload(bytesDone: number): { done: string; all: string; speed: string } {
    const elapsedMs = this.now() - this.startedMs;
    return { done: megabytes(bytesDone), all: megabytes(this.totalBytes), speed: speed(bytesDone, elapsedMs) };
  }
}

class PlainProgress implements Progress {
  private totalBytes = 0;
  private startedMs = 0;
  private nextPercent = PLAIN_STEP_PERCENT;
  private running = false;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly now: () => number,
  ) {}

  note(line: string): void {
    this.stream.write(`${line}\n`);
  }

  start(totalBytes: number): void {
    this.totalBytes = totalBytes;
    this.startedMs = this.now();
    this.nextPercent = PLAIN_STEP_PERCENT;
    this.running = true;
  }

  update(bytesDone: number): void {
    if (!this.running || this.totalBytes === 0) return;
    const percent = Math.floor((bytesDone / this.totalBytes) * 100);
    if (percent < this.nextPercent) return;
    this.nextPercent = percent - (percent % PLAIN_STEP_PERCENT) + PLAIN_STEP_PERCENT;
    const rate = speed(bytesDone, this.now() - this.startedMs);
    this.note(`${percent} %: ${megabytes(bytesDone)} of ${megabytes(this.totalBytes)} MB, ${rate} MB/s`);
  }

  stop(): void {
    this.running = false;
  }
}
