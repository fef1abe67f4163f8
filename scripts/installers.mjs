// installers.mjs: the package managers with which the tarball is installed, each as its users have it: what it is called with, what
// it may find on PATH, and which runtime its users start programs with. Pinned in programs.mjs, but npm, which is this machine's.
// Invariant: each installs from the file of the tarball and gets everything else from the registry; none has a cache to begin with.
import { npmCli, program } from './programs.mjs';

const SCRIPTS_ON = '--ignore-scripts=false';
const shell = { sh: '/bin/sh' };

/** npm needs node and, for scripts, a shell. */
function npm(cli, node, ...options) {
  return (tarball) => ({
    command: [node, cli, 'install', '--no-audit', '--no-fund', ...options, tarball],
    runtime: [node],
    links: { ...shell, node },
    rebuild: options.includes(SCRIPTS_ON) ? [node, cli, 'rebuild', ...options] : undefined,
  });
}

function pnpm(tarball) {
  return {
    command: [program('pnpm'), 'add', tarball],
    runtime: [process.execPath],
    links: { ...shell, node: process.execPath },
  };
}

/**
 * name: what is shown; `quick`: also where time is short. prepare(tarball): { command, runtime, links, files, rebuild, undecided }.
 * `files` are there before; `rebuild` runs the install script once more, where it runs at all; `undecided` is what an installer says that
 * wants a decision about the script first.
 */
export const installers = [
  { name: 'npm, scripts off', quick: true, prepare: npm(npmCli(), process.execPath, '--ignore-scripts') },
  {
    name: 'npm, scripts on',
    quick: true,
    prepare: npm(npmCli(), process.execPath, SCRIPTS_ON, '--foreground-scripts'),
  },
  { name: 'npm 12, as it is', prepare: (tarball) => npm(program('npm-12'), program('node-24'))(tarball) },
  // pnpm installs, then ends with an error until its user has decided about the install script; either way it is not run.
  { name: 'pnpm, as it is', prepare: (tarball) => ({ ...pnpm(tarball), undecided: /ERR_PNPM_IGNORED_BUILDS/ }) },
  {
    name: 'pnpm, script declined',
    prepare: (tarball) => ({
      ...pnpm(tarball),
      files: { 'pnpm-workspace.yaml': 'allowBuilds:\n  tofu-ampe: false\n' },
    }),
  },
  {
    name: 'bun',
    prepare: (tarball) => ({ command: [program('bun'), 'add', tarball], runtime: [program('bun')], links: shell }),
  },
];
