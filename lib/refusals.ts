// refusals.ts: the errors that several of the public classes throw.
import { AmpeError } from './protocol/ampe-error';
import { AmpeStatus } from './protocol/status';

/** @internal */
export function notShared(what: string): AmpeError {
  return new AmpeError(AmpeStatus.NotAllowed, `not_allowed: ${what} needs the native engine`);
}
/** @internal */
export function shutdownStarted(): AmpeError {
  return new AmpeError(AmpeStatus.ShutdownStarted, 'shutdown_started: the group or its engine is destroyed');
}
