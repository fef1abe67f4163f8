// load.test.ts: which file is loaded as the addon, what is said when none is, and that one of other sources is never used.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import type { Binding } from '../../../lib/native-engine/binding';
import { load, loadBinding } from '../../../lib/native-engine/load';
import { differenceOf, expectedTables } from '../../../lib/native-engine/tables';
import { AmpeStatus, Reactor, type Options } from '../../../lib/index';

const root = path.resolve(__dirname, '../../..');
const built = path.join(root, 'build', 'Release', 'tofu_ampe.node');

let folder: string;
beforeAll(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ampe-binding-'))));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** An addon that loads and is none of ours: that of the tests' own compiler. */
function strangersAddon(): string {
  const here = createRequire(__filename);
  const nearby = createRequire(here.resolve('@swc/core'));
  const names = Object.keys(
    JSON.parse(fs.readFileSync(here.resolve('@swc/core/package.json'), 'utf8')).optionalDependencies,
  );
  for (const name of names) {
    try {
      return nearby.resolve(name);
    } catch {
      // of another platform
    }
  }
  throw new Error('no binary of @swc/core is installed');
}

function unloadable(): string {
  const file = path.join(folder, 'unloadable.node');
  fs.writeFileSync(file, 'no machine code');
  return file;
}

/** A folder with these files in its prebuilds for this system; null stands for the built addon. */
function prebuildsOf(
  name: string,
  files: Record<string, string | null>,
): { base: string; place: (file: string) => string } {
  const base = path.join(folder, name);
  const prebuilds = path.join(base, 'prebuilds', `${process.platform}-${process.arch}`);
  const place = (file: string): string => path.join(prebuilds, file);
  fs.mkdirSync(prebuilds, { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    if (text === null) fs.copyFileSync(built, place(file));
    else fs.writeFileSync(place(file), text);
  }
  return { base, place };
}

describe('the addon', () => {
  it('is the local build where nothing else is said', () => {
    expect(loadBinding('', {})).toMatchObject({ path: built, passedOver: '' });
  });

  it.each(['option', 'environment'])('is the file that the %s names', (way) => {
    const copy = path.join(folder, `${way}.node`);
    fs.copyFileSync(built, copy);
    const found = way === 'option' ? loadBinding(copy, {}) : loadBinding('', { TOFU_AMPE_PREBUILD: copy });
    expect(found).toMatchObject({ path: copy, attempts: [{ file: copy, trouble: null }] });
  });

  it('is what the option names, whatever the environment says', () => {
    const { base, place } = prebuildsOf('chosen', { 'tofu-ampe.node': null });
    expect(loadBinding(base, { TOFU_AMPE_PREBUILD: unloadable() })).toMatchObject({ path: place('tofu-ampe.node') });
  });

  it('is looked for in the folder that TOFU_AMPE_PREBUILD names', () => {
    const { base, place } = prebuildsOf('elsewhere', { 'tofu-ampe.node': null });
    expect(loadBinding('', { TOFU_AMPE_PREBUILD: base })).toMatchObject({ path: place('tofu-ampe.node') });
  });

  it('of the folder is its local build before its prebuilt ones', () => {
    const { base } = prebuildsOf('both', { 'tofu-ampe.node': null });
    const local = path.join(base, 'build', 'Release', 'tofu_ampe.node');
    fs.mkdirSync(path.dirname(local), { recursive: true });
    fs.copyFileSync(built, local);
    expect(load(base)).toMatchObject({ path: local });
  });

  // Which of two comes first is this system's matter.
  const likely = fs.existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
  const unlikely = likely === 'musl' ? 'glibc' : 'musl';

  it('is the one for the C library of this system before the other', () => {
    const { base, place } = prebuildsOf('two', { 'tofu-ampe.glibc.node': null, 'tofu-ampe.musl.node': null });
    expect(load(base)).toMatchObject({ path: place(`tofu-ampe.${likely}.node`), passedOver: '' });
  });

  it('is the next one when the first does not load, and the reason is kept', () => {
    const names = { [`tofu-ampe.${likely}.node`]: 'no machine code', [`tofu-ampe.${unlikely}.node`]: null };
    const { base, place } = prebuildsOf('next', names);
    const reason = `${place(`tofu-ampe.${likely}.node`)} does not load: `;
    expect(load(base)).toMatchObject({
      path: place(`tofu-ampe.${unlikely}.node`),
      passedOver: expect.stringContaining(`; ${reason}`),
      attempts: [{ trouble: expect.stringMatching(/^does not load: ./) }, { trouble: null }],
    });
  });

  it('is not one of another package, processor generation or runtime', () => {
    const { base } = prebuildsOf('others', {
      'other.glibc.node': null,
      'tofu-ampe.armv5.glibc.node': null,
      'electron.abi1.tofu-ampe.node': null,
      'tofu-ampe.glibc.node.txt': 'not an addon',
    });
    expect(load(base)).toEqual({
      reason: `no native engine for ${process.platform}-${process.arch} was found in ${base}`,
      attempts: [],
    });
  });

  it('is absent with a reason when its file is not there', () => {
    const file = path.join(folder, 'nothing.node');
    expect(load(file)).toMatchObject({ reason: expect.stringContaining(`${file} does not load: `) });
  });

  it('is absent with a reason when no file fits', () => {
    const empty = path.join(folder, 'empty');
    expect(load(empty)).toEqual({
      reason: `no native engine for ${process.platform}-${process.arch} was found in ${empty}`,
      attempts: [],
    });
  });

  it('is absent with every reason when none of its files loads', () => {
    const { base, place } = prebuildsOf('none', { 'tofu-ampe.glibc.node': 'x', 'tofu-ampe.musl.node': 'y' });
    const { reason, attempts } = load(base) as { reason: string; attempts: unknown[] };
    for (const name of ['tofu-ampe.glibc.node', 'tofu-ampe.musl.node']) {
      expect(reason).toContain(`${place(name)} does not load: `);
    }
    expect(attempts).toHaveLength(2);
  });

  it('of another package is refused with a reason', () => {
    const file = strangersAddon();
    expect(load(file)).toMatchObject({ reason: `${file} is no addon of tofu-ampe` });
  });
});

it('an addon that says it is ours and differs is a broken package: that throws, and the fallback engine does not hide it', () => {
  const tables = '../../../lib/native-engine/tables';
  jest.isolateModules(() => {
    jest.doMock(tables, () => ({ differenceOf: () => 'commands.more differs' }));
    const { load: loadBroken } = require('../../../lib/native-engine/load') as { load: typeof load };
    const message = `the native engine in ${built} does not belong to this version of tofu-ampe: commands.more differs`;
    expect(() => loadBroken(built)).toThrow(message);
  });
  jest.dontMock(tables);
});

describe('an addon made from other sources than the package', () => {
  const { build } = (loadBinding('', {}) as { binding: Binding }).binding;
  const other = { version: build.version, sourcesHash: 'f'.repeat(32) };

  it('says what it was made from: what the scripts of the package say', () => {
    const say = (part: string): string =>
      execFileSync(process.execPath, [path.join(root, 'scripts', 'build-identity.cjs'), part], { encoding: 'utf8' });
    expect(build).toEqual({ version: say('version').trim(), sourcesHash: say('hash').trim() });
  });

  it.each([
    ['sources', other],
    ['version', { ...build, version: '9.9.9' }],
  ])('is refused for its %s, and both are named', (_what, identity) => {
    const nameOf = ({ version, sourcesHash }: typeof other): string => `${version} (${sourcesHash.slice(0, 8)})`;
    expect(load(built, identity)).toMatchObject({
      reason: `${built} was built from the sources of ${nameOf(build)}, this package is ${nameOf(identity)}`,
    });
  });

  it('is taken where both are the same', () => {
    expect(load(built, build)).toMatchObject({ path: built });
  });

  it('makes way for the next file', () => {
    // A file that cannot tell the two apart is tried twice, by two names.
    const { base } = prebuildsOf('mismatch', { 'tofu-ampe.glibc.node': null, 'tofu-ampe.musl.node': null });
    const refused = { trouble: expect.stringContaining('was built from the sources of') };
    expect(load(base, other)).toMatchObject({ attempts: [refused, refused] });
  });
});

describe('the check of an addon', () => {
  const { binding } = loadBinding('', {}) as { binding: Binding };
  const changed = (change: (tables: any) => void): Partial<Binding> => {
    const tables = structuredClone(binding.tables);
    change(tables);
    return { ...binding, tables };
  };

  it('finds nothing wrong with the one that was built', () => {
    expect(differenceOf(binding)).toBeNull();
  });

  it.each(Object.keys(expectedTables()))('notices that %s is not there', (name) => {
    expect(differenceOf(changed((tables) => delete tables[name]))).toBe(`${name} differs`);
  });

  it.each([
    ['constants.WIRE_MASK', (tables: any) => (tables.constants.WIRE_MASK = 0xff)],
    ['statusNames.3', (tables: any) => (tables.statusNames[3] = 'allowed')],
    ['commands.more', (tables: any) => (tables.commands.more = 9)],
    ['channelTable.open.hello.1', (tables: any) => (tables.channelTable.open.hello[1] = 'deliver')],
    ['counterNames', (tables: any) => delete tables.counterNames],
  ])('notices that %s is another', (place, change) => {
    expect(differenceOf(changed(change))).toBe(`${place} differs`);
  });

  it('notices a function that is not there', () => {
    const { drain: _none, ...rest } = binding;
    expect(differenceOf(rest)).toBe('it has no drain()');
  });
});

describe('Reactor.create', () => {
  const names = ['TOFU_AMPE_PREBUILD', 'TOFU_AMPE_BACKEND'] as const;
  const before = names.map((name) => process.env[name]);
  beforeEach(() => names.forEach((name) => delete process.env[name]));
  afterAll(() =>
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    }),
  );

  const chosen = async (options?: Options): Promise<[string, string]> => {
    await using reactor = Reactor.create(options);
    return [reactor.backend, reactor.backendReason];
  };

  it('takes the native engine when it loads, and says from where', async () => {
    expect(await chosen()).toEqual(['native', expect.stringContaining(built)]);
  });

  it('takes the fallback engine when none loads, and says why', async () => {
    process.env.TOFU_AMPE_PREBUILD = unloadable();
    expect(await chosen()).toEqual(['fallback', expect.stringContaining('unloadable.node does not load: ')]);
  });

  it.each(['option', 'environment'])('refuses what it has not when native is asked for by %s', async (way) => {
    process.env.TOFU_AMPE_PREBUILD = unloadable();
    if (way === 'environment') process.env.TOFU_AMPE_BACKEND = 'native';
    const attempt = chosen(way === 'option' ? { backend: 'native' } : undefined);
    await expect(attempt).rejects.toMatchObject({
      status: AmpeStatus.NotImplementedYet,
      message: expect.stringMatching(/^not_implemented_yet: .*unloadable\.node does not load: /),
    });
  });

  it('lets the option win over the environment', async () => {
    process.env.TOFU_AMPE_BACKEND = 'native';
    expect(await chosen({ backend: 'fallback' })).toEqual(['fallback', 'the fallback engine was asked for']);
    process.env.TOFU_AMPE_BACKEND = 'fallback';
    expect((await chosen({ backend: 'auto' }))[0]).toBe('native');
  });

  it('takes the fallback engine when the addon is none of ours, and says so', async () => {
    process.env.TOFU_AMPE_PREBUILD = strangersAddon();
    expect(await chosen()).toEqual(['fallback', expect.stringContaining('is no addon of tofu-ampe')]);
  });

  it('takes the binary that the option names', async () => {
    process.env.TOFU_AMPE_PREBUILD = unloadable();
    expect(await chosen({ prebuild: built })).toEqual(['native', expect.stringContaining(built)]);
  });

  it('refuses an option that is no string', () => {
    expect(() => Reactor.create({ prebuild: 1 as never })).toThrow(TypeError);
  });
});
