/**
 * What calls a provider, as a structure: a language model of the AI SDK (specification v2, v3 or v4) is one, and so is any
 * object with these members. Nothing is imported from there, and what comes back is read as data (`model-answer.ts`).
 */

/** Options of one call, in the form of the AI SDK. */
export interface ModelCall {
  readonly prompt: readonly ModelMessage[];
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
  readonly stopSequences?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  readonly responseFormat?: unknown;
  readonly tools?: readonly unknown[] | undefined;
  readonly toolChoice?: unknown;
  readonly providerOptions?: unknown;
}

/** A message of a prompt. The content of a system message is text, of any other a list of parts. */
export interface ModelMessage {
  readonly role: string;
  readonly content: unknown;
  readonly providerOptions?: unknown;
}

/** The same with what is of the one call that is made now, and of no other. */
export interface ModelCallNow extends ModelCall {
  readonly abortSignal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
}

/** What calls a provider. */
export interface ModelEndpoint {
  /** `v2`, `v3` or `v4`. */
  readonly specificationVersion: string;
  readonly provider: string;
  readonly modelId: string;
  /** The header `idempotency-key` has an effect there: a call that is repeated with it is not made, nor paid, twice. */
  readonly supportsIdempotencyKeys?: boolean;
  // Methods, so that models whose options are described more closely fit as well.
  doGenerate(options: ModelCallNow): PromiseLike<unknown>;
  doStream(
    options: ModelCallNow,
  ): PromiseLike<{ readonly stream: AsyncIterable<unknown> | ReadableStreamLike; readonly response?: unknown }>;
  /** The answer of an earlier call by its id at the provider, as `doGenerate` gives it; null = there is none (yet). */
  fetch?(providerId: string, options: { readonly abortSignal?: AbortSignal }): PromiseLike<unknown>;
}

/** A stream of the web, as far as it is needed. */
export interface ReadableStreamLike {
  getReader(): {
    read(): PromiseLike<{ readonly done: boolean; readonly value?: unknown }>;
    cancel?(reason?: unknown): PromiseLike<void>;
  };
}

/** Whether something is an endpoint. */
export function isModelEndpoint(value: unknown): value is ModelEndpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { doGenerate, doStream, provider, modelId } = value as Readonly<Record<string, unknown>>;
  const speaks = typeof doGenerate === 'function' && typeof doStream === 'function';
  return speaks && typeof provider === 'string' && typeof modelId === 'string';
}

/** The parts of an answer as they come, whichever kind of stream brings them. Whoever looks no further gives the stream up. */
export async function* partsOf(stream: AsyncIterable<unknown> | ReadableStreamLike): AsyncGenerator<unknown> {
  if (Symbol.asyncIterator in stream) {
    yield* stream;
    return;
  }
  const reader = stream.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      ended = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!ended) reader.cancel?.().then(ignore, ignore);
  }
}

function ignore(): void {}
