#!/usr/bin/env node
// cross-compile.mjs: what prebuildify takes for node-gyp: compiles the addon with zig for the target that the environment names
// (PREBUILD_PLATFORM, PREBUILD_ARCH, PREBUILD_LIBC), and leaves it in build/Release of the folder it is called in.
// Sources and meaning are those of CMakeLists.txt and binding.gyp: native/sources.gypi, the same definitions and flags (a test
// compares them), the same two exports, never unmapped. The C++ runtime is inside, and hidden.
// Invariant: a failed build leaves no file where prebuildify looks.
// Usage: by scripts/prebuild.mjs; node-gyp's arguments are ignored, this knows what it is for
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIdentity } from './build-identity.cjs';
import { targets } from './prebuild-targets.mjs';
import { zig, zigEnvironment } from './zig.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

const definitions = [
  'NAPI_VERSION=8',
  'NAPI_DISABLE_CPP_EXCEPTIONS',
  'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  'NDEBUG',
];
const flags = [
  ...['-std=c++17', '-O2', '-fPIC', '-pthread', '-fno-exceptions', '-fno-rtti'],
  ...['-fvisibility=hidden', '-fvisibility-inlines-hidden', '-Wall', '-Wextra'],
];
// 64-bit file offsets: what Node's own settings say for Linux, and it matters where a long has 32 bits.
const linux = {
  sources: 'core_linux',
  own: [],
  compile: ['-D_FILE_OFFSET_BITS=64'],
  link: ['-s', '-Wl,-z,nodelete', `-Wl,--version-script=${path.join(root, 'native', 'exports.map')}`],
};
// zig has no option for a list of exports on macOS: what hidden visibility leaves of the C++ runtime is replaced by what is `own`,
// and scripts/check-prebuilds.mjs looks whether only two are left.
// Not stripped: that would break the signature, without which no Apple processor runs it.
const darwin = {
  sources: 'core_bsd',
  own: ['scripts/cross/darwin_new_delete.cc'],
  compile: [],
  link: ['-Wl,-undefined,dynamic_lookup', '-Wl,-install_name,@rpath/tofu_ampe.node'],
};

function targetOf({ PREBUILD_PLATFORM: platform, PREBUILD_ARCH: arch, PREBUILD_LIBC: libc }) {
  const found = targets.find(
    (target) => target.platform === platform && target.arch === arch && (target.libc ?? libc) === libc,
  );
  if (found === undefined) throw new Error(`no such target: ${platform}-${arch} ${libc}`);
  return found;
}

function compile(target, output) {
  const system = target.platform === 'darwin' ? darwin : linux;
  const groups = JSON.parse(readFileSync(path.join(root, 'native', 'sources.gypi'), 'utf8')).variables;
  const { version, sourcesHash } = buildIdentity(root);
  const identity = [`-DTOFU_VERSION="${version}"`, `-DTOFU_SOURCES_HASH="${sourcesHash}"`];
  const headers = [require('node-api-headers').include_dir, path.dirname(require.resolve('node-addon-api/napi.h'))];
  const args = [
    ...['c++', ...target.zig, ...flags, ...system.compile, ...definitions.map((each) => `-D${each}`), ...identity],
    ...['-Inative', ...headers.flatMap((folder) => ['-isystem', folder])],
    ...[...groups.core, ...groups[system.sources], ...groups.addon, ...system.own],
    ...['-shared', ...system.link, '-o', output],
  ];
  const { program } = zig();
  const ended = spawnSync(program, args, { cwd: root, env: zigEnvironment(), stdio: ['ignore', 'inherit', 'inherit'] });
  if (ended.error) throw ended.error;
  return ended.status === 0;
}

const folder = path.join(process.cwd(), 'build', 'Release');
const output = path.join(folder, 'tofu_ampe.node');
try {
  mkdirSync(folder, { recursive: true });
  rmSync(output, { force: true });
  if (!compile(targetOf(process.env), output)) {
    rmSync(output, { force: true });
    process.exitCode = 1;
  }
} catch (error) {
  process.stderr.write(`cross-compile: ${error.message}\n`);
  process.exitCode = 1;
}
