// failure.ts: what went wrong, as the one sentence a person at a terminal is told.
// Must not know who prints it; everything that is not a Failure or an AmpeError is a bug of the demo.

import { AmpeError } from 'tofu-ampe';

/** Exit codes of the demo: a failed transfer, and a command line that cannot be carried out. */
export const ExitCode = { Verified: 0, Failed: 1, WrongUsage: 2 } as const;

/** An expected failure; its message is a whole sentence. */
export class Failure extends Error {
  constructor(
    sentence: string,
    readonly exitCode: number = ExitCode.Failed,
  ) {
    super(sentence);
    this.name = 'Failure';
  }
}

/** One line for the reader, whatever was thrown. */
export function sentenceOf(error: unknown): string {
  if (error instanceof Failure) return oneLine(error.message);
  if (error instanceof AmpeError) return oneLine(`The message engine refused to go on: ${error.message}.`);
  return oneLine(`Unexpected failure: ${error instanceof Error ? error.message : String(error)}.`);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
