// doctor.ts: says which engine runs here, what was tried for it, and what to do for a better one. Behind `npx tofu-ampe doctor`.
// It makes an engine as any program would and looks; it changes and prints nothing. A binary that is no good may end the process that
// looks: the command does it in another one, and examines again with what that one met.
import fs from 'node:fs';
import path from 'node:path';
import { BUILD_IDENTITY, type BuildIdentity } from './native-engine/build-identity';
import { filesToTry, loadBinding, packageRoot, type Attempt } from './native-engine/load';
import { Reactor } from './reactor';

/** What was found. Everything in it can be written as JSON. */
export interface Findings {
  /** What this package was built from; null: it runs from its sources. */
  readonly identity: BuildIdentity | null;
  /** Where the package is; null: inside a bundle. */
  readonly folder: string | null;
  readonly system: { platform: string; arch: string; libc: string | null; runtime: string };
  readonly environment: Record<string, string | null>;
  /** Files that were tried, in this order; the one without trouble is used. */
  readonly tried: readonly Attempt[];
  /** Which engine runs; null: none does. */
  readonly engine: 'native' | 'fallback' | null;
  /** Which binary runs, or why none does. */
  readonly reason: string;
  readonly advice: readonly string[];
}

/** That the process which was to examine had no good end. */
export interface Crash {
  /** What it did, in words that fit behind "a process that makes an engine". */
  readonly ending: string;
  /** What became of each of filesHere(), in a process of its own. */
  readonly tried: readonly Attempt[];
}

const VARIABLES = ['TOFU_AMPE_BACKEND', 'TOFU_AMPE_PREBUILD', 'TOFU_AMPE_POLLER'];
/** What the compiler said when the package was installed, if it failed: see scripts/install.cjs. */
const INSTALL_LOG = path.join('build', 'install.log');
/** Ends reasons (lib/select-engine.ts); said by this program itself it leads nowhere. */
const HINT = / \(npx tofu-ampe doctor says more\)$/;

/** Words of loaders. Where the file is read, they name it: a binary for another C library may complain of that library. */
const ADDONS_DISABLED = /loading addons is disabled|--allow-ffi|^no native engine can be looked for/;
const NO_EXECUTION = /failed to map segment from shared object/;
const DAMAGED =
  /file too short|invalid ELF header|ELF (?:file|load)|cannot read file data|Exec format error|not (?:a|valid) mach-o|did not self-register|Permission denied/;

/** Looks at what runs here. @param crash set where that ends the process: then no binary is loaded. */
export async function examine(crash: Crash | null = null): Promise<Findings> {
  const loads = crash === null || process.env.TOFU_AMPE_BACKEND === 'fallback';
  const { engine, reason } = loads
    ? await engineHere()
    : { engine: null, reason: `a process that makes an engine ${crash.ending}` };
  const found = {
    identity: BUILD_IDENTITY,
    folder: folderHere(),
    system: { platform: process.platform, arch: process.arch, libc: libcHere(), runtime: runtimeHere() },
    environment: Object.fromEntries(VARIABLES.map((name) => [name, process.env[name] || null])),
    tried: crash?.tried ?? triedHere(),
    engine,
    reason,
  };
  return { ...found, advice: crash === null ? adviceFor(found) : adviceAfterCrash(found) };
}

/** Files that may be tried here; none is loaded. */
export function filesHere(): string[] {
  const files = filesToTry(process.env.TOFU_AMPE_PREBUILD ?? '');
  return typeof files === 'string' ? [] : files;
}

/** The findings as a person reads them. */
export function textOf(findings: Findings): string {
  const { identity, folder, system, environment, tried, engine, reason, advice } = findings;
  const set = Object.entries(environment).filter(([, value]) => value !== null);
  const of = identity === null ? 'from its sources' : `${identity.version}, native sources ${identity.sourcesHash}`;
  const lines = [
    `package:     ${of}${folder === null ? '' : `, in ${folder}`}`,
    `system:      ${system.platform}-${system.arch}${system.libc === null ? '' : `, ${system.libc}`}, ${system.runtime}`,
    `environment: ${set.length === 0 ? 'nothing set' : set.map(([name, value]) => `${name}=${value}`).join(' ')}`,
    ...tried.map(({ file, trouble }) => `tried:       ${file}: ${trouble ?? 'loaded'}`),
    `engine:      ${engine ?? 'none'}: ${reason}`,
    ...(advice.length === 0 ? ['to do:       nothing'] : advice.map((each) => `to do:       ${each}`)),
  ];
  return `${lines.join('\n')}\n`;
}

/** The engine that a program without options gets. */
async function engineHere(): Promise<Pick<Findings, 'engine' | 'reason'>> {
  try {
    await using reactor = Reactor.create();
    reactor.ampe().create();
    return { engine: reactor.backend, reason: reactor.backendReason.replace(HINT, '') };
  } catch (error) {
    return { engine: null, reason: (error instanceof Error ? error.message : String(error)).replace(HINT, '') };
  }
}

