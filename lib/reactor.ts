// reactor.ts: the owner of an engine: made by create(), ended by destroy(). Everything else is behind ampe().
// Thread: the one that called create(). Invariant: destroy() ends every group, wait, socket and timer of the engine.
import { invalidArgument } from './protocol/ampe-error';
import { AmpeOfEngine, type Ampe } from './ampe';
import type { Engine } from './engine/engine';
import { resolveOptions, type Options } from './engine/options';
import { notShared, shutdownStarted } from './refusals';
import { attachedEngine, selectEngine } from './select-engine';

declare const reactorHandleBrand: unique symbol;
/** An engine as it travels to another thread. */
export interface ReactorHandle {
  readonly [reactorHandleBrand]: true;
}

const KEY = Symbol('internal');

/**
 * An engine and its life. `await using reactor = Reactor.create()` destroys it at the end of the block.
 * While it is referenced (the default) it keeps the process alive as long as a receiver or acquire() waits, a listener or
 * channel is open, or something is unsent.
 */
export class Reactor implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #ampe: AmpeOfEngine;
  #destroyed: Promise<void> | null = null;

  private constructor(key: symbol, engine: Engine) {
    if (key !== KEY) throw new TypeError('Illegal constructor: use Reactor.create()');
    this.#engine = engine;
    this.#ampe = AmpeOfEngine.of(engine);
  }

  /**
   * Starts an engine.
   * @throws TypeError or RangeError for bad options or a bad environment variable; AmpeError `not_implemented_yet` when
   *   the native engine is asked for and does not load
   */
  static create(options?: Options): Reactor {
    return new Reactor(KEY, selectEngine(resolveOptions(options)));
  }

  /** The interface that application code is given. */
  ampe(): Ampe {
    return this.#ampe;
  }
  /** Which engine runs. */
  get backend(): 'native' | 'fallback' {
    return this.#engine.backend;
  }
  /** Which binary was loaded, or why none was. */
  get backendReason(): string {
    return this.#engine.backendReason;
  }
  /** Destroys all groups and the engine. Resolves when every socket is closed. May be called again. */
  destroy(): Promise<void> {
    return (this.#destroyed ??= this.#ampe._destroy());
  }
  /**
   * A handle for {@link Reactor.attach} in another thread; it may be sent to workers of this process.
   * @throws AmpeError `not_allowed` on the fallback engine, `shutdown_started`
   */
  share(): ReactorHandle {
    const { threads } = this.#engine;
    if (threads === null) throw notShared('Reactor.share()');
    if (this.#engine.closed) throw shutdownStarted();
    return threads.shareEngine() as ReactorHandle;
  }
  /**
   * The engine another thread shared, with a pool and groups of this thread's own. A second call, or one in the thread that made
   * the engine, gives the same Ampe. The end of this thread destroys the groups it made.
   * @throws AmpeError `not_allowed` on the fallback engine, `shutdown_started` when the engine is gone; TypeError for no handle
   */
  static attach(handle: ReactorHandle): Ampe {
    if (typeof handle !== 'object' || handle === null) throw invalidArgument('handle', 'a ReactorHandle', handle);
    return AmpeOfEngine.of(attachedEngine(handle));
  }
  /** Lets the engine keep the process alive again. */
  ref(): this {
    this.#engine.setReferenced(true);
    return this;
  }
  /** Lets the process end although channels are open or receivers wait. */
  unref(): this {
    this.#engine.setReferenced(false);
    return this;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}
