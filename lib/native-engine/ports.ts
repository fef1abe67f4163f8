// ports.ts: the engines of this JavaScript thread: how their ports are made, which of them must stay, and what becomes of those
// that nobody can reach any more.
// Invariant: what the binding keeps refers to an engine object only weakly; `held` alone keeps one alive.
import { AmpeError } from '../protocol/ampe-error';
import { AmpeStatus } from '../protocol/status';
import type { ResolvedOptions } from '../engine/options';
import type { Binding } from './binding';
import type { NativeEngine } from './engine';

/** The addon, the file it was loaded from, and what to add about others that were tried before: '' or '; …'. */
export interface Loaded {
  binding: Binding;
  path: string;
  passedOver: string;
}

type PollerName = 'best' | 'epoll' | 'kqueue' | 'poll';
const POLLERS: readonly string[] = ['best', 'epoll', 'kqueue', 'poll'] satisfies PollerName[];

// What create() answers instead of a port, negated: see native/os/os_error.h.
const UNAVAILABLE = 7;
const NO_DESCRIPTORS = 8;
const NO_MEMORY = 9;

const held = new Set<NativeEngine>();
const engines = new Map<number, WeakRef<NativeEngine>>();
const collected = new FinalizationRegistry<{ binding: Binding; port: number; number: number }>((forgotten) => {
  engines.delete(forgotten.number);
  forgotten.binding.detach(forgotten.port);
});
let flushesAtExit = false;

/**
 * A port to a new engine (`attachTo` 0) or to a running one.
 * A function of its own: its closure must not see the engine object.
 */
export function connectPort(
  options: ResolvedOptions,
  binding: Binding,
  attachTo: number,
  engine: WeakRef<NativeEngine>,
): number {
  const onDoorbell = (): void => engine.deref()?.onDoorbell();
  if (attachTo !== 0) {
    const port = binding.attach(attachTo, onDoorbell);
    if (port === 0) throw new AmpeError(AmpeStatus.ShutdownStarted, 'shutdown_started: the engine is gone');
    return port;
  }
  const { connectTimeoutMs, handshakeTimeoutMs, closeTimeoutMs, keepAliveMs, udsMode, maxChannels } = options;
  const poller = pollerName();
  const limits = { connectTimeoutMs, handshakeTimeoutMs, closeTimeoutMs, keepAliveMs, udsMode, maxChannels };
  const port = binding.create({ ...limits, poller, spinUs: -1 }, onDoorbell);
  if (port <= 0) throw notStarted(-port, poller);
  return port;
}

/** Which poller, for tests of those that are not this platform's best. */
function pollerName(): PollerName {
  const name = process.env.TOFU_AMPE_POLLER || 'best';
  if (!POLLERS.includes(name))
    throw new RangeError(`TOFU_AMPE_POLLER must be one of ${POLLERS.join(', ')}, not '${name}'`);
  return name as PollerName;
}

function notStarted(error: number, poller: string): AmpeError {
  switch (error) {
    case UNAVAILABLE:
      return new AmpeError(AmpeStatus.NotImplementedYet, `not_implemented_yet: there is no poller '${poller}' here`);
    case NO_DESCRIPTORS:
      return new AmpeError(AmpeStatus.AllocationFailed, 'allocation_failed: no file descriptor is left for the engine');
    case NO_MEMORY:
      return new AmpeError(
        AmpeStatus.AllocationFailed,
        'allocation_failed: no memory or thread is left for the engine',
      );
    default:
      return new AmpeError(AmpeStatus.UnknownError, `unknown_error: the engine did not start (${error})`);
  }
}

/** Makes the engine known in this thread. */
export function addPort(engine: NativeEngine, binding: Binding, port: number): void {
  engines.set(engine.number, new WeakRef(engine));
  collected.register(engine, { binding, port, number: engine.number }, engine);
  if (flushesAtExit) return;
  flushesAtExit = true;
  // What was posted in the last tick: process.exit() and an uncaught exception leave no end of the tick.
  process.on('exit', () => {
    for (const each of engines.values()) each.deref()?.flush();
  });
}
/** Its port is gone. */
export function removePort(engine: NativeEngine): void {
  engines.delete(engine.number);
  collected.unregister(engine);
}
/** This thread's object for the engine of that number. */
export function engineOfNumber(number: number): NativeEngine | undefined {
  return engines.get(number)?.deref();
}

/** The engine stays although the application may have forgotten it. */
export function hold(engine: NativeEngine): void {
  held.add(engine);
}
export function release(engine: NativeEngine): void {
  held.delete(engine);
}
