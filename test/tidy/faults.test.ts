// The faults that the mutants script plants must fit the sources as they are: one that fits nowhere proves nothing any more.

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '../..');

test('every planted fault fits its source, and what has to notice it is there', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/mutants.mjs'), '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
