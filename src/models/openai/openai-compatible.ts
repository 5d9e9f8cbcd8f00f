/**
 * A client for endpoints that speak OpenAI's chat protocol: hosted ones, gateways, and servers on the own machine. Small and
 * strict, and without an SDK: it sends what it is asked to, once, and says exactly what came of it. Retries, limits and
 * fallbacks belong to whoever calls it.
 */
import { durationMs, type Duration } from '../../core/duration.js';
import type { Ports } from '../../core/ports.js';
import { nodePorts } from '../../runtime/node-ports.js';
import { OptionFaults } from '../../workflow/options.js';
import type { EmbeddingModel, EmbedOptions, EmbedResult } from '../embedding-model.js';
import type { CallOptions, GenerateResult, LanguageModel, StreamPart, StreamResult } from '../language-model.js';
import { generateResult, jsonOf } from './answer.js';
import { ChunkReader } from './chunk-reader.js';
import { eventData } from './event-stream.js';
import { chatBody, type Dialect } from './request.js';
import { isRecord, send, textOf, unreadable, type Endpoint, type EndpointAnswer, type FetchPort } from './transport.js';

/** Longest waits of one request. */
export interface ModelTimeouts {
  /** Until the answer begins: the first token of a stream, or all of an answer in one piece. Default: 5 minutes. */
  readonly response?: Duration;
  /** Between two pieces of an answer. Default: 1 minute. */
  readonly idle?: Duration;
  /** For all of it. Default: 15 minutes. */
  readonly total?: Duration;
}

/** Options of both kinds of models. */
export interface EndpointOptions {
  /** Up to and with the version: `https://api.openai.com/v1`, `http://127.0.0.1:11434/v1`. */
  readonly baseUrl: string;
  /** Sent as `authorization: Bearer`. Default: none is sent. */
  readonly apiKey?: string;
  /** Name of the model at the endpoint. */
  readonly model: string;
  /** Name of the provider, in records and for its own options and facts. Default: `openaiCompatible`. */
  readonly name?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: ModelTimeouts;
  /** Default: the `fetch` of the runtime. */
  readonly fetch?: FetchPort;
  /** Clock, timers and chance. Default: those of Node. */
  readonly ports?: Pick<Ports, 'clock' | 'timers' | 'random'>;
}

/** Options of `openaiCompatible`. */
export interface OpenAiCompatibleOptions extends EndpointOptions {
  /**
   * Whether a request with an `idempotency-key` that the endpoint has already answered is answered again without another
   * inference. Then a call whose outcome was lost in a crash may be asked again for free. Default: false.
   */
  readonly supportsIdempotencyKeys?: boolean;
  /**
   * Whether answers are kept and can be fetched by their id, with `GET /chat/completions/{id}`. Then the outcome of a call
   * that was lost in a crash can be fetched instead of paid for again. Default: false.
   */
  readonly storesAnswers?: boolean;
  /** Whether answers can be bound to a JSON Schema. Default: true. */
  readonly structuredOutputs?: boolean;
  /** Field for the most tokens of an answer; OpenAI's own reasoning models know the second only. Default: `max_tokens`. */
  readonly maxTokensField?: 'max_tokens' | 'max_completion_tokens';
  /** Ask for the probability of each token, with that many alternatives (0 to 20). Default: do not ask. */
  readonly logprobs?: number;
  /** Whether to ask for the usage of a streamed answer; some older endpoints refuse that. Default: true. */
  readonly streamUsage?: boolean;
}

/** A model behind an OpenAI-compatible endpoint. */
export interface OpenAiCompatibleModel extends LanguageModel {
  /** As it was declared. */
  readonly supportsIdempotencyKeys: boolean;
  /** Fetches an answer by its id; there only where the endpoint stores answers. Null = the endpoint does not know it. */
  readonly fetch?: (id: string, options?: { readonly abortSignal?: AbortSignal }) => Promise<GenerateResult | null>;
}

