/** Options and results of `ctx.waitFor`. */
import type { Duration } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { PathName } from '../core/paths.js';
import { indexText, type WaitOn } from '../core/run/waits.js';
import type { SelectorOf } from './selector.js';
import type { Signal } from './signal.js';
import type { Topic } from './topic.js';

/** What was waited for, with where it came from. */
export interface Received<Data = unknown> {
  /** Id of the event or the signal. */
  readonly id: string;
  /** When it was published or received, epoch ms on the store's clock. */
  readonly at: number;
  readonly data: Data;
}

type Scalar = string | number | boolean | bigint;

/** The type of the field at a path. */
type FieldAt<T, Path extends string> = unknown extends T
  ? Scalar
  : Path extends `${infer Head}.${infer Rest}`
    ? Head extends keyof T
      ? FieldAt<NonNullable<T[Head]>, Rest>
      : never
    : Path extends keyof T
      ? Extract<NonNullable<T[Path]>, Scalar>
      : never;

/** Fields of an event and the values that they must have. Only indexed fields of the topic can be named. */
export type MatchOf<Data> = { readonly [Path in SelectorOf<Data>]?: FieldAt<Data, Path> };

/** Options of waiting for a signal. */
export interface WaitForSignalOptions {
  /** Name of the wait in the run. Default: the name of the signal. */
  readonly as?: PathName;
  /** After this time the result is null. Default: it waits for as long as the run lives. */
  readonly timeout?: Duration;
}

/** Options of waiting for an event of a topic. */
export interface WaitForOptions<Data> {
  /** What the event must hold: one indexed field of the topic at least. */
  readonly match: MatchOf<Data>;
  /** Name of the wait in the run. Default: the name of the topic. */
  readonly as?: PathName;
  /** After this time the result is null. Default: it waits for as long as the run lives. */
  readonly timeout?: Duration;
}

/** What a wait is recorded to be for. Fails with OPTIONS_INVALID, naming all faults. */
export function waitOnOf(path: string, on: Topic | Signal, match: unknown): WaitOn {
  if (on.kind === 'signal') return { kind: 'signal', name: on.name };
  const faults: string[] = [];
  const fields: Record<string, string> = {};
  const given = typeof match === 'object' && match !== null ? Object.entries(match) : [];
  for (const [field, value] of given.sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === undefined) continue;
    const text = indexText(value);
    if (!on.index.includes(field))
      faults.push(`"${field}" is not an indexed field of topic "${on.name}"; ${known(on)}`);
    else if (text === null)
      faults.push(`${field} must be a number, a boolean or a text of up to ${limits.indexValueLengthMax} characters`);
    else fields[field] = text;
  }
  if (faults.length === 0 && Object.keys(fields).length === 0)
    faults.push(`match must name an indexed field of topic "${on.name}"; ${known(on)}`);
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: `wait "${path}"`, faults });
  return { kind: 'event', topic: on.name, match: fields };
}

function known({ index }: Topic): string {
  return index.length === 0 ? 'it has none, give it `key` or `index`' : `it has ${index.join(', ')}`;
}
