// package.test.ts: what the tarball holds, and that every entry point works from it: required, imported by name, type-checked.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { compileUser, engineIn, install, root, runProgram, type Installed } from './installed';

const BUILD_AND_PACK_MS = 120_000;
const entryPoints = ['tofu-ampe', 'tofu-ampe/testing', 'tofu-ampe/recipes'];
const values: Record<string, string[]> = {
  'tofu-ampe': [
    ...['Reactor', 'DefaultOptions', 'attachGroup', 'Message', 'TextHeaders', 'Body', 'OpCode', 'Origin', 'isOpCode'],
    ...['opCodeName', 'messageType', 'messageRole', 'echo', 'AmpeStatus', 'AmpeError', 'rawToStatus', 'statusName'],
    ...['statusToError', 'errorToStatus', 'TcpServerAddress', 'TcpClientAddress', 'UdsServerAddress'],
    ...['UdsClientAddress', 'Address'],
  ],
  'tofu-ampe/testing': ['findFreeTcpPort', 'tempUdsPath', 'destroyChannels', 'runTasks'],
  'tofu-ampe/recipes': [],
};
const types = [
  ...['Options', 'ReactorHandle', 'GroupHandle', 'WaitOptions', 'Ampe', 'ChannelGroup', 'AmpeStats', 'BinaryHeader'],
  ...['Address', 'OpCode', 'Origin', 'AmpeStatus'],
];

let installed: Installed;
beforeAll(() => {
  installed = install();
}, BUILD_AND_PACK_MS);
afterAll(() => installed?.remove());

