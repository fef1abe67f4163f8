// select-engine.ts: which engine runs, and why. The only file that knows that there are several.
import { AmpeError } from './protocol/ampe-error';
import { AmpeStatus } from './protocol/status';
import type { Engine } from './engine/engine';
import type { ResolvedOptions } from './engine/options';
import { FallbackEngine } from './fallback-engine/reactor';

const NO_NATIVE = 'this release has no native engine';

/** @throws AmpeError `not_implemented_yet` when 'native' is asked for and there is none */
export function selectEngine(options: ResolvedOptions): Engine {
  if (options.backend === 'native') {
    throw new AmpeError(AmpeStatus.NotImplementedYet, `not_implemented_yet: ${NO_NATIVE}`);
  }
  return new FallbackEngine(options, options.backend === 'fallback' ? 'the fallback engine was asked for' : NO_NATIVE);
}
