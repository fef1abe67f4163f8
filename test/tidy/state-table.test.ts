// The state diagram and table of docs/ARCHITECTURE.md are written from lib/protocol/channel-state.ts: they must be fresh.

import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');

test('the state table in the docs is the one in the code', () => {
  expect(() =>
    execFileSync(process.execPath, [join(ROOT, 'scripts/state-table.mjs'), '--check'], { cwd: ROOT, stdio: 'pipe' }),
  ).not.toThrow();
});