/** A chat model behind an endpoint. Opens nothing; fails with OPTIONS_INVALID. Calls reject with `ModelCallError`. */
export function openaiCompatible(options: OpenAiCompatibleOptions): OpenAiCompatibleModel {
  const endpoint = endpointOf('openaiCompatible()', options, chatOptionNames, (faults) => {
    faults.integer('logprobs', options.logprobs, { min: 0, max: 20 });
  });
  const { model, name = 'openaiCompatible', logprobs, streamUsage = true } = options;
  const url = `${endpoint.baseUrl}/${chatPath}`;
  const { structuredOutputs = true, maxTokensField = 'max_tokens' } = options;
  const dialect: Dialect = { url, model, name, structuredOutputs, maxTokensField, logprobs: logprobs ?? null };
  const setting = { url, name, newId: () => newCallId(endpoint) };

  return {
    specificationVersion: 'v3',
    provider: `${name}.chat`,
    modelId: model,
    supportedUrls: {},
    supportsIdempotencyKeys: options.supportsIdempotencyKeys ?? false,

    async doGenerate(call: CallOptions): Promise<GenerateResult> {
      const { body, warnings } = chatBody(call, dialect);
      const answer = await send(endpoint, requestOf(call, body));
      return generateResult(await textOf(answer), JSON.stringify(body), {
        ...setting,
        headers: answer.headers,
        warnings,
      });
    },

    async doStream(call: CallOptions): Promise<StreamResult> {
      const { body: asked, warnings } = chatBody(call, dialect);
      const body = { ...asked, stream: true, ...(streamUsage ? { stream_options: { include_usage: true } } : {}) };
      const answer = await send(endpoint, requestOf(call, body));
      const includeRaw = call.includeRawChunks === true;
      const stream = partsOf(answer, (put) => new ChunkReader({ ...setting, warnings, includeRaw }, put));
      return { stream, request: { body: JSON.stringify(body) }, response: { headers: answer.headers } };
    },

    ...(options.storesAnswers === true
      ? {
          async fetch(id: string, { abortSignal: signal }: { readonly abortSignal?: AbortSignal } = {}) {
            const path = `${chatPath}/${encodeURIComponent(id)}`;
            try {
              const answer = await send(endpoint, { path, signal });
              return generateResult(await textOf(answer), undefined, {
                ...setting,
                headers: answer.headers,
                warnings: [],
              });
            } catch (error) {
              if (isRecord(error) && error['statusCode'] === 404) return null;
              throw error;
            }
          },
        }
      : {}),
  };
}

/** Options of `openaiCompatibleEmbedding`. */
export interface OpenAiCompatibleEmbeddingOptions extends EndpointOptions {
  /** Length of the vectors, where the model has several. Default: the model's own. */
  readonly dimensions?: number;
  /** Values that one call may hold. Default: 512. */
  readonly maxPerCall?: number;
}

/** An embedding model behind an endpoint. Opens nothing; fails with OPTIONS_INVALID. Calls reject with `ModelCallError`. */
export function openaiCompatibleEmbedding(options: OpenAiCompatibleEmbeddingOptions): EmbeddingModel {
  const endpoint = endpointOf('openaiCompatibleEmbedding()', options, embeddingOptionNames, (faults) => {
    faults.integer('dimensions', options.dimensions, { min: 1, max: 65_536 });
    faults.integer('maxPerCall', options.maxPerCall, { min: 1, max: 100_000 });
  });
  const { model, name = 'openaiCompatible', dimensions } = options;
  return {
    specificationVersion: 'v3',
    provider: `${name}.embedding`,
    modelId: model,
    maxEmbeddingsPerCall: options.maxPerCall ?? 512,
    supportsParallelCalls: true,
    async doEmbed({ values, abortSignal, headers, providerOptions }: EmbedOptions): Promise<EmbedResult> {
      const own = { ...providerOptions?.['openaiCompatible'], ...providerOptions?.[name] };
      const sized = dimensions === undefined ? {} : { dimensions };
      const body = { model, input: values, encoding_format: 'float', ...sized, ...own };
      const answer = await send(endpoint, { path: 'embeddings', body, headers, signal: abortSignal });
      return embedResult(await textOf(answer), values.length, answer);
    },
  };
}

const chatPath = 'chat/completions';

