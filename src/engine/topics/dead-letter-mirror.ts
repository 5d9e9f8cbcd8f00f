/**
 * The mirror topic of a subscription: told, in the transition that makes a run of it a dead letter, of the event that the run
 * was for, with its data and with what became of it as attributes. The dead letter of the run stays the truth: it is what is
 * redriven.
 */
import { topicStream, type EventRow } from '../../store/contract.js';
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';
import type { DeadEvent } from '../../core/topics/dead-event.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import type { Catalog } from '../intake/catalog.js';
import { mirrorOf } from './dead-events.js';
import type { Publication, TopicCause } from './publication.js';

type Failed = Extract<RunEvent, { type: 'run.failed' }>;

export class DeadLetterMirror {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /** The topic that is told of the end of this run; null = none. */
  topicOf({ status, trigger }: Pick<RunState, 'status' | 'trigger'>): string | null {
    return status === 'failed' ? (trigger?.subscription?.dead ?? null) : null;
  }

  /** The event that the run is for; null = it is no longer there. */
  async read({ tenant, trigger }: Pick<RunState, 'tenant' | 'trigger'>): Promise<EventRow | null> {
    if (trigger?.subscription === undefined) return null;
    const { partition, offset } = trigger.subscription;
    const stream = topicStream(trigger.topic, partition);
    const [row] = await this.#context.store.readEvents({ tenant, stream, after: offset - 1, limit: 1 });
    return row?.seq === offset ? row : null;
  }

  /** What the mirror topic is told; null = there is none, or it does not take the data. */
  publication(state: RunState, row: EventRow | null, failed: Failed, actor: string): Publication | null {
    const topic = this.topicOf(state);
    const { trigger, tenant, run, correlation, traceparent } = state;
    if (topic === null || trigger?.subscription === undefined) return null;
    const { name, partition, offset } = trigger.subscription;
    const { failure, deadLetter } = failed.data;
    const envelope = row === null ? null : parseEnvelope(row.envelope);
    const { source = null, ...attributes } = envelope?.attributes ?? {};
    const dead: DeadEvent = {
      id: deadLetter,
      at: failed.at,
      source: `subscription:${name}`,
      position: { topic: trigger.topic, partition, offset: String(offset) },
      class: failure.class,
      code: failure.code,
      message: failure.message,
      attempts: state.activation.attempt,
      event: {
        id: trigger.eventId,
        type: envelope?.type ?? null,
        source: source === null ? null : String(source),
        key: (envelope?.data as { readonly key?: string } | undefined)?.key ?? null,
        attributes: { ...attributes, deadrun: run },
      },
      data: envelope === null || row === null ? null : payloadOf(envelope, row.payload),
    };
    const cause: TopicCause = { tenant, actor, cause: `${run}/${failed.seq}`, correlation, traceparent };
    return mirrorOf({ context: this.#context, catalog: this.#catalog }, dead, topic, cause);
  }
}
