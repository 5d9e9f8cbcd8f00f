/**
 * An inference that is asked otherwise where it has failed: with a version of the model that has a larger window, with a
 * smaller request, or after a person's word. Each time is an inference of its own, beneath the one that has failed.
 *
 * Invariant: what is done is read out of the record of the failure, so that a replay, also by other code, takes the same way.
 */
import type { Failure } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import { pathOf } from '../../core/paths.js';
import type { Remediable, Rerouting, TakenRemedy } from '../../core/remedies.js';
import type { InferenceHop } from '../../core/run/inference.js';
import { isCancelled } from '../cancelled.js';
import type { Model } from '../model.js';
import type { InferenceTold } from '../replay/infer-work.js';
import { isStepError } from '../step-error.js';
import type { AnswerCheck } from './answer-schema.js';
import type { Question } from './ask-inference.js';
import { isSmaller, type Compact, type CompactRequest } from './compact.js';

/** What an inference that was told has failed with, and what was to be done about it. */
export interface RecordedFailure {
  /** Null = that was not recorded. */
  readonly remedy: TakenRemedy | null;
  /** Version that was asked; null = none was. */
  readonly version: string | null;
  readonly hops: readonly InferenceHop[];
}

/** What can be done about a failure of a version. */
export type Can = (failure: Failure, version: string | null) => Remediable;

/** What is asked of the body that the inference belongs to. All paths are beneath the one of the inference. */
export interface MendingHost {
  ask(path: string, question: Question, check: AnswerCheck | null, can: Can): Promise<InferenceTold>;
  failureAt(path: string): RecordedFailure;
  /** Has the hook make the request smaller, as a step. */
  compact(path: string, hook: Compact, request: CompactRequest, failure: Failure): Promise<CompactRequest | null>;
  /** Whether a person agrees to what is proposed about the failure of the inference at `failed`. */
  agrees(path: string, failed: string, failure: Failure, proposed: TakenRemedy): Promise<boolean>;
}

/** An answer, with the question that it is an answer to. */
export interface Mended {
  readonly told: InferenceTold;
  readonly question: Question;
}

/** Asks for as long as there is a remedy. Rejects with `StepError`, of the inference that has failed last. */
export async function askMended(
  path: string,
  question: Question,
  check: AnswerCheck | null,
  host: MendingHost,
): Promise<Mended> {
  const tries: Tries = { again: 0, compactions: 0, versions: new Set() };
  const hops: InferenceHop[] = [];
  let [at, asked] = [path, question];
  for (;;) {
    const now = asked;
    try {
      const told = await host.ask(at, now, check, (failure, version) => remediable(now, failure, version, tries));
      return { told: hops.length === 0 ? told : { ...told, hops: [...hops, ...told.hops] }, question: now };
    } catch (error) {
      // Of a step that made the request smaller, or of a tool, nothing is known here.
      if (!isStepError(error) || isCancelled(error) || error.path !== at) throw error;
      const found = host.failureAt(at);
      hops.push(...found.hops.map((hop) => ({ model: now.model.name, ...hop })));
      if (found.version !== null) tries.versions.add(found.version);
      const next = await otherwise(path, at, now, error.failure, found.remedy, tries, host);
      if (next === null) throw error;
      tries.again += 1;
      asked = { ...next, chain: { isLast: true, ...now.chain, after: at } };
      at = pathOf(path, ['again', tries.again]);
    }
  }
}

/** What was done so far. */
interface Tries {
  again: number;
  compactions: number;
  readonly versions: Set<string>;
}

/** The question that is asked next; null = none, here. */
async function otherwise(
  path: string,
  failed: string,
  question: Question,
  failure: Failure,
  remedy: TakenRemedy | null,
  tries: Tries,
  host: MendingHost,
): Promise<Question | null> {
  if (remedy === null || tries.again >= limits.inferenceRemediesMax) return null;
  switch (remedy.name) {
    case 'reroute':
      return remedy.version === undefined ? null : { ...question, reroute: remedy.version };
    case 'compact': {
      tries.compactions += 1;
      return await smaller(pathOf(path, ['compact', tries.compactions]), question, failure, host);
    }
    case 'person': {
      const { proposed } = remedy;
      if (proposed === undefined) return null;
      const agreed = await host.agrees(pathOf(path, ['remedy', tries.again + 1]), failed, failure, proposed);
      if (!agreed) return null;
      const isAgain = proposed.name === 'wait' || proposed.name === 'retry';
      return isAgain ? question : await otherwise(path, failed, question, failure, proposed, tries, host);
    }
    case 'wait':
    case 'retry':
    case 'fallback':
    case 'repair':
    case 'quarantine':
      return null;
  }
}

async function smaller(
  path: string,
  question: Question,
  failure: Failure,
  host: MendingHost,
): Promise<Question | null> {
  const { compact, messages, settings } = question;
  if (compact === null) return null;
  const { maxOutputTokens } = settings;
  const request = { messages, ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }) };
  const made = await host.compact(path, compact, request, failure);
  if (made === null || !isSmaller(made, request)) return null;
  const { messages: fewer, ...kept } = made;
  return { ...question, messages: fewer, settings: { ...settings, ...kept } };
}

function remediable(question: Question, failure: Failure, version: string | null, tries: Tries): Remediable {
  const { chain, compact } = question;
  const isBounded = tries.again < limits.inferenceRemediesMax;
  const reroute = isBounded ? largerWindow(question, failure, version, tries.versions) : null;
  const canCompact = isBounded && compact !== null && tries.compactions < limits.inferenceCompactionsMax;
  return {
    ...(reroute === null ? {} : { reroute }),
    ...(canCompact ? { compact: true } : {}),
    ...(chain?.isLast === false ? { fallback: true } : {}),
  };
}

/**
 * Whoever has the smallest window that is larger than the one that was too small: of the versions of the model, else of the
 * models that come after it in the chain the first.
 */
export function largerWindow(
  { model, later }: Pick<Question, 'model' | 'later'>,
  { triage }: Failure,
  failed: string | null,
  tried: ReadonlySet<string>,
): Rerouting | null {
  const window = model.versions.find(({ version }) => version === failed)?.window ?? triage?.limit ?? 0;
  const need = Math.max(window + 1, triage?.used ?? 0);
  const [version] = model.versions
    .filter((one) => one.version !== failed && !tried.has(one.version) && (one.window ?? 0) >= need)
    .sort((a, b) => (a.window ?? 0) - (b.window ?? 0));
  if (version !== undefined) return { version: version.version };
  const other = later.find((one) => smallestWindow(one) >= need);
  return other === undefined ? null : { model: other.name };
}

/** Of the versions that runs are given; 0 where one of them has not said. */
function smallestWindow({ versions }: Model): number {
  const given = versions.filter(({ weight }) => weight > 0);
  return given.length === 0 ? 0 : Math.min(...given.map(({ window }) => window ?? 0));
}
