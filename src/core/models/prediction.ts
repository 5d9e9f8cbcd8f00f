/**
 * Answers of models that are kept, to serve where the same is asked again: what is known of one, and when it serves.
 *
 * Invariant: an answer serves for as long as both the one who kept it and the one who asks say, and for the same request only:
 * it lies under the fingerprint of the request, within its tenant.
 */
import { limits } from '../limits.js';
import type { InlinePayload } from '../payload.js';
import type { CachedFrom, DecisionNote, InferenceAsk, InferenceOutcome } from '../run/inference.js';
import { isSurrogatePairAt } from '../utf8.js';

/**
 * Space of what is known of kept answers, and of the answers themselves. Key: the fingerprint of the request. Ref: model and
 * version. The two entries of an answer are written and dropped together.
 */
export const predictionSpace = 'predictions';
export const predictionAnswerSpace = 'prediction-answers';

/** What is known of an answer that is kept. */
export interface KeptAnswer extends Pick<DecisionNote, 'confidence' | 'alternatives'> {
  readonly model: string;
  readonly version: string;
  readonly endpoint: string;
  /** The event that has the answer: run and `seq`. */
  readonly event: string;
  readonly keptAt: number;
  readonly expiresAt: number;
  /** Size of the answer, encoded. */
  readonly bytes: number;
  readonly finish: string;
  /** What it cost. */
  readonly costMicros: number;
}

/** The same with the answer. */
export interface RecalledAnswer extends KeptAnswer {
  readonly answer: InlinePayload;
}

/** The ref of what a version of a model has answered. */
export function predictionRef({ model, version }: Pick<KeptAnswer, 'model' | 'version'>): string {
  return JSON.stringify([model, version]);
}

/** Whether an answer to the same request serves. `version`: the one that would be asked. */
export function serves(
  { model, version, keptAt, expiresAt }: KeptAnswer,
  { model: asked, cache }: Pick<InferenceAsk, 'model' | 'cache'>,
  wanted: string | null,
  now: number,
): boolean {
  if (cache === undefined || cache.freshMs === null || now >= expiresAt || now - keptAt >= cache.freshMs) return false;
  return cache.onlyOf === undefined ? model === asked && version === wanted : cache.onlyOf.includes(model);
}

/** Of answers that serve, the newest; null = none does. */
export function servingOf(
  kept: readonly KeptAnswer[],
  ask: Pick<InferenceAsk, 'model' | 'cache'>,
  wanted: string | null,
  now: number,
): KeptAnswer | null {
  const fit = kept.filter((one) => serves(one, ask, wanted, now));
  return fit.reduce<KeptAnswer | null>((best, one) => (best === null || one.keptAt > best.keptAt ? one : best), null);
}

/** Whether an answer is one that others may be given: whole, of no fault that was found in it, and not too large. */
export function isWorthKeeping(
  { finish }: Pick<InferenceOutcome, 'finish'>,
  { rules }: Pick<DecisionNote, 'rules'>,
  bytes: number,
): boolean {
  return (finish === 'stop' || finish === 'tool-calls') && rules.length === 0 && bytes <= limits.predictionBytesMax;
}

/** Where an answer comes from, for the record. */
export function cachedFrom({ model, version, event, keptAt, costMicros }: KeptAnswer): CachedFrom {
  return { model, version, event, at: keptAt, savedMicros: costMicros };
}

/** The text of a recorded answer, whole or in parts. Total: of anything else it is empty. */
export function textOfAnswer(answer: unknown): string {
  const { content, parts } = shapeOf(answer);
  const pieces = Array.isArray(parts)
    ? parts.map(shapeOf).map(({ type, delta }) => (type === 'text-delta' ? delta : ''))
    : (Array.isArray(content) ? content : []).map(shapeOf).map(({ type, text }) => (type === 'text' ? text : ''));
  return pieces.filter((piece) => typeof piece === 'string').join('');
}

/** A text in chunks of a stream: one, unless it is long. */
export function chunksOfText(text: string): string[] {
  const chunks: string[] = [];
  for (let at = 0; at < text.length; ) {
    const next = at + chunkLengthMax;
    const end = isSurrogatePairAt(text, next - 1) ? next - 1 : next;
    chunks.push(text.slice(at, end));
    at = end;
  }
  return chunks;
}

/** A unit of UTF-16 takes up to six bytes as JSON. */
const chunkLengthMax = Math.floor(limits.streamChunkBytesMax / 6) - 1;

type Shape = Readonly<Record<string, unknown>>;

function shapeOf(value: unknown): Shape {
  return typeof value === 'object' && value !== null ? (value as Shape) : {};
}
