/**
 * Fake models: endpoints that answer as a test says, whole or in parts, and remember what they were asked. They stand where
 * a provider would, so everything around them (intents, retries, streams, recording) is as in production.
 */
import type { ModelCallNow, ModelEndpoint } from '../../workflow/index.js';

/** What a fake model says. */
export interface FakeReply {
  readonly text?: string;
  /** Given as the text of its JSON. */
  readonly object?: unknown;
  readonly toolCalls?: readonly { readonly name: string; readonly input: unknown; readonly id?: string }[];
  /** Tokens; by default some, so that spending shows. */
  readonly usage?: { readonly inputTokens?: number; readonly outputTokens?: number };
  /** Default `stop`, or `tool-calls` where there are some. */
  readonly finish?: string;
  /** Id of the answer at the provider. Default: a number of its own. */
  readonly id?: string;
  /** Probability of each token of the answer, with what the first could have been. */
  readonly logprobs?: readonly {
    readonly token: string;
    readonly logprob: number;
    readonly top_logprobs?: readonly { readonly token: string; readonly logprob: number }[];
  }[];
  /** A streamed answer breaks off after so many parts, without its end. */
  readonly cutAfter?: number;
}

/** How a fake model answers: with a text, with more than that, or with what a function makes of the call. */
export type FakeModelAnswer =
  | string
  | FakeReply
  | ((call: ModelCallNow, number: number) => string | FakeReply | Promise<string | FakeReply>);

/** Options of `fakeModel`. */
export interface FakeModelOptions {
  /** Default `fake`. */
  readonly provider?: string;
  /** Default `model`. */
  readonly modelId?: string;
  /** Default `v3`. */
  readonly specificationVersion?: string;
  /** It honours idempotency keys: a call that is repeated with one gets the same answer, and is not paid again. Default false. */
  readonly idempotent?: boolean;
}

/** A model with a memory. */
export interface FakeModel extends ModelEndpoint {
  /** All calls so far, in the order in which they came. */
  readonly calls: readonly ModelCallNow[];
  /** Calls among them that would be paid for. */
  readonly paid: number;
}

/** A model that answers as told: `fakeModel('yes')`, `fakeModel(inTurn('a', new Transient('busy'), 'b'))`. */
export function fakeModel(answer: FakeModelAnswer, options: FakeModelOptions = {}): FakeModel {
  return new Faked(answer, options);
}

class Faked implements FakeModel {
  readonly specificationVersion: string;
  readonly provider: string;
  readonly modelId: string;
  readonly supportsIdempotencyKeys: boolean;
  readonly calls: ModelCallNow[] = [];
  paid = 0;
  readonly #answer: FakeModelAnswer;
  readonly #byKey = new Map<string, FakeReply>();
  readonly #byId = new Map<string, FakeReply>();

  constructor(answer: FakeModelAnswer, options: FakeModelOptions) {
    const { provider = 'fake', modelId = 'model', specificationVersion = 'v3', idempotent = false } = options;
    this.#answer = answer;
    this.provider = provider;
    this.modelId = modelId;
    this.specificationVersion = specificationVersion;
    this.supportsIdempotencyKeys = idempotent;
  }

  async doGenerate(options: ModelCallNow): Promise<unknown> {
    return generated(await this.#reply(options));
  }

  async doStream(options: ModelCallNow): Promise<{ readonly stream: AsyncIterable<unknown> }> {
    const reply = await this.#reply(options);
    return { stream: partsOf(reply) };
  }

  fetch(providerId: string): Promise<unknown> {
    const reply = this.#byId.get(providerId);
    return Promise.resolve(reply === undefined ? null : generated(reply));
  }

  async #reply(call: ModelCallNow): Promise<FakeReply> {
    this.calls.push(call);
    const key = call.headers?.['idempotency-key'];
    const known = key === undefined ? undefined : this.#byKey.get(key);
    if (known !== undefined) return known;
    this.paid += 1;
    const number = this.paid;
    const said = typeof this.#answer === 'function' ? await this.#answer(call, number) : this.#answer;
    const reply = { id: `answer-${number}`, ...(typeof said === 'string' ? { text: said } : said) };
    if (key !== undefined) this.#byKey.set(key, reply);
    this.#byId.set(reply.id, reply);
    return reply;
  }
}

type Part = Readonly<Record<string, unknown>>;

function contentOf({ text, object, toolCalls = [] }: FakeReply): Part[] {
  const said = text ?? (object === undefined ? '' : JSON.stringify(object));
  return [
    ...(said === '' ? [] : [{ type: 'text', text: said }]),
    ...toolCalls.map(({ name, input, id }, i) => ({
      type: 'tool-call',
      toolCallId: id ?? `call-${i}`,
      toolName: name,
      input: JSON.stringify(input),
    })),
  ];
}

function endOf({ finish, toolCalls = [], usage = {}, logprobs }: FakeReply): Readonly<Record<string, unknown>> {
  const unified = finish ?? (toolCalls.length > 0 ? 'tool-calls' : 'stop');
  const { inputTokens = 10, outputTokens = 5 } = usage;
  return {
    finishReason: { unified, raw: unified },
    usage: { inputTokens: { total: inputTokens }, outputTokens: { total: outputTokens } },
    ...(logprobs === undefined ? {} : { providerMetadata: { fake: { logprobs } } }),
  };
}

function generated(reply: FakeReply): unknown {
  return { content: contentOf(reply), warnings: [], response: { id: reply.id }, ...endOf(reply) };
}

async function* partsOf(reply: FakeReply): AsyncGenerator<unknown> {
  const parts: unknown[] = [
    { type: 'stream-start', warnings: [] },
    { type: 'response-metadata', id: reply.id },
  ];
  for (const part of contentOf(reply)) {
    if (part['type'] !== 'text') {
      parts.push(part);
      continue;
    }
    parts.push({ type: 'text-start', id: 't' });
    for (const delta of String(part['text']).split(/(?<= )/)) parts.push({ type: 'text-delta', id: 't', delta });
    parts.push({ type: 'text-end', id: 't' });
  }
  parts.push({ type: 'finish', ...endOf(reply) });
  for (const part of parts.slice(0, reply.cutAfter ?? parts.length)) {
    await Promise.resolve();
    yield part;
  }
}
