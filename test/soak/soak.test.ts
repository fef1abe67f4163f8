// soak.test.ts: the short form of scripts/soak.mjs, which says by its exit code whether memory stayed bounded, every
// message arrived, and no handle was left. The long form runs by hand: npm run test:soak.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

const DEADLINE_MS = 90_000;

test(
  'a flood nobody receives and a thousand connections leave no growth, no handle and no gap',
  async () => {
    const child = spawn(process.execPath, [resolve(__dirname, '../../scripts/soak.mjs')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    const timer = setTimeout(() => {
      output += `\nkilled after ${DEADLINE_MS} ms`;
      child.kill('SIGKILL');
    }, DEADLINE_MS);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('soak: ok') as string });
  },
  DEADLINE_MS + 10_000,
);
