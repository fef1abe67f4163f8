// doctor.ts: says which engine runs here, what was tried for it, and what to do for a better one. Behind `npx tofu-ampe doctor`.
// It makes an engine as any program would and looks; it changes and prints nothing.
import fs from 'node:fs';
import path from 'node:path';
import { BUILD_IDENTITY, type BuildIdentity } from './native-engine/build-identity';
import { loadBinding, packageRoot, type Attempt } from './native-engine/load';
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

const VARIABLES = ['TOFU_AMPE_BACKEND', 'TOFU_AMPE_PREBUILD', 'TOFU_AMPE_POLLER'];
/** What the compiler said when the package was installed, if it failed: see scripts/install.cjs. */
const INSTALL_LOG = path.join('build', 'install.log');

export async function examine(): Promise<Findings> {
  const { engine, reason } = await engineHere();
  const found = {
    identity: BUILD_IDENTITY,
    folder: packageRoot(),
    system: { platform: process.platform, arch: process.arch, libc: libcHere(), runtime: runtimeHere() },
    environment: Object.fromEntries(VARIABLES.map((name) => [name, process.env[name] || null])),
    tried: triedHere(),
    engine,
    reason,
  };
  return { ...found, advice: adviceFor(found) };
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
    return { engine: reactor.backend, reason: reactor.backendReason };
  } catch (error) {
    return { engine: null, reason: error instanceof Error ? error.message : String(error) };
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

function adviceFor({ engine, folder, environment, tried, system }: Omit<Findings, 'advice'>): string[] {
  if (engine === 'native') return [];
  const advice: string[] = [];
  const { TOFU_AMPE_BACKEND: backend, TOFU_AMPE_PREBUILD: prebuild } = environment;
  if (backend) advice.push(`TOFU_AMPE_BACKEND asks for ${backend}: unset it to get the best engine that loads`);
  if (tried.some(({ trouble }) => trouble === null)) return advice;
  if (prebuild)
    advice.push(`TOFU_AMPE_PREBUILD names ${prebuild}: correct it, or unset it to have the package look for a binary`);
  else if (system.platform === 'win32') advice.push('nothing can be done: there is no native engine for Windows yet');
  else if (folder === null) advice.push('name the binary by the option prebuild: see "Bundlers" in the README');
  else {
    if (tried.some(({ trouble }) => trouble?.startsWith('was built from')))
      advice.push('install the package anew: a binary is of another version');
    advice.push(
      'compile it: npm rebuild tofu-ampe --foreground-scripts (a C++17 compiler, make and python3; nothing is downloaded)',
    );
    const log = path.join(folder, INSTALL_LOG);
    if (fs.existsSync(log)) advice.push(`read what the compiler said the last time: ${log}`);
  }
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
