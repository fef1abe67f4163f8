#!/usr/bin/env node
// peers.mjs: `npm run bench:peers`: this package against zeromq.js, ws and framing on node:net, and its two engines against each
// other. zeromq.js and ws are installed from npm into bench/out/peers, which git ignores; a peer that cannot be installed is said
// to be missing, and the others go on. Exit code 1 when a message was lost, damaged or out of order, or a run failed.
import { installPackages } from './lib/packages.mjs';
import { benchCommand, listOf, runnable, settle, TRANSPORTS, wholeNumber } from './lib/options.mjs';
import { foreign, ownPeers, YARDSTICK } from './lib/peers.mjs';
import { freshFile, Session, writeFigures } from './lib/session.mjs';
import { summarize } from './lib/statistics.mjs';
import { inOrder, peerTable } from './lib/tables.mjs';
import { workloads } from './lib/workloads.mjs';

const ROUNDS = { full: 5, quick: 1 };
const names = workloads.map(({ name }) => name);
const command = benchCommand('bench:peers', 'Measures this package against zeromq.js, ws and node:net framing.', ROUNDS)
  .option('--rounds-other <n>', 'rounds of all but node:net and the native engine', wholeNumber(1), 2)
  .option('--workloads <names>', 'comma-separated', listOf(names), names)
  .option('--transports <names>', 'uds, tcp', listOf(TRANSPORTS), TRANSPORTS)
  .option('--peers <names>', 'comma-separated (default: all that are there)', (text) => text.split(','))
  .parse();
const { transports, rounds, times, ...options } = settle(command.opts(), ROUNDS);

const { folder, versions, missing } = installPackages();
for (const { name, reason } of missing) console.log(`without ${name}: ${reason}`);
const there = [...(await ownPeers()), ...foreign(folder).filter(({ needs }) => needs in versions)];
const unknown = options.peers?.find((name) => !there.some((peer) => peer.name === name));
if (unknown !== undefined)
  command.error(`no peer '${unknown}' here; there are ${there.map(({ name }) => name).join(', ')}`);
const isKey = ({ name }, place) => place < 2 || name === YARDSTICK;
const peers = there
  .map((peer, place) => (isKey(peer, place) ? peer : { ...peer, rounds: options.roundsOther }))
  .filter(({ name }) => options.peers?.includes(name) ?? true);

const chosen = runnable(workloads.filter(({ name }) => options.workloads.includes(name)));
const session = new Session({ gateSeconds: options.quick ? 0 : options.gate, retries: options.retries });
const cases = chosen.flatMap((workload) => transports.map((transport) => ({ workload, transport, peers, ...times })));
const runs = await session.measure(cases, rounds);
const summary = inOrder(summarize(runs, YARDSTICK), chosen, transports, peers);

console.log(`\nmedians of ${rounds} round(s), others ${options.roundsOther} [least – most]; ratio: to ${YARDSTICK}`);
console.log(peerTable(summary, workloads));
const about = {
  quick: options.quick,
  rounds,
  roundsOther: options.roundsOther,
  ...times,
  yardstick: YARDSTICK,
  versions,
};
const figures = { ...about, missing, waitedMs: session.waitedMs, summary, runs };
console.log(`\nfigures: ${writeFigures(options.json ?? freshFile('peers'), 'peers', figures)}`);
process.exitCode = session.failed > 0 ? 1 : 0;
