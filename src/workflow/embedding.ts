/**
 * Embeddings as calls of a capability, so that they have limits, retries and a pool of their own. The model is met by its
 * structure: an embedding model of the AI SDK is one, and so is any object with its `doEmbed`.
 *
 * Invariant: there is one vector for each text, in the order of the texts.
 */
import type { HeaderSource } from '../core/admission/feedback.js';
import type { Duration } from '../core/duration.js';
import type { StandardSchema } from '../core/standard-schema.js';
import type { BatchContext, BatchOptions } from './call-batch.js';
import { capability, type Capability, type Handler, type HandlerContext } from './capability.js';
import type { Limit } from './limit.js';
import { OptionFaults } from './options.js';
import type { RetryOptions } from './retry-options.js';

/** What makes vectors. */
export interface EmbeddingEndpoint {
  readonly maxEmbeddingsPerCall?: number | undefined | PromiseLike<number | undefined>;
  doEmbed(options: {
    readonly values: string[];
    readonly abortSignal?: AbortSignal;
    readonly headers?: Record<string, string | undefined>;
  }): PromiseLike<{ readonly embeddings: readonly (readonly number[])[]; readonly response?: unknown }>;
}

/** Options of `embedding`. */
export interface EmbeddingOptions {
  readonly use: EmbeddingEndpoint;
  /** What each call has to find room in before it is queued. Default: nothing. */
  readonly limits?: readonly Limit[];
  /** Longest time of one attempt. Default 5 min. */
  readonly timeout?: Duration;
  /** Default: 4 attempts, pauses up to 60 s. */
  readonly retry?: RetryOptions;
  /** Texts of several calls go to the model together, e.g. `{ max: 64, wait: '20ms' }`. Default: each call by itself. */
  readonly batch?: BatchOptions;
}

/** A capability that makes vectors of texts, with the handler that does. */
export interface Embedding<Name extends string = string>
  extends Capability<Name, readonly string[], readonly (readonly number[])[]> {
  /** For `handlers` of the app whose workers make them. */
  readonly handler: Handler<Name>;
}

/**
 * Defines the capability `name`: `ctx.call(it, texts)` gives a vector for each text. More texts than the model takes at once
 * are asked for one after the other, in one attempt; a limit counts one request for all of them. Fails with OPTIONS_INVALID.
 */
export function embedding<const Name extends string>(name: Name, options: EmbeddingOptions): Embedding<Name> {
  const faults = new OptionFaults(`embedding "${name}"`);
  const { use, batch, ...rest } = options;
  faults.unknownNames(options, ['use', 'limits', 'timeout', 'retry', 'batch']);
  if (typeof use?.doEmbed !== 'function') faults.add('use is not an embedding model: it needs doEmbed');
  faults.throwIfAny();
  const defined = capability(name, { ...rest, input: texts, output: vectors, effect: 'idempotent' });
  const handler =
    batch === undefined
      ? defined.implement((values, context) => embedded(use, values, context))
      : defined.implementBatch(batch, (lists, context) => embeddedTogether(use, lists, context));
  return { ...defined, handler };
}

/** The texts of all calls in one list, and the vectors back to whom they are of. */
async function embeddedTogether(
  use: EmbeddingEndpoint,
  lists: readonly (readonly string[])[],
  { signal, calls, feedback }: BatchContext,
): Promise<number[][][]> {
  const [first] = calls;
  // A key stands for one request, and no later attempt need be in the same company.
  const idempotencyKey = calls.length === 1 ? (first?.idempotencyKey ?? null) : null;
  const made = await embedded(use, lists.flat(), { signal, feedback, idempotencyKey });
  let from = 0;
  return lists.map(({ length }) => made.slice(from, (from += length)));
}

/** What is asked for, and what is given back. */
const texts = schemaOf<readonly string[]>(
  'is not a list of texts',
  (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
);
const vectors = schemaOf<readonly (readonly number[])[]>('is not a list of vectors', Array.isArray);

function schemaOf<T>(message: string, fits: (value: unknown) => boolean): StandardSchema<T, T> {
  return {
    '~standard': {
      version: 1,
      vendor: 'eventspine',
      validate: (value) => (fits(value) ? { value: value as T } : { issues: [{ message }] }),
    },
  };
}

async function embedded(
  use: EmbeddingEndpoint,
  asked: readonly string[],
  {
    signal,
    idempotencyKey,
    feedback,
  }: Pick<HandlerContext, 'signal' | 'feedback'> & { readonly idempotencyKey: string | null },
): Promise<number[][]> {
  const most = Math.max(1, (await use.maxEmbeddingsPerCall) ?? asked.length);
  const made: number[][] = [];
  for (let i = 0; i < asked.length; i += most) {
    const values = asked.slice(i, i + most);
    const headers =
      idempotencyKey === null ? {} : { 'idempotency-key': i === 0 ? idempotencyKey : `${idempotencyKey}/${i}` };
    const { embeddings, response } = await use.doEmbed({ values, abortSignal: signal, headers });
    if (embeddings.length !== values.length)
      throw Object.assign(new Error(`The model gave ${embeddings.length} vectors for ${values.length} texts.`), {
        class: 'invalid_output',
      });
    made.push(...embeddings.map((vector) => [...vector]));
    const said = (response as { readonly headers?: HeaderSource } | undefined)?.headers;
    if (said !== undefined) feedback(said);
  }
  return made;
}
