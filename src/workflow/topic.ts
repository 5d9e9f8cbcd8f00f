/**
 * Topics as values: a name, the schema of the events' data and how they are spread. Shared by those who publish and
 * those who react; nothing is opened by making one.
 */
import { limits } from '../core/limits.js';
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import { OptionFaults } from './options.js';
import type { SelectorOf } from './selector.js';

/** Options of `topic`. */
export interface TopicOptions<S extends StandardSchema> {
  /** Schema of the data of an event. Default: anything is taken. */
  readonly schema?: S;
  /** Field of the data by which events are kept in order, e.g. `document.id`. Default: the event's own `partitionkey`, else its id. */
  readonly key?: SelectorOf<InferOutput<S>>;
  /**
   * Fields of the data by which runs may wait for events, up to 8. Each costs a row for every event. Default: the field of
   * `key`. Events from before a field was declared are not found by it.
   */
  readonly index?: readonly SelectorOf<InferOutput<S>>[];
  /** Parts of the log, 1 to 1024. Default 1: total order. More let more readers work side by side and order only per key. */
  readonly partitions?: number;
}

/** A topic. `In` is what publishers give, `Data` what readers get (they differ where the schema transforms). */
export interface Topic<Name extends string = string, In = unknown, Data = unknown> {
  readonly kind: 'topic';
  readonly name: Name;
  readonly schema: StandardSchema | null;
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

/** Defines a topic. Fails with OPTIONS_INVALID, naming all faults. */
export function topic<const Name extends string, S extends StandardSchema = StandardSchema>(
  name: Name,
  options: TopicOptions<S> = {},
): Topic<Name, InferInput<S>, InferOutput<S>> {
  const faults = new OptionFaults(`topic "${name}"`);
  const { schema, key, index, partitions } = options;
  faults.name(name);
  faults.unknownNames(options, ['schema', 'key', 'index', 'partitions']);
  faults.schema('schema', schema);
  faults.integer('partitions', partitions, { min: 1, max: limits.topicPartitionsMax });
  if (key !== undefined && typeof key !== 'string') faults.add('key must be a path such as "document.id"');
  if (index !== undefined && !isFieldList(index))
    faults.add(`index must be a list of up to ${limits.indexFieldsMax} paths such as "document.id"`);
  faults.throwIfAny();
  const indexed: readonly string[] = index ?? (key === undefined ? [] : [key]);
  return { kind: 'topic', name, schema: schema ?? null, key: key ?? null, index: indexed, partitions: partitions ?? 1 };
}

function isFieldList(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.indexFieldsMax) return false;
  return value.every((field) => typeof field === 'string' && field !== '' && field.length <= limits.nameLengthMax);
}
