// handles.ts: engines and groups as they travel to other threads: plain objects that survive structured cloning.
// The numbers are unique in the process and never used again, so a handle of something that is gone is recognised.

/** Tells handles from other objects. */
const ENGINE_KIND = 'tofu-ampe engine';
const GROUP_KIND = 'tofu-ampe group';

/** What another thread must know to use an engine: which one, and the size of the pool it makes for itself. */
export interface EngineHandle {
  readonly kind: typeof ENGINE_KIND;
  readonly engine: number;
  readonly initialPoolMsgs: number;
  readonly maxPoolMsgs: number;
}
export interface GroupHandle {
  readonly kind: typeof GROUP_KIND;
  readonly engine: number;
  readonly group: number;
}

export function engineHandle(engine: number, initialPoolMsgs: number, maxPoolMsgs: number): EngineHandle {
  return { kind: ENGINE_KIND, engine, initialPoolMsgs, maxPoolMsgs };
}
export function groupHandle(engine: number, group: number): GroupHandle {
  return { kind: GROUP_KIND, engine, group };
}

export function isEngineHandle(value: object): value is EngineHandle {
  const { kind, engine, initialPoolMsgs, maxPoolMsgs } = value as Partial<EngineHandle>;
  return (
    kind === ENGINE_KIND && isNumber(engine) && isCount(initialPoolMsgs) && isCount(maxPoolMsgs) && maxPoolMsgs > 0
  );
}
export function isGroupHandle(value: object): value is GroupHandle {
  const { kind, engine, group } = value as Partial<GroupHandle>;
  return kind === GROUP_KIND && isNumber(engine) && isNumber(group);
}

function isNumber(value: unknown): value is number {
  return isCount(value) && value > 0;
}
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
