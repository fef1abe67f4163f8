// invalid-argument.ts: the TypeError for an argument of the wrong type.
// Layer: protocol. Knows nothing else of it.

/**
 * The TypeError for an argument of the wrong type, in the form Node uses.
 * @param name name of the argument
 * @param expected what it must be, with its article: `'a string'`
 * @param actual what came
 */
export function invalidArgument(name: string, expected: string, actual: unknown): TypeError {
  const error = new TypeError(`The "${name}" argument must be ${expected}. Received ${describe(actual)}`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' as const });
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'object') {
    const maker: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
    return typeof maker === 'string' && maker !== '' ? `an instance of ${maker}` : 'an object';
  }
  return `type ${typeof value}`;
}
