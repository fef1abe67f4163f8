// readme.test.ts: the code in the README is that of the recipes, and it runs: as a reader would run it, in a process of
// its own that finds the package by its name. And the script that fills the README does what it says.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { transformSync } from '@swc/core';

import { DefaultOptions } from '../../lib/engine/options';

const root = resolve(__dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'ta-readme-'));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

function node(args: string[], cwd: string): Run {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

const fill = (...args: string[]): Run => node([join(root, 'scripts/readme.mjs'), ...args], scratch);

/** The code behind a marker, as it stands in the README. */
function codeOf(source: string): string {
  const at = readme.indexOf(`<!-- snippet: ${source} -->\n`);
  if (at < 0) throw new Error(`the README has no snippet of ${source}`);
  const block = /^```\w*\n([\s\S]*?)^```$/m.exec(readme.slice(at));
  if (block === null) throw new Error(`no code follows the marker of ${source}`);
  return block[1];
}

/** A default as a program would write it. */
function shown(name: string, value: number | string): string {
  if (typeof value === 'string') return `\`'${value}'\``;
  return name === 'udsMode' ? `0o${value.toString(8)}` : String(value);
}

/** The environment variables of this package that the code below a folder names. */
function variablesIn(folder: string): string[] {
  const names = new Set<string>();
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js')) continue;
    for (const [name] of readFileSync(join(folder, file), 'utf8').matchAll(/TOFU_AMPE_\w+/g)) names.add(name);
  }
  return [...names].sort();
}

beforeAll(() => {
  const built = node(['scripts/ensure-build.mjs'], root);
  if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
  // What an installed package looks like to the programs beside it.
  mkdirSync(join(scratch, 'node_modules'));
  symlinkSync(root, join(scratch, 'node_modules/tofu-ampe'), 'junction');
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('the README', () => {
  test('has the code its sources have', () => {
    expect(fill('--check', join(root, 'README.md'))).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('shows the first example as plain JavaScript, which runs, prints its answer and ends', () => {
    const code = codeOf('recipes/readme/first-example.mjs#first-example');
    expect(code).not.toMatch(/\busing\b/);
    writeFileSync(join(scratch, 'first-example.mjs'), code);
    expect(node(['first-example.mjs'], scratch)).toEqual({ status: 0, stdout: 'ping\n', stderr: '' });
  });

  test('shows it in TypeScript with `await using`, which runs as a module as it stands', () => {
    const code = codeOf('recipes/readme/first-example.ts#first-example');
    expect(code).toContain('await using reactor');
    const parser = { syntax: 'typescript' as const, explicitResourceManagement: true };
    const options = { jsc: { target: 'es2022' as const, parser }, module: { type: 'es6' as const } };
    writeFileSync(join(scratch, 'typed.mjs'), transformSync(code, { filename: 'typed.mts', ...options }).code);
    expect(node(['typed.mjs'], scratch)).toEqual({ status: 0, stdout: 'ping\n', stderr: '' });
  });

  test('takes code only from the recipes, whose tests run it', () => {
    const snippets = JSON.parse(fill('--list', join(root, 'README.md')).stdout) as { source: string; code: string }[];
    expect(snippets.length).toBeGreaterThanOrEqual(2);
    for (const { source, code } of snippets) {
      expect(source).toMatch(/^recipes\//);
      expect(codeOf(source)).toBe(`${code}\n`);
    }
  });

  test('lists the options with their defaults, and the environment variables that are read', () => {
    const section = /^## Options\n([\s\S]*?)^## /m.exec(readme)![1];
    const rows = [...section.matchAll(/^\| `(\w+)` +\| (\S+) +\|/gm)].map(([, name, value]) => [name, value]);
    const options = Object.entries(DefaultOptions).map(([name, value]) => [name, shown(name, value)]);
    expect(rows.filter(([name]) => !name.startsWith('TOFU_')).sort()).toEqual(options.sort());
    const variables = [...section.matchAll(/^\| `(TOFU_AMPE_\w+)`/gm)].map(([, name]) => name);
    expect(variables.sort()).toEqual(variablesIn(join(root, 'dist/lib')));
  });

  test('has no JavaScript or TypeScript that is not taken from somewhere', () => {
    const fences = readme.match(/^```(?:js|ts|mjs|javascript|typescript)\n/gm) ?? [];
    const markers = readme.match(/^<!-- snippet: \S+ -->$/gm) ?? [];
    expect(fences).toHaveLength(markers.length);
  });
});

describe('scripts/readme.mjs', () => {
  const first = '<!-- snippet: recipes/echo-client.ts#echo-client -->';
  const page = join(scratch, 'PAGE.md');

  test('fills an empty marker, then finds nothing stale and changes nothing', () => {
    writeFileSync(page, `# Page\n\n${first}\n\nText.\n`);
    expect(fill('--check', page)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('recipes/echo-client.ts#echo-client'),
    });
    expect(readFileSync(page, 'utf8')).toBe(`# Page\n\n${first}\n\nText.\n`);
    expect(fill(page)).toEqual({ status: 0, stdout: '', stderr: '' });
    const filled = readFileSync(page, 'utf8');
    expect(filled).toMatch(
      /^# Page\n\n<!-- snippet: \S+ -->\n```ts\nawait using reactor = Reactor\.create\(\);\n[\s\S]+\n```\n\nText\.\n$/,
    );
    expect(fill('--check', page)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(fill(page).status).toBe(0);
    expect(readFileSync(page, 'utf8')).toBe(filled);
  });

  test('finds a block that was changed by hand, and puts it right without touching the text around it', () => {
    writeFileSync(page, `Before.\n\n${first}\n`);
    fill(page);
    const filled = readFileSync(page, 'utf8');
    writeFileSync(page, filled.replace('Reactor.create()', 'Reactor.make()'));
    expect(fill('--check', page).status).toBe(1);
    expect(fill(page).status).toBe(0);
    expect(readFileSync(page, 'utf8')).toBe(filled);
  });

  test('leaves code blocks without a marker alone', () => {
    const text = '```js\nmine();\n```\n';
    writeFileSync(page, text);
    expect(fill(page).status).toBe(0);
    expect(readFileSync(page, 'utf8')).toBe(text);
  });

  test('joins regions of one name and takes off the common indentation', () => {
    writeFileSync(page, '<!-- snippet: recipes/readme/first-example.ts#first-example -->\n');
    expect(fill(page).status).toBe(0);
    const filled = readFileSync(page, 'utf8');
    expect(filled).toContain('\n\nawait using reactor = Reactor.create();\nconst ampe');
    expect(filled).not.toMatch(/async function main|#region|#endregion/);
  });

  test.each([
    ['a region that does not exist', '<!-- snippet: recipes/echo-client.ts#nothing -->', 'no region nothing'],
    ['a file that does not exist', '<!-- snippet: recipes/nothing.ts -->', 'ENOENT'],
    ['a file outside the project', '<!-- snippet: ../secret.ts -->', 'outside the project'],
    ['a marker that is not alone on its line', 'See <!-- snippet: recipes/echo-client.ts -->', 'malformed'],
    ['a marker without a source', '<!-- snippet: -->', 'malformed'],
  ])('refuses %s and changes nothing', (_, line, said) => {
    writeFileSync(page, `${line}\n`);
    const run = fill(page);
    expect(run.status).toBe(1);
    expect(run.stderr).toContain(said);
    expect(readFileSync(page, 'utf8')).toBe(`${line}\n`);
  });

  test('refuses an option it does not know', () => {
    expect(fill('--cheque')).toMatchObject({ status: 1, stderr: expect.stringContaining('--cheque') });
  });
});
