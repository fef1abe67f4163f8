// options.ts: the options of an engine, their defaults and their checks. Shared by both engines.
import { LAST_CHANNEL } from '../protocol/constants';
import { invalidArgument } from '../protocol/ampe-error';

/** What `Reactor.create` accepts. All timeouts are whole milliseconds from 1 to 2^31-1. */
export interface Options {
  /** Messages the pool makes at the start, 0 to maxPoolMsgs; for each thread that uses the engine. Default 64. */
  initialPoolMsgs?: number | undefined;
  /**
   * Most messages of the pool that are out at a time, 1 or more. Default 1024.
   * @see docs/PROTOCOL.md section 5
   */
  maxPoolMsgs?: number | undefined;
  /** Which engine; the default is the environment's TOFU_AMPE_BACKEND, else 'auto': the best one that loads. */
  backend?: 'auto' | 'native' | 'fallback' | undefined;
  /**
   * The binary of the native engine: a .node file, or a folder with prebuilds/; for programs that were bundled. The default is the
   * environment's TOFU_AMPE_PREBUILD, else '': the package looks for it.
   */
  prebuild?: string | undefined;
  /** For the whole of a connect: name resolution and every address together. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** For an accepted connection to send its HelloRequest. Default 10 000. */
  handshakeTimeoutMs?: number | undefined;
  /** For the peer to finish after our Bye is out; starts again with every byte that moves. Default 5 000. */
  closeTimeoutMs?: number | undefined;
  /** Idle time on TCP before the first keep-alive probe, rounded up to whole seconds, at most 32 767 of them. Default 60 000. */
  keepAliveMs?: number | undefined;
  /** File mode of listening Unix sockets, 0 to 0o777. Default 0o600. */
  udsMode?: number | undefined;
  /** Most channels that are live or not yet reusable, listeners included, 1 to 65 534 (the default). */
  maxChannels?: number | undefined;
}

/** Options with every default filled in. */
export type ResolvedOptions = { [K in keyof Options]-?: NonNullable<Options[K]> };

/** The defaults. `initialPoolMsgs` is lowered to a smaller `maxPoolMsgs`. */
export const DefaultOptions: Readonly<{ [K in keyof Options]-?: NonNullable<Options[K]> }> = Object.freeze({
  initialPoolMsgs: 64,
  maxPoolMsgs: 1024,
  backend: 'auto',
  prebuild: '',
  connectTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
  keepAliveMs: 60_000,
  udsMode: 0o600,
  maxChannels: LAST_CHANNEL,
});

const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const MAX_POOL_MSGS = 2 ** 31 - 1;
type NumberOption = Exclude<keyof Options, 'backend' | 'prebuild'>;
const RANGES: Record<NumberOption, readonly [least: number, most: number]> = {
  initialPoolMsgs: [0, MAX_POOL_MSGS],
  maxPoolMsgs: [1, MAX_POOL_MSGS],
  connectTimeoutMs: [1, MAX_TIMEOUT_MS],
  handshakeTimeoutMs: [1, MAX_TIMEOUT_MS],
  closeTimeoutMs: [1, MAX_TIMEOUT_MS],
  keepAliveMs: [1, MAX_TIMEOUT_MS],
  udsMode: [0, 0o777],
  maxChannels: [1, LAST_CHANNEL],
};

/**
 * Fills in the defaults.
 * @throws TypeError of a wrong type, RangeError of a value out of range, or of an unknown backend
 */
export function resolveOptions(options: Options = {}, environment: NodeJS.ProcessEnv = process.env): ResolvedOptions {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options);
  const resolved: ResolvedOptions = { ...DefaultOptions };
  for (const name of Object.keys(RANGES) as NumberOption[]) {
    const value: unknown = options[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') throw invalidArgument(`options.${name}`, 'a number', value);
    const [least, most] = RANGES[name];
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new RangeError(`options.${name} must be an integer from ${least} to ${most}, not ${value}`);
    }
    resolved[name] = value;
  }
  if (resolved.initialPoolMsgs > resolved.maxPoolMsgs) {
    if (options.initialPoolMsgs !== undefined) {
      throw new RangeError(
        `options.initialPoolMsgs (${resolved.initialPoolMsgs}) is greater than maxPoolMsgs (${resolved.maxPoolMsgs})`,
      );
    }
    resolved.initialPoolMsgs = resolved.maxPoolMsgs;
  }
  if (options.prebuild !== undefined) {
    if (typeof options.prebuild !== 'string') throw invalidArgument('options.prebuild', 'a string', options.prebuild);
    resolved.prebuild = options.prebuild;
  }
  resolved.backend = resolveBackend(options.backend, environment);
  return resolved;
}

function resolveBackend(given: unknown, environment: NodeJS.ProcessEnv): ResolvedOptions['backend'] {
  const fromEnvironment = given === undefined ? environment.TOFU_AMPE_BACKEND : undefined;
  const name = fromEnvironment === undefined ? 'options.backend' : 'TOFU_AMPE_BACKEND';
  const value = given === undefined ? fromEnvironment || DefaultOptions.backend : given;
  if (typeof value !== 'string') throw invalidArgument(name, 'a string', value);
  if (value !== 'auto' && value !== 'native' && value !== 'fallback') {
    throw new RangeError(`${name} must be 'auto', 'native' or 'fallback', not '${value}'`);
  }
  return value;
}
