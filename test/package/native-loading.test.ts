// native-loading.test.ts: the native engine of the installed package: loaded where its binary is, refused where it is of other sources.
// The binary is the one that was built here, put where a prebuilt one belongs: made from the same sources, it says the same of itself.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { addBinary, engineIn, install, unset, type Installed } from './installed';

let installed: Installed;
beforeAll(() => {
  installed = install();
}, 120_000);
afterAll(() => installed?.remove());

const place = (...names: string[]): string => path.join(installed.folder, 'node_modules', 'tofu-ampe', ...names);
afterEach(() => fs.rmSync(place('prebuilds'), { recursive: true, force: true }));

/** Makes the file one of other sources. */
function alter(file: string): void {
  const text = fs.readFileSync(file, 'latin1');
  fs.writeFileSync(file, text.replace(/(tofu-ampe@[^#]+#)[0-9a-f]{32}/, `$1${'0'.repeat(32)}`), 'latin1');
}

describe('the engine of the package', () => {
  const chosen = (environment?: Record<string, string>): [backend: string, reason: string] =>
    engineIn(installed, environment);

  it('is the native one where its binary is, unless the other is asked for', () => {
    const file = addBinary(place('prebuilds'));
    expect(chosen()).toEqual(['native', expect.stringContaining(file)]);
    expect(chosen({ TOFU_AMPE_BACKEND: 'fallback' })[0]).toBe('fallback');
  });

  it('is the fallback where the process may read the package only, and nothing of it throws', () => {
    addBinary(place('prebuilds'));
    const flag = Number(process.versions.node.split('.')[0]) < 24 ? '--experimental-permission' : '--permission';
    const print = "console.log(require('tofu-ampe').Reactor.create().backend)";
    const args = [flag, `--allow-fs-read=${fs.realpathSync(installed.folder)}/*`, '-e', print];
    const env = { ...process.env, ...unset };
    const { stdout, status } = spawnSync(process.execPath, args, { cwd: installed.folder, encoding: 'utf8', env });
    expect([stdout, status]).toEqual(['fallback\n', 0]);
  });

  it('is the fallback where the binary was made from other sources, and says so', () => {
    const file = addBinary(place('prebuilds'));
    alter(file);
    const [backend, reason] = chosen();
    expect(backend).toBe('fallback');
    expect(reason).toContain(`${file} was built from the sources of `);
    expect(reason).toContain('(00000000), this package is ');
  });

  it('is the native one where another file fits, and says what was passed over', () => {
    const [good, old] = [addBinary(place('prebuilds')), place('build', 'Release', 'tofu_ampe.node')];
    fs.mkdirSync(path.dirname(old), { recursive: true });
    fs.copyFileSync(good, old);
    alter(old);
    try {
      const [backend, reason] = chosen();
      expect(backend).toBe('native');
      expect(reason.startsWith(`${good}, `)).toBe(true);
      expect(reason).toContain(`; ${old} was built from the sources of `);
    } finally {
      fs.rmSync(place('build'), { recursive: true });
    }
  });
});

describe('npx tofu-ampe doctor', () => {
  /** Runs it as npm links it. */
  function doctor(args: string[], environment: Record<string, string> = {}) {
    const { bin } = JSON.parse(fs.readFileSync(place('package.json'), 'utf8'));
    const env = { ...process.env, ...unset, ...environment };
    return spawnSync(process.execPath, [place(bin['tofu-ampe']), ...args], { encoding: 'utf8', env });
  }

  it('tells what was tried and what runs, and finds nothing to do', () => {
    const file = addBinary(place('prebuilds'));
    const { status, stdout, stderr } = doctor(['doctor']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`tried:       ${file}: loaded\n`);
    expect(stdout).toContain(`engine:      native: ${file}, `);
    expect(stdout).toContain('to do:       nothing\n');
  });

  it('tells the same to programs', () => {
    const file = addBinary(place('prebuilds'));
    const { status, stdout } = doctor(['doctor', '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      identity: { version: expect.any(String), sourcesHash: expect.stringMatching(/^[0-9a-f]{32}$/) },
      folder: fs.realpathSync(place()),
      system: { platform: process.platform, arch: process.arch },
      environment: { TOFU_AMPE_BACKEND: null, TOFU_AMPE_PREBUILD: null },
      tried: [{ file, trouble: null }],
      engine: 'native',
      advice: [],
    });
  });

  it.each([
    ['no binary is there', {}, /compile it: npm rebuild tofu-ampe/],
    ['the environment names a wrong one', { TOFU_AMPE_PREBUILD: '/nowhere' }, /TOFU_AMPE_PREBUILD names \/nowhere/],
    ['the environment asks for the other engine', { TOFU_AMPE_BACKEND: 'fallback' }, /unset it/],
  ])('says what to do where %s; an engine runs all the same', (_case, environment, advice) => {
    const { status, stdout } = doctor(['doctor'], environment);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^engine: +fallback: /m);
    expect(stdout).toMatch(advice);
  });

  it('says why a binary of other sources is not used, and what to do', () => {
    alter(addBinary(place('prebuilds')));
    const { stdout } = doctor(['doctor']);
    expect(stdout).toMatch(/^tried: .*: was built from the sources of /m);
    expect(stdout).toContain('install the package anew');
  });

  it('fails where no engine runs', () => {
    const { status, stdout } = doctor(['doctor'], { TOFU_AMPE_BACKEND: 'other' });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^engine: +none: TOFU_AMPE_BACKEND must be/m);
  });

  it.each([[[]], [['other']], [['doctor', '--wrong']]])('does not understand %j', (args) => {
    expect(doctor(args)).toMatchObject({ status: 2, stdout: '', stderr: 'usage: tofu-ampe doctor [--json]\n' });
  });
});
