/**
 * Ends of runs, told in the transition that ends them: to the topic `eventspine.run-events`, where somebody in the tenant reads
 * it, and to the URL that the start of the run was given.
 *
 * Invariant: whoever was to be told is, exactly as often as the run has ended; a run that goes on in another has not, and
 * deliveries are told of by nobody, since they would never end.
 */
import { payloadOfJson } from '../../core/codec.js';
import { newId } from '../../core/ids.js';
import { isoOf } from '../../core/instant.js';
import { runEventsTopic } from '../../core/manifest.js';
import type { Payload } from '../../core/payload.js';
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';
import { notifyLabel, webhookLabel, webhookWorkflow, type EndedRun } from '../../core/webhooks/delivery-order.js';
import type { EngineContext } from '../context.js';
import { birth, type RunBirth } from '../intake/birth.js';
import type { Catalog } from '../intake/catalog.js';
import type { TopicEvent } from '../topics/publication.js';
import { messageId } from './message.js';

export interface RunEndsOptions {
  readonly context: EngineContext;
  readonly catalog: Pick<Catalog, 'topic'>;
  /** Whether a subscription of the tenant reads the topic, as far as is known here. */
  readonly mayRead: (tenant: string, topic: string) => boolean;
}

/** What is to be told of the end of a run. */
export interface ToldEnd {
  readonly event: TopicEvent | null;
  readonly births: readonly RunBirth[];
}

export class RunEnds {
  readonly #options: RunEndsOptions;

  constructor(options: RunEndsOptions) {
    this.#options = options;
  }

  /** Null = nobody is told, as of nearly all runs. `last` is the last event of the transition. */
  told(state: RunState, last: RunEvent | undefined, actor: string): ToldEnd | null {
    if (last === undefined || !isToldOf(state) || state.workflow === webhookWorkflow.name) return null;
    const { tenant, notify } = state;
    const isRead = this.#isRead(tenant);
    if (!isRead && notify === null) return null;
    const ended = endedOf(state, last);
    if (ended === null) return null;
    return {
      event: isRead ? this.#event(state, last, ended) : null,
      births: notify === null ? [] : [this.#notification(state, last, ended, { url: notify, actor })],
    };
  }

  #isRead(tenant: string): boolean {
    const { catalog, mayRead } = this.#options;
    if (mayRead(tenant, runEventsTopic.name)) return true;
    const entry = catalog.topic(runEventsTopic.name);
    return entry !== null && entry.triggers.length + entry.agents.length > 0;
  }

  #event({ run, workflow }: RunState, { seq }: RunEvent, ended: EndedRun): TopicEvent {
    return {
      topic: runEventsTopic.name,
      id: `${run}/${seq}`,
      source: `run/${run}`,
      type: typeOf(ended),
      subject: run,
      attributes: { workflow },
      data: payloadOfJson(ended),
      value: ended,
    };
  }

  #notification(
    state: RunState,
    last: RunEvent,
    ended: EndedRun,
    { url, actor }: { readonly url: string; readonly actor: string },
  ): RunBirth {
    const { context } = this.#options;
    const { tenant, run } = state;
    const output = last.type === 'run.succeeded' ? last.payload : undefined;
    return birth(context, webhookWorkflow, {
      tenant,
      run: newId('run', context.ports),
      input: output ?? noOutput,
      at: last.at,
      actor,
      cause: `${run}/${last.seq}`,
      correlation: state.correlation,
      traceparent: state.traceparent,
      trigger: null,
      labels: { [webhookLabel]: notifyLabel },
      sharedInput: output !== undefined,
      delivery: {
        to: { url },
        id: messageId(context, tenant, runEventsTopic.name, `run/${run}`, `${run}/${last.seq}`),
        type: typeOf(ended),
        at: last.at,
        ended,
      },
    });
  }
}

function isToldOf({ status }: RunState): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled' || status === 'refused';
}

function typeOf({ state }: EndedRun): string {
  return `run.${state}`;
}

/** Null where the transition only adds to a run that has ended before. */
function endedOf({ run, workflow, labels, startedAt }: RunState, last: RunEvent): EndedRun | null {
  const common = {
    run,
    workflow,
    startedAt: isoOf(startedAt),
    endedAt: isoOf(last.at),
    ...(labels === null ? {} : { labels }),
  };
  switch (last.type) {
    case 'run.succeeded':
      return { ...common, state: 'succeeded' };
    case 'run.failed': {
      const { failure, deadLetter } = last.data;
      return { ...common, state: 'failed', failure: { class: failure.class, code: failure.code }, deadLetter };
    }
    case 'run.cancelled':
      return { ...common, state: 'cancelled' };
    case 'run.refused':
      return { ...common, state: 'refused', failure: { class: 'refused', code: last.data.code } };
    default:
      return null;
  }
}

const noOutput: Payload = { codec: 'json/1', text: 'null' };
