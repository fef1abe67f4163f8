// options.mjs: what the programs here have in common on their command lines: checks of arguments, rounds, times, gate.
// Throws what commander turns into a message and exit code 1. Pure but for that.
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import { Command, InvalidArgumentError } from 'commander';

export const listOf = (known) => (text) => {
  const names = text.split(',');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`'${unknown}' is none of ${known.join(', ')}`);
  return [...new Set(names)];
};

export const wholeNumber =
  (least, most = 9999) =>
  (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(value >= least && value <= most)) {
      throw new InvalidArgumentError(`a number from ${least} to ${most} is wanted`);
    }
    return value;
  };

const TIMES = { quick: { warmMs: 150, runMs: 400 }, full: { warmMs: 400, runMs: 1500 } };
export const TRANSPORTS = ['uds', 'tcp'];

/** A command with what all have; `rounds` are the defaults of a full and of a quick run. */
export function benchCommand(name, description, rounds) {
  return new Command(name)
    .description(description)
    .option(
      '--rounds <n>',
      `rounds; medians are reported (default ${rounds.full}, with --quick ${rounds.quick})`,
      wholeNumber(1),
    )
    .option('--run-ms <n>', `measured part of a run (default ${TIMES.full.runMs})`, wholeNumber(50, 60_000))
    .option('--gate <seconds>', 'before each run, wait so long at most until others are quiet', wholeNumber(0, 600), 10)
    .option('--retries <n>', 'how often a run that others disturbed is repeated', wholeNumber(0, 9), 1)
    .option('--quick', 'short runs, to see that it works; not figures to report')
    .option('--json <file>', 'where the figures go (default: a new file in bench/out)');
}

/** The options, with rounds and times filled in. */
export function settle(options, rounds) {
  const kind = options.quick ? 'quick' : 'full';
  const times = { ...TIMES[kind], ...(options.runMs === undefined ? {} : { runMs: options.runMs }) };
  return { ...options, quick: options.quick === true, rounds: options.rounds ?? rounds[kind], times };
}

/** The workloads that can run here; says which cannot. */
export function runnable(workloads, say = console.log) {
  const isPinnable =
    os.platform() === 'linux' && spawnSync('taskset', ['--version'], { stdio: 'ignore' }).error === undefined;
  const [can, cannot] = [[], []];
  for (const workload of workloads) (workload.sameCpu && !isPinnable ? cannot : can).push(workload);
  if (cannot.length > 0) say(`without ${cannot.map(({ about }) => about).join('; ')}: taskset is not there`);
  return can;
}
