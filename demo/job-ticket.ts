// job-ticket.ts: what the two processes of the demo say to each other in text headers.
// Must not know who sends: both sides write and read through these functions only, so they cannot drift apart.
//
//   worker -> server  HelloRequest   jobs: what it can process; worker-pid
//   server -> worker  Request, more  the ticket: job, file-name, file-size
//   server -> worker  Request, more  the file's bytes, piece by piece, same message id; more ends with the last piece
//   worker -> server  Signal         bytes-done
//   worker -> server  Response       bytes-done, sha256
//   server -> worker  ByeRequest, answered by ByeResponse

import type { TextHeaders } from 'tofu-ampe';

/** The only kind of job there is: the SHA-256 of a file. */
export const SHA256_JOB = 'sha256';

/** The first message of a job. */
export interface JobTicket {
  readonly job: string;
  readonly fileName: string;
  readonly fileSize: number;
}

/** Who a worker is, told in its HelloRequest. */
export interface WorkerCard {
  readonly pid: number;
  readonly jobs: readonly string[];
}

/** How far the worker is; with the digest it is the final answer. */
export interface JobReport {
  readonly bytesDone: number;
  readonly sha256: string | undefined;
}

export function writeTicket(headers: TextHeaders, ticket: JobTicket): void {
  // A file name may hold a line end or blanks at its ends, a text header may not.
  headers.append('job', ticket.job).append('file-name', encodeURIComponent(ticket.fileName));
  headers.append('file-size', String(ticket.fileSize));
}

export function readTicket(headers: TextHeaders): JobTicket | null {
  const job = headers.get('job');
  const fileName = decodeName(headers.get('file-name'));
  const fileSize = readCount(headers, 'file-size');
  return job === undefined || fileName === null || fileSize === null ? null : { job, fileName, fileSize };
}

export function writeCard(headers: TextHeaders, card: WorkerCard): void {
  headers.append('worker-pid', String(card.pid));
  for (const job of card.jobs) headers.append('jobs', job);
}

export function readCard(headers: TextHeaders): WorkerCard | null {
  const pid = readCount(headers, 'worker-pid');
  return pid === null ? null : { pid, jobs: headers.getAll('jobs') };
}

export function writeReport(headers: TextHeaders, report: JobReport): void {
  headers.append('bytes-done', String(report.bytesDone));
  if (report.sha256 !== undefined) headers.append('sha256', report.sha256);
}

export function readReport(headers: TextHeaders): JobReport | null {
  const bytesDone = readCount(headers, 'bytes-done');
  return bytesDone === null ? null : { bytesDone, sha256: headers.get('sha256') };
}

function readCount(headers: TextHeaders, name: string): number | null {
  const text = headers.get(name);
  if (text === undefined || !/^\d{1,15}$/.test(text)) return null;
  return Number(text);
}

function decodeName(text: string | undefined): string | null {
  try {
    return text === undefined ? null : decodeURIComponent(text);
  } catch {
    return null; // not percent-encoded by writeTicket
  }
}
