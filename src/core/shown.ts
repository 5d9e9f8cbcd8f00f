const textLengthMax = 64;

/**
 * A value as an error message shows it: short, and never by the value's own `toString`, which may be anything where the
 * value comes from outside.
 */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.slice(0, textLengthMax));
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? 'a list' : 'an object';
    case 'function':
      return 'a function';
    default:
      return String(value).slice(0, textLengthMax);
  }
}
