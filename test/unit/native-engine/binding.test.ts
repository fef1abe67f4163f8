// binding.test.ts: which file is loaded as the addon, what is said when none is, and that one of other sources is never used.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { loadBinding, type Binding } from '../../../lib/native-engine/binding';
import { differenceOf, expectedTables } from '../../../lib/native-engine/tables';
import { AmpeStatus, Reactor } from '../../../lib/index';

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

describe('the addon', () => {
  it('is the local build where nothing else is said', () => {
    expect(loadBinding({})).toMatchObject({ path: built });
  });

  it('is the file that TOFU_AMPE_PREBUILD names', () => {
    const copy = path.join(folder, 'copy.node');
    fs.copyFileSync(built, copy);
    expect(loadBinding({ TOFU_AMPE_PREBUILD: copy })).toMatchObject({ path: copy });
  });

  it('is looked for in the folder that TOFU_AMPE_PREBUILD names', () => {
    const prebuilds = path.join(folder, 'elsewhere', 'prebuilds', `${process.platform}-${process.arch}`);
    fs.mkdirSync(prebuilds, { recursive: true });
    fs.copyFileSync(built, path.join(prebuilds, 'tofu-ampe.node'));
    const found = loadBinding({ TOFU_AMPE_PREBUILD: path.join(folder, 'elsewhere') });
    expect(found).toMatchObject({ path: path.join(prebuilds, 'tofu-ampe.node') });
  });

  it('is the next one when the first does not load', () => {
    const prebuilds = path.join(folder, 'two', 'prebuilds', `${process.platform}-${process.arch}`);
    fs.mkdirSync(prebuilds, { recursive: true });
    fs.writeFileSync(path.join(prebuilds, 'tofu-ampe.glibc.node'), 'no machine code');
    fs.copyFileSync(built, path.join(prebuilds, 'tofu-ampe.musl.node'));
    const found = loadBinding({ TOFU_AMPE_PREBUILD: path.join(folder, 'two') });
    expect(found).toMatchObject({ path: path.join(prebuilds, 'tofu-ampe.musl.node') });
  });

  it('is absent with a reason when its file is not there', () => {
    const file = path.join(folder, 'nothing.node');
    expect(loadBinding({ TOFU_AMPE_PREBUILD: file })).toEqual({
      reason: expect.stringContaining(`${file} does not load: `),
    });
  });

  it('is absent with a reason when no file fits', () => {
    const empty = path.join(folder, 'empty');
    expect(loadBinding({ TOFU_AMPE_PREBUILD: empty })).toEqual({
      reason: `no native engine for ${process.platform}-${process.arch} was found in ${empty}`,
    });
  });

  it('is absent with a reason when its file does not load', () => {
    const file = unloadable();
    expect(loadBinding({ TOFU_AMPE_PREBUILD: file })).toEqual({
      reason: expect.stringMatching(/unloadable\.node does not load: .+/),
    });
  });

  it('of other sources is an error', () => {
    const file = strangersAddon();
    const message = `the native engine in ${file} does not belong to this version of tofu-ampe: it has no create()`;
    expect(() => loadBinding({ TOFU_AMPE_PREBUILD: file })).toThrow(message);
  });
});

describe('the check of an addon', () => {
  const { binding } = loadBinding({}) as { binding: Binding };
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

  const chosen = async (options?: { backend: 'auto' | 'native' | 'fallback' }): Promise<[string, string]> => {
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

  it('does not hide an addon of other sources behind the fallback engine', async () => {
    process.env.TOFU_AMPE_PREBUILD = strangersAddon();
    await expect(chosen()).rejects.toThrow(/does not belong to this version/);
    expect((await chosen({ backend: 'fallback' }))[0]).toBe('fallback');
  });
});
