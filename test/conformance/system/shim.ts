// Runs one scenario in a child process with shim.c preloaded, for engines that call the system themselves.
// Owner: system.test.ts. The child has the whole suite's support; its exit code and its stderr are the outcome.
// Invariant: the child ends with the case, and the shim is compiled once per test file.

import { execFile, execFileSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CellName } from '../support/engines';
import type { SocketOptions, System } from './system';

/** Longer than any case in the child may take by its own deadlines. */
const CHILD_MS = 25_000;
let compiled: string | null = null;

function shim(): string {
  if (process.platform !== 'linux') throw new Error('the shim of the system tests is written for Linux');
  if (compiled !== null) return compiled;
  const directory = mkdtempSync(join(tmpdir(), 'ampe-shim-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const library = join(directory, 'shim.so');
  const source = join(__dirname, 'shim.c');
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-Wall', '-Werror', '-O1', '-o', library, source, '-ldl'], {
      stdio: 'pipe',
    });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer };
    if (code === 'ENOENT') throw new Error('no C compiler (cc): install the package gcc or clang', { cause: error });
    throw new Error(`the shim does not compile: ${stderr?.toString()}`, { cause: error });
  }
  return (compiled = library);
}

/** Where a scenario runs: on the network of this process, or on one of its own that has nothing but a loopback. */
export type Network = 'shared' | 'own';

/** A command that runs what is behind it in a network namespace. */
const OWN_NETWORK = ['unshare', '-rn', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];

/** Rejects with what the child wrote when the scenario failed there. */
export async function runInChild(name: CellName, kind: string, scenario: string, network: Network): Promise<void> {
  const library = shim();
  const directory = mkdtempSync(join(tmpdir(), 'ampe-names-'));
  const env = {
    ...process.env,
    // What is there already stays in front: a sanitizer's runtime has to come first.
    LD_PRELOAD: [process.env['LD_PRELOAD'], library].filter(Boolean).join(' '),
    TOFU_SHIM_DIR: directory,
  };
  const node = [process.execPath, join(__dirname, 'child-main.cjs'), name.engine.name, kind, name.label, scenario];
  const [command, ...args] = network === 'own' ? [...OWN_NETWORK, ...node] : node;
  try {
    await new Promise<void>((resolve, reject) => {
      execFile(command, args, { env, timeout: CHILD_MS, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
        if (error === null) resolve();
        else if (error.code === 'ENOENT')
          reject(new Error(`no ${command}: install the packages util-linux and iproute2`));
        else reject(new Error(`in the child (${error.signal ?? error.code}):\n${stdout}${stderr}`));
      });
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** In the child: the System behind the shim. */
export class ShimSystem implements System {
  constructor(private readonly directory: string) {}

  name(host: string, addresses: string[]): void {
    writeFileSync(join(this.directory, host), addresses.join(' '));
  }

  hold(host: string): (addresses: string[]) => Promise<void> {
    const path = join(this.directory, host);
    execFileSync('mkfifo', [path]);
    // Opening a fifo for writing waits, on a thread of its own, until the resolver has opened it.
    return (addresses) => writeFile(path, addresses.join(' '));
  }

  async sockets(): Promise<SocketOptions[]> {
    const lines = (await this.report()).filter(([kind]) => kind === 'socket');
    return lines.map((fields) => {
      const [localPort, remotePort, noDelay, keepAlive, keepIdle, userTimeoutMs] = fields.slice(1).map(Number);
      return {
        localPort,
        remotePort,
        noDelay: noDelay !== 0,
        keepAliveMs: keepAlive && keepIdle * 1000,
        userTimeoutMs,
      };
    });
  }

  async writes(): Promise<number> {
    return Number((await this.report())[0][1]);
  }

  private async report(): Promise<string[][]> {
    await lookup('report.test').catch(() => {});
    const lines = readFileSync(join(this.directory, 'report'), 'utf8').trim().split('\n');
    return lines.map((line) => line.split(' '));
  }
}
