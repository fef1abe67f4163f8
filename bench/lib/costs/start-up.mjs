// start-up.mjs: how long it takes to load the package and to make an engine, and the memory an engine takes at rest.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { spread } from '../statistics.mjs';

const CHILD = fileURLToPath(new URL('start-up-child.mjs', import.meta.url));
const LIMIT_MS = 20_000;

/** One row for each backend. */
export function measureStartUp(backends, repeats, say) {
  return backends.map((backend) => {
    const runs = Array.from({ length: repeats }, () => runOnce(backend));
    const names = Object.keys(runs[0]);
    const row = Object.fromEntries(names.map((name) => [name, spread(runs.map((run) => run[name]))]));
    say(`start-up of ${backend}: listening after ${row.firstListeningMs.median.toFixed(1)} ms`);
    return { backend, ...row };
  });
}

function runOnce(backend) {
  const args = ['--expose-gc', CHILD, backend];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: LIMIT_MS });
  if (status !== 0) throw new Error(`start-up of ${backend}: ${error?.message ?? stderr}`);
  return JSON.parse(stdout);
}
