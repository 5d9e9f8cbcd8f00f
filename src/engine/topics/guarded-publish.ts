/**
 * Publishing to topics that do not take every event: those with a single writer, and those that follow their sources. What
 * decides is an entry that goes with the event and must be at its commit what it was found to be; where it was not, the
 * event is judged again.
 *
 * Invariant: an event is recorded, dropped or made a dead event under the state that its transition has found true.
 */
import { SpineError, assertNever } from '../../core/errors.js';
import { jsonOf } from '../../core/codec.js';
import type { TopicManifest } from '../../core/manifest.js';
import { isBlobPayload } from '../../core/payload.js';
import type { Transition } from '../../store/contract.js';
import type { Origin, PublishOutcome, PublishRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import type { RunBirth } from '../intake/birth.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes } from '../runs/lanes.js';
import { deadEventWrites, withAdded, type AddedWrites, type Redriver } from './dead-events.js';
import { preparePublication } from './publication.js';
import type { PublicationGuard } from './publication-guard.js';
import type { Sources, SourceVerdict } from './sources.js';
import type { Writers } from './writers.js';

export interface GuardedPublishParts {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly lanes: Pick<Lanes, 'bear'>;
  readonly writers: Writers;
  readonly sources: Sources;
}

/** An event as it would be recorded. */
export interface PreparedEvent {
  readonly transition: Transition;
  readonly births: readonly RunBirth[];
}

export class GuardedPublish {
  readonly #parts: GuardedPublishParts;

  constructor(parts: GuardedPublishParts) {
    this.#parts = parts;
  }

  /** The topic's manifest where its events have to be judged; null = they are recorded as they come. */
  guarded(topic: string): TopicManifest | null {
    const manifest = this.#parts.catalog.topic(topic)?.manifest;
    return manifest?.writer === undefined && manifest?.sources === undefined ? null : manifest;
  }

  /** WRITER_FENCED, and STORE_BUSY where others were quicker again and again. */
  async publish(
    origin: Origin,
    request: PublishRequest,
    topic: TopicManifest,
    prepared: PreparedEvent,
  ): Promise<PublishOutcome> {
    const { writers, sources } = this.#parts;
    const { tenant } = origin;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const { writerEpoch } = request;
      const writer =
        topic.writer === undefined || writerEpoch === undefined
          ? null
          : await writers.guard(tenant, topic.name, writerEpoch);
      // The last to be waited for: what is submitted is in the order of the states that were given out.
      const verdict = topic.sources === undefined ? null : await sources.judge(tenant, request, topic.sources);
      if (verdict === 'duplicate') return { tag: 'duplicate', id: request.id };
      const guards = [writer, verdict?.guard ?? null].filter((guard) => guard !== null);
      const chosen = this.#chosen(origin, request, prepared, verdict);
      const answer = await this.#commit(origin, chosen, guards);
      if (answer.tag !== 'applied') for (const guard of guards) guard.refused();
      switch (answer.tag) {
        case 'applied':
          if (verdict !== null) sources.recorded(verdict);
          return outcomeOf(request.id, chosen.births, verdict);
        case 'conflict':
          continue;
        case 'duplicate':
          return { tag: 'duplicate', id: request.id };
        case 'unstorable':
          throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason });
        case 'failed':
          throw answer.error instanceof Error ? answer.error : new Error(String(answer.error));
        case 'fenced':
          throw new Error('Invariant broken: an event without a lease was fenced');
        default:
          return assertNever(answer);
      }
    }
    throw new SpineError('STORE_BUSY', {});
  }

  /** What is written: the event and what it starts, its death, or nothing but that it came. */
  #chosen(
    { tenant, actor }: Origin,
    request: PublishRequest,
    prepared: PreparedEvent,
    verdict: SourceVerdict | null,
  ): PreparedEvent {
    if (verdict === null || verdict.late === null || verdict.late === 'accepted') return prepared;
    if (verdict.late === 'dropped') return { transition: { tenant }, births: [] };
    const { context, catalog } = this.#parts;
    const { topic, id, type, source, key, subject, time, dataschema, attributes } = request;
    const record = {
      source: `topic:${topic}`,
      position: null,
      class: 'poison',
      code: 'EVENT_LATE',
      message: 'The event came after its source had gone past it.',
      attempts: 1,
      event: {
        id,
        type,
        source,
        key: key ?? null,
        attributes: {
          ...attributes,
          ...(subject === undefined ? {} : { subject }),
          ...(dataschema === undefined ? {} : { dataschema }),
          ...(time === undefined ? {} : { datedat: time }),
        },
      },
      data: request.data,
    } as const;
    const dead: AddedWrites = deadEventWrites({ context, catalog }, record, { tenant, actor, mirror: null });
    // It takes the key of the event: what comes again is known, and dies once.
    const { dedupe = [] } = prepared.transition;
    return { transition: withAdded({ tenant, dedupe }, [dead]), births: dead.births };
  }

  #commit(
    { actor }: Origin,
    { transition, births }: PreparedEvent,
    guards: readonly PublicationGuard[],
  ): Promise<CommitAnswer> {
    const entries = [...(transition.entries ?? []), ...guards.flatMap((guard) => guard.entries)];
    return new Promise((settle) =>
      this.#parts.lanes.bear({ births, transition: { ...transition, entries }, actor, settle }),
    );
  }
}

function outcomeOf(id: string, births: readonly RunBirth[], verdict: SourceVerdict | null): PublishOutcome {
  if (verdict?.late === 'dead' || verdict?.late === 'dropped') return { tag: 'late', id, became: verdict.late };
  return {
    tag: 'published',
    id,
    runs: births.map((birth) => birth.state.run),
    ...(verdict?.late === 'accepted' ? { late: true } : {}),
    ...(verdict === null || verdict.gap === null ? {} : { gap: verdict.gap }),
  };
}

/** How often an event is judged anew. Each time at least one of those that contend has gone through. */
const attemptsMax = 64;

/** The way back of late events: into their topic after all, whatever their source has published since. */
export function lateRedriver({ context, catalog }: Pick<GuardedPublishParts, 'context' | 'catalog'>): Redriver {
  return async (origin, { source: from, event, data }) => {
    if (!from.startsWith(latePrefix)) return null;
    const topic = from.slice(latePrefix.length);
    const { id, type, source, key } = event;
    if (id === null || type === null || source === null) return null;
    const { datedat, subject, dataschema, ...attributes } = event.attributes;
    const request = {
      topic,
      id,
      type,
      source,
      ...(key === null ? {} : { key }),
      ...(typeof datedat === 'string' ? { time: datedat } : {}),
      ...(typeof subject === 'string' ? { subject } : {}),
      ...(typeof dataschema === 'string' ? { dataschema } : {}),
      attributes,
      data,
      value: data === null || isBlobPayload(data) ? null : jsonOf(data),
    };
    const { tenant, actor, correlation, traceparent } = origin;
    const cause = { tenant, actor, cause: id, correlation, traceparent };
    const { write, blobs, births } = preparePublication(context, catalog, request, cause, context.store.now());
    // The key of the event was taken when it died.
    return { publishes: [write], dedupe: [], entries: [], blobs, births };
  };
}

const latePrefix = 'topic:';
