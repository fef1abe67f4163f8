// child.ts: runs a few lines of JavaScript with the built package in a process of its own, for tests about how
// processes end. Knows nothing of engines beyond the names it imports for the program.
// Invariant: every wait has a deadline that says what it waited for; no child outlives its test: killAll() ends the rest.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { transformSync } from '@swc/core';

const LIB = resolve(__dirname, '../../lib');
const DEADLINE_MS = 15_000;

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What programs have besides the package's exports: a listener on a free port, a connection, a flood. */
const PRELUDE = `
  const { Reactor, OpCode, AmpeStatus, TcpServerAddress, TcpClientAddress } = api;
  async function listen(ampe, group) {
    const welcome = ampe.get();
    new TcpServerAddress('127.0.0.1', 0).format(welcome);
    group.post(welcome);
    const answer = await group.waitReceive();
    if (answer.status !== AmpeStatus.Success) throw new Error('cannot listen');
    const port = Number(answer.textHeaders.get('~listen_on').split('|')[2]);
    ampe.put(answer);
    return port;
  }
  async function connect(ampe, group, port) {
    const hello = ampe.get();
    new TcpClientAddress('127.0.0.1', port).format(hello);
    const { channelNumber } = group.post(hello);
    const answer = await group.waitReceive();
    if (answer.status !== AmpeStatus.Success) throw new Error('no connection');
    ampe.put(answer);
    return channelNumber;
  }
  function send(ampe, group, channel, text = '') {
    const message = ampe.get();
    message.opCode = OpCode.Request;
    message.channelNumber = channel;
    message.body.set(text);
    group.post(message);
  }
  /** Answers Hellos and Requests for ever. */
  async function serve(ampe, group) {
    for await (const message of group) {
      if (message.isFromEngine || api.messageRole(message.opCode) === 'response') ampe.put(message);
      else {
        message.opCode = api.echo(message.opCode);
        group.post(message);
      }
    }
  }
`;

const children = new Set<ChildProcess>();
let compiled: string | null = null;

// For the test file that imports this: jest ends its workers without an 'exit' event.
afterAll(() => {
  if (compiled !== null) rmSync(dirname(compiled), { recursive: true, force: true });
});

/**
 * A compiled copy of lib/ of this test process's own: nobody rebuilds it while children load it. Gives the path of its
 * index.js.
 */
export function compiledIndex(): string {
  if (compiled !== null) return compiled;
  const folder = mkdtempSync(join(tmpdir(), 'ampe-lib-'));
  const parser = { syntax: 'typescript' as const, explicitResourceManagement: true };
  const options = { jsc: { target: 'es2022' as const, parser }, module: { type: 'commonjs' as const } };
  for (const name of readdirSync(LIB, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const target = join(folder, name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, transformSync(readFileSync(join(LIB, name), 'utf8'), { filename: name, ...options }).code);
  }
  return (compiled = join(folder, 'index.js'));
}

function within<T>(what: string, promise: Promise<T>, describe: () => string): Promise<T> {
  return new Promise((resolvePromise, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`waited ${DEADLINE_MS} ms in vain for: ${what}; output so far: ${describe()}`)),
      DEADLINE_MS,
    );
    promise.then(resolvePromise, reject).finally(() => clearTimeout(timer));
  });
}

export class Child {
  readonly ended: Promise<ChildEnd>;
  private stdout = '';
  private stderr = '';
  private readonly watchers = new Set<() => void>();

  constructor(readonly process: ChildProcess) {
    children.add(process);
    process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      for (const look of this.watchers) look();
    });
    process.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    const closed = new Promise<ChildEnd>((resolveEnd, reject) => {
      process.once('error', reject);
      process.once('close', (code, signal) => {
        children.delete(process);
        resolveEnd({ code, signal, stdout: this.stdout, stderr: this.stderr });
        for (const look of this.watchers) look();
      });
    });
    this.ended = within('the child to end', closed, () => this.stdout + this.stderr);
    this.ended.catch(() => undefined);
  }

  /** What it has printed so far. */
  get printedText(): string {
    return this.stdout;
  }

  /** Waits until the child has printed `text`; fails when it ends first. */
  printed(text: string): Promise<void> {
    const seen = new Promise<void>((resolveSeen, reject) => {
      const look = (): void => {
        if (this.stdout.includes(text)) resolveSeen();
        else if (this.process.exitCode !== null || this.process.signalCode !== null) {
          reject(new Error(`ended without printing ${text}: ${this.stdout}${this.stderr}`));
        } else return;
        this.watchers.delete(look);
      };
      this.watchers.add(look);
      look();
    });
    return within(`the child to print ${text}`, seen, () => this.stdout + this.stderr);
  }
}

/** Starts the program: the body of an async function; an error in it ends the process with code 1 and a trace. */
export function runChild(program: string, options: { environment?: NodeJS.ProcessEnv } = {}): Child {
  const source = `const api = require(${JSON.stringify(compiledIndex())});\n${PRELUDE}\n(async () => {\n${program}\n})();`;
  const child = spawn(process.execPath, ['-e', source], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.environment },
  });
  // stdin is a pipe only so that a program may wait for the test's word; it is no reason to stay alive.
  return new Child(child);
}

/** Kills whatever a failed test left. */
export function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}
