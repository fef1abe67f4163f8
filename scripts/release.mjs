#!/usr/bin/env node
// release.mjs: everything that must hold before the package is published, in order; the first thing that does not ends it.
// What costs no time comes first (scripts/release-refusals.mjs), and again at the end, since the checks themselves may leave traces.
// Usage: node scripts/release.mjs [--dry-run [--skip-tests]] | --refusals
//   --dry-run     publishes nothing: the last step is `npm publish --dry-run`
//   --skip-tests  leaves out what takes long; for a look at the rest, never for a release
//   --refusals    only what costs no time; `npm publish` asks for it by itself (prepublishOnly)
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildIdentity } from './build-identity.cjs';
import { complaintsAbout, strangers } from './check-prebuilds.mjs';
import { targets } from './prebuild-targets.mjs';
import { npmCli } from './programs.mjs';
import { refusals } from './release-refusals.mjs';
import { cells } from './runtime-cells.mjs';
import { readRuns } from './support.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** In order. `long`: what --skip-tests leaves out. */
const steps = [
  { name: 'lint and types', args: ['scripts/test.mjs', '--only', 'lint,format,typecheck'] },
  { name: 'tests', args: ['scripts/test.mjs', '--only', 'build,api,native,docs,jest'], long: true },
  { name: 'binaries', args: ['scripts/prebuild.mjs'] },
  { name: 'binaries, checked', args: ['scripts/check-prebuilds.mjs'] },
  { name: 'package', args: ['scripts/test-package.mjs'] },
  { name: 'runtimes', args: ['scripts/test-runtimes.mjs', '--no-record'], long: true },
];

/** Blocks of the README and who writes them. */
const writers = { code: 'scripts/readme.mjs', figures: 'bench/report.mjs', support: 'scripts/support.mjs' };

function run(args, options = {}) {
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', ...options });
}

function facts({ binaries = true } = {}) {
  const { version, sourcesHash } = buildIdentity(root);
  const git = spawnSync('git', ['status', '--porcelain'], { cwd: root, encoding: 'utf8' });
  if (git.status !== 0) throw new Error(`git status failed: ${git.error?.message ?? git.stderr}`);
  const isStale = ([, script]) => run([script, '--check']).status !== 0;
  return {
    gitStatus: git.stdout,
    version,
    sources: sourcesHash,
    changelog: readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8'),
    stale: Object.entries(writers)
      .filter(isStale)
      .map(([name, script]) => `${name} (node ${script} writes it)`),
    binaries: binaries ? [...targets.flatMap((target) => complaintsAbout(target)), ...strangers()] : [],
    cells,
    runs: readRuns(),
  };
}

/** Tells the reasons against a release; returns whether there are none. `first`: before the binaries are built. */
function mayGoOn({ dryRun = false, first = false } = {}) {
  const reasons = refusals(facts({ binaries: !first }), { dryRun });
  for (const reason of reasons) process.stderr.write(`release: refused: ${reason}\n`);
  return reasons.length === 0;
}

function goThrough(chosen) {
  for (const { name, args } of chosen) {
    process.stdout.write(`\n==== ${name}\n`);
    const { status } = run(args, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status === 0) continue;
    process.stderr.write(`release: ${name}: failed\n`);
    return false;
  }
  return true;
}

function release({ dryRun, skipTests }) {
  const chosen = steps.filter(({ long }) => !(skipTests && long));
  const left = steps.filter((step) => !chosen.includes(step)).map(({ name }) => name);
  const publish = { name: 'npm publish', args: [npmCli(), 'publish', ...(dryRun ? ['--dry-run'] : [])] };
  if (!mayGoOn({ dryRun, first: true }) || !goThrough(chosen) || !mayGoOn({ dryRun })) return false;
  if (!goThrough([publish])) return false;
  const { version } = buildIdentity(root);
  if (left.length > 0) process.stdout.write(`\nNOT a release: left out: ${left.join(', ')}\n`);
  process.stdout.write(dryRun ? `\n${version}: nothing was published (--dry-run)\n` : `\n${version} is published\n`);
  return true;
}

try {
  const { values } = parseArgs({
    options: { 'dry-run': { type: 'boolean' }, 'skip-tests': { type: 'boolean' }, refusals: { type: 'boolean' } },
  });
  const { 'dry-run': dryRun = false, 'skip-tests': skipTests = false } = values;
  if (skipTests && !dryRun) throw new Error('--skip-tests is for --dry-run only: a release is tested');
  // npm tells what it calls whether it was asked to publish for real.
  const isTrial = dryRun || process.env.npm_config_dry_run === 'true';
  const ok = values.refusals ? mayGoOn({ dryRun: isTrial }) : release({ dryRun, skipTests });
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`release: ${error.message}\n`);
  process.exitCode = 2;
}
