// native-install.test.ts: the install script in every case: a binary fits, one is compiled, and all the ways in which that goes wrong.
// It ends with exit code 0 and one line that says which engine will be used; what it says is what a program then gets.
// The compiler is real in one case; in the others a stand-in for node-gyp does what a broken one does.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { addBinary, engineIn, install, root, type Installed } from './installed';

const COMPILE_MS = 300_000;

let installed: Installed;
beforeAll(() => {
  installed = install();
  // A compiler needs them; a program does not.
  for (const name of ['node-addon-api', 'node-api-headers']) {
    expect(fs.existsSync(path.join(installed.folder, 'node_modules', name))).toBe(true);
  }
}, 120_000);
afterAll(() => installed?.remove());

const place = (...names: string[]): string => path.join(installed.folder, 'node_modules', 'tofu-ampe', ...names);
const local = (): string => place('build', 'Release', 'tofu_ampe.node');
afterEach(() => {
  for (const name of ['prebuilds', 'build']) fs.rmSync(place(name), { recursive: true, force: true });
});

/** Runs the script as npm would, with these settings; what it printed. */
function runScript(environment: Record<string, string | undefined>): string {
  const {
    npm_config_node_gyp: _mine,
    TOFU_AMPE_BACKEND: _backend,
    TOFU_AMPE_PREBUILD: _prebuild,
    ...env
  } = process.env;
  const args = [place('scripts', 'install.cjs')];
  const options = { cwd: place(), env: { ...env, ...environment }, encoding: 'utf8' as const, timeout: COMPILE_MS };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** The engine a program gets afterwards. */
const engine = (): string => engineIn(installed)[0];

/** A stand-in for node-gyp. */
function standIn(name: string, text: string): string {
  const file = path.join(installed.folder, `${name}.cjs`);
  fs.writeFileSync(file, text);
  return file;
}

/** What is in build/ but for the compiler's words. */
function leftovers(): string[] {
  if (!fs.existsSync(place('build'))) return [];
  return fs.readdirSync(place('build'), { recursive: true, encoding: 'utf8' }).filter((name) => name !== 'install.log');
}

/** Dead and not yet waited for, as an orphan may be for long, is not running. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const realNodeGyp = createRequire(__filename).resolve('node-gyp/bin/node-gyp.js');

it('npm runs this script and no other, and no compiler by itself', () => {
  const { gypfile, scripts } = JSON.parse(fs.readFileSync(place('package.json'), 'utf8'));
  const hooks = Object.entries(scripts).filter(([name]) => /^(?:pre|post)?(?:install|prepare)$/.test(name));
  expect(hooks).toEqual([['install', 'node scripts/install.cjs']]);
  expect(gypfile).toBe(false);
});

it('a binary that fits is used, and nothing is compiled', () => {
  const file = path.relative(place(), addBinary(place('prebuilds')));
  expect(runScript({ npm_config_node_gyp: '/nowhere' })).toBe(`tofu-ampe: the native engine will be used (${file})\n`);
  expect(leftovers()).toEqual([]);
  expect(engine()).toBe('native');
});

it(
  'without a binary one is compiled with the headers of a dependency',
  () => {
    // Where a download would be tried there is nothing: neither network nor home.
    const offline = { http_proxy: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9', HOME: installed.folder };
    const line = runScript({ npm_config_node_gyp: realNodeGyp, ...offline });
    expect(line).toBe(
      `tofu-ampe: the native engine will be used, compiled here (${path.join('build', 'Release', 'tofu_ampe.node')})\n`,
    );
    expect(leftovers().sort()).toEqual(['Release', path.join('Release', 'tofu_ampe.node')]);
    expect(engine()).toBe('native');
    // The next time it is there.
    expect(runScript({ npm_config_node_gyp: '/nowhere' })).toContain('the native engine will be used (build');
  },
  COMPILE_MS,
);

const copiesTo = (source: string): string =>
  `const fs = require('node:fs'); fs.mkdirSync('build/Release', { recursive: true });
   fs.copyFileSync(${JSON.stringify(source)}, 'build/Release/tofu_ampe.node');`;

describe('the fallback engine is used, and the reason said,', () => {
  const fallback = (environment: Record<string, string | undefined>, reason: RegExp | string): void => {
    const line = runScript(environment);
    expect(line).toMatch(/^tofu-ampe: the fallback engine will be used: .*; npx tofu-ampe doctor says more\n$/);
    expect(line).toMatch(reason);
    expect(leftovers()).toEqual([]);
    expect(engine()).toBe('fallback');
  };

  it('when who installs has no node-gyp', () => {
    fallback({}, 'there is no node-gyp to compile one');
    fallback({ npm_config_node_gyp: path.join(installed.folder, 'nowhere.js') }, 'there is no node-gyp to compile one');
  });

  it('when there is no compiler, and its words are kept for the doctor', () => {
    const empty = path.join(installed.folder, 'empty');
    fs.mkdirSync(empty, { recursive: true });
    fallback({ npm_config_node_gyp: realNodeGyp, PATH: empty }, /compiling one failed \(1\)/);
    expect(fs.readFileSync(place('build', 'install.log'), 'utf8')).toContain('gyp ERR!');
    const said = spawnSync(process.execPath, [place('bin', 'tofu-ampe.cjs'), 'doctor'], { encoding: 'utf8' });
    expect(said.stdout).toContain(place('build', 'install.log'));
  }, 60_000);

  it('when the compiler fails half-way', () => {
    const text = `${copiesTo(process.execPath)} console.error('error: no'); process.exit(1);`;
    fallback({ npm_config_node_gyp: standIn('half', text) }, /compiling one failed \(1\)/);
  });

  it('when what was compiled does not load', () => {
    fallback(
      { npm_config_node_gyp: standIn('broken', copiesTo(__filename)) },
      'the one that was compiled does not load',
    );
  });

  it('when the compiler does not end, and nothing of it goes on', () => {
    // It has a child, as make has; that one writes down that it lives.
    const alive = path.join(installed.folder, 'alive');
    const child = `require('node:fs').writeFileSync(${JSON.stringify(alive)}, String(process.pid)); setInterval(() => {}, 1000);`;
    const text = `require('node:child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(child)}]);`;
    const settings = { npm_config_node_gyp: standIn('endless', text), TOFU_AMPE_COMPILE_TIMEOUT_MS: '1500' };
    fallback(settings, 'compiling one took longer than 1.5 s');
    expect(isRunning(Number(fs.readFileSync(alive, 'utf8')))).toBe(false);
  });

  it('when the script itself cannot go on', () => {
    fs.rmSync(place('binding.gyp'));
    try {
      fallback({ npm_config_node_gyp: realNodeGyp }, /the install script failed \(ENOENT/);
    } finally {
      fs.copyFileSync(path.join(root, 'binding.gyp'), place('binding.gyp'));
    }
  });
});

it('a binary is compiled in any case when that is asked for, and the one that is there stays when it cannot be', () => {
  const file = path.relative(place(), addBinary(place('prebuilds')));
  const line = runScript({ npm_config_build_from_source: 'true' });
  expect(line).toContain(`the native engine will be used (${file}); `);
  expect(line).toContain('there is no node-gyp');
  expect(fs.existsSync(local())).toBe(false);
});

it('nothing happens in a clone', () => {
  const script = path.join(root, 'scripts', 'install.cjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});
