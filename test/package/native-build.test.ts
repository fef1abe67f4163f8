// native-build.test.ts: how the addon is built: one list of sources for all three builders, the same definitions and flags, what is
// exported, and a missing tool that is named. The builds themselves are steps of their own (npm test, .ci/run).
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './installed';

const textOf = (file: string): string => fs.readFileSync(path.join(root, file), 'utf8');

const builders = ['CMakeLists.txt', 'binding.gyp', 'scripts/cross-compile.mjs'];

describe('the list of native sources', () => {
  it('holds what the folders hold', () => {
    const args = [path.join(root, 'scripts', 'native-sources.mjs'), '--check'];
    expect(spawnSync(process.execPath, args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  it('is the only one: no builder names a source', () => {
    const named = builders.filter((file) => /native\/[a-z]+\/(?!addon\.cc)\w+\.cc/.test(textOf(file)));
    expect(named).toEqual([]);
    expect(textOf('CMakeLists.txt')).toContain('native/sources.gypi');
    expect(textOf('binding.gyp')).toContain(`'includes': ['native/sources.gypi']`);
    expect(textOf('scripts/cross-compile.mjs')).toContain(`'sources.gypi'`);
  });
});

describe.each(builders)('%s', (builder) => {
  const found = (pattern: RegExp): string[] => [...new Set(textOf(builder).match(pattern))].sort();

  it('defines what the others define', () => {
    expect(
      found(/(?<=\b|-D)(?:(?:NAPI|NODE_API)_[A-Z_]+(?:=\d+)?|NDEBUG|TOFU_(?:VERSION|SOURCES_HASH)(?==))/g),
    ).toEqual([
      ...['NAPI_DISABLE_CPP_EXCEPTIONS', 'NAPI_VERSION=8', 'NDEBUG', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      ...['TOFU_SOURCES_HASH', 'TOFU_VERSION'],
    ]);
  });

  it('compiles and links as the others do', () => {
    // CMake has words of its own for the standard and for what is hidden.
    const same = [
      [/-std=c\+\+17|CMAKE_CXX_STANDARD 17/, /-O2/, /-fno-exceptions/, /-fno-rtti/, /-z,nodelete/],
      [/-fvisibility=hidden|CXX_VISIBILITY_PRESET hidden/, /-fvisibility-inlines-hidden|VISIBILITY_INLINES_HIDDEN ON/],
      [/--version-script=.*exports\.map/, /-undefined,dynamic_lookup|exports\.darwin\.txt/],
    ].flat();
    expect(same.filter((pattern) => !pattern.test(textOf(builder)))).toEqual([]);
  });
});

describe('the built addon', () => {
  const file = path.join(root, 'build', 'Release', 'tofu_ampe.node');
  const output = (command: string, ...args: string[]): string =>
    execFileSync(command, [...args, file], { encoding: 'utf8' });

  it('shows nothing but the two symbols that Node looks for', () => {
    const symbols = output('nm', '-D', '--defined-only').trim().split('\n');
    expect(symbols.map((line) => line.split(' ').at(-1)).sort()).toEqual([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
  });

  it('uses Node-API and nothing else of Node', () => {
    const symbols = output('nm', '-D', '--undefined-only');
    expect(symbols).toContain('napi_create_');
    expect(symbols.match(/\b(?:uv_\w+|\w*v8\w*|\w*node\d\w*)\b/g)).toBeNull();
  });

  it('is never unmapped', () => {
    expect(output('readelf', '-d')).toMatch(/NODELETE/);
  });
});

it('the built package loads it, and says from where', () => {
  execFileSync(process.execPath, [path.join(root, 'scripts', 'ensure-build.mjs')], { cwd: root, stdio: 'pipe' });
  const program = `const r = require('tofu-ampe').Reactor.create(); console.log(r.backend, r.backendReason); r.destroy();`;
  const { TOFU_AMPE_BACKEND: _backend, TOFU_AMPE_PREBUILD: _prebuild, ...env } = process.env;
  const output = execFileSync(process.execPath, ['-e', program], { cwd: root, env, encoding: 'utf8' });
  expect(output.startsWith(`native ${path.join(root, 'build', 'Release', 'tofu_ampe.node')}`)).toBe(true);
}, 120_000);

describe('a missing tool', () => {
  let folder: string;
  beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ampe-path-'))));
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  /** Runs a script where only these commands can be found; by that name, not by what they lead to. */
  function runWith(commands: string[], script: string, ...args: string[]) {
    for (const name of commands) {
      const program = `#!/bin/sh\nexit 0\n`;
      fs.writeFileSync(path.join(folder, name), program, { mode: 0o755 });
    }
    const { CXX: _compiler, TOFU_AMPE_BACKEND: _backend, ...env } = process.env;
    const file = path.join(root, 'scripts', script);
    return spawnSync(process.execPath, [file, ...args], { env: { ...env, PATH: folder }, encoding: 'utf8' });
  }

  it.each([
    ['cmake', ['g++', 'ninja'], 'cmake'],
    ['g++', ['cmake', 'ninja'], 'g++'],
    ['ninja', ['cmake', 'g++'], 'ninja-build'],
  ])('%s fails the build, with the name of its package', (_name, commands, debian) => {
    const { status, stderr } = runWith(commands, 'ensure-native.mjs');
    expect(status).toBe(1);
    expect(stderr).toContain(`apt-get install ${debian}\n`);
  });

  it('fails npm test at once, with the name of its package and the count', () => {
    const { status, stdout, stderr } = runWith(['g++', 'ninja'], 'test.mjs');
    expect(status).toBe(1);
    expect(stderr).toContain('apt-get install cmake\n');
    expect(stdout).toBe('\n0 passed, 1 failed\n');
  });

  it('is said, and no more, where the addon is optional', () => {
    const { status, stderr } = runWith([], 'ensure-native.mjs', '--optional');
    expect(status).toBe(0);
    expect(stderr).toMatch(/apt-get install cmake; going on without it\n/);
  });
});
