// load.ts: finds the addon and loads it; the only place that loads a .node file. Prints nothing.
// Which file: the one that an override names (the option `prebuild`, else TOFU_AMPE_PREBUILD), else a local build, else a prebuilt one.
// node-gyp-build knows the names; a file that does not load, or was made from other sources than this package, makes way for the next.
// Invariants: every file that was passed over is kept with its reason; an addon whose numbers differ from ours is never used: where
// its sources are said to be ours, the package is broken, and that throws.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type NodeGypBuild from 'node-gyp-build';
import type { Binding } from './binding';
import { BUILD_IDENTITY, type BuildIdentity } from './build-identity';
import type { Loaded } from './ports';
import { differenceOf } from './tables';

/** A file that was tried, and why it was not used; null for the one that is. */
export interface Attempt {
  readonly file: string;
  readonly trouble: string | null;
}
/** The addon and the file it came from, or why there is none. */
export type LoadResult = { readonly attempts: readonly Attempt[] } & (Loaded | { reason: string });

const PACKAGE = 'tofu-ampe';
/** Names a file: both builders write the first, prebuildify the second with tags behind it. */
const FILE_NAME = /^tofu[_-]ampe\b.*\.node$/;
const OVERRIDE = 'TOFU_AMPE_PREBUILD';

// Files are named by absolute paths: any base does, and a bundle may have no file name of its own.
const requireFile = createRequire(process.execPath);
const results = new Map<string, LoadResult>();

/**
 * Loads the addon; what was found once is found again without looking.
 * @param prebuild a .node file, or a folder with prebuilds/; empty: the environment decides
 * @throws Error when a file loads and says it is ours, but differs
 */
export function loadBinding(prebuild = '', environment: NodeJS.ProcessEnv = process.env): LoadResult {
  const override = prebuild || environment[OVERRIDE] || '';
  let result = results.get(override);
  if (result === undefined) {
    result = load(override);
    results.set(override, result);
  }
  return result;
}

/** Loads anew. `identity`: what a file must have been made from; null: no matter. */
export function load(override: string, identity: BuildIdentity | null = BUILD_IDENTITY): LoadResult {
  const files = filesToTry(override);
  if (typeof files === 'string') return { reason: files, attempts: [] };
  const attempts: Attempt[] = [];
  for (const file of files) {
    const binding = open(file, identity);
    const reasons = attempts.map((attempt) => `; ${attempt.file} ${attempt.trouble}`);
    attempts.push({ file, trouble: typeof binding === 'string' ? binding : null });
    if (typeof binding !== 'string') return { binding, path: file, passedOver: reasons.join(''), attempts };
  }
  return { reason: attempts.map(({ file, trouble }) => `${file} ${trouble}`).join('; '), attempts };
}

/** The addon in a file, or why it is not to be used. */
function open(file: string, identity: BuildIdentity | null): Binding | string {
  let binding: Partial<Binding>;
  try {
    binding = requireFile(file) as Partial<Binding>;
  } catch (error) {
    return `does not load: ${firstLineOf(error)}`;
  }
  const { build } = binding;
  if (typeof build?.sourcesHash !== 'string') return `is no addon of ${PACKAGE}`;
  const { version, sourcesHash } = build;
  if (identity !== null && (version !== identity.version || sourcesHash !== identity.sourcesHash)) {
    const nameOf = (of: BuildIdentity): string => `${of.version} (${of.sourcesHash.slice(0, 8)})`;
    return `was built from the sources of ${nameOf(build)}, this package is ${nameOf(identity)}`;
  }
  const difference = differenceOf(binding);
  if (difference === null) return binding as Binding;
  throw new Error(`the native engine in ${file} does not belong to this version of ${PACKAGE}: ${difference}`);
}

/** Files to try, best first; or why there are none: also that this process may not look. */
export function filesToTry(override: string): string[] | string {
  try {
    return candidates(override);
  } catch (error) {
    return `no native engine can be looked for: ${firstLineOf(error)}`;
  }
}

function candidates(override: string): string[] | string {
  if (path.extname(override) === '.node') return [path.resolve(override)];
  const folder = override === '' ? packageRoot() : path.resolve(override);
  if (folder === null) {
    return `no native engine was found: this is a bundle, and neither the option prebuild nor ${OVERRIDE} says where it is`;
  }
  const all = [...(override === '' ? bestOf(folder) : []), ...builtIn(folder), ...prebuiltIn(folder)];
  const ours = all.filter((file) => FILE_NAME.test(path.basename(file)));
  const system = `${process.platform}-${process.arch}`;
  return ours.length > 0 ? [...new Set(ours)] : `no native engine for ${system} was found in ${folder}`;
}

/**
 * The file of this package that node-gyp-build would load. It stops there, so that the others are added. For a folder that somebody
 * names it is not asked: in a single executable its way to read a package.json makes Node print a warning.
 */
function bestOf(folder: string): string[] {
  try {
    return [nodeGypBuild().path(folder)];
  } catch {
    return [];
  }
}

/** Loaded when it is needed: it looks for files at once, which a process may not be allowed to, and this package must load all the same. */
function nodeGypBuild(): typeof NodeGypBuild {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- a bundler sees it, which it does not with createRequire()
  return require('node-gyp-build') as typeof NodeGypBuild;
}

/** A local build. */
function builtIn(folder: string): string[] {
  const build = path.join(folder, 'build', 'Release');
  return namesIn(build).map((name) => path.join(build, name));
}

/**
 * All that fit this system, or would but for the C library: which one that is cannot be told cheaply, a file for the other does not load,
 * and that is harmless. Those for the likely one come first.
 */
function prebuiltIn(folder: string): string[] {
  const prebuilds = path.join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
  const names = nodeGypBuild();
  const fits = names.matchTags('node', process.versions.modules);
  return namesIn(prebuilds)
    .map((name) => names.parseTags(name))
    .filter((tags) => tags !== undefined)
    .filter(({ libc: _either, ...tags }) => fits(tags))
    .sort((a, b) => Number(fits(b)) - Number(fits(a)))
    .map(({ file }) => path.join(prebuilds, file));
}

function namesIn(folder: string): string[] {
  return fs.existsSync(folder) ? fs.readdirSync(folder).sort() : [];
}

/** The folder of this package, whether the sources run or the built modules; null when they were bundled into something else. */
export function packageRoot(): string | null {
  if (typeof __dirname !== 'string') return null;
  for (let folder = __dirname; ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (fs.existsSync(manifest)) {
      const { name } = JSON.parse(fs.readFileSync(manifest, 'utf8')) as { name?: unknown };
      return name === PACKAGE ? folder : null;
    }
    if (path.dirname(folder) === folder) return null;
  }
}

function firstLineOf(error: unknown): string {
  return (isErrorLike(error) ? error.message : String(error)).split('\n')[0];
}
/** Errors of the loader may be of another realm. */
function isErrorLike(error: unknown): error is { message: string } {
  return typeof error === 'object' && error !== null && typeof (error as { message?: unknown }).message === 'string';
}
