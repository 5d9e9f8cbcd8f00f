/**
 * What is to be done when a model gives no answer: other models are asked, then answers from before, rules and people
 * in the order in which they are named. Here these are values, and the reading of a chain from the options of `ctx.infer`.
 */
import type { Duration } from '../../core/duration.js';
import { limits } from '../../core/limits.js';
import type { Failure } from '../../core/failure.js';
import type { StandardResult, StandardSchema } from '../../core/standard-schema.js';
import type { Address } from '../approval.js';
import type { Model } from '../model.js';
import type { OptionFaults } from '../options.js';
import { readAge } from './cache-options.js';
import { checkedBySchema, schemaForModel, type AnySchema } from './answer-schema.js';
import type { ModelMessage } from './model-endpoint.js';

/** What a rule goes by. */
export interface RuleRequest {
  /** The conversation so far, in the form that models get it. */
  readonly messages: readonly ModelMessage[];
  /** Why there is no answer of a model. */
  readonly failure: Failure;
}

/** A rule that answers where no model does. */
export interface Rule {
  readonly kind: 'rule';
  readonly name: string;
  readonly answer: (request: RuleRequest) => unknown;
}

/**
 * A rule: a pure function that answers in place of a model, with a text or, where the inference has a schema, with what fits
 * it. `undefined` = it has no answer, and the next of the chain has its turn. Its answer is recorded, as a step.
 */
export function rule(name: string, answer: Rule['answer']): Rule {
  return { kind: 'rule', name, answer };
}

/** Options of `person`. */
export interface PersonOptions {
  /** Who may answer. */
  readonly to: Address | readonly Address[];
  /** What the request is called in the inbox. */
  readonly title?: string;
  /** After this time there is no answer. Default: it waits for as long as the run lives. */
  readonly expires?: Duration;
}

/** A person who answers where no model and no rule does. */
export interface Person extends PersonOptions {
  readonly kind: 'person';
}

/** A person, who is asked by an approval: with the form of the schema, or for a text (`{ answer }`). */
export function person(options: PersonOptions): Person {
  return { kind: 'person', ...options };
}

/** Options of `cached`. */
export interface CachedOptions {
  /** How old an answer may be. Answers of an inference with this in its chain are kept for as long. */
  readonly maxAge: Duration;
}

/** An answer from before, where no model has one now. */
export interface Cached extends CachedOptions {
  readonly kind: 'cached';
}

/**
 * An answer that a model of the chain has given to the same request, in the same tenant, whichever version it was: the newest
 * that is not older than `maxAge`. Not for inferences whose tools have external effects.
 */
export function cached(options: CachedOptions): Cached {
  return { kind: 'cached', ...options };
}

/** What may follow a model. A text is the name of a model of the app. */
export type Fallback = Model | string | Cached | Rule | Person;

/** A chain, once it was looked through: models come first. */
export interface FallbackChain {
  readonly models: readonly (Model | string)[];
  readonly others: readonly (Cached | Rule | Person)[];
  /** The oldest answer that one of them takes, ms; 0 = none takes any. */
  readonly keepMs: number;
}

/** Reads the chain. */
export function chainOf(given: readonly Fallback[], faults: OptionFaults): FallbackChain {
  if (given.length > limits.inferenceFallbacksMax)
    faults.add(`fallback may have ${limits.inferenceFallbacksMax} entries`);
  const models: (Model | string)[] = [];
  const others: FallbackChain['others'][number][] = [];
  let keepMs = 0;
  for (const [i, one] of given.entries()) {
    if (typeof one === 'string' || one?.kind === 'model') {
      if (others.length > 0) faults.add(`fallback[${i}] is a model; models come before rules and people`);
      models.push(one);
    } else if (one?.kind === 'cached') {
      keepMs = Math.max(keepMs, readAge(faults, `fallback[${i}].maxAge`, one.maxAge));
      others.push(one);
    } else if (one?.kind === 'rule' || one?.kind === 'person') others.push(one);
    else faults.add(`fallback[${i}] is no model, cached(...), rule(...) or person(...)`);
  }
  return { models, others, keepMs };
}

/** What a person fills in: what the schema of the answer asks for, else a text. */
export function answerForm(schema: AnySchema | null): StandardSchema {
  if (schema !== null && '~standard' in schema) return schema as StandardSchema;
  const described = schema === null ? textForm : (schemaForModel(schema) ?? textForm);
  const validate = async (value: unknown): Promise<StandardResult<unknown>> => {
    const read = await checkedBySchema(described, value);
    return read.ok ? { value: read.value } : { issues: read.faults.map((message) => ({ message })) };
  };
  const say = (): Record<string, unknown> => ({ ...described });
  return { '~standard': { version: 1, vendor: 'eventspine', validate, jsonSchema: { input: say, output: say } } };
}

const textForm = {
  type: 'object',
  properties: { answer: { type: 'string' } },
  required: ['answer'],
  additionalProperties: false,
} as const;

/** The answer in what a person has filled in. */
export function answerOfForm(schema: AnySchema | null, form: unknown): unknown {
  return schema === null ? (form as { readonly answer: string }).answer : form;
}
