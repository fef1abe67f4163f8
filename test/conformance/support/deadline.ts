// Waiting in tests: always for an event or a condition, always under a deadline that says what was waited for.
// Invariant: no timer is left when a wait has settled.

export const DEADLINE_MS = 5_000;

// Only how often a condition without an event of its own is looked at; never what decides a test.
const LOOK_EVERY_MS = 2;

/** The promise's outcome, or a failure which names what did not happen in time. */
export async function within<T>(what: string, promise: PromiseLike<T>, timeoutMs: number = DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms in vain for: ${what}`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until predicate() is true. For state that has no event; `describe` adds what was seen last to the failure. */
export async function eventually(
  what: string,
  predicate: () => boolean,
  options: { timeoutMs?: number; describe?: () => string } = {},
): Promise<void> {
  const timeoutMs = options.timeoutMs ?? DEADLINE_MS;
  const end = performance.now() + timeoutMs;
  while (!predicate()) {
    if (performance.now() > end) {
      const seen = options.describe === undefined ? '' : `; seen: ${options.describe()}`;
      throw new Error(`waited ${timeoutMs} ms in vain for: ${what}${seen}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Lets `turns` turns of the event loop go by: for proving that something does NOT need time but only the loop. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
