// threads.ts: an engine and its groups in threads that did not make them.
// A thread that attaches has an engine object of its own, with a pool, groups and channels of its own; of other threads' groups it
// has the posting side only, and asks the binding where an owner would look into its table.
// Invariant: one engine object per engine and thread.
import { AmpeError, invalidArgument } from '../protocol/ampe-error';
import { AmpeStatus } from '../protocol/status';
import type { PostingGroup } from '../engine/engine';
import type { Frame } from '../engine/frame';
import { DefaultOptions } from '../engine/options';
import { NativeEngine } from './engine';
import { isEngineHandle, isGroupHandle } from './handles';
import { engineOfNumber, hold, type Loaded } from './ports';

/**
 * The engine of a handle in this thread.
 * @throws TypeError for something else than a handle; AmpeError `shutdown_started` when it is gone
 */
export function attachEngine(loaded: Loaded, handle: object): NativeEngine {
  if (!isEngineHandle(handle)) throw invalidArgument('handle', 'a ReactorHandle', handle);
  const { engine: number, initialPoolMsgs, maxPoolMsgs } = handle;
  const known = engineOfNumber(number);
  if (known !== undefined) return known;
  const engine = new NativeEngine({ ...DefaultOptions, initialPoolMsgs, maxPoolMsgs }, loaded, number);
  hold(engine); // until it is gone: whether this thread is attached must not hang on a garbage collector
  return engine;
}

/**
 * The posting side of the group of a handle.
 * @throws TypeError for something else than a handle; AmpeError `not_allowed` when this thread is not attached to its engine
 */
export function attachGroup(handle: object): { engine: NativeEngine; group: PostingGroup } {
  if (!isGroupHandle(handle)) throw invalidArgument('handle', 'a GroupHandle', handle);
  const engine = engineOfNumber(handle.engine);
  if (engine === undefined) {
    const advice = 'Reactor.attach() its engine in this thread first';
    throw new AmpeError(
      AmpeStatus.NotAllowed,
      `not_allowed: the group belongs to an engine that is not here; ${advice}`,
    );
  }
  return { engine, group: engine.groupOf(handle.group) ?? new ForeignGroup(engine, handle.group) };
}

/** The posting side of another thread's group. */
class ForeignGroup implements PostingGroup {
  readonly #engine: NativeEngine;

  constructor(
    engine: NativeEngine,
    readonly id: number,
  ) {
    this.#engine = engine;
  }

  get closed(): boolean {
    return !this.#engine.groupIsOpen(this.id);
  }
  openChannel(listener: boolean): number {
    return this.#engine.openChannel(this.id, listener, false);
  }
  /** The owner's table is in another thread. */
  isOpen(): boolean {
    return false;
  }
  refuse(channel: number, generation: number, opCode: number): AmpeStatus {
    return this.#engine.refuseShared(channel, generation, this.id, opCode);
  }
  post(frame: Frame, channel: number, opCode: number): void {
    this.#engine.postAbroad(this.id, frame, channel, opCode);
  }
  update(frame: Frame): void {
    this.#engine.updateAbroad(this.id, frame);
  }
}
