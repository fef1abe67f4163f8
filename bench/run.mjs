#!/usr/bin/env node
// run.mjs: `npm run bench`: this package's engines against hand-written framing on node:net, on this machine, now.
// Each run is two fresh processes. Exit code 1 when a message was lost, damaged or out of order, or a run failed.
import { benchCommand, listOf, runnable, settle, TRANSPORTS } from './lib/options.mjs';
import { ownPeers, YARDSTICK } from './lib/peers.mjs';
import { freshFile, Session, writeFigures } from './lib/session.mjs';
import { summarize } from './lib/statistics.mjs';
import { inOrder, peerTable } from './lib/tables.mjs';
import { workloads } from './lib/workloads.mjs';

const ROUNDS = { full: 3, quick: 1 };
const names = workloads.map(({ name }) => name);
const command = benchCommand(
  'bench',
  'Measures the engines of this package against hand-written framing on node:net. Two processes, loopback.',
  ROUNDS,
)
  .option('--workloads <names>', 'comma-separated', listOf(names), names)
  .option('--transports <names>', 'uds, tcp', listOf(TRANSPORTS), TRANSPORTS)
  .parse();
const { transports, rounds, times, ...options } = settle(command.opts(), ROUNDS);

const chosen = runnable(workloads.filter(({ name }) => options.workloads.includes(name)));
const peers = await ownPeers();
const session = new Session({ gateSeconds: options.quick ? 0 : options.gate, retries: options.retries });
const cases = chosen.flatMap((workload) => transports.map((transport) => ({ workload, transport, peers, ...times })));
const runs = await session.measure(cases, rounds);
const summary = inOrder(summarize(runs, YARDSTICK), chosen, transports, peers);

console.log(`\nmedians of ${rounds} round(s) [least – most]; ratio: messages/s over those of ${YARDSTICK}`);
console.log(peerTable(summary, workloads));
const figures = { quick: options.quick, rounds, ...times, yardstick: YARDSTICK, summary, runs };
console.log(`\nfigures: ${writeFigures(options.json ?? freshFile('bench'), 'bench', figures)}`);
process.exitCode = session.failed > 0 ? 1 : 0;
