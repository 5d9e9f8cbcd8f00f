/**
 * Checks of options at construction: all faults at once, misspelt names with a suggestion. Types already refuse most of
 * this; plain JavaScript and values out of configuration are why it is checked again.
 */
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { durationMs, type Duration } from '../core/duration.js';
import type { Effect } from '../core/run/events.js';
import type { StandardSchema } from '../core/standard-schema.js';

/** Collects the faults of one set of options and reports them together. */
export class OptionFaults {
  readonly #what: string;
  readonly #faults: string[] = [];

  /** `what` names the owner of the options in the message: `workflow "answer"`. */
  constructor(what: string) {
    this.#what = what;
  }

  add(fault: string): void {
    this.#faults.push(fault);
  }

  /** Names that are not options, each with the option that may have been meant. */
  unknownNames(given: object, known: readonly string[]): void {
    for (const name of Object.keys(given)) {
      if (!known.includes(name)) this.add(`"${name}" is not an option${suggestion(name, known)}`);
    }
  }

  name(value: unknown): void {
    if (typeof value !== 'string' || value === '') this.add('the name must be a non-empty text');
    else if (value.length > limits.nameLengthMax)
      this.add(`the name is longer than ${limits.nameLengthMax} characters`);
    else if (!namePattern.test(value)) {
      this.add('the name may hold letters, digits, ".", "-" and "_" and must begin with a letter or digit');
    }
  }

  /** The duration in ms; `fallback` where it is absent or not valid. */
  duration<T>(option: string, value: Duration | undefined, fallback: T, minMs = 0): number | T {
    if (value === undefined) return fallback;
    const ms = durationMs(value);
    if (ms !== null && ms >= minMs) return ms;
    this.add(`${option} is not a duration${minMs > 0 ? ` of at least ${minMs} ms` : ''}, such as "30s" or "2d"`);
    return fallback;
  }

  integer(option: string, value: number | undefined, range: { readonly min: number; readonly max: number }): void {
    if (value === undefined) return;
    if (Number.isInteger(value) && value >= range.min && value <= range.max) return;
    this.add(`${option} must be an integer from ${range.min} to ${range.max}`);
  }

  effect(value: Effect | undefined): void {
    if (value === undefined || effects.includes(value)) return;
    this.add(`effect must be one of ${effects.join(', ')}${suggestion(String(value), effects)}`);
  }

  schema(option: string, value: StandardSchema | undefined): void {
    if (value === undefined) return;
    const standard: unknown = (value as Partial<StandardSchema> | null)?.['~standard'];
    if (typeof standard === 'object' && standard !== null && 'validate' in standard) return;
    this.add(`${option} is not a Standard Schema (zod, valibot, arktype ...)`);
  }

  /** Fails with OPTIONS_INVALID where anything was found. */
  throwIfAny(): void {
    if (this.#faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: this.#what, faults: this.#faults });
  }
}

const effects: readonly Effect[] = ['pure', 'idempotent', 'external'];
const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;

/** `; did you mean "x"?` where one of the known names is near, else nothing. */
export function suggestion(name: string, known: readonly string[]): string {
  const tolerance = Math.max(1, Math.floor(name.length / 3));
  let best: string | null = null;
  let least = tolerance + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), least);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best === null ? '' : `; did you mean "${best}"?`;
}

/** Levenshtein distance, given up once it must reach `bound`. */
function editDistance(a: string, b: string, bound: number): number {
  if (Math.abs(a.length - b.length) >= bound) return bound;
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    if (Math.min(...row) >= bound) return bound;
    previous = row;
  }
  return previous[b.length] ?? bound;
}
