// handles.ts: engines and groups as they travel to other threads: plain objects that survive structured cloning.
// The numbers are unique in the process and never used again, so a handle of something that is gone is recognised.

/** Tells handles from other objects. */
const ENGINE_KIND = 'tofu-ampe engine';
const GROUP_KIND = 'tofu-ampe group';

/** What another thread must know to use an engine: which one, the binary it runs in, and the size of the pool to be made. */
export interface EngineHandle {
  readonly kind: typeof ENGINE_KIND;
  readonly engine: number;
  readonly file: string;
  readonly initialPoolMsgs: number;
  readonly maxPoolMsgs: number;
}
export interface GroupHandle {
  readonly kind: typeof GROUP_KIND;
  readonly engine: number;
  readonly group: number;
}

export function engineHandle(engine: number, file: string, initialPoolMsgs: number, maxPoolMsgs: number): EngineHandle {
  return { kind: ENGINE_KIND, engine, file, initialPoolMsgs, maxPoolMsgs };
}
export function groupHandle(engine: number, group: number): GroupHandle {
  return { kind: GROUP_KIND, engine, group };
}

export function isEngineHandle(value: object): value is EngineHandle {
  const { kind, engine, file, initialPoolMsgs, maxPoolMsgs } = value as Partial<EngineHandle>;
  const isPool = isCount(initialPoolMsgs) && isCount(maxPoolMsgs) && maxPoolMsgs > 0;
  return kind === ENGINE_KIND && isNumber(engine) && typeof file === 'string' && isPool;
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
