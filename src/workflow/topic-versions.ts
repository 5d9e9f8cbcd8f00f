/**
 * Versions of the schema of a topic, and upcasters: functions that make data of a version of data of the one before, where a
 * reader meets an event that was written under an older one. They are user code and run in workers only.
 *
 * Invariant: what is handed on was valid under each version on the way that an upcaster begins or ends at; what was not is
 * EVENT_UNREADABLE, of class poison, and never tried again.
 */
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { compatibilityModes, type Compatibility, type CompatibilityMode } from '../core/manifest.js';
import { readSchemaId } from '../core/schema/schema-id.js';
import type { InferInput, InferOutput, StandardIssue, StandardSchema } from '../core/standard-schema.js';
import type { OptionFaults } from './options.js';

/** A version of the schema of a topic. */
export interface SchemaVersion {
  readonly version: number;
  readonly schema: StandardSchema;
  /** Makes what this version takes of what the one before gives. null = what fits that one fits this one. */
  readonly up: ((old: unknown) => unknown) | null;
}

/** Keys of a record that was inferred may be the texts of its numbers. */
type NumbersOf<Keys> = Keys extends `${infer N extends number}` ? N : Extract<Keys, number>;
type KeyOf<V, N> = N extends number ? Extract<keyof V, N | `${N}`> : never;

/** The largest of the numbers, up to `limits.topicVersionsMax`. */
type Newest<Numbers, Seen extends readonly unknown[] = []> = [Numbers] extends [Seen['length']]
  ? Seen['length']
  : Seen['length'] extends 200
    ? never
    : Newest<Exclude<Numbers, Seen['length']>, [...Seen, unknown]>;

/** The largest of the numbers below one of them. */
type Before<Numbers, N, Seen extends readonly unknown[] = [], Last = never> = N extends Seen['length']
  ? Last
  : Seen['length'] extends 200
    ? never
    : Before<Numbers, N, [...Seen, unknown], Seen['length'] extends Numbers ? Seen['length'] : Last>;

/** The newest of the schemas. */
export type NewestOf<V> = V[KeyOf<V, Newest<NumbersOf<keyof V>>>];

type GivenBefore<V, K> = InferOutput<V[KeyOf<V, Before<NumbersOf<keyof V>, NumbersOf<K>>>]>;

/** Versions as they are declared: a schema, or a schema with an upcaster from the version before. */
export type VersionsOption<V> = {
  readonly [K in keyof V]:
    | V[K]
    | {
        readonly schema: V[K];
        /**
         * Makes what this version takes of what the version before gives; pure, since it runs again with each replay. Default:
         * old data is read by this version as it is.
         */
        readonly up: (old: GivenBefore<V, K>) => InferInput<V[K]>;
      };
};

/** What may be said of compatibility. */
export type CompatibilityOption =
  | CompatibilityMode
  | { readonly mode: CompatibilityMode; readonly transitive: boolean };

/** Takes the option apart; of what is wrong `faults` hears. */
export function readVersions(option: unknown, faults: OptionFaults): SchemaVersion[] {
  if (typeof option !== 'object' || option === null || Array.isArray(option)) {
    faults.add('versions must be an object with a schema for each number, such as { 1: first, 2: second }');
    return [];
  }
  const entries = Object.entries(option);
  if (entries.length === 0 || entries.length > limits.topicVersionsMax)
    faults.add(`versions must have 1 to ${limits.topicVersionsMax} schemas`);
  return entries.flatMap(([key, given]: [string, unknown], i) => {
    const version = Number(key);
    if (!/^[1-9]\d*$/.test(key) || version > limits.topicVersionsMax)
      faults.add(`versions: "${key}" is not a whole number from 1 to ${limits.topicVersionsMax}`);
    const { schema, up } = isWithUp(given) ? given : { schema: given, up: undefined };
    faults.schema(`version ${key}`, schema as StandardSchema | undefined);
    if (schema === undefined) faults.add(`version ${key} has no schema`);
    if (up !== undefined && typeof up !== 'function') faults.add(`up of version ${key} must be a function`);
    if (up !== undefined && i === 0) faults.add(`up of version ${key}: there is no version before it`);
    return [{ version, schema: schema as StandardSchema, up: (up ?? null) as SchemaVersion['up'] }];
  });
}

function isWithUp(given: unknown): given is { readonly schema: unknown; readonly up?: unknown } {
  return typeof given === 'object' && given !== null && !('~standard' in given) && 'schema' in given;
}

/** Takes the option apart; null = it is left to the default. */
export function readCompatibility(option: CompatibilityOption | undefined, faults: OptionFaults): Compatibility | null {
  if (option === undefined) return null;
  const { mode, transitive } = typeof option === 'string' ? { mode: option, transitive: false } : (option ?? {});
  if (!compatibilityModes.includes(mode)) faults.add(`compatibility must be one of ${compatibilityModes.join(', ')}`);
  return { mode, transitive: transitive === true };
}

/** What an event says of the code that it comes from: the newest version that this knows. */
export function writtenAs({ versions }: Pick<VersionedTopic, 'versions'>): { readonly version?: number } {
  const newest = versions.at(-1);
  return newest === undefined ? {} : { version: newest.version };
}

/** A topic as far as its versions go. */
export interface VersionedTopic {
  readonly name: string;
  readonly versions: readonly SchemaVersion[];
}

/**
 * Data of an event as what the newest version takes: raised by the upcasters between the version that it was written under,
 * which `schemaId` of the event names, and the newest. Data of an unknown or no version is handed on as it is. Fails with
 * EVENT_UNREADABLE. For consumers that read events themselves; bodies and handlers of workers get theirs raised already.
 */
export async function upcast(topic: VersionedTopic, schemaId: string | null, data: unknown): Promise<unknown> {
  const { versions } = topic;
  const written = schemaId === null ? null : (readSchemaId(topic.name, schemaId)?.version ?? null);
  const from = versions.findIndex(({ version }) => version === written);
  if (from < 0) return data;
  let value = data;
  for (let i = from + 1; i < versions.length; i++) {
    const [before, after] = [versions[i - 1], versions[i]];
    if (before === undefined || after === undefined || after.up === null) continue;
    value = raised(topic, after, await given(topic, before, value));
  }
  return value;
}

function raised(topic: VersionedTopic, { version, up }: SchemaVersion, old: unknown): unknown {
  try {
    return up?.(old);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const faults = [`its upcaster threw: ${reason}`];
    throw new SpineError('EVENT_UNREADABLE', { topic: topic.name, version, faults }, { cause: error });
  }
}

/** What a version gives back of data, its transformations included. */
async function given(topic: VersionedTopic, { version, schema }: SchemaVersion, value: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  const faults = result.issues.slice(0, faultsMax).map(issueText);
  throw new SpineError('EVENT_UNREADABLE', { topic: topic.name, version, faults });
}

const faultsMax = 20;

function issueText({ path = [], message }: StandardIssue): string {
  const at = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return at === '' ? message : `${at}: ${message}`;
}
