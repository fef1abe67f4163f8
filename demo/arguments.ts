// arguments.ts: the command line, and what it asks for.
// Must not open anything: whether the file exists and the address is free is found out by whoever uses them.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { AmpeError, TcpServerAddress, UdsServerAddress } from 'tofu-ampe';
import { ExitCode, Failure } from './failure';

/** A transfer to carry out. */
export interface Job {
  readonly file: string;
  readonly address: TcpServerAddress | UdsServerAddress;
}

interface Flags {
  transport?: 'tcp' | 'uds';
  port?: number;
  path?: string;
}

const LOOPBACK = '127.0.0.1';
const ANY_FREE_PORT = 0;
const MAX_PORT = 65_535;

/**
 * Reads the arguments behind `node main.js`.
 * @returns the job, or null when help was asked for and printed
 * @throws Failure with one sentence for everything that cannot be understood
 */
export function parseArguments(argv: readonly string[]): Job | null {
  const command = describeCommand();
  try {
    command.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    throw wrongUsage(error.message.replace(/^error: /, ''));
  }
  const [file = process.execPath] = command.args;
  return { file, address: addressOf(command.opts<Flags>()) };
}

function describeCommand(): Command {
  return new Command('npm run demo --')
    .description('Streams a file from a spool server to a worker process and compares the SHA-256 of both ends.')
    .argument('[file]', 'the file to send (default: the node executable)')
    .addOption(new Option('--transport <name>', 'what the processes talk over (default: tcp)').choices(['tcp', 'uds']))
    .option('--port <number>', 'TCP port of the server (default: any free port)', parsePort)
    .option('--path <path>', 'Unix socket of the server (default: a new one in the temporary folder)')
    .configureOutput({ writeErr: () => undefined })
    .showSuggestionAfterError(false)
    .exitOverride();
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (port > MAX_PORT) throw new InvalidArgumentError(`A port is a whole number from 0 to ${MAX_PORT}.`);
  return port;
}

function addressOf({ transport, port, path }: Flags): TcpServerAddress | UdsServerAddress {
  const overUds = transport === undefined ? path !== undefined : transport === 'uds';
  if (overUds && port !== undefined) throw wrongUsage('--port does not go with a Unix socket');
  if (!overUds && path !== undefined) throw wrongUsage('--path does not go with --transport tcp');
  if (!overUds) return new TcpServerAddress(LOOPBACK, port ?? ANY_FREE_PORT);
  try {
    return new UdsServerAddress(path ?? join(tmpdir(), `tofu-spool-${process.pid}.sock`));
  } catch (error) {
    if (error instanceof AmpeError) throw wrongUsage(`'${path}' cannot be the path of a Unix socket`);
    throw error;
  }
}

function wrongUsage(what: string): Failure {
  const sentence = what.charAt(0).toUpperCase() + what.slice(1);
  return new Failure(`${sentence.replace(/\.?$/, '')} (see --help).`, ExitCode.WrongUsage);
}
