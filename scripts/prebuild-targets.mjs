// prebuild-targets.mjs: the systems for which the tarball carries a binary, and what each must be like. The only list of them:
// who builds, who checks and who tells in a table reads this one.

/** The lowest glibc and macOS of ours; Node 20 itself asks for more. */
export const GLIBC_FLOOR = '2.17';
export const MACOS_FLOOR = '11.0';

/**
 * name: how it is asked for. platform, arch, libc, armv: as Node and node-gyp-build know it. file: below prebuilds/.
 * zig: arguments that tell the cross compiler.
 */
export const targets = [
  linux('x64', 'x86_64', 'glibc'),
  linux('x64', 'x86_64', 'musl'),
  linux('arm64', 'aarch64', 'glibc'),
  linux('arm64', 'aarch64', 'musl'),
  linux('arm', 'arm', 'glibc'),
  darwin('x64', 'x86_64'),
  darwin('arm64', 'aarch64'),
];

function linux(arch, cpu, libc) {
  const hard = arch === 'arm' ? 'eabihf' : '';
  const system = libc === 'glibc' ? `gnu${hard}.${GLIBC_FLOOR}` : `musl${hard}`;
  const armv = arch === 'arm' ? '7' : undefined;
  const tags = ['tofu-ampe', ...(armv ? [`armv${armv}`] : []), libc, 'node'];
  return {
    name: `linux-${arch}-${libc}`,
    platform: 'linux',
    arch,
    libc,
    armv,
    file: `linux-${arch}/${tags.join('.')}`,
    // ARMv7 with the least floating point unit it may have, as Node's own builds for it.
    zig: ['-target', `${cpu}-linux-${system}`, ...(armv ? ['-mcpu=generic+v7a+vfp3d16'] : [])],
  };
}

function darwin(arch, cpu) {
  return {
    name: `darwin-${arch}`,
    platform: 'darwin',
    arch,
    libc: undefined,
    armv: undefined,
    file: `darwin-${arch}/tofu-ampe.node`,
    zig: ['-target', `${cpu}-macos.${MACOS_FLOOR}`],
  };
}

/** The targets of these names; all when there are none. @throws Error for a name that is none */
export function targetsNamed(names) {
  const unknown = names.find((name) => !targets.some((target) => target.name === name));
  if (unknown !== undefined) {
    throw new Error(`no target ${unknown}; there are ${targets.map(({ name }) => name).join(', ')}`);
  }
  return names.length === 0 ? targets : targets.filter(({ name }) => names.includes(name));
}