describe('the tarball', () => {
  it('holds what package.json points to', () => {
    const { exports, main, types: declarations } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
    const targets = [
      main,
      declarations,
      ...Object.values(exports).flatMap((e) => (typeof e === 'string' ? e : Object.values(e as object))),
    ];
    const missing = targets.filter((target: string) => !installed.files.includes(target.replace(/^\.\//, '')));
    expect(missing).toEqual([]);
  });

  it('holds licence, readme and changelog', () => {
    expect(installed.files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json']));
  });

  it('holds built modules with their declarations, prose, binaries and what compiles one, and nothing else', () => {
    const expected = [
      /^dist\/(?:lib|recipes)\/.*\.(?:js|d\.ts)$/,
      /^(?:(?:(?:docs|prebuilds)\/)?[^/]+\.md|LICENSE|package\.json)$/,
      /^prebuilds\/[a-z]+-[a-z0-9]+\/tofu-ampe\.[a-z0-9.]*node$/,
      /^(?:bin\/tofu-ampe\.cjs|binding\.gyp|native\/[a-z_./]+\.(?:cc|h|gypi|map|txt)|scripts\/(?:install|node-gyp|build-identity)\.cjs)$/,
    ];
    expect(installed.files.filter((file) => !expected.some((pattern) => pattern.test(file)))).toEqual([]);
  });

  it('holds every native source, byte for byte, so that its hash is the same', () => {
    const program = `console.log(require('./node_modules/tofu-ampe/scripts/build-identity.cjs').sourcesHash());`;
    const script = path.join(root, 'scripts', 'build-identity.cjs');
    const here = execFileSync(process.execPath, [script, 'hash'], { encoding: 'utf8' });
    expect(runProgram(installed, 'hash.cjs', program)).toBe(here);
  });

  it('needs three other packages at run time: one that finds the addon, two that it is compiled with', () => {
    const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
    expect(Object.keys(manifest.dependencies)).toEqual(['node-addon-api', 'node-api-headers', 'node-gyp-build']);
    const modules = installed.files.filter((file) => file.startsWith('dist/') && file.endsWith('.js'));
    const foreign = modules.flatMap((file) => {
      const text = fs.readFileSync(path.join(installed.folder, 'node_modules', 'tofu-ampe', file), 'utf8');
      const names = [...text.matchAll(/\brequire\(["']([^"'./][^"']*)["']\)/g)].map((match) => match[1]);
      return names
        .filter((name) => !name.startsWith('node:') && !entryPoints.includes(name))
        .map((name) => `${file}: ${name}`);
    });
    expect(foreign).toEqual(['dist/lib/native-engine/load.js: node-gyp-build']);
  });
});

describe('an engine of the tarball', () => {
  it('is the fallback where no addon is, and says where it looked and who says more', () => {
    const [backend, reason] = engineIn(installed);
    expect(backend).toBe('fallback');
    expect(reason).toMatch(/^no native engine for \S+ was found in .*tofu-ampe \(npx tofu-ampe doctor says more\)$/);
  });
});

describe.each(entryPoints)('%s', (name) => {
  // Marks that only one of the two ways of loading shows.
  const marks = ['default', 'module.exports', '__esModule'];
  const list = `const list = (o) => JSON.stringify(Object.keys(o).filter((n) => !${JSON.stringify(marks)}.includes(n)).sort());`;
  const required = (): string[] =>
    JSON.parse(runProgram(installed, 'r.cjs', `${list}console.log(list(require('${name}')));`));

  it('can be required', () => {
    expect(required()).toEqual(expect.arrayContaining(values[name]));
  });

  it('can be imported by name from an ES module, with the same names', () => {
    const program = `import * as all from '${name}';${list}console.log(list(all));`;
    expect(JSON.parse(runProgram(installed, 'i.mjs', program))).toEqual(required());
  });
});

describe('both ways of loading', () => {
  it('give the same classes', () => {
    const program = [
      `import { createRequire } from 'node:module';`,
      `import { Reactor, Message } from 'tofu-ampe';`,
      `const required = createRequire(import.meta.url)('tofu-ampe');`,
      `console.log(required.Reactor === Reactor && required.Message === Message);`,
    ];
    expect(runProgram(installed, 'same.mjs', program.join('\n'))).toBe('true\n');
  });

  it('leave nothing behind that keeps the process alive', () => {
    const program = [...entryPoints.map((name) => `require('${name}');`), `console.log('end of file');`];
    expect(runProgram(installed, 'alive.cjs', program.join('\n'))).toBe('end of file\n');
  });

  it('do not lead to modules inside the package', () => {
    const program = `try { require('tofu-ampe/dist/lib/index.js'); } catch (error) { console.log(error.code); }`;
    expect(runProgram(installed, 'inside.cjs', program)).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });
});

describe('the declarations', () => {
  const user = [
    `import { ${[...new Set([...values['tofu-ampe'], ...types])].join(', ')} } from 'tofu-ampe';`,
    `import { findFreeTcpPort, tempUdsPath, destroyChannels, runTasks } from 'tofu-ampe/testing';`,
    `import * as recipes from 'tofu-ampe/recipes';`,
    `export type Types = [${types.join(', ')}];`,
    `export async function use(): Promise<number> {`,
    `  await using reactor: Reactor = Reactor.create({ backend: 'fallback', maxPoolMsgs: undefined });`,
    `  const ampe: Ampe = reactor.ampe();`,
    `  await using group: ChannelGroup = ampe.create();`,
    `  using message: Message = ampe.get();`,
    `  new TcpServerAddress('127.0.0.1', await findFreeTcpPort()).format(message);`,
    `  const free: Message | null = ampe.get('poolOnly');`,
    `  const { channelNumber }: BinaryHeader = group.post(message);`,
    `  for await (const each of group) { const body: Buffer = each.body.bytes(); ampe.put(each); void body; }`,
    `  await runTasks([async () => destroyChannels(ampe, group)]);`,
    `  void [free, tempUdsPath(), recipes, DefaultOptions.maxPoolMsgs + 1];`,
    `  return channelNumber;`,
    `}`,
  ].join('\n');

  it.each([
    ['user.cts', { module: 'Node16', moduleResolution: 'Node16' }],
    ['user.mts', { module: 'NodeNext', moduleResolution: 'NodeNext' }],
    ['user.ts', { module: 'ESNext', moduleResolution: 'bundler' }],
  ])(
    'satisfy a strict %s with %j',
    (name, options) => {
      expect(compileUser(installed, name, user, options)).toBe('');
    },
    60_000,
  );

  it('let a mistake be noticed', () => {
    const wrong = `import { Reactor } from 'tofu-ampe';\nnew Reactor();\nReactor.create({ backend: 'other' });`;
    const complaints = compileUser(installed, 'wrong.cts', wrong, { module: 'Node16', moduleResolution: 'Node16' });
    expect(complaints).toMatch(/wrong\.cts\(2,.*private/);
    expect(complaints).toMatch(/wrong\.cts\(3,/);
  }, 60_000);

  it('do not show internals', () => {
    const declarations = installed.files.filter((file) => file.endsWith('.d.ts'));
    const shown = declarations.filter((file) =>
      fs.readFileSync(path.join(installed.folder, 'node_modules', 'tofu-ampe', file), 'utf8').includes('@internal'),
    );
    expect(shown).toEqual([]);
  });
});
