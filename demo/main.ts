// main.ts: the demo: `npm run demo -- [FILE] [--transport tcp|uds] [--port N] [--path P]`.
// This process is the spool server and starts the worker as a second one; the files beside this one do the work.
// Here is only what belongs to a program: arguments, signals, the exit code, and one sentence when something fails.

import { constants } from 'node:os';
import { parseArguments, type Job } from './arguments';
import { ExitCode, Failure, sentenceOf } from './failure';
import { openFile } from './file-reader';
import { createProgress, megabytes, speed } from './progress';
import { runSpoolServer, type Verified } from './spool-server';
import { startWorker } from './worker-process';

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A shell's convention: 128 and the number of the signal. */
const SIGNAL_EXIT_BASE = 128;

async function main(): Promise<number> {
  try {
    const job = parseArguments(process.argv.slice(2));
    if (job !== null) console.log(summaryOf(await transfer(job)));
    return ExitCode.Verified;
  } catch (error) {
    process.stderr.write(`${sentenceOf(error)}\n`);
    return error instanceof Failure ? error.exitCode : ExitCode.Failed;
  }
}

async function transfer({ file: path, address }: Job): Promise<Verified> {
  const stop = new AbortController();
  for (const name of ENDING_SIGNALS) {
    const exitCode = SIGNAL_EXIT_BASE + constants.signals[name];
    // Stays for the whole life: a second Ctrl-C must not cut the cleaning up short.
    process.on(name, () => stop.abort(new Failure(`Interrupted by ${name}.`, exitCode)));
  }
  // `npm run demo | head -1`: nobody listens any more.
  process.stdout.on('error', () => stop.abort(new Failure('The output was closed before the end.')));

  const progress = createProgress(process.stdout);
  await using file = await openFile(path);
  return await runSpoolServer({ file, address, startWorker, progress, stop });
}

function summaryOf({ bytes, elapsedMs, sha256 }: Verified): string {
  const seconds = (elapsedMs / 1000).toFixed(2);
  return `verified: ${megabytes(bytes)} MB in ${seconds} s, ${speed(bytes, elapsedMs)} MB/s, SHA-256 ${sha256}`;
}

void main().then((exitCode) => {
  process.exitCode = exitCode;
});
