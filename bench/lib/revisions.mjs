// revisions.mjs: a revision of this package, checked out beside the clone and built by its own scripts, with this clone's adapter in it:
// the adapter finds the package by its name, and so the one it lies in. Knows git, npm and the build scripts; measures nothing.
// Invariant: the clone's own files and branches are not touched; what was made is below bench/out, which git ignores.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './machine.mjs';

const STEP_MS = 10 * 60_000;
const HERE = 'here';
const PLACE = path.join(root, 'bench', 'out', 'revisions');
const ADAPTER = path.join('bench', 'peer');

const git = (...args) => {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  } catch (error) {
    throw new Error(error.code === 'ENOENT' ? 'git is not there' : error.stderr.trim(), { cause: error });
  }
};

/** { name, adapterModule(peer, side), remove() }; without a revision the files as they are here, built. */
export function checkOut(revision) {
  if (revision === undefined) {
    build(root, HERE);
    return { name: HERE, adapterModule: modulesIn(path.join(root, ADAPTER)), remove: () => {} };
  }
  if (revision.startsWith('-')) throw new Error(`'${revision}' is not a revision`);
  const commit = git('rev-parse', '--verify', '--end-of-options', `${revision}^{commit}`);
  const folder = path.join(PLACE, commit);
  const remove = () => {
    fs.rmSync(folder, { recursive: true, force: true });
    git('worktree', 'prune');
  };
  try {
    if (!fs.existsSync(path.join(folder, 'package.json'))) {
      remove();
      git('worktree', 'add', '--detach', '--force', folder, commit);
    }
    provideModules(folder);
    build(folder, revision);
    // In a folder of its own: the revision may have an adapter that other programs drive.
    const adapter = path.join(folder, 'bench', 'adapter-of-the-clone');
    fs.rmSync(adapter, { recursive: true, force: true });
    fs.cpSync(path.join(root, ADAPTER), adapter, { recursive: true });
    return { name: `${revision} (${commit.slice(0, 9)})`, adapterModule: modulesIn(adapter), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

const modulesIn = (folder) => (peer, side) => pathToFileURL(path.join(folder, peer, `${side}.mjs`)).href;

/** The clone's own packages where the revision wants the same; else what its lock file says. */
function provideModules(folder) {
  const modules = path.join(folder, 'node_modules');
  if (fs.existsSync(modules)) return;
  const lockOf = (place) => fs.readFileSync(path.join(place, 'package-lock.json'), 'utf8');
  const mine = path.join(root, 'node_modules');
  if (fs.existsSync(mine) && lockOf(folder) === lockOf(root)) fs.symlinkSync(mine, modules, 'junction');
  else run(folder, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}

function build(folder, name) {
  console.log(`building ${name}`);
  for (const script of ['ensure-build', 'ensure-native']) {
    run(folder, process.execPath, [path.join('scripts', `${script}.mjs`)]);
  }
}

function run(folder, program, args) {
  const shell = process.platform === 'win32' && program === 'npm';
  const { status, error } = spawnSync(program, args, { cwd: folder, stdio: 'inherit', timeout: STEP_MS, shell });
  if (status !== 0) throw new Error(`${program} ${args[0]} failed: ${error?.message ?? `exit code ${status}`}`);
}
