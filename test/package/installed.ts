// installed.ts: the package as a user gets it: packed by npm, unpacked into a node_modules of its own, used by other processes.
// Knows nothing of the sources; it builds them first when dist/ is stale.
// The binaries of the tarball are left out, whether they were built here or not: tests that want one say so.
// Invariant: nothing outside the scratch folder is written but dist/.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const root = path.resolve(__dirname, '..', '..');

export interface Installed {
  /** A folder whose node_modules holds the package and what it depends on, and nothing else. */
  readonly folder: string;
  /** Paths in the tarball, without its leading `package/`. */
  readonly files: readonly string[];
  remove(): void;
}

/** npm itself: the one that runs this test if there is one, else the one on PATH. */
function npm(args: string[], cwd: string): string {
  const running = process.env.npm_execpath;
  const options = { cwd, encoding: 'utf8' as const, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] };
  if (running !== undefined && path.basename(running) === 'npm-cli.js') {
    return execFileSync(process.execPath, [running, ...args], options);
  }
  return execFileSync('npm', args, { ...options, shell: process.platform === 'win32' });
}

export function install(): Installed {
  execFileSync(process.execPath, [path.join(root, 'scripts', 'ensure-build.mjs')], { cwd: root, stdio: 'pipe' });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ampe-package-'));
  // The build is fresh, and prepack would build again.
  const report = npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root);
  const [packed] = Object.values<{ filename: string; files: { path: string }[] }>(JSON.parse(report));
  if (packed === undefined) throw new Error(`npm pack reported nothing: ${report}`);
  const target = path.join(folder, 'node_modules', 'tofu-ampe');
  fs.mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', packed.filename, '-C', target, '--strip-components=1'], { cwd: folder, stdio: 'pipe' });
  fs.rmSync(path.join(target, 'prebuilds'), { recursive: true, force: true });
  const { dependencies = {} } = JSON.parse(fs.readFileSync(path.join(target, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) {
    fs.cpSync(path.join(root, 'node_modules', name), path.join(folder, 'node_modules', name), { recursive: true });
  }
  return {
    folder,
    files: packed.files.map((file) => file.path).sort(),
    remove: () => fs.rmSync(folder, { recursive: true, force: true }),
  };
}

/** Puts the addon of the repository where a prebuilt binary for this system belongs, and says where that is. */
export function addBinary(prebuilds: string): string {
  const folder = path.join(prebuilds, `${process.platform}-${process.arch}`);
  const place = path.join(folder, 'tofu-ampe.node');
  fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(path.join(root, 'build', 'Release', 'tofu_ampe.node'), place);
  return place;
}

/** Runs a program of the given file name in the folder and gives its standard output; throws with all of its output. */
export function runProgram(
  installed: Installed,
  name: string,
  text: string,
  environment: Record<string, string> = {},
): string {
  const file = path.join(installed.folder, name);
  fs.writeFileSync(file, text);
  const { NODE_OPTIONS: _none, ...inherited } = process.env;
  const env = { ...inherited, ...environment };
  const ended = spawnSync(process.execPath, [file], { cwd: installed.folder, env, encoding: 'utf8', timeout: 30_000 });
  if (ended.status !== 0) {
    throw new Error(`${name} ended with ${ended.status ?? ended.signal}:\n${ended.stdout}${ended.stderr}`);
  }
  return ended.stdout;
}

/** Compiles a file of a user of the package without emitting; gives the compiler's complaints, '' when there are none. */
export function compileUser(
  installed: Installed,
  name: string,
  text: string,
  options: Record<string, unknown>,
): string {
  fs.writeFileSync(path.join(installed.folder, name), text);
  const config = {
    compilerOptions: {
      target: 'ES2022',
      lib: ['ES2022', 'ESNext.Disposable'],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
      typeRoots: [path.join(root, 'node_modules', '@types')],
      ...options,
    },
    files: [name],
  };
  const configFile = path.join(installed.folder, `tsconfig.${name}.json`);
  fs.writeFileSync(configFile, JSON.stringify(config));
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const ended = spawnSync(process.execPath, [compiler, '-p', configFile], { cwd: installed.folder, encoding: 'utf8' });
  if (ended.status === 0) return '';
  return ended.stdout + ended.stderr || `tsc ended with ${ended.status ?? ended.signal}`;
}

/** Variables of the one who runs the tests must not choose an engine. */
export const unset = { TOFU_AMPE_BACKEND: '', TOFU_AMPE_PREBUILD: '' };

/** Which engine a program without options gets there, and the reason it is given. */
export function engineIn(
  installed: Installed,
  environment: Record<string, string> = {},
): [backend: string, reason: string] {
  const program = [
    `const { Reactor } = require('tofu-ampe');`,
    `const reactor = Reactor.create();`,
    `console.log(JSON.stringify([reactor.backend, reactor.backendReason]));`,
    `reactor.destroy();`,
  ].join('\n');
  return JSON.parse(runProgram(installed, 'engine.cjs', program, { ...unset, ...environment }));
}
