// alone.test.ts: each recipe runs as a program of its own, from the build, and ends by itself with exit code 0.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';

import { requiredEngines } from '../conformance/support/engines';
import { transports, within } from './support';

const root = resolve(__dirname, '../..');
const children = new Set<ChildProcess>();

beforeAll(() => {
  const built = spawnSync(process.execPath, ['scripts/ensure-build.mjs'], { cwd: root, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  #stdout = '';
  #stderr = '';

  constructor(recipe: string, args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}) {
    const env = { ...process.env, ...environment };
    const file = join(root, 'dist/recipes', `${recipe}.js`);
    this.child = spawn(process.execPath, [file, ...args], { stdio: 'pipe', env });
    children.add(this.child);
    this.child.stdout!.on('data', (chunk: Buffer) => (this.#stdout += String(chunk)));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.#stderr += String(chunk)));
    this.ended = once(this.child, 'close').then(([code]) => {
      children.delete(this.child);
      return { code: code as number | null, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#stdout);
      if (found !== null) return found;
      const more = once(this.child.stdout!, 'data');
      const end = this.ended.then(({ stderr }) => {
        throw new Error(`the program ended without saying ${String(pattern)}; it complained: ${stderr}`);
      });
      await Promise.race([more, end]);
    }
  }
}

const lastLines: Record<string, string> = {
  'graceful-shutdown': '2 parted, 1 were cut off',
  heartbeat: 'no answer any more: the channel was closed',
  'pipelined-requests': '1000 answers',
  'progress-signals': 'big job: done',
  'reconnecting-client': 'three',
  services: 'hello by uds',
  streaming: '1000000 bytes came back, all in upper case',
  'wake-receiver': 'answers: red, green, blue',
};

test('every recipe is among those tested here', () => {
  const files = readdirSync(join(root, 'recipes'), { withFileTypes: true }).filter((entry) => entry.isFile());
  const recipes = files.map(({ name }) => name.replace(/\.ts$/, '')).filter((name) => name !== 'index');
  expect(recipes.sort()).toEqual([...Object.keys(lastLines), 'echo-client', 'echo-server', 'worker-pool'].sort());
});

test.each(Object.entries(lastLines))('%s runs without arguments', async (recipe, lastLine) => {
  const { code, stdout, stderr } = await within(`${recipe} to end`, new Program(recipe).ended);
  expect({ code, stderr, last: stdout.trimEnd().split('\n').at(-1) }).toEqual({ code: 0, stderr: '', last: lastLine });
});

describe.each(transports)('over $name', (transport) => {
  test('echo-server and echo-client talk, and Ctrl-C ends the server', async () => {
    const server = new Program('echo-server', [transport.listenAddress()]);
    const [, address] = await within('the server to listen', server.said(/^listening on (.+)$/m));
    const client = await within('the client to end', new Program('echo-client', [address]).ended);
    expect(client).toEqual({ code: 0, stdout: 'hello → hello\nfrom → from\ntofu → tofu\n', stderr: '' });
    server.child.kill('SIGINT');
    const { code, stdout, stderr } = await within('the server to end', server.ended);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(`listening on ${address}\nanswered 5 messages\n`);
  });

  test('a client without a server says one sentence, with exit code 1', async () => {
    const client = new Program('echo-client', [await transport.knownAddress()]);
    const { code, stdout, stderr } = await within('the client to end', client.ended);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^(connect_failed|uds_path_not_found): .+\n$/);
  });
});

describe('worker-pool', () => {
  test('without a native engine it says so in one sentence, with exit code 1', async () => {
    const program = new Program('worker-pool', [], { TOFU_AMPE_PREBUILD: join(root, 'nowhere.node') });
    const { code, stdout, stderr } = await within('the program to end', program.ended);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^not_implemented_yet: .*nowhere\.node.*\n$/);
  });

  // Left out only where the native engine is left out by name: TOFU_AMPE_ENGINES.
  if (!requiredEngines().some(({ backend }) => backend === 'native')) return;

  test.each(transports)('answers by all its workers, over $name', async (transport) => {
    const program = new Program('worker-pool', [transport.listenAddress()]);
    const { code, stdout, stderr } = await within('the program to end', program.ended);
    const line = `40 answers by ${availableParallelism()} workers; 4203 primes below 40000\n`;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: line, stderr: '' });
  });
});
