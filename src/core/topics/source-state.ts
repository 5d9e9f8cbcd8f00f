/**
 * How far a source of a topic has come, out of what it numbers (`sequence`) and dates (`time`). Pure: an event and the state
 * before it give the state after it, and whether the event is late.
 */
import type { SourceRule } from './source-rule.js';

/** Numbers of a source that have not come: from, to. */
export type MissingRange = readonly [from: number, to: number];

export interface SourceState {
  readonly source: string;
  /** The highest number that has come; null = it has numbered nothing yet. */
  readonly sequence: number | null;
  /** Numbers below it that have not come, in their order; the newest `missingRangesMax` ranges. */
  readonly missing: readonly MissingRange[];
  /** Numbers that have not come and are not among `missing` any more. */
  readonly lost: number;
  /** Events that came late, whatever became of them. */
  readonly late: number;
  /** The newest time that an event was dated, epoch ms; null = none was. */
  readonly newestAt: number | null;
}

/** What an event says of its place among those of its source. */
export interface SourceMark {
  readonly sequence: number | null;
  /** Epoch ms. */
  readonly time: number | null;
}

export interface SourceStep {
  readonly state: SourceState;
  readonly isLate: boolean;
  /** Numbers that the event has come before; null = it follows the one before, or is late. */
  readonly gap: MissingRange | null;
}

/** Ranges that are remembered of a source. */
export const missingRangesMax = 32;

export function newSource(source: string): SourceState {
  return { source, sequence: null, missing: [], lost: 0, late: 0, newestAt: null };
}

/** Entries of sources: key = topic, ref = the source (or its hash, where it is long), value = JSON of `SourceState`. */
export const topicSourceSpace = 'topic-source';

/** Takes an event in. `rule` decides whether a late one fills the gap that it has left: one that is not kept does not. */
export function stepSource(before: SourceState, mark: SourceMark, rule: SourceRule): SourceStep {
  const isBehind = before.sequence !== null && mark.sequence !== null && mark.sequence <= before.sequence;
  const isOld =
    rule.afterMs !== null &&
    mark.time !== null &&
    before.newestAt !== null &&
    mark.time < before.newestAt - rule.afterMs;
  const isLate = isBehind || isOld;
  if (isLate && rule.late !== 'accept') return { state: { ...before, late: before.late + 1 }, isLate, gap: null };
  const newestAt = mark.time === null ? before.newestAt : Math.max(before.newestAt ?? mark.time, mark.time);
  const late = before.late + (isLate ? 1 : 0);
  if (mark.sequence === null) return { state: { ...before, newestAt, late }, isLate, gap: null };
  if (isBehind)
    return { state: { ...before, newestAt, late, missing: without(before.missing, mark.sequence) }, isLate, gap: null };
  const next = before.sequence === null ? mark.sequence : before.sequence + 1;
  const gap: MissingRange | null = mark.sequence > next ? [next, mark.sequence - 1] : null;
  const all = gap === null ? before.missing : [...before.missing, gap];
  const dropped = all.slice(0, Math.max(0, all.length - missingRangesMax));
  const lost = before.lost + dropped.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  const missing = all.slice(dropped.length);
  return { state: { ...before, sequence: mark.sequence, missing, lost, newestAt, late }, isLate, gap };
}

/** The ranges without one number. */
function without(missing: readonly MissingRange[], sequence: number): readonly MissingRange[] {
  return missing.flatMap(([from, to]): MissingRange[] => {
    if (sequence < from || sequence > to) return [[from, to]];
    const below: MissingRange[] = sequence > from ? [[from, sequence - 1]] : [];
    return sequence < to ? [...below, [sequence + 1, to]] : below;
  });
}
