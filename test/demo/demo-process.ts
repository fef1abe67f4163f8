// demo-process.ts: runs the built demo as a process of its own and watches what it prints.
// Must not know what a run should look like: the tests say that.
// Invariant: every wait has a deadline that says what it waited for; a process that outlives its test is killed.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setInterval } from 'node:timers/promises';

const ROOT = resolve(__dirname, '../..');
const DEADLINE_MS = 60_000;
const POLL_INTERVAL_MS = 10;

export interface DemoEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Compiles the sources when dist/ is not what they say. */
export function buildDemo(): void {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/ensure-build.mjs'], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build failed:\n${stderr}`);
}

/** A folder for one test; the demo's temporary files go there too, so what it leaves behind is seen. */
export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), 'ampe-demo-'));
  readonly sockets = mkdtempSync(join(this.folder, 's-'));

  file(name: string, content: Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** A file of zeros that takes no room on the disk. */
  hugeFile(name: string, bytes: number): string {
    const path = this.file(name, new Uint8Array(0));
    truncateSync(path, bytes);
    return path;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One run of `node dist/demo/main.js`. */
export class DemoProcess {
  readonly ended: Promise<DemoEnd>;
  private readonly child: ChildProcess;
  private stdout = '';
  private stderr = '';
  private over = false;
  private readonly watchers = new Set<() => void>();

  constructor(args: readonly string[], temporaryFolder: string) {
    const env = { ...process.env, TMPDIR: temporaryFolder, TEMP: temporaryFolder, TMP: temporaryFolder };
    const child = spawn(process.execPath, [join(ROOT, 'dist/demo/main.js'), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.wake();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.wake();
    });
    this.ended = new Promise((resolveEnd, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.over = true;
        this.wake();
        resolveEnd({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Closes the reading side of the demo's standard output. */
  closeOutput(): void {
    this.child.stdout?.destroy();
  }

  /** Waits until the output matches; fails when the process ends first. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    const found = this.untilPrinted(pattern);
    return await underDeadline(found, () => `the demo to print ${pattern}; so far: ${this.stdout}${this.stderr}`);
  }

  async end(): Promise<DemoEnd> {
    return await underDeadline(this.ended, () => `the demo to end; so far: ${this.stdout}${this.stderr}`);
  }

  /** For afterEach: harmless when it has ended. */
  async destroy(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.end();
  }

  private untilPrinted(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolveMatch, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.stdout);
        if (match === null && !this.over) return;
        this.watchers.delete(look);
        if (match !== null) resolveMatch(match);
        else reject(new Error(`the demo ended without printing ${pattern}: ${this.stdout}${this.stderr}`));
      };
      this.watchers.add(look);
      look();
    });
  }

  private wake(): void {
    for (const look of [...this.watchers]) look();
  }
}

export async function underDeadline<T>(promise: Promise<T>, waitedFor: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${DEADLINE_MS} ms for ${waitedFor()}`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** False also for a process that has ended but was not yet waited for by its parent. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH' || code === 'ENOENT') return false;
    throw error;
  }
}

/** Nobody reports the end of a process that is not our child, so it is asked for again and again. */
export async function untilGone(pid: number): Promise<void> {
  const gone = (async () => {
    for await (const _ of setInterval(POLL_INTERVAL_MS)) if (!isAlive(pid)) return;
  })();
  await underDeadline(gone, () => `the process ${pid} to end`);
}
