// native-prebuilds.test.ts: the check of the binaries for the tarball notices what must not get there, from the bytes of the file alone.
// Linux: seen on the addon of the repository, which has a compiler's own runtime and symbols. macOS: on a file made up here, since none
// may be built; the binaries themselves are made and checked by npm run prebuild.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './installed';

const script = path.join(root, 'scripts', 'check-prebuilds.mjs');
const [EXPORT_A, EXPORT_B] = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ampe-prebuilds-'))));
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** What is said about the binary of a target in the folder, without the file's name. */
function complaints(target: string, identity: object | null = null): string[] {
  const program = [
    `import { complaintsAbout, strangers } from ${JSON.stringify(script)};`,
    `import { targets } from ${JSON.stringify(path.join(root, 'scripts', 'prebuild-targets.mjs'))};`,
    `const target = targets.find(({ name }) => name === ${JSON.stringify(target)});`,
    `const folder = ${JSON.stringify(folder)};`,
    `const said = complaintsAbout(target, folder${identity === null ? '' : `, ${JSON.stringify(identity)}`});`,
    `console.log(JSON.stringify([...said.map((text) => text.replace(target.file + ' ', '')), ...strangers(folder)]));`,
  ].join('\n');
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }));
}

function put(place: string, content: Buffer): void {
  const file = path.join(folder, place);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

const addon = (): Buffer => fs.readFileSync(path.join(root, 'build', 'Release', 'tofu_ampe.node'));
const onLinuxX64 = process.platform === 'linux' && process.arch === 'x64' ? it : () => undefined;

describe('a binary for Linux', () => {
  it('is missed', () => {
    expect(complaints('linux-x64-musl')).toEqual(['is missing (npm run prebuild -- --target linux-x64-musl)']);
  });

  it('is read, and not what its name says', () => {
    put('linux-x64/tofu-ampe.glibc.node', Buffer.from('no machine code'));
    expect(complaints('linux-x64-glibc')).toEqual([expect.stringMatching(/^cannot be read: .*neither ELF nor Mach-O/)]);
  });

  onLinuxX64('must not need the C++ runtime of a system, nor carry its own symbols', () => {
    put('linux-x64/tofu-ampe.glibc.node', addon());
    const said = complaints('linux-x64-glibc');
    expect(said).toEqual(expect.arrayContaining(['needs the library libstdc++.so.6', 'is not stripped']));
    expect(said.filter((text) => /exports|unmapped|is for|sources|version/.test(text))).toEqual([]);
  });

  onLinuxX64('must be of this version and these sources, and for the right machine and C library', () => {
    put('linux-arm64/tofu-ampe.musl.node', addon());
    expect(complaints('linux-arm64-musl', { version: '9.9.9', sourcesHash: 'ab' })).toEqual(
      expect.arrayContaining([
        'is for x64, not arm64',
        'needs the library libc.so.6',
        'needs glibc, and should need musl',
        expect.stringMatching(/^is of version \S+, not 9\.9\.9$/),
        expect.stringMatching(/^was built from other sources \(\w+, not ab\)$/),
      ]),
    );
  });

  it('has a target', () => {
    put('linux-riscv64/tofu-ampe.glibc.node', Buffer.from('x'));
    expect(complaints('linux-x64-glibc')).toContain('linux-riscv64/tofu-ampe.glibc.node belongs to no target');
  });
});

describe('a binary for macOS', () => {
  const identity = { version: '1.2.3', sourcesHash: 'abcd' };
  const put64 = (file: Buffer): void => put('darwin-arm64/tofu-ampe.node', file);

  it('with two exports, a signature and an old enough system is as it should be', () => {
    put64(machO([EXPORT_A, EXPORT_B], ['napi_create_function'], '11.0', true));
    expect(complaints('darwin-arm64', identity)).toEqual([]);
  });

  it('with anything else is not', () => {
    put64(machO([EXPORT_A, EXPORT_B, 'napi_registered'], ['uv_close'], '13.1', false));
    expect(complaints('darwin-arm64', identity)).toEqual([
      'exports 1 symbols too many: napi_registered',
      'uses uv_close, which is not Node-API',
      'has no signature',
      'needs macOS 13.1, not 11.0',
    ]);
  });

  it('is not one for Linux', () => {
    put64(addon());
    expect(complaints('darwin-arm64', identity)).toEqual(['is ELF, not Mach-O']);
  });
});

/** As much of a Mach-O file for arm64 as says what is asked: load commands, symbols, names, a tree of exports. */
function machO(exported: string[], imported: string[], system: string, isSigned: boolean): Buffer {
  const words = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
  const [major, minor] = system.split('.').map(Number);
  const header = 32;
  const commandBytes = 24 + 24 + 48 + 16;
  const names = Buffer.from(imported.map((name) => `_${name}\0`).join('') || '\0', 'latin1');
  let at = 0;
  const symbols = imported.map((name) => {
    const entry = Buffer.alloc(16);
    entry.writeUInt32LE(at, 0);
    entry[4] = 1; // undefined and external
    at += name.length + 2;
    return entry;
  });
  // One edge for each name, all from the root; a child says that it ends a name, in two bytes.
  const piecesBytes = exported.reduce((sum, name) => sum + name.length + 3, 0);
  const edges = exported.map((name, i) =>
    Buffer.from(`_${name}\0${String.fromCharCode(piecesBytes + 2 + 4 * i)}`, 'latin1'),
  );
  const trie = Buffer.concat([
    Buffer.from([0, exported.length]),
    ...edges,
    ...exported.map(() => Buffer.from([2, 0, 1, 0])),
  ]);
  const symbolsAt = header + commandBytes;
  const namesAt = symbolsAt + 16 * symbols.length;
  const trieAt = namesAt + names.length;
  return Buffer.concat([
    words(0xfeedfacf, 0x0100000c, 0, 6, 4, commandBytes, 0, 0),
    words(0x2, 24, symbolsAt, symbols.length, namesAt, names.length),
    words(0x32, 24, 1, (major << 16) | (minor << 8), 0, 0),
    words(0x80000022, 48, 0, 0, 0, 0, 0, 0, 0, 0, trieAt, trie.length),
    words(0x1d, 16, 0, isSigned ? 1 : 0),
    ...symbols,
    names,
    trie,
    Buffer.from('\0tofu-ampe@1.2.3#abcd\0'),
  ]);
}
