/**
 * Failure triage: what a failure is, what to do about it, and how sure that is (DESIGN 8.6). Rules over codes, words and
 * status come first; a learned model says what it makes of the rest; both become one distribution, whose answer explains
 * itself.
 *
 * Invariant: never throws, whatever it is given, and takes time in proportion to a bounded input.
 */
import { failureClasses, type FailureClass } from '../failure.js';
import { weigh, type Evidence } from './evidence.js';
import { statedIn, type Stated } from './extract.js';
import { loadModel, softmax, type Model } from './model.js';
import { modelData } from './model-data.js';
import { fieldOf, readFailure, type FailureInput, type Reading } from './reading.js';
import { treatments, type RemedyName, type Treatment } from './remedies.js';

/** What triage makes of a failure. */
export interface Triage {
  /** The class of the failure; the same names as `FailureClass` everywhere. */
  readonly label: FailureClass;
  /** What to do about it. */
  readonly remedy: RemedyName;
  /** Whether the same request, sent again, may succeed. */
  readonly retryable: boolean;
  /** Probability of the label, 0..1, calibrated on messages of others than those that it was built on. */
  readonly confidence: number;
  /** Why, in a sentence or two for people. */
  readonly reason: string;
  /** Numbers that the message states; absent where it states none. */
  readonly extract?: Stated;
  /** Whether rules were enough, or the learned model decided. */
  readonly by: 'rule' | 'model';
  /** Whether words or codes of the failure speak for the label, and not only its status, its source or its looks. */
  readonly explicit: boolean;
  /** Of rules and model, `rules.model`: kept with every answer, so that answers of different versions can be compared. */
  readonly version: string;
}

/** Rises with every change of the rules. */
export const rulesVersion = 2;

/** Options of `classifyFailure`. */
export interface ClassifyOptions {
  /** Another model than the one that is shipped, e.g. one trained with corrections of your own. */
  readonly model?: Model;
}

let shipped: Model | null = null;

/** The model that is shipped, decoded on first use. */
export function shippedModel(): Model {
  shipped ??= loadModel(modelData);
  return shipped;
}

/**
 * Classifies a failure by its text, and by whatever else is known of it. Never throws; a text that tells nothing is
 * `unknown`. Where a retryable and a final class are about as likely, it takes the final one, since a retry of what can
 * never succeed costs and may do harm, and says so in `reason`.
 */
export function classifyFailure(input: FailureInput, options: ClassifyOptions = {}): Triage {
  const reading = readFailure(input);
  const evidence = weigh(reading);
  const model = options.model ?? shippedModel();
  const chances = mixed(evidence, reading, model);
  const { label, instead } = decided(evidence, chances);
  const treatment = evidence[label].treatment ?? treatments[label];
  const extract = statedIn(reading, fieldOf(input, 'headers'), label);
  const by = label === topOf(evidence) ? 'rule' : 'model';
  return {
    label,
    ...treatment,
    confidence: Math.round((chances.get(label) ?? 0) * 1_000) / 1_000,
    reason: reasonOf(evidence, reading, label, by, instead),
    ...(extract === null ? {} : { extract }),
    by,
    explicit: evidence[label].strongest > 0,
    version: `${rulesVersion}.${model.version}`,
  };
}

type Chances = ReadonlyMap<FailureClass, number>;

/** One distribution of what rules and model say. */
function mixed(evidence: Evidence, reading: Reading, model: Model): Chances {
  const learned = model.probabilities(reading);
  const logits = failureClasses.map(
    (label, i) => model.mix.rules * evidence[label].score + model.mix.model * Math.log((learned[i] ?? 0) + floor),
  );
  const chances = softmax(logits);
  return new Map(failureClasses.map((label, i) => [label, chances[i] ?? 0]));
}

/** Keeps the model from ruling out what it has never seen. */
const floor = 1e-3;

/** How likely it may be that a retry cannot help, for a retryable class still to be answered. */
const harmMax = 0.5;

/** A class that no rule speaks for must be at least this likely; below, saying that nothing can be told is the truth. */
const guessMin = 0.15;

interface Decision {
  readonly label: FailureClass;
  /** The likelier class that was passed over, because its retry could do harm. */
  readonly instead: FailureClass | null;
}

function decided(evidence: Evidence, chances: Chances): Decision {
  const ranked = [...chances].sort(([, a], [, b]) => b - a).map(([label]) => label);
  const isFinal = (label: FailureClass): boolean => !treatmentOf(evidence, label).retryable;
  const top = ranked[0] ?? 'unknown';
  if (evidence[top].strongest === 0 && (chances.get(top) ?? 0) < guessMin) return { label: 'unknown', instead: null };
  const harm = ranked.filter(isFinal).reduce((sum, label) => sum + (chances.get(label) ?? 0), 0);
  const safe = ranked.find(isFinal);
  if (isFinal(top) || harm <= harmMax || safe === undefined) return { label: top, instead: null };
  return { label: safe, instead: top };
}

function treatmentOf(evidence: Evidence, label: FailureClass): Treatment {
  return evidence[label].treatment ?? treatments[label];
}

/** The class that the rules alone would answer. */
function topOf(evidence: Evidence): FailureClass {
  let top: FailureClass = 'unknown';
  for (const label of failureClasses) if (evidence[label].score > evidence[top].score) top = label;
  return top;
}

function reasonOf(
  evidence: Evidence,
  reading: Reading,
  label: FailureClass,
  by: Triage['by'],
  instead: FailureClass | null,
): string {
  const { says } = evidence[label];
  const status = reading.status ?? reading.statedStatus;
  const parts = [
    says === ''
      ? sayingNothing(label, by, status)
      : `It says this: ${says}${status === null ? '' : ` (HTTP ${status})`}.`,
    ...(by === 'model' && says !== '' ? ['The learned model decided between several readings.'] : []),
    ...(instead === null
      ? []
      : [`It may also be ${instead}; taken as ${label}, because a retry of what can never succeed does harm.`]),
  ];
  return parts.join(' ');
}

function sayingNothing(label: FailureClass, by: Triage['by'], status: number | null): string {
  if (label === 'unknown') return 'Nothing in it tells what is wrong.';
  if (by === 'model') return 'No rule speaks for it; to the learned model it looks like messages of this class.';
  return status === null
    ? 'What it comes from speaks for it, and nothing against.'
    : `HTTP ${status}, and no words that say otherwise.`;
}
