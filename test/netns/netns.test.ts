// netns.test.ts: a peer that falls silent without a word: its packets vanish, and nobody says so. Two network namespaces with a
// pair of virtual network cards between them; a black hole on the far side swallows what it sends. Needs Linux, root and `ip`;
// without them it fails and says what is missing: a suite that is skipped looks like one that passed.
// Invariant: namespaces and processes are gone when a test has ended.

import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { Child, backends, compiledIndex, killAll, describeNative } from '../lifecycle/child';

jest.setTimeout(90_000);
const DEADLINE_MS = 60_000;
/** The least that TCP knows: its probes are counted in seconds. */
const KEEP_ALIVE_MS = 1_000;
const NEAR = '10.199.199.1';
const FAR = '10.199.199.2';
const FAR_CARD = '02:00:00:00:00:02';

function ip(...args: string[]): void {
  try {
    execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') throw new Error('this test needs `ip`: apt-get install iproute2', { cause: error });
    const needs = process.getuid?.() === 0 ? 'the right to make network namespaces (CAP_SYS_ADMIN)' : 'root';
    throw new Error(`this test needs ${needs}; \`ip ${args.join(' ')}\` says: ${stderr}`, { cause: error });
  }
}

/** Two namespaces and the link between them; names no other run has. */
class Link {
  private static count = 0;
  readonly near = `ampe-near-${process.pid}-${++Link.count}`;
  readonly far = `ampe-far-${process.pid}-${Link.count}`;
  private readonly made: string[] = [];

  make(): void {
    for (const name of [this.near, this.far]) {
      ip('netns', 'add', name);
      this.made.push(name);
    }
    const ends = {
      [this.near]: { address: NEAR, card: '02:00:00:00:00:01' },
      [this.far]: { address: FAR, card: FAR_CARD },
    };
    const [near, far] = [ends[this.near], ends[this.far]];
    const pair = ['type', 'veth', 'peer', 'name', 'card', 'address', far.card, 'netns', this.far];
    ip('-n', this.near, 'link', 'add', 'name', 'card', 'address', near.card, ...pair);
    for (const [name, { address }] of Object.entries(ends)) {
      ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'card');
      ip('-n', name, 'link', 'set', 'card', 'up');
    }
    // A neighbour that is asked for and does not answer would be noticed. Packets shall vanish, as behind a router.
    ip('-n', this.near, 'neighbour', 'replace', FAR, 'lladdr', FAR_CARD, 'dev', 'card', 'nud', 'permanent');
  }

  /** From now on what the far end sends, acknowledgements as well, vanishes. */
  cut(): void {
    ip('-n', this.far, 'route', 'add', 'blackhole', `${NEAR}/32`);
  }

  /** A node program in one of the namespaces. */
  run(where: 'near' | 'far', args: readonly string[], backend = ''): Child {
    const child = spawn('ip', ['netns', 'exec', this[where], process.execPath, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, TOFU_AMPE_BACKEND: backend },
    });
    return new Child(child, DEADLINE_MS);
  }

  remove(): void {
    for (const name of this.made) ip('netns', 'delete', name);
  }
}

let link: Link | null = null;
afterEach(() => {
  killAll();
  link?.remove();
  link = null;
});

async function connected(backend: string, what: 'idle' | 'posting'): Promise<Child> {
  link = new Link();
  link.make();
  const peer = link.run('far', [join(__dirname, 'peer.cjs'), FAR]);
  await peer.printed('listening');
  const port = /listening (\d+)/.exec(peer.printedText)![1];
  const args = [join(__dirname, 'engine.cjs'), compiledIndex(), FAR, port, String(KEEP_ALIVE_MS), what];
  const engine = link.run('near', args, backend);
  await engine.printed('connected');
  return engine;
}

const linesOf = (stdout: string): any[] =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));

const LAST_WORD = { opCode: 2, status: 'channel_closed' };

describe.each(backends)('on the %s engine, a peer whose packets vanish', (backend) => {
  test('is given up by keepalive when nothing is posted', async () => {
    const engine = await connected(backend, 'idle');
    link!.cut();
    const { code, stderr, stdout } = await engine.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(linesOf(stdout)).toEqual([LAST_WORD, { returned: 0, free: true }]);
  });
});

describeNative(', a peer whose packets vanish', (backend) => {
  test('is given up although posted data is unacknowledged; what was not sent comes back', async () => {
    const engine = await connected(backend, 'posting');
    link!.cut();
    engine.process.stdin!.write('post\n');
    const { code, stderr, stdout } = await engine.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = linesOf(stdout);
    const { returned, free } = lines.pop();
    expect(free).toBe(true);
    expect(returned).toBeGreaterThan(0);
    expect(returned).toBeLessThan(400);
    expect(lines.pop()).toEqual(LAST_WORD);
    // Another error of the socket than a peer that has gone: protocol section 4.
    expect(new Set(lines.map((line) => JSON.stringify(line)))).toEqual(
      new Set([JSON.stringify({ opCode: 0, status: 'communication_failed' })]),
    );
  });
});
