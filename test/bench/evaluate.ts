// evaluate.ts: runs a piece of a module beside the benchmark's own modules, which jest cannot load, and gives back what it returns.
// Each call is a process of its own, with a deadline.

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export const root = resolve(__dirname, '../..');
export const moduleOf = (name: string): string => pathToFileURL(join(root, 'bench', name)).href;
const LIMIT_MS = 60_000;

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

export function node(args: string[]): Run {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    ...{ cwd: root, encoding: 'utf8', timeout: LIMIT_MS },
  });
  return { status, stdout, stderr };
}

/** The value of `body`, a function's body in which the exports of `modules` (files in bench) are names; `input` is one too. */
export function evaluate<T>(modules: string[], body: string, input: unknown = null): T {
  const imports = modules.map((name, index) => `import * as module${index} from ${JSON.stringify(moduleOf(name))};`);
  const all = modules.map((_, index) => `...module${index}`).join(', ');
  const code = `${imports.join('\n')}
const exported = { ${all} };
const work = new (Object.getPrototypeOf(async () => {}).constructor)(...Object.keys(exported), 'input', ${JSON.stringify(body)});
const result = await work(...Object.values(exported), ${JSON.stringify(input)});
process.stdout.write('\\n' + JSON.stringify({ result }), () => process.exit(0));`;
  const { status, stdout, stderr } = node(['--input-type=module', '--eval', code]);
  if (status !== 0) throw new Error(`ended with ${status}: ${stderr}`);
  return (JSON.parse(stdout.slice(stdout.lastIndexOf('\n') + 1)) as { result: T }).result;
}
