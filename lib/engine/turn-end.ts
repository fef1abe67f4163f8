// turn-end.ts: when everything else of this turn of the event loop has had its time.
// Knows the event loop only. Invariant: what is not referenced neither holds the process nor waits for something else to happen.

/**
 * Calls back behind everything else of this turn.
 * @param referenced whether this holds the process; an immediate that does not would wait for the next event of another
 * @returns takes it back
 */
export function atTurnEnd(callback: () => void, referenced: boolean): () => void {
  if (referenced) {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  }
  const timer = setTimeout(callback, 1).unref();
  return () => clearTimeout(timer);
}
