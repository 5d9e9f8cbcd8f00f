/**
 * Topics as values: a name, the schema of the events' data and how they are spread. Shared by those who publish and
 * those who react; nothing is opened by making one.
 */
import type { Duration } from '../core/duration.js';
import { limits } from '../core/limits.js';
import type { BehindPolicy, TopicCompaction, TopicRetention } from '../core/topics/retention.js';
import { latePolicies, type LatePolicy, type SourceRule } from '../core/topics/source-rule.js';
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
  /** What is kept of it. Default: everything, for ever. */
  readonly retention?: RetentionOptions;
  /**
   * Keeps the newest event of each key only: the topic is then a table. An event without data (`null`) says that its key is
   * gone. `true` = as soon as there is a later event of the key, and events without data for a day.
   */
  readonly compact?: true | CompactOptions;
  /** `single`: whoever publishes must hold the newest epoch of the topic (`client.topics.takeOver`); of two, one is fenced. */
  readonly writer?: 'single';
  /** Remembers how far each source has come, tells of gaps in its `sequence` and decides about late events. */
  readonly sources?: SourceOptions;
}

/** Bounds of one partition. What is over one of them goes, oldest first. */
export interface RetentionOptions {
  readonly age?: Duration;
  /** Size as stored, from 1 MiB. */
  readonly bytes?: number;
  /** The newest so many offsets. */
  readonly events?: number;
  /** Whether events that a subscription has not done with are kept for it. Default `hold`; `gap` lets them go and tells of it. */
  readonly behind?: BehindPolicy;
}

export interface CompactOptions {
  /** Age from which an event gives way to a later one of its key. Default 0. */
  readonly after?: Duration;
  /** How long an event without data stays. Default 1 day. */
  readonly tombstones?: Duration;
}

export interface SourceOptions {
  /** What becomes of an event that its source has already gone past. */
  readonly late: LatePolicy;
  /** An event is late, too, when its `time` is so long before the newest one of its source. Default: never for that. */
  readonly after?: Duration;
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
  /** Absent = everything is kept. */
  readonly retention?: TopicRetention;
  readonly compaction?: TopicCompaction;
  readonly writer?: 'single';
  readonly sources?: SourceRule;
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
  const { schema, key, index, partitions, unknown, writer } = options;
  faults.name(name);
  faults.unknownNames(options, [
    'schema',
    'versions',
    'compatibility',
    'unknown',
    'key',
    'index',
    'partitions',
    'retention',
    'compact',
    'writer',
    'sources',
  ]);
  faults.schema('schema', schema);
  if (schema !== undefined && options.versions !== undefined) faults.add('give schema or versions, not both');
  const versions = options.versions === undefined ? [] : readVersions(options.versions, faults);
  const compatibility = readCompatibility(options.compatibility, faults);
  if (unknown !== undefined && !policies.includes(unknown)) faults.add(`unknown must be one of ${policies.join(', ')}`);
  faults.integer('partitions', partitions, { min: 1, max: limits.topicPartitionsMax });
  if (key !== undefined && typeof key !== 'string') faults.add('key must be a path such as "document.id"');
  if (index !== undefined && !isFieldList(index))
    faults.add(`index must be a list of up to ${limits.indexFieldsMax} paths such as "document.id"`);
  if (writer !== undefined && writer !== 'single') faults.add('writer can only be "single"');
  const retention = retentionOf(faults, options.retention);
  const compaction = compactionOf(faults, options.compact);
  const sources = sourcesOf(faults, options.sources);
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
    ...(retention === null ? {} : { retention }),
    ...(compaction === null ? {} : { compaction }),
    ...(writer === undefined ? {} : { writer }),
    ...(sources === null ? {} : { sources }),
  };
}

function retentionOf(faults: OptionFaults, given: RetentionOptions | undefined): TopicRetention | null {
  if (given === undefined) return null;
  const { age, bytes, events, behind = 'hold' } = given;
  faults.unknownNames(given, ['age', 'bytes', 'events', 'behind']);
  faults.integer('retention.bytes', bytes, { min: limits.topicBytesMin, max: Number.MAX_SAFE_INTEGER });
  faults.integer('retention.events', events, { min: 1, max: Number.MAX_SAFE_INTEGER });
  if (!['hold', 'gap'].includes(behind)) faults.add('retention.behind must be "hold" or "gap"');
  const ageMs = faults.duration('retention.age', age, null, limits.topicAgeMsMin);
  return { ageMs, bytes: bytes ?? null, events: events ?? null, behind };
}

function compactionOf(faults: OptionFaults, given: true | CompactOptions | undefined): TopicCompaction | null {
  if (given === undefined) return null;
  const { after, tombstones } = given === true ? {} : given;
  if (given !== true) faults.unknownNames(given, ['after', 'tombstones']);
  return {
    lagMs: faults.duration('compact.after', after, 0),
    tombstoneMs: faults.duration('compact.tombstones', tombstones, limits.tombstoneMsDefault),
  };
}

function sourcesOf(faults: OptionFaults, given: SourceOptions | undefined): SourceRule | null {
  if (given === undefined) return null;
  faults.unknownNames(given, ['late', 'after']);
  if (!latePolicies.includes(given.late)) faults.add(`sources.late must be one of ${latePolicies.join(', ')}`);
  return { late: given.late, afterMs: faults.duration('sources.after', given.after, null) };
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
  readonly retention?: RetentionOptions;
  readonly compact?: true | CompactOptions;
  readonly writer?: 'single';
  readonly sources?: SourceOptions;
}

const policies: readonly UnknownFields[] = ['allow', 'strip', 'refuse'];

function isFieldList(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.indexFieldsMax) return false;
  return value.every((field) => typeof field === 'string' && field !== '' && field.length <= limits.nameLengthMax);
}
