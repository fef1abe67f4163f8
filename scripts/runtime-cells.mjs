// runtime-cells.mjs: the combinations of platform and runtime that are promised something, and how each is tried on Linux x64.
// The only list of them: scripts/test-runtimes.mjs runs it, the README's table has its order, a release wants each to have passed.
import { emulator, muslLoader, program, versionOf, wine } from './programs.mjs';

/**
 * id: how it is asked for. kind: 'conformance' (the suite and an exchange), 'exchange' (from the tarball), 'static' (read, not run) or
 * 'windows' (the fallback engine in Wine, and on Linux posing as Windows). command(): what runs a program. target: that of prebuild-targets.mjs.
 */
export const cells = [
  ...['node-20', 'node-22', 'node-24', 'node-26'].map((name) => ({
    id: name,
    kind: 'conformance',
    platform: 'linux x64, glibc',
    runtime: 'Node',
    version: versionOf(name),
    target: 'linux-x64-glibc',
    command: () => [program(name)],
  })),
  ran('bun', 'linux x64, glibc', 'Bun', 'bun', 'linux-x64-glibc', () => [program('bun')]),
  ran('deno', 'linux x64, glibc', 'Deno', 'deno', 'linux-x64-glibc', () => [
    ...[program('deno'), 'run', '--allow-all', '--no-lock', '--node-modules-dir=manual'],
  ]),
  ran('bun-musl', 'linux x64, musl', 'Bun', 'bun-musl', 'linux-x64-musl', () => [
    ...muslLoader('x64'),
    program('bun-musl'),
  ]),
  ran('node-arm64', 'linux arm64, glibc', 'Node', 'node-arm64', 'linux-arm64-glibc', () => [
    ...emulator('arm64'),
    program('node-arm64'),
  ]),
  ran('bun-musl-arm64', 'linux arm64, musl', 'Bun', 'bun-musl-arm64', 'linux-arm64-musl', () => [
    ...muslLoader('arm64'),
    program('bun-musl-arm64'),
  ]),
  ran('node-armv7', 'linux armv7, glibc', 'Node', 'node-armv7', 'linux-arm-glibc', () => [
    ...emulator('arm'),
    program('node-armv7'),
  ]),
  { id: 'darwin-x64', kind: 'static', platform: 'macOS x64', runtime: '', version: '', target: 'darwin-x64' },
  { id: 'darwin-arm64', kind: 'static', platform: 'macOS arm64', runtime: '', version: '', target: 'darwin-arm64' },
  {
    id: 'windows',
    kind: 'windows',
    platform: 'Windows',
    runtime: 'Node',
    version: versionOf('node-windows'),
    command: () => [...wine(), program('node-windows')],
  },
];

function ran(id, platform, runtime, name, target, command) {
  const emulated = /arm/.test(platform);
  return { id, kind: 'exchange', platform, runtime, version: versionOf(name), target, emulated, command };
}
