// session.mjs: many runs in a fair order. Peers alternate within a case and begin with another one each round, so that a change of
// the machine's mood meets all; before each run it waits until others are quiet, and a run that others disturbed is repeated.
// What was disturbed all the same is marked, never dropped. Knows how to run a case, not what is done with the figures.
import fs from 'node:fs';
import path from 'node:path';
import { describeMachine, QUIET_SHARE, root, waitForQuiet, watchOthers } from './machine.mjs';
import { runCase } from './run-case.mjs';
import { number } from './table.mjs';

const MOST_WAITING_MS = 180_000; // in a session, all together: on a machine that is never quiet the figures come marked

export class Session {
  runs = [];
  waitedMs = 0;
  #gateMs;
  #retries;
  #say;
  #run;

  /** `run` is for tests: what makes one run of a case. */
  constructor({ gateSeconds = 0, retries = 0, say = console.log, run = runCase } = {}) {
    this.#gateMs = gateSeconds * 1000;
    this.#retries = retries;
    this.#say = say;
    this.#run = run;
  }
  /**
   * Each case is { workload, transport, peers, warmMs, runMs }; a peer with `rounds` takes part in the first of them only,
   * one with `only` in the workloads it names, one with `transports` in these.
   */
  async measure(cases, rounds) {
    for (let round = 1; round <= rounds; round++) {
      for (const { peers, ...each } of cases) {
        const here = peers.filter((peer) => takesPart(peer, each, round));
        for (let i = 0; i < here.length; i++) {
          const peer = here[(i + round) % here.length];
          this.runs.push(await this.#one({ ...each, peer, round }));
        }
      }
    }
    return this.runs;
  }
  get failed() {
    return this.runs.filter(({ error }) => error !== undefined).length;
  }

  async #one(task) {
    let kept = await this.#attempt(task);
    for (let retry = 0; retry < this.#retries && kept.disturbed && this.waitedMs < MOST_WAITING_MS; retry++) {
      const again = await this.#attempt(task);
      if (again.error !== undefined || kept.othersShare > again.othersShare) kept = { ...again, retries: retry + 1 };
      if (again.error !== undefined) break; // a failure is never replaced by a success
    }
    this.#say(describeRun(kept, task.workload));
    return kept;
  }
  async #attempt({ peer, workload, transport, round, ...times }) {
    if (this.waitedMs < MOST_WAITING_MS && this.#gateMs > 0) this.waitedMs += await waitForQuiet(this.#gateMs);
    const about = { workload: workload.name, transport, peer: peer.name, round };
    const stop = watchOthers();
    try {
      const { childrenCpuMs, ...measured } = await this.#run({ peer, workload, transport, ...times });
      const others = stop(childrenCpuMs);
      return { ...about, ...measured, ...others, ...(others.othersShare > QUIET_SHARE ? { disturbed: true } : {}) };
    } catch (error) {
      return { ...about, error: error.message };
    }
  }
}

const takesPart = ({ rounds = Infinity, only, transports }, { workload, transport }, round) =>
  round <= rounds &&
  (only === undefined || only.includes(workload.name)) &&
  (transports === undefined || transports.includes(transport));

function describeRun(run, workload) {
  const name = `round ${run.round}  ${workload.about}, ${run.transport}, ${run.peer}`;
  if (run.error !== undefined) return `${name}: FAILED ${run.error}`;
  const marks = run.disturbed ? `  (others used ${number(run.othersShare * 100)} % of a CPU)` : '';
  return `${name}: ${figureOf(run)}${marks}`;
}
function figureOf(run) {
  if (run.perConnectionKib !== undefined) return `${number(run.perConnectionKib, 1)} KiB/connection`;
  if (run.grownKib !== undefined) return `the sender grew by ${number(run.grownKib)} KiB`;
  const latency = run.p50Us === undefined ? '' : `, p50 ${number(run.p50Us, 1)} us, p99 ${number(run.p99Us, 1)} us`;
  return `${number(run.rate)}/s, ${number(run.cpuNs)} ns of CPU each${latency}`;
}

/** Writes figures with what they were measured on; `name` is that of the program. Returns the path for a person. */
export function writeFigures(file, name, figures) {
  const whole = { name, at: new Date().toISOString(), machine: describeMachine(), ...figures };
  const place = path.resolve(file);
  fs.mkdirSync(path.dirname(place), { recursive: true });
  fs.writeFileSync(place, `${JSON.stringify(whole, null, 1)}\n`);
  return path.relative('.', place) || place;
}

/** Where figures go that nobody named a place for: a folder that git ignores. */
export function freshFile(name) {
  return path.join(root, 'bench', 'out', `${name}-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`);
}
