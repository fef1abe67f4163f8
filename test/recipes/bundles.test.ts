// bundles.test.ts: programs that use the parts of the recipes and were bundled into one file. Bundles run in a folder of their
// own, without node_modules and without the files that lie beside a recipe.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { Reactor } from 'tofu-ampe';
import { WorkerPool } from 'tofu-ampe/recipes';
import { requiredEngines } from '../conformance/support/engines';
import { within } from './support';

const root = resolve(__dirname, '../..');
const recipes = join(root, 'dist', 'recipes');
const poolWorker = join(recipes, 'support', 'pool-worker.js');
const sources = mkdtempSync(join(tmpdir(), 'ta-bundled-'));
const bundles = mkdtempSync(join(tmpdir(), 'ta-bundles-'));

beforeAll(() => {
  const built = spawnSync(process.execPath, ['scripts/ensure-build.mjs'], { cwd: root, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
  // What an installed package looks like to the programs beside it.
  mkdirSync(join(sources, 'node_modules'));
  symlinkSync(root, join(sources, 'node_modules', 'tofu-ampe'), 'junction');
}, 60_000);

afterAll(() => {
  for (const folder of [sources, bundles]) rmSync(folder, { recursive: true, force: true });
});

type Format = 'cjs' | 'esm';
// esbuild's own remedy for CommonJS inside of ES modules.
const js = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;

/** Bundles a file; where the bundle is. */
async function bundle(entry: string, name: string, format: Format = 'cjs'): Promise<string> {
  const outfile = join(bundles, `${name}.${format === 'cjs' ? 'cjs' : 'mjs'}`);
  const banner = format === 'esm' ? { banner: { js } } : {};
  // The built files, not the sources that tsconfig.json of this project leads to.
  const options = { bundle: true, platform: 'node', tsconfigRaw: {} } as const;
  const { warnings } = await build({ entryPoints: [entry], outfile, format, ...options, ...banner });
  expect(warnings).toEqual([]);
  return outfile;
}

/** A program that says that it runs, asks a pool of two workers one thing, and says the answer or what went wrong. */
function program(name: string, options: string, backend: 'native' | 'fallback'): string {
  const file = join(sources, `${name}.mjs`);
  const text = `
    import { Reactor } from 'tofu-ampe';
    import { WorkerPool, ask, connect, startServer } from 'tofu-ampe/recipes';
    console.log('started');
    const reactor = Reactor.create({ backend: '${backend}' });
    async function main() {
      const pool = new WorkerPool(reactor, 2, ${options});
      const ampe = reactor.ampe();
      const server = await startServer(ampe, ['tcp|127.0.0.1|0'], pool);
      const group = ampe.create();
      const answer = await ask(ampe, group, await connect(ampe, group, server.addresses[0]), '100');
      console.log(answer.body.toString() + ' primes');
      await reactor.destroy();
      await pool.ended();
    }
    main().catch((error) => { reactor.destroy(); throw error; });`;
  writeFileSync(file, text);
  return file;
}

/** Runs a bundle; `addon`: with the native engine of this project, or the one that the environment names. */
function run(file: string, addon?: 'addon'): { status: number | null; stdout: string; stderr: string } {
  const prebuild = addon === undefined ? {} : { TOFU_AMPE_PREBUILD: process.env['TOFU_AMPE_PREBUILD'] || root };
  const env = { ...process.env, ...prebuild };
  const options = { cwd: bundles, env, encoding: 'utf8', timeout: 20_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], options);
  return { status, stdout, stderr };
}

test('what tofu-ampe/recipes loads wants nothing of `require` but to be called, which every bundler understands', () => {
  const files = readdirSync(recipes, { recursive: true, encoding: 'utf8' }).filter((file) => /^[^.]+\.js$/.test(file));
  const loaded = files.filter((file) => !file.startsWith('readme'));
  expect(loaded.length).toBeGreaterThan(10);
  const code = (file: string): string => readFileSync(join(recipes, file), 'utf8').replace(/\/\*[^]*?\*\/|\/\/.*/g, '');
  expect(loaded.filter((file) => /\brequire\b(?!\()|\b__filename\b/.test(code(file)))).toEqual([]);
});

describe.each<Format>(['cjs', 'esm'])('a bundle, %s', (format) => {
  test('runs no recipe by itself', async () => {
    const entry = join(sources, 'parts.mjs');
    writeFileSync(entry, `import * as parts from 'tofu-ampe/recipes'; console.log(typeof parts.startServer);`);
    expect(run(await bundle(entry, 'parts', format))).toEqual({ status: 0, stdout: 'function\n', stderr: '' });
  });

  test('without a file for the workers is told so, and does not start itself again', async () => {
    const { status, stdout, stderr } = run(await bundle(program('alone', '{}', 'fallback'), 'alone', format));
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'started\n' });
    expect(stderr).toMatch(/^Error: a WorkerPool needs a file for its workers: .+ by the option workerFile$/m);
  });

  // Left out only where the native engine is left out by name: TOFU_AMPE_ENGINES.
  if (!requiredEngines().some(({ backend }) => backend === 'native')) return;

  test('has its pool, with the bundled file of the workers', async () => {
    const workerFile = await bundle(poolWorker, 'worker', format);
    const options = `{ workerFile: ${JSON.stringify(workerFile)} }`;
    const answered = run(await bundle(program('pool', options, 'native'), 'pool', format), 'addon');
    expect(answered).toEqual({ status: 0, stdout: 'started\n25 primes\n', stderr: '' });
  });

  test('that names itself starts one worker, which is told', async () => {
    const entry = program('itself', '{ workerFile: process.argv[1] }', 'native');
    const { status, stdout, stderr } = run(await bundle(entry, 'itself', format), 'addon');
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'started\nstarted\n' });
    expect(stderr).toMatch(/this is a worker of a WorkerPool.* workerFile names a wrong file/);
  });
});

describe('the file of the workers', () => {
  test('is looked for at once, and its name is told when it is not there', () => {
    const reactor = Reactor.create({ backend: 'fallback' });
    const missing = join(bundles, 'nowhere.js');
    expect(() => new WorkerPool(reactor, 1, { workerFile: missing })).toThrow(`${missing} is not there`);
    const url = pathToFileURL(missing);
    expect(() => new WorkerPool(reactor, 1, { workerFile: url })).toThrow(`${url.href} is not there`);
    void reactor.destroy();
  });

  if (!requiredEngines().some(({ backend }) => backend === 'native')) return;

  test('that ends by itself is not waited for', async () => {
    const workerFile = join(bundles, 'ends.cjs');
    writeFileSync(workerFile, '');
    await using reactor = Reactor.create({ backend: 'native' });
    const ampe = reactor.ampe();
    const starting = new WorkerPool(reactor, 1, { workerFile }).start(ampe, ampe.create());
    await expect(within('the pool to fail', starting)).rejects.toThrow(`${workerFile} ended too early`);
  });
});
