// child.ts: runs a few lines of JavaScript, or a program, with the compiled package in a process of its own: for tests about how
// processes and threads end. Which engine a child has is said by its environment.
// Invariant: every wait has a deadline that says what it waited for; no child outlives its test: killAll() ends the rest.

import { spawn, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { transformSync } from '@swc/core';
import { requiredEngines } from '../conformance/support/engines';

const ROOT = resolve(__dirname, '../..');
const LIB = join(ROOT, 'lib');
const HELPERS = join(__dirname, 'program.cjs');
const DEADLINE_MS = 30_000;

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const children = new Set<ChildProcess>();
let scratch: string | null = null;

export type Backend = 'native' | 'fallback';
/** The engines this run is about, as for the conformance suite; none of them may be missing. */
export const backends: readonly Backend[] = [...new Set(requiredEngines().map(({ backend }) => backend))];

/** Tests of what only the native engine has. Left out only where that engine was left out by name. */
export function describeNative(title: string, tests: (backend: Backend) => void): void {
  if (backends.includes('native')) describe(`on the native engine${title}`, () => tests('native'));
}

// For the test file that imports this: jest ends its workers without an 'exit' event.
afterAll(() => {
  if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
});

/**
 * A compiled copy of lib/ of this test process's own: nobody rebuilds it while children load it. It lies as in the package,
 * with the addon and the dependencies beside it. Gives the path of its index.js.
 */
export function compiledIndex(): string {
  const folder = (at: string): string => join(at, 'dist', 'lib');
  if (scratch !== null) return join(folder(scratch), 'index.js');
  scratch = mkdtempSync(join(tmpdir(), 'ampe-lib-'));
  for (const name of ['package.json', 'node_modules']) symlinkSync(join(ROOT, name), join(scratch, name));
  const addon = join('build', 'Release', 'tofu_ampe.node');
  if (existsSync(join(ROOT, addon))) cpSync(join(ROOT, addon), join(scratch, addon));
  const parser = { syntax: 'typescript' as const, explicitResourceManagement: true };
  const options = { jsc: { target: 'es2022' as const, parser }, module: { type: 'commonjs' as const } };
  for (const name of readdirSync(LIB, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const target = join(folder(scratch), name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, transformSync(readFileSync(join(LIB, name), 'utf8'), { filename: name, ...options }).code);
  }
  return join(folder(scratch), 'index.js');
}

function within<T>(what: string, promise: Promise<T>, describe: () => string, deadlineMs: number): Promise<T> {
  return new Promise((resolvePromise, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`waited ${deadlineMs} ms in vain for: ${what}; output so far: ${describe()}`)),
      deadlineMs,
    );
    promise.then(resolvePromise, reject).finally(() => clearTimeout(timer));
  });
}

export class Child {
  readonly ended: Promise<ChildEnd>;
  private stdout = '';
  private stderr = '';
  private readonly watchers = new Set<() => void>();

  constructor(
    readonly process: ChildProcess,
    private readonly deadlineMs = DEADLINE_MS,
  ) {
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
    this.ended = within('the child to end', closed, () => this.stdout + this.stderr, deadlineMs);
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
    return within(`the child to print ${text}`, seen, () => this.stdout + this.stderr, this.deadlineMs);
  }
}

interface ChildOptions {
  backend?: Backend;
  environment?: NodeJS.ProcessEnv;
  /** For node. */
  flags?: readonly string[];
  /** For each wait of the test for the child, when it does much. */
  deadlineMs?: number;
}

/**
 * Starts the program: the body of an async function, which has the package's exports and those of program.cjs as globals; an
 * error in it ends the process with code 1 and a trace.
 */
export function runChild(program: string, options: ChildOptions = {}): Child {
  const [index, helpers] = [compiledIndex(), HELPERS].map((file) => JSON.stringify(file));
  const globals = `Object.assign(globalThis, api, { api }, require(${helpers})(api, ${index}));`;
  return start(['-e', `const api = require(${index});\n${globals}\n(async () => {\n${program}\n})();`], options);
}

/** Starts a program of this folder or another one; its arguments are the package's index.js and those given. */
export function runProgram(file: string, args: readonly string[], options: ChildOptions = {}): Child {
  return start([file, compiledIndex(), ...args], options);
}

function start(args: readonly string[], { backend, environment, flags = [], deadlineMs }: ChildOptions): Child {
  const chosen = backend === undefined ? {} : { TOFU_AMPE_BACKEND: backend };
  const child = spawn(process.execPath, [...flags, ...args], {
    // stdin is a pipe only so that a program may wait for the test's word; it is no reason to stay alive.
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...chosen, ...environment },
  });
  return new Child(child, deadlineMs);
}

/** Does all the jobs, a few at a time. */
export async function inTurn<T>(jobs: readonly T[], work: (job: T) => Promise<void>, atOnce = 3): Promise<void> {
  const left = jobs.values();
  const line = async (): Promise<void> => {
    for (const job of left) await work(job);
  };
  await Promise.all(Array.from({ length: atOnce }, line));
}

/** Kills whatever a failed test left. */
export function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}
