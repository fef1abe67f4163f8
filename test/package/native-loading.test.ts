// native-loading.test.ts: the native engine of the installed package: loaded where its binary is, refused where it is of other sources.
// The binary is the one that was built here, put where a prebuilt one belongs: made from the same sources, it says the same of itself.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { addBinary, engineIn, install, runProgram, unset, type Installed } from './installed';

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

it('the reason names the doctor, but in a bundle, of which the doctor knows nothing', () => {
  expect(engineIn(installed)[1]).toMatch(/ \(npx tofu-ampe doctor says more\)$/);
  // Like a bundle, these modules have no package around them.
  fs.cpSync(place('dist', 'lib'), path.join(installed.folder, 'bundled'), { recursive: true });
  const print = "console.log(require('./bundled/index.js').Reactor.create().backendReason)";
  expect(runProgram(installed, 'bundled.cjs', print, unset)).toMatch(
    /^no native engine was found: this is a bundle.* \(see "Bundlers" in the README\)\n$/,
  );
});

describe('npx tofu-ampe doctor', () => {
  /** How to run it as npm links it. */
  function command(environment: Record<string, string>): [file: string, env: NodeJS.ProcessEnv] {
    const { bin } = JSON.parse(fs.readFileSync(place('package.json'), 'utf8'));
    return [place(bin['tofu-ampe']), { ...process.env, ...unset, TOFU_AMPE_POLLER: '', ...environment }];
  }
  function doctor(args: string[], environment: Record<string, string> = {}, flags: string[] = []) {
    const [file, env] = command(environment);
    return spawnSync(process.execPath, [...flags, file, ...args], { encoding: 'utf8', env });
  }

  /** Variables with which loading an addon does this instead; `file` is its name. */
  function insteadOfLoading(text: string): Record<string, string> {
    const file = path.join(installed.folder, 'instead.cjs');
    fs.writeFileSync(file, `process.dlopen = (module, file) => { ${text} };`);
    return { NODE_OPTIONS: `--require ${JSON.stringify(file)}` };
  }
  const THEN_ENDED = "process.kill(process.pid, 'SIGBUS')";
  const advice = (stdout: string): string[] => [...stdout.matchAll(/^to do: +(.*)$/gm)].map(([, each]) => each);

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
  ])('says what to do where %s; an engine runs all the same', (_case, environment, expected) => {
    const { status, stdout } = doctor(['doctor'], environment);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^engine: +fallback: /m);
    expect(stdout).toMatch(expected);
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

  it('outlives a binary that ends the process which loads it, names it and the signal, and says what to do', () => {
    const file = addBinary(place('prebuilds'));
    const { status, stdout, stderr } = doctor(['doctor'], insteadOfLoading(THEN_ENDED));
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout).toContain(`tried:       ${file}: a process that loads it was ended by SIGBUS\n`);
    expect(stdout).toMatch(/^engine: +none: .* was ended by SIGBUS$/m);
    expect(advice(stdout)).toEqual([
      expect.stringMatching(/^install the package anew/),
      expect.stringContaining('TOFU_AMPE_BACKEND=fallback'),
    ]);
  });

  it('tells which file it is that ends the process', () => {
    const good = addBinary(place('prebuilds'));
    const bad = path.join(path.dirname(good), 'tofu-ampe.a.node');
    fs.copyFileSync(good, bad);
    const { status, stdout } = doctor(
      ['doctor', '--json'],
      insteadOfLoading(`if (file.endsWith('.a.node')) ${THEN_ENDED}; throw new Error('unfit');`),
    );
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      tried: [
        { file: bad, trouble: 'a process that loads it was ended by SIGBUS' },
        { file: good, trouble: 'does not load: unfit' },
      ],
      engine: null,
    });
  });

  it('finds the fallback engine all the same where that is asked for', () => {
    addBinary(place('prebuilds'));
    const environment = { ...insteadOfLoading(THEN_ENDED), TOFU_AMPE_BACKEND: 'fallback' };
    const { status, stdout } = doctor(['doctor'], environment);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^engine: +fallback: the fallback engine was asked for$/m);
    expect(stdout).toContain('was ended by SIGBUS');
  });

  const permission = Number(process.versions.node.split('.')[0]) < 24 ? '--experimental-permission' : '--permission';
  it.each([
    ['', ['--no-addons']],
    [' and other processes', [permission, '--allow-fs-read=*']],
    [' and files', [permission, `--allow-fs-read=PLACE/*`]],
  ])('says to allow addons where they are forbidden%s, and no more', (_case, flags) => {
    addBinary(place('prebuilds'));
    const { status, stdout } = doctor(
      ['doctor'],
      {},
      flags.map((flag) => flag.replace('PLACE', fs.realpathSync(place()))),
    );
    expect(status).toBe(0);
    expect(advice(stdout)).toEqual([expect.stringMatching(/^allow addons: /)]);
  });

  it('says that a mount forbids execution, where compiling cannot help', () => {
    const file = addBinary(place('prebuilds'));
    const environment = insteadOfLoading('throw new Error(`${file}: failed to map segment from shared object`);');
    expect(advice(doctor(['doctor'], environment).stdout)).toEqual([
      expect.stringMatching(new RegExp(`^the mount of ${file} forbids execution.*TOFU_AMPE_PREBUILD$`)),
    ]);
  });

  it('says first that a file is damaged, and not so where another C library is', () => {
    const file = addBinary(place('prebuilds'));
    fs.writeFileSync(file, 'garbage');
    const [first] = advice(doctor(['doctor']).stdout);
    expect(first).toBe(`install the package anew: ${file} is damaged, or cannot be read`);
    const environment = insteadOfLoading("throw new Error('/lib/libc.so: invalid ELF header');");
    expect(doctor(['doctor'], environment).stdout).not.toContain('anew');
  });

  it.each([[process.platform === 'linux' ? 'kqueue' : 'epoll'], ['other']])(
    'says to unset a poller that is not there: %s',
    (poller) => {
      addBinary(place('prebuilds'));
      const { status, stdout } = doctor(['doctor'], { TOFU_AMPE_POLLER: poller });
      expect(status).toBe(1);
      expect(advice(stdout)).toEqual([expect.stringContaining(`TOFU_AMPE_POLLER asks for ${poller}: unset it`)]);
    },
  );

  it('does not send to itself, and has something to do wherever no engine runs', () => {
    const { status, stdout } = doctor(['doctor'], { TOFU_AMPE_BACKEND: 'native' });
    expect(status).toBe(1);
    expect(stdout).not.toContain('says more');
    expect(advice(stdout)).not.toContain('nothing');
    expect(doctor(['doctor']).stdout).not.toContain('says more');
  });

  it('ends as ever when who reads its output goes, and with an exit code of its own when the disk is full', async () => {
    addBinary(place('prebuilds'));
    const [file, env] = command({});
    const child = spawn(process.execPath, [file, 'doctor'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let said = '';
    child.stderr.on('data', (data: Buffer) => (said += data.toString()));
    expect([...(await once(child, 'close')), said]).toEqual([0, null, '']);
    if (!fs.existsSync('/dev/full')) return;
    const full = fs.openSync('/dev/full', 'w');
    const stdio = ['ignore', full, 'pipe'] as ['ignore', number, 'pipe'];
    const { status, stderr } = spawnSync(process.execPath, [file, 'doctor'], { env, encoding: 'utf8', stdio });
    fs.closeSync(full);
    expect(status).toBe(3);
    expect(stderr).toMatch(/^tofu-ampe: the output could not be written: ENOSPC.*\n$/);
  });

  it('tells its usage and its version', () => {
    const { version } = JSON.parse(fs.readFileSync(place('package.json'), 'utf8'));
    const usage = expect.stringMatching(/^usage: tofu-ampe doctor \[--json\]\n/);
    expect(doctor(['--help'])).toMatchObject({ status: 0, stdout: usage, stderr: '' });
    expect(doctor(['doctor', '--help'])).toMatchObject({ status: 0, stdout: usage, stderr: '' });
    expect(doctor(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([[[]], [['other']], [['doctor', '--wrong']]])('does not understand %j', (args) => {
    const usage = expect.stringMatching(/^usage: tofu-ampe doctor \[--json\]\n/);
    expect(doctor(args)).toMatchObject({ status: 2, stdout: '', stderr: usage });
  });
});
