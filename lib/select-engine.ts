// select-engine.ts: which engine runs, and why. The only file that knows that there are several.
// The option decides, then TOFU_AMPE_BACKEND (both in engine/options.ts), then what loads (native-engine/load.ts).
// Invariant: the fallback engine takes over silently only when no native one of this version loads; every other trouble throws.
import { AmpeError } from './protocol/ampe-error';
import { AmpeStatus } from './protocol/status';
import type { Engine, PostingGroup } from './engine/engine';
import type { ResolvedOptions } from './engine/options';
import { FallbackEngine } from './fallback-engine/reactor';
import { NativeEngine } from './native-engine/engine';
import { isEngineHandle, isGroupHandle } from './native-engine/handles';
import { loadBinding, packageRoot } from './native-engine/load';
import { attachEngine, attachGroup } from './native-engine/threads';

/** Whether this thread made its last engine of the fallback kind. */
let usesFallback = process.env.TOFU_AMPE_BACKEND === 'fallback';

/**
 * @throws AmpeError `not_implemented_yet` when 'native' is asked for and does not load; Error when a native engine loads that
 *   says it is of this version of the package and differs from it
 */
export function selectEngine(options: ResolvedOptions): Engine {
  const engine = makeEngine(options);
  usesFallback = engine.backend === 'fallback';
  return engine;
}
function makeEngine(options: ResolvedOptions): Engine {
  if (options.backend === 'fallback') return new FallbackEngine(options, 'the fallback engine was asked for');
  const loaded = loadBinding(options.prebuild);
  if ('binding' in loaded) return new NativeEngine(options, loaded);
  const reason = `${loaded.reason} (${isBundled() ? 'see "Bundlers" in the README' : 'npx tofu-ampe doctor says more'})`;
  if (options.backend === 'auto') return new FallbackEngine(options, reason);
  throw new AmpeError(AmpeStatus.NotImplementedYet, `not_implemented_yet: ${reason}`);
}
/** The doctor looks at the package where it is installed: of a bundle it knows nothing. */
function isBundled(): boolean {
  try {
    return packageRoot() === null;
  } catch {
    return false; // it may not look; the reason says so
  }
}

/**
 * The engine of a handle, in this thread; it runs in the binary that the handle names.
 * @throws AmpeError `not_allowed` where only the fallback engine is
 */
export function attachedEngine(handle: object): Engine {
  const isHandle = isEngineHandle(handle);
  const loaded = loadBinding(isHandle ? handle.file : '');
  if ('reason' in loaded) throw notAttached('Reactor.attach()', loaded.reason);
  if (usesFallback && !isHandle) throw notAttached('Reactor.attach()', NO_HANDLE);
  return attachEngine(loaded, handle);
}

/** The posting side of the group of a handle, in this thread. @throws as attachedEngine() */
export function attachedGroup(handle: object): { engine: Engine; group: PostingGroup } {
  if (isGroupHandle(handle)) return attachGroup(handle);
  const loaded = loadBinding();
  if ('reason' in loaded) throw notAttached('attachGroup()', loaded.reason);
  if (usesFallback) throw notAttached('attachGroup()', NO_HANDLE);
  return attachGroup(handle);
}

/** The fallback engine makes no handles: with it in use, an object that is none was meant for it. */
const NO_HANDLE = 'the fallback engine lives in one thread';

function notAttached(name: string, reason: string): AmpeError {
  return new AmpeError(AmpeStatus.NotAllowed, `not_allowed: ${name} needs the native engine; ${reason}`);
}
