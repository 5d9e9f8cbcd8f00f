/**
 * Topics that follow their sources: each event that is numbered (`sequence`) or dated (`time`) is held against what its
 * source has published before, gaps are told and late events are taken, dropped or kept as dead events, as the topic says.
 *
 * Invariant: the state of a source counts an event exactly where the event is recorded (or refused) by the same transition.
 */
import { SpineError } from '../../core/errors.js';
import { instantOf, isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { topicDedupeScope } from './publication.js';
import {
  newSource,
  stepSource,
  topicSourceSpace,
  type SourceMark,
  type SourceState,
} from '../../core/topics/source-state.js';
import type { SourceRule } from '../../core/topics/source-rule.js';
import type { SourceView } from '../../protocol/http.js';
import type { EntryKey } from '../../store/contract.js';
import type { PublishRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import { PipelinedEntries } from './pipelined-entry.js';
import type { PublicationGuard } from './publication-guard.js';

/** What becomes of an event, by what its source has published before. */
export interface SourceVerdict {
  /** null = it is in time. */
  readonly late: 'accepted' | 'dropped' | 'dead' | null;
  /** Numbers that the event has come before. */
  readonly gap: { readonly from: number; readonly to: number } | null;
  readonly guard: PublicationGuard;
}

/** What has been made of late events here, and how many gaps were told. */
export interface SourceCounts {
  readonly late: Readonly<Record<'accepted' | 'dropped' | 'dead', number>>;
  readonly gaps: number;
}

export class Sources {
  readonly #context: EngineContext;
  readonly #entries: PipelinedEntries;
  readonly #late = { accepted: 0, dropped: 0, dead: 0 };
  #gaps = 0;

  constructor(context: EngineContext) {
    this.#context = context;
    this.#entries = new PipelinedEntries(context.store);
  }

  get counts(): SourceCounts {
    return { late: { ...this.#late }, gaps: this.#gaps };
  }

  /** The verdict is what was published with it; told when that is recorded. */
  recorded({ late, gap }: SourceVerdict): void {
    if (late !== null) this.#late[late] += 1;
    if (gap !== null) this.#gaps += 1;
  }

  /** null = the event says nothing of its place. `duplicate` = it was recorded before. INPUT_INVALID. */
  async judge(tenant: string, request: PublishRequest, rule: SourceRule): Promise<SourceVerdict | 'duplicate' | null> {
    const mark = markOf(request, rule);
    if (mark === null) return null;
    const place = this.#placeOf(request.topic, request.source);
    const advance = (takesLate: boolean) =>
      this.#entries.advance(tenant, place, (text) => {
        const state = text === null ? newSource(request.source) : (JSON.parse(text) as SourceState);
        const step = stepSource(state, mark, rule);
        const value = JSON.stringify(step.state);
        return { value: step.isLate && !takesLate ? null : value, result: { step, value } };
      });
    let taken = await advance(false);
    if (taken.result.step.isLate) {
      if (await this.#isKnown(tenant, request)) return 'duplicate';
      taken = await advance(true);
    }
    const { before } = taken;
    const { step, value } = taken.result;
    const at = this.#context.store.now();
    return {
      late: step.isLate ? verdicts[rule.late] : null,
      gap: step.gap === null ? null : { from: step.gap[0], to: step.gap[1] },
      guard: {
        entries: [{ op: 'put', ...place, value, run: '', at, expected: before.value }],
        refused: () => this.#entries.doubt(tenant, place, before),
      },
    };
  }

  /** Sources of a topic that have numbered or dated events, in the order of their names, those after `after`. */
  async list(tenant: string, topic: string, after: string | null, limit: number): Promise<SourceView[]> {
    const rows = await this.#context.store.readEntries({
      tenant,
      space: topicSourceSpace,
      key: topic,
      ...(after === null ? {} : { after: { key: topic, ref: after } }),
      limit,
    });
    return rows.map(({ value, ref }) => {
      const { source, sequence, missing, lost, late, newestAt } = JSON.parse(value) as SourceState;
      return {
        id: ref,
        source,
        sequence,
        missing: missing.map(([from, to]) => ({ from, to })),
        lost,
        late,
        newestAt: newestAt === null ? null : isoOf(newestAt),
      };
    });
  }

  /** A late event may be one that was recorded and has come again, which is no fault of its source. */
  async #isKnown(tenant: string, { topic, source, id }: PublishRequest): Promise<boolean> {
    return (await this.#context.store.readDedupe(tenant, topicDedupeScope(topic), `${source} ${id}`)) !== null;
  }

  #placeOf(topic: string, source: string): EntryKey {
    const { hash } = this.#context.ports;
    const ref = source.length <= limits.keyLengthMax ? source : `sha256:${hash.sha256(source)}`;
    return { space: topicSourceSpace, key: topic, ref };
  }
}

const verdicts = { accept: 'accepted', drop: 'dropped', dead: 'dead' } as const;

function markOf({ topic, time, attributes }: PublishRequest, { afterMs }: SourceRule): SourceMark | null {
  const given = attributes?.['sequence'];
  const sequence = given === undefined ? null : wholeOf(given);
  if (given !== undefined && sequence === null)
    throw new SpineError('INPUT_INVALID', {
      name: topic,
      faults: ['sequence is not a whole number: the topic follows what its sources number'],
    });
  const date = afterMs === null || time === undefined ? null : instantOf(time);
  return sequence === null && date === null ? null : { sequence, time: date };
}

function wholeOf(given: string | number | boolean): number | null {
  const value =
    typeof given === 'number' ? given : typeof given === 'string' && digits.test(given) ? Number(given) : -1;
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}

const digits = /^\d{1,16}$/;