/** Also where the environment asks for the fallback engine, and nothing needs to be loaded. */
function triedHere(): readonly Attempt[] {
  try {
    return loadBinding().attempts;
  } catch {
    return []; // engineHere() has met the same error and says it
  }
}

/** Null also where this process may not look. */
function folderHere(): string | null {
  try {
    return packageRoot();
  } catch {
    return null;
  }
}

type Found = Omit<Findings, 'advice'>;

function adviceFor(found: Found): string[] {
  const { engine, reason, environment, tried } = found;
  if (engine === 'native') return [];
  const advice: string[] = [];
  const { TOFU_AMPE_BACKEND: backend, TOFU_AMPE_POLLER: poller } = environment;
  const loads = tried.some(({ trouble }) => trouble === null);
  if (backend && !(backend === 'native' && loads))
    advice.push(`TOFU_AMPE_BACKEND asks for ${backend}: unset it to get the best engine that loads`);
  if (!loads) advice.push(...adviceToLoad(found));
  else if (poller && /poller/i.test(reason))
    advice.push(`TOFU_AMPE_POLLER asks for ${poller}: unset it to get the best one of this system`);
  if (engine === null && advice.length === 0)
    advice.push('see to what the engine lacks, or set TOFU_AMPE_BACKEND=fallback: that engine needs no binary');
  return advice;
}

/** What to do to have a binary that loads. */
function adviceToLoad({ reason, folder, environment, tried, system }: Found): string[] {
  const prebuild = environment.TOFU_AMPE_PREBUILD;
  const troubles = [reason, ...tried.map(({ trouble }) => trouble ?? '')];
  if (troubles.some((trouble) => ADDONS_DISABLED.test(trouble)))
    return [
      system.runtime.startsWith('Deno')
        ? 'allow addons: --allow-ffi'
        : 'allow addons: run node without --no-addons; with --permission it needs --allow-addons, and --allow-fs-read for the package (NODE_OPTIONS may hold these too)',
    ];
  const kept = tried.find(({ trouble }) => NO_EXECUTION.test(trouble ?? ''));
  if (kept !== undefined)
    return [
      `the mount of ${kept.file} forbids execution (noexec), and compiling does not change that: allow it, or copy the file to another mount and name it by TOFU_AMPE_PREBUILD`,
    ];
  if (prebuild) return [correctPrebuild(prebuild)];
  if (system.platform === 'win32') return ['nothing can be done: there is no native engine for Windows yet'];
  if (folder === null) return ['name the binary by the option prebuild: see "Bundlers" in the README'];
  const advice: string[] = [];
  if (troubles.some((trouble) => /was built from|does not belong to this version/.test(trouble)))
    advice.push('install the package anew: a binary is of another version');
  for (const { file } of tried.filter(isDamaged))
    advice.push(`install the package anew: ${file} is damaged, or cannot be read`);
  advice.push(
    'compile it: npm rebuild tofu-ampe --foreground-scripts (a C++17 compiler, make and python3; nothing is downloaded)',
  );
  const log = path.join(folder, INSTALL_LOG);
  if (fs.existsSync(log)) advice.push(`read what the compiler said the last time: ${log}`);
  return advice;
}

function isDamaged({ file, trouble }: Attempt): boolean {
  if (trouble === null) return false;
  return trouble.startsWith('is no addon of') || (trouble.includes(file) && DAMAGED.test(trouble));
}

function correctPrebuild(prebuild: string): string {
  return `TOFU_AMPE_PREBUILD names ${prebuild}: correct it, or unset it to have the package look for a binary`;
}

function adviceAfterCrash({ environment }: Found): string[] {
  const { TOFU_AMPE_BACKEND: backend, TOFU_AMPE_PREBUILD: prebuild } = environment;
  const advice = prebuild
    ? [correctPrebuild(prebuild)]
    : ['install the package anew: most likely a file of it is damaged'];
  if (backend !== 'fallback') advice.push('or set TOFU_AMPE_BACKEND=fallback: then no binary is loaded');
  return advice;
}

function runtimeHere(): string {
  const { bun, deno, electron, node } = process.versions as Record<string, string | undefined>;
  const [name, version] = Object.entries({ Bun: bun, Deno: deno, Electron: electron }).find(([, each]) => each) ?? [
    'Node',
    node,
  ];
  return `${name} ${version}`;
}

/** The C library; null where it is not asked for, or not told. */
function libcHere(): string | null {
  if (process.platform !== 'linux') return null;
  try {
    const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean };
    report.excludeNetwork = true; // names of peers are looked up otherwise, for as long as that takes
    const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    return header.glibcVersionRuntime === undefined ? 'musl' : `glibc ${header.glibcVersionRuntime}`;
  } catch {
    return null;
  }
}
