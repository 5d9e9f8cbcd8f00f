/**
 * Events of topics: from a publish request to what is written, with the runs that it starts. Used by intake and by
 * runs that emit, so that both have the same checks, keys and triggers.
 */
import { schemaIdOfUri, writtenUnder } from '../../core/schema/schema-id.js';
import { newId } from '../../core/ids.js';
import { SpineError } from '../../core/errors.js';
import type { Payload } from '../../core/payload.js';
import { fieldAt } from '../../core/topics/field-path.js';
import { fnv1a } from '../../core/topics/spread.js';
import type { ContextBundle } from '../../core/run/state.js';
import type { DedupeWrite, TopicEventWrite, BlobWrite } from '../../store/contract.js';
import type { PublishRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog, TopicEntry } from '../intake/catalog.js';
import { observePublisher } from './publisher-clock.js';
import { birth, type RunBirth } from '../intake/birth.js';

/** An event on its way into a topic; its data as plain JSON is known by now, for the schema and the key. */
export type TopicEvent = PublishRequest & {
  readonly value: unknown;
  /** The transition of the event is guarded by the epoch of its writer. */
  readonly isGuarded?: true;
};

export interface TopicCause {
  readonly tenant: string;
  readonly actor: string;
  readonly cause: string | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
  /** What the publishing run has fetched; runs that the event starts inherit it. Default: nothing. */
  readonly contexts?: readonly ContextBundle[];
}

/** What a published event writes. */
export interface Publication {
  readonly write: TopicEventWrite;
  readonly dedupe: DedupeWrite;
  readonly blobs: readonly BlobWrite[];
  readonly births: readonly RunBirth[];
}

/** Checks and prepares an event. Throws TOPIC_UNKNOWN and INPUT_INVALID. */
export function preparePublication(
  context: EngineContext,
  catalog: Catalog,
  given: TopicEvent,
  cause: TopicCause,
  at: number,
): Publication {
  const entry = catalog.topic(given.topic);
  if (entry === null) throw new SpineError('TOPIC_UNKNOWN', { name: given.topic, known: catalog.topicNames() });
  const { hash } = context.ports;
  // Of a table, an event without data says that its key is no more: no schema of the data is meant for it.
  const isRemoval = entry.manifest.compaction !== undefined && given.value === null;
  const { schema, ...kept } = isRemoval ? { schema: null } : entry.schemas.accept(given, hash);
  const event = { ...given, ...kept };
  if (entry.manifest.writer === 'single' && event.isGuarded !== true)
    throw new SpineError('WRITER_REQUIRED', { topic: event.topic });
  observePublisher(context, event, at);
  const key = partitionKey(entry, event);
  const partition = entry.manifest.partitions === 1 ? 0 : fnv1a(key) % entry.manifest.partitions;
  const shared = entry.triggers.length > 0;
  const attributes = {
    ...event.attributes,
    source: event.source,
    ...(event.subject === undefined ? {} : { subject: event.subject }),
    ...(event.time === undefined ? {} : { time: event.time }),
    // One of ours is made of the schema id of the envelope, which is exact.
    ...(event.dataschema === undefined || schemaIdOfUri(event.dataschema) !== null
      ? {}
      : { dataschema: event.dataschema }),
  };
  const written = context.envelopes.write(
    {
      tenant: cause.tenant,
      stream: `${event.topic}/${partition}`,
      seq: 0,
      id: event.id,
      type: event.type,
      at,
      actor: cause.actor,
      cause: cause.cause,
      correlation: cause.correlation,
      traceparent: cause.traceparent,
      schema,
      data: { topic: event.topic, key },
      attributes,
    },
    event.data,
    shared,
  );
  const births: RunBirth[] = [];
  for (const name of entry.triggers) {
    const workflow = catalog.workflow(name);
    if (workflow === null) continue;
    births.push(
      birth(context, workflow.manifest, {
        tenant: cause.tenant,
        run: newId('run', context.ports),
        input: event.data ?? emptyInput,
        at,
        actor: cause.actor,
        cause: event.id,
        correlation: cause.correlation ?? event.id,
        traceparent: cause.traceparent,
        trigger: { topic: event.topic, eventId: event.id, ...writtenUnder(event.topic, schema) },
        sharedInput: shared,
        ...(cause.contexts === undefined ? {} : { contexts: cause.contexts }),
      }),
    );
  }
  return {
    write: {
      topic: event.topic,
      partition,
      type: event.type,
      at,
      envelope: written.envelope,
      payload: written.payload,
    },
    dedupe: {
      scope: topicDedupeScope(event.topic),
      key: `${event.source} ${event.id}`,
      hash: hash.sha256(event.data === null ? '' : 'text' in event.data ? event.data.text : event.data.blob),
      reference: event.id,
      expiresAt: at + context.settings.dedupeTtlMs,
    },
    blobs: written.blob === null ? [] : [written.blob],
    births,
  };
}

/** Scope of the keys of events of a topic; the key is source and id. */
export function topicDedupeScope(topic: string): string {
  return `topic:${topic}`;
}

const emptyInput: Payload = { codec: 'json/1', text: 'null' };

/** The declared field of the data, else the event's own key, else its id. */
function partitionKey(entry: TopicEntry, event: TopicEvent): string {
  const { key } = entry.manifest;
  if (key === null) return event.key ?? event.id;
  const value = fieldAt(event.value, key);
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : (event.key ?? event.id);
}