const commonOptionNames = ['baseUrl', 'apiKey', 'model', 'name', 'headers', 'timeout', 'fetch', 'ports'];
const chatOptionNames = [
  ...commonOptionNames,
  'supportsIdempotencyKeys',
  'storesAnswers',
  'structuredOutputs',
  'maxTokensField',
  'logprobs',
  'streamUsage',
];
const embeddingOptionNames = [...commonOptionNames, 'dimensions', 'maxPerCall'];

function requestOf(call: CallOptions, body: object) {
  return { path: chatPath, body, headers: call.headers, signal: call.abortSignal };
}

function endpointOf(
  what: string,
  options: EndpointOptions,
  names: readonly string[],
  check: (faults: OptionFaults) => void,
): Endpoint {
  const faults = new OptionFaults(what);
  faults.unknownNames(options, names);
  faults.unknownNames(options.timeout ?? {}, ['response', 'idle', 'total']);
  if (!isHttpUrl(options.baseUrl)) faults.add('baseUrl must be an http or https URL, such as "https://host/v1"');
  if (typeof options.model !== 'string' || options.model === '') faults.add('model must be a non-empty text');
  check(faults);
  const wait = (option: 'response' | 'idle' | 'total', fallback: Duration): number =>
    faults.duration(`timeout.${option}`, options.timeout?.[option], durationMs(fallback) ?? 0, 1);
  const times = {
    responseMs: wait('response', '5m'),
    idleMs: wait('idle', '1m'),
    totalMs: wait('total', '15m'),
  };
  faults.throwIfAny();
  const { apiKey, headers } = options;
  return {
    baseUrl: options.baseUrl.replace(/\/+$/, ''),
    headers: { ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }), ...headers },
    // Looked up at each call: instrumentation replaces the global function after modules were loaded.
    fetch: options.fetch ?? ((url, request) => fetch(url, request)),
    ports: options.ports ?? nodePorts,
    times,
  };
}

function isHttpUrl(value: unknown): boolean {
  return typeof value === 'string' && /^https?:\/\//.test(value) && URL.canParse(value);
}

function newCallId(endpoint: Endpoint): string {
  return `call_${Array.from(endpoint.ports.random.bytes(12), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** The parts of an answer, read as fast as they are taken. Cancelling the stream ends the request. */
function partsOf(
  answer: EndpointAnswer,
  reader: (put: (part: StreamPart) => void) => ChunkReader,
): ReadableStream<StreamPart> {
  const events = eventData(answer.body, answer.url);
  let chunks: ChunkReader;
  let sent = false;
  return new ReadableStream<StreamPart>({
    start(controller) {
      chunks = reader((part) => {
        sent = true;
        controller.enqueue(part);
      });
    },
    async pull(controller) {
      sent = false;
      while (!sent) {
        const next = await events.next();
        if (next.done !== true && next.value !== '[DONE]') {
          chunks.read(next.value);
          continue;
        }
        chunks.end();
        controller.close();
        answer.close();
        return;
      }
    },
    cancel() {
      answer.close();
    },
  });
}

function embedResult(text: string, wanted: number, { url, headers }: EndpointAnswer): EmbedResult {
  const body = jsonOf(text, url);
  const data = isRecord(body) ? body['data'] : undefined;
  if (!isRecord(body) || !Array.isArray(data)) throw unreadable(url, 'it is no list of embeddings', text);
  const embeddings = data
    .map((one: unknown, i) => {
      const vector = isRecord(one) ? one['embedding'] : undefined;
      const index = isRecord(one) && typeof one['index'] === 'number' ? one['index'] : i;
      if (!isVector(vector)) throw unreadable(url, 'an embedding in it is no list of numbers');
      return { index, vector };
    })
    .sort((a, b) => a.index - b.index)
    .map(({ vector }) => vector);
  if (embeddings.length !== wanted) {
    throw unreadable(url, `it holds ${embeddings.length} embeddings for ${wanted} values`);
  }
  const tokens = isRecord(body['usage']) ? body['usage']['prompt_tokens'] : undefined;
  return {
    embeddings,
    ...(typeof tokens === 'number' ? { usage: { tokens } } : {}),
    response: { headers },
    warnings: [],
  };
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'number');
}
