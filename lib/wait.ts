// wait.ts: one asynchronous wait with a timeout and an AbortSignal, as every waiting call of the API has it.
// Invariant: when a wait settles, its timer and its abort listener are gone; it settles once.
import { invalidArgument } from './protocol/ampe-error';

/** Options of every call that waits. */
export interface WaitOptions {
  /** Ends the wait: it rejects with `signal.reason`, at once if the signal is aborted already. */
  signal?: AbortSignal | undefined;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The reason to refuse a wait before it begins, or null.
 * @returns TypeError (wrong type), RangeError (negative or NaN timeout), or the reason of an aborted signal in `aborted`
 */
export function refuseWait(timeoutMs: unknown, options: WaitOptions | undefined): { error: unknown } | null {
  if (timeoutMs !== undefined) {
    if (typeof timeoutMs !== 'number') return { error: invalidArgument('timeoutMs', 'a number', timeoutMs) };
    if (Number.isNaN(timeoutMs) || timeoutMs < 0) {
      return { error: new RangeError(`timeoutMs must be 0 or more, not ${timeoutMs}`) };
    }
  }
  if (options === undefined || options === null) return null;
  if (typeof options !== 'object') return { error: invalidArgument('options', 'an object', options) };
  const { signal } = options;
  if (signal === undefined || signal === null) return null;
  if (typeof signal !== 'object' || typeof signal.addEventListener !== 'function') {
    return { error: invalidArgument('options.signal', 'an AbortSignal', signal) };
  }
  return signal.aborted ? { error: signal.reason } : null;
}

/** A promise that somebody settles later, or a timer, or an abort. What kind of wait it is says the subclass: a wait is an object, no closures. */
export abstract class Wait<T> {
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;

  /** @param timeoutMs checked by refuseWait(); undefined and Infinity wait for ever */
  constructor(timeoutMs: number | undefined, options: WaitOptions | undefined) {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (timeoutMs !== undefined && timeoutMs !== Number.POSITIVE_INFINITY) this.#arm(timeoutMs);
    const signal = options?.signal;
    if (signal) {
      this.#signal = signal;
      this.#onAbort = () => this.reject(signal.reason);
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  /** The time is up: settles the wait with `resolve` or `reject`. */
  protected abstract onTimeout(): void;
  /** The first thing whenever the wait settles. */
  protected abstract onEnd(): void;

  resolve(value: T): void {
    this.#end();
    this.#resolve(value);
  }
  reject(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  /** Timers hold 31 bits: a longer wait is made of several. */
  #arm(leftMs: number): void {
    const step = Math.min(leftMs, MAX_TIMER_MS);
    this.#timer = setTimeout(() => {
      if (leftMs > step) this.#arm(leftMs - step);
      else this.onTimeout();
    }, step);
    this.#timer.unref(); // the engine holds the process while somebody waits, unless it is told not to
  }
  #end(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    if (this.#onAbort !== undefined) this.#signal!.removeEventListener('abort', this.#onAbort);
    this.onEnd();
  }
}
