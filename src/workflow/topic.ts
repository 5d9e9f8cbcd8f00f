/**
 * Topics as values: a name, the schema of the events' data and how they are spread. Shared by those who publish and
 * those who react; nothing is opened by making one.
 */
import { limits } from '../core/limits.js';
import type { Compatibility } from '../core/manifest.js';
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import { OptionFaults } from './options.js';
import type { SelectorOf } from './selector.js';
import {
  readCompatibility,
  readVersions,
  type CompatibilityOption,
  type NewestOf,
  type SchemaVersion,
  type VersionsOption,
} from './topic-versions.js';

/** What becomes of fields that the schema of a topic does not name. */
export type UnknownFields = 'allow' | 'strip' | 'refuse';

/** What may be said of every topic; `Data` is what readers get. */
export interface TopicBasics<Data> {
  /**
   * How the schema may change, checked where the app is registered or deployed: `backward` (new code reads old events),
   * `forward` (old code reads new events), `full`, `none`. Default: `backward` where there are versions, else `none`.
   */
  readonly compatibility?: CompatibilityOption;
  /**
   * What becomes of fields that the schema does not name: they stay, are taken out before the event is recorded, or the event
   * is refused. Default: `refuse` where there are versions, else `allow`.
   */
  readonly unknown?: UnknownFields;
  /** Field of the data by which events are kept in order, e.g. `document.id`. Default: the event's own `partitionkey`, else its id. */
  readonly key?: SelectorOf<Data>;
  /**
   * Fields of the data by which runs may wait for events, up to 8. Each costs a row for every event. Default: the field of
   * `key`. Events from before a field was declared are not found by it.
   */
  readonly index?: readonly SelectorOf<Data>[];
  /** Parts of the log, 1 to 1024. Default 1: total order. More let more readers work side by side and order only per key. */
  readonly partitions?: number;
}

/** Options of `topic`. */
export interface TopicOptions<S extends StandardSchema> extends TopicBasics<InferOutput<S>> {
  /** Schema of the data of an event. Default: anything is taken. */
  readonly schema?: S;
  readonly versions?: never;
}

/** Options of `topic` whose schema has versions. */
export interface VersionedTopicOptions<V> extends TopicBasics<InferOutput<NewestOf<V>>> {
  /**
   * Schemas of the data by version, from 1 on, each with an upcaster where old data does not fit it. Publishers give what the
   * newest takes and readers get what it gives, whatever version an event was written under.
   */
  readonly versions: VersionsOption<V>;
  readonly schema?: never;
}

/** A topic. `In` is what publishers give, `Data` what readers get (they differ where the schema transforms). */
export interface Topic<Name extends string = string, In = unknown, Data = unknown> {
  readonly kind: 'topic';
  readonly name: Name;
  /** That of the newest version, where there are any. */
  readonly schema: StandardSchema | null;
  /** Oldest first; empty = the schema has no versions. */
  readonly versions: readonly SchemaVersion[];
  /** null = the default. */
  readonly compatibility: Compatibility | null;
  readonly unknown: UnknownFields;
  readonly key: string | null;
  /** Fields by which runs may wait for its events. */
  readonly index: readonly string[];
  readonly partitions: number;
  /**
   * Types only; never set. A method, whose parameter may vary both ways: a topic of less than a workflow results in can
   * still stand beside it while the type of the result is being inferred.
   */
  readonly types?: { publish(data: In): void; readonly data: Data };
}

/** Defines a topic whose schema has versions. Fails with OPTIONS_INVALID, naming all faults. */
export function topic<const Name extends string, V extends Readonly<Record<number, StandardSchema>>>(
  name: Name,
  options: VersionedTopicOptions<V>,
): Topic<Name, InferInput<NewestOf<V>>, InferOutput<NewestOf<V>>>;
/** Defines a topic. Fails with OPTIONS_INVALID, naming all faults. */
export function topic<const Name extends string, S extends StandardSchema = StandardSchema>(
  name: Name,
  options?: TopicOptions<S>,
): Topic<Name, InferInput<S>, InferOutput<S>>;
export function topic(name: string, options: AnyTopicOptions = {}): Topic {
  const faults = new OptionFaults(`topic "${name}"`);
  const { schema, key, index, partitions, unknown } = options;
  faults.name(name);
  faults.unknownNames(options, ['schema', 'versions', 'compatibility', 'unknown', 'key', 'index', 'partitions']);
  faults.schema('schema', schema);
  if (schema !== undefined && options.versions !== undefined) faults.add('give schema or versions, not both');
  const versions = options.versions === undefined ? [] : readVersions(options.versions, faults);
  const compatibility = readCompatibility(options.compatibility, faults);
  if (unknown !== undefined && !policies.includes(unknown)) faults.add(`unknown must be one of ${policies.join(', ')}`);
  faults.integer('partitions', partitions, { min: 1, max: limits.topicPartitionsMax });
  if (key !== undefined && typeof key !== 'string') faults.add('key must be a path such as "document.id"');
  if (index !== undefined && !isFieldList(index))
    faults.add(`index must be a list of up to ${limits.indexFieldsMax} paths such as "document.id"`);
  faults.throwIfAny();
  const indexed: readonly string[] = index ?? (key === undefined ? [] : [key]);
  return {
    kind: 'topic',
    name,
    schema: versions.at(-1)?.schema ?? schema ?? null,
    versions,
    compatibility,
    unknown: unknown ?? (versions.length > 0 ? 'refuse' : 'allow'),
    key: key ?? null,
    index: indexed,
    partitions: partitions ?? 1,
  };
}

/** Options as they may come out of plain JavaScript. */
interface AnyTopicOptions {
  readonly schema?: StandardSchema;
  readonly versions?: unknown;
  readonly compatibility?: CompatibilityOption;
  readonly unknown?: UnknownFields;
  readonly key?: string;
  readonly index?: readonly string[];
  readonly partitions?: number;
}

const policies: readonly UnknownFields[] = ['allow', 'strip', 'refuse'];

function isFieldList(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.indexFieldsMax) return false;
  return value.every((field) => typeof field === 'string' && field !== '' && field.length <= limits.nameLengthMax);
}
