#!/usr/bin/env node
// run.mjs: `npm run bench`: this package's engines against hand-written framing on node:net, on this machine, now.
// Each run is two fresh processes; peers alternate within a round, so that a change of the machine's mood meets all.
// Exit code 1 when a message was lost, damaged or out of order, or a run failed.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { AmpeError, Reactor } from 'tofu-ampe';
import { runCase } from './lib/run-case.mjs';
import { formatTable, summarize } from './lib/summary.mjs';
import { workloads } from './lib/workloads.mjs';

const YARDSTICK = 'node:net';
const here = (relative) => new URL(relative, import.meta.url).href;
const engine = (name, folder) => ({ name, server: here(`${folder}/server.mjs`), client: here(`${folder}/client.mjs`) });
const yardstick = { name: YARDSTICK, server: here('lib/net-framing.mjs'), client: here('lib/net-framing.mjs') };

async function peersHere() {
  const peers = [yardstick, engine('fallback', 'peer/tofu-ampe-fallback')];
  try {
    await Reactor.create({ backend: 'native' }).destroy();
    peers.push(engine('native', 'peer/tofu-ampe'));
  } catch (error) {
    if (!(error instanceof AmpeError)) throw error;
    console.log(`without the native engine (${error.message})`);
  }
  return peers;
}

const listOf = (known) => (text) => {
  const names = text.split(',');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`'${unknown}' is none of ${known.join(', ')}`);
  return names;
};
const atLeastOne = (text) => {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('a number from 1 to 9999 is wanted');
  return Number(text);
};

const options = new Command('bench')
  .description(
    'Measures the engines of this package against hand-written framing on node:net. Two processes, loopback.',
  )
  .option('--rounds <n>', 'rounds; the medians are reported (default 3, with --quick 1)', atLeastOne)
  .option(
    '--workloads <names>',
    'comma-separated',
    listOf(workloads.map(({ name }) => name)),
    workloads.map(({ name }) => name),
  )
  .option('--transports <names>', 'uds, tcp', listOf(['uds', 'tcp']), ['uds', 'tcp'])
  .option('--quick', 'short runs: less than a minute')
  .option('--json <file>', 'where the figures go (default: a new file in bench/out)')
  .parse()
  .opts();

const rounds = options.rounds ?? (options.quick ? 1 : 3);
const times = options.quick ? { warmMs: 150, runMs: 400 } : { warmMs: 500, runMs: 1500 };
const chosen = workloads.filter(({ name }) => options.workloads.includes(name));
const peers = await peersHere();
const runs = [];

async function measure(peer, workload, transport, round) {
  const run = { workload: workload.name, transport, peer: peer.name, round };
  try {
    Object.assign(run, await runCase({ peer, workload, transport, ...times }));
    console.log(
      `round ${round}  ${workload.about}, ${transport}, ${peer.name}: ${Math.round(run.rate).toLocaleString('en-US')}/s`,
    );
  } catch (error) {
    run.error = error.message;
    console.error(`round ${round}  ${workload.about}, ${transport}, ${peer.name}: FAILED ${error.message}`);
  }
  runs.push(run);
}

for (let round = 1; round <= rounds; round++) {
  for (const workload of chosen) {
    for (const transport of options.transports) {
      for (let i = 0; i < peers.length; i++)
        await measure(peers[(i + round) % peers.length], workload, transport, round);
    }
  }
}

const summary = summarize(runs, YARDSTICK);
const order = (row) =>
  chosen.findIndex(({ name }) => name === row.workload) * 2 + options.transports.indexOf(row.transport);
summary.sort(
  (a, b) =>
    order(a) - order(b) || peers.findIndex((p) => p.name === a.peer) - peers.findIndex((p) => p.name === b.peer),
);
console.log(
  `\nmedians of ${rounds} round(s); ratio: messages/s over those of ${YARDSTICK}\n${formatTable(summary, workloads)}`,
);

const stamp = new Date().toISOString();
const file = options.json ?? fileURLToPath(here(`out/${stamp.replaceAll(/[:.]/g, '-')}.json`));
const machine = {
  node: process.version,
  platform: `${os.platform()} ${os.arch()}`,
  cpu: os.cpus()[0]?.model,
  cpus: os.availableParallelism(),
};
fs.mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
fs.writeFileSync(file, `${JSON.stringify({ at: stamp, machine, rounds, ...times, summary, runs }, null, 1)}\n`);
console.log(`\nfigures: ${path.relative('.', file)}`);
process.exitCode = runs.some((run) => run.error !== undefined) ? 1 : 0;
