// release-refusals.mjs: the reasons for which nothing is published, each told from facts that cost no time: history, changelog, README,
// binaries, and what was seen to run. Knows nothing of how the facts are found; scripts/release.mjs finds them.

/**
 * All reasons, none when there is nothing to say.
 * facts: { gitStatus (porcelain), version, changelog (text), stale (what of the README is), binaries (complaints), cells, runs, sources }
 */
export function refusals(facts, { dryRun = false } = {}) {
  return [
    ...treeRefusals(facts),
    ...changelogRefusals(facts, dryRun),
    ...facts.stale.map((what) => `README.md is stale: ${what}`),
    ...facts.binaries,
    ...supportRefusals(facts),
  ];
}

function treeRefusals({ gitStatus }) {
  const files = gitStatus.split('\n').filter((line) => line.trim() !== '');
  if (files.length === 0) return [];
  const shown = files.slice(0, 5).map((line) => line.slice(3));
  const more = files.length > shown.length ? ` and ${files.length - shown.length} more` : '';
  return [`the tree is not clean: ${shown.join(', ')}${more}`];
}

/** A trial may come before the day is known; a release may not. */
function changelogRefusals({ changelog, version }, dryRun) {
  const heading = changelog.split('\n').find((line) => line.startsWith(`## [${version}]`));
  if (heading === undefined) return [`CHANGELOG.md has no section for ${version}`];
  const isDated = /^ - \d{4}-\d{2}-\d{2}$/.test(heading.slice(`## [${version}]`.length));
  return isDated || dryRun ? [] : [`CHANGELOG.md does not say when ${version} is released`];
}

/** Each cell must have been seen, to work, with this version and these sources. */
function supportRefusals({ cells, runs, version, sources }) {
  const isOld = (run) => run.package !== version || run.sources !== sources;
  const idsWhere = (test) => cells.map(({ id }) => id).filter((id) => test(runs.filter((run) => run.id === id)));
  const hint = '(npm run test:runtimes, and commit what it writes)';
  return [
    ['failed', idsWhere((own) => own.some((run) => !run.ok))],
    [`never tried ${hint}`, idsWhere((own) => own.length === 0)],
    [`tried with other sources ${hint}`, idsWhere((own) => own.some(isOld))],
  ]
    .filter(([, ids]) => ids.length > 0)
    .map(([what, ids]) => `${what}: ${ids.join(', ')}`);
}
