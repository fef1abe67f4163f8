// worker-process.ts: starting the worker as a process of its own, and knowing how it ended.
// Must not know messages: the two processes talk over the engine only, this is about the process itself.
// Invariant: when ended() has resolved the process is gone.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { TcpServerAddress, UdsServerAddress } from 'tofu-ampe';

/** How a worker ended: in order, or the reason as the end of a sentence. */
export type WorkerEnd = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** A worker that was started. */
export interface WorkerProcess {
  readonly pid: number | undefined;
  readonly ended: Promise<WorkerEnd>;
  kill(): void;
}

const WORKER_SCRIPT = join(__dirname, 'spool-worker.js');
/** Enough for its one sentence. */
const MAX_COMPLAINT_CHARS = 2_000;

/** Starts a worker that connects to the address. */
export function startWorker(address: TcpServerAddress | UdsServerAddress): WorkerProcess {
  const where =
    address instanceof TcpServerAddress ? ['tcp', address.host, String(address.port)] : ['uds', address.path];
  const child = spawn(process.execPath, [WORKER_SCRIPT, ...where], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, MAX_COMPLAINT_CHARS);
  });
  const ended = new Promise<WorkerEnd>((resolve) => {
    child.once('error', (error) => resolve({ ok: false, reason: `could not be started (${error.message})` }));
    child.once('close', (code, signal) => resolve(endOf(code, signal, complaint)));
  });
  // SIGKILL, because a stopped process takes no other signal, and a worker has nothing to clean up.
  return { pid: child.pid, ended, kill: () => void child.kill('SIGKILL') };
}

function endOf(code: number | null, signal: NodeJS.Signals | null, complaint: string): WorkerEnd {
  if (code === 0) return { ok: true };
  if (signal !== null) return { ok: false, reason: `was killed by ${signal}` };
  const lines = complaint.trim().split('\n');
  const said = lines[lines.length - 1] || 'nothing was said';
  return { ok: false, reason: `failed with exit code ${code}: ${said}` };
}
