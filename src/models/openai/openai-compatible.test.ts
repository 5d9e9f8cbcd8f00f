import type { LanguageModelV3, EmbeddingModelV3 } from '@ai-sdk/provider';
import { APICallError as ApiCallError6, generateText as generateText6, streamText as streamText6 } from 'ai';
import { createOpenAICompatible as sdk6 } from 'ai6-openai-compatible';
import {
  APICallError as ApiCallError7,
  embedMany,
  generateText as generateText7,
  streamText as streamText7,
} from 'ai7';
import { afterEach, describe, expect, it } from 'vitest';
import { failureOf } from '../../core/failure-of.js';
import { nodePorts } from '../../runtime/node-ports.js';
import { startModelEndpoint, type ModelEndpoint } from '../../../test/support/model-endpoint/endpoint.js';
import type { Script, Turn } from '../../../test/support/model-endpoint/script.js';
import type { CallOptions, StreamPart } from '../language-model.js';
import { ModelCallError } from '../model-call-error.js';
import { openaiCompatible, openaiCompatibleEmbedding, type OpenAiCompatibleOptions } from './openai-compatible.js';

let endpoint: ModelEndpoint | null = null;
afterEach(async () => {
  await endpoint?.close();
  endpoint = null;
});

async function start(script: Script = {}): Promise<ModelEndpoint> {
  return (endpoint = await startModelEndpoint(script));
}

function modelAt({ url }: { readonly url: string }, options: Partial<OpenAiCompatibleOptions> = {}) {
  return openaiCompatible({ baseUrl: url, model: 'm', apiKey: 'k', name: 'probe', ...options });
}

const asks = (text: string): CallOptions => ({ prompt: [{ role: 'user', content: [{ type: 'text', text }] }] });

async function partsOf(stream: ReadableStream<StreamPart>): Promise<StreamPart[]> {
  const parts: StreamPart[] = [];
  for await (const part of stream as unknown as AsyncIterable<StreamPart>) parts.push(part);
  return parts;
}

const tools: Turn['tools'] = [
  { name: 'search', arguments: { query: 'spines', limit: 3 } },
  { name: 'clock', arguments: {} },
];
const turns: Readonly<Record<string, Turn>> = {
  'a text': { text: 'All about event spines.' },
  'an empty answer': { text: '' },
  'reasoning, then a text': { reasoning: 'Let me think.', text: 'Four.' },
  'tool calls': { tools },
  'a text and tool calls': { reasoning: 'Hm.', text: 'I look it up.', tools },
  'arguments that are no JSON': { tools: [{ name: 'search', arguments: '{"query": ' }] },
  'an answer that was too long': { text: 'And so on', finish: 'length' },
  'a filtered answer': { text: 'I', finish: 'content_filter' },
};

describe('an OpenAI-compatible model beside the client of the SDK', () => {
  for (const [name, turn] of Object.entries(turns)) {
    const script: Script = { conversations: [{ match: 'go', turns: [turn] }] };
    it(`gives the same result for ${name}`, async () => {
      // Each answer has an id of its own: both sides get the first of an endpoint.
      const ours = await modelAt(await start(script)).doGenerate(asks('go'));
      await endpoint?.close();
      const theirs = await sdk6({ baseURL: (await start(script)).url, name: 'probe' })('m').doGenerate({
        prompt: [{ role: 'user', content: [{ type: 'text', text: 'go' }] }],
      });
      const { headers: _, ...response } = ours.response ?? {};
      expect({ ...ours, response }).toEqual({ ...theirs, response: { ...theirs.response, headers: undefined } });
    });

    it(`streams the same parts for ${name}`, async () => {
      const ours = await modelAt(await start(script)).doStream(asks('go'));
      const parts = await partsOf(ours.stream);
      await endpoint?.close();
      const model = sdk6({ baseURL: (await start(script)).url, name: 'probe', includeUsage: true })('m');
      const theirs = await model.doStream({ prompt: [{ role: 'user', content: [{ type: 'text', text: 'go' }] }] });
      const wanted: unknown[] = [];
      for await (const part of theirs.stream as unknown as AsyncIterable<unknown>) wanted.push(part);
      expect(parts).toEqual(wanted);
    });
  }

  it('sends the same request', async () => {
    const seen: unknown[] = [];
    const spy = (_: unknown, init?: RequestInit): Promise<Response> => {
      seen.push(JSON.parse(String(init?.body)));
      return Promise.resolve(new Response('no', { status: 400 }));
    };
    const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] } as const;
    const options = {
      prompt: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'file', mediaType: 'image/png', data: new Uint8Array([1, 2, 3]) },
            { type: 'file', mediaType: 'image/*', data: new URL('https://images.test/a.jpg') },
            { type: 'file', mediaType: 'audio/wav', data: 'AAEC' },
            { type: 'file', mediaType: 'application/pdf', data: new Uint8Array([37, 80, 68, 70]), filename: 'a.pdf' },
            { type: 'file', mediaType: 'text/plain', data: 'aGVsbG8=' },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'reasoning', text: 'Hm.' },
            { type: 'tool-call', toolCallId: 'c1', toolName: 'look', input: { at: [1] } },
          ],
        },
        {
          role: 'tool',
          content: [
            {
              type: 'tool-result',
              toolCallId: 'c1',
              toolName: 'look',
              output: { type: 'json', value: { seen: true } },
            },
          ],
        },
        { role: 'assistant', content: [{ type: 'text', text: 'A picture.' }] },
      ],
      maxOutputTokens: 100,
      temperature: 0.5,
      topP: 0.9,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      stopSequences: ['END'],
      seed: 7,
      responseFormat: { type: 'json', schema, name: 'thing', description: 'A thing.' },
      tools: [{ type: 'function', name: 'look', description: 'Looks.', inputSchema: schema, strict: true }],
      toolChoice: { type: 'tool', toolName: 'look' },
      providerOptions: { probe: { reasoningEffort: 'low', service_tier: 'flex' } },
    } satisfies Parameters<LanguageModelV3['doGenerate']>[0];
    const theirs = sdk6({ baseURL: 'https://x.test/v1', name: 'probe', supportsStructuredOutputs: true, fetch: spy })(
      'm',
    );
    await expect(theirs.doGenerate(options)).rejects.toThrow();
    await expect(modelAt({ url: 'https://x.test/v1' }, { fetch: spy }).doGenerate(options)).rejects.toThrow();
    expect(seen[1]).toEqual(seen[0]);
  });

  it('is a model by the types of the SDK', () => {
    const model: LanguageModelV3 = modelAt({ url: 'https://x.test/v1' });
    const embedding: EmbeddingModelV3 = openaiCompatibleEmbedding({ baseUrl: 'https://x.test/v1', model: 'e' });
    expect([model.specificationVersion, embedding.specificationVersion]).toEqual(['v3', 'v3']);
  });

  it('works in version 6 and in version 7', async () => {
    const at = await start();
    const model = modelAt(at);
    const six = await generateText6({ model, prompt: 'Hello' });
    const seven = await generateText7({ model, prompt: 'Hello' });
    expect([six.text, six.usage.inputTokens]).toEqual(['You said: Hello', expect.any(Number)]);
    expect([seven.text, seven.usage.inputTokens]).toEqual([six.text, six.usage.inputTokens]);
    expect(await streamText6({ model, prompt: 'Hello' }).text).toBe('You said: Hello');
    expect(await streamText7({ model, prompt: 'Hello' }).text).toBe('You said: Hello');
    const embedding = openaiCompatibleEmbedding({ baseUrl: at.url, model: 'e' });
    const { embeddings, usage } = await embedMany({ model: embedding, values: ['a', 'bbb'] });
    expect(embeddings).toEqual([
      [1, 0, 1],
      [3, 1, 1],
    ]);
    expect(usage.tokens).toBe(4);
  });
});

describe('an OpenAI-compatible model whose endpoint fails', () => {
  async function failed(call: Promise<unknown>): Promise<ModelCallError> {
    const error = await call.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ModelCallError);
    return error as ModelCallError;
  }
  const status = (code: number, headers = {}, body?: unknown): Script => ({
    faults: [{ fault: { kind: 'status', status: code, headers, ...(body === undefined ? {} : { body }) }, times: 9 }],
  });

  it('keeps the pause that was asked for, however long, and what else was said', async () => {
    const limited = { error: { message: 'Slow down.', type: 'tokens', code: 'rate_limit_exceeded' } };
    const model = modelAt(
      await start(status(429, { 'retry-after': '7200', 'x-ratelimit-reset-tokens': '6m0s' }, limited)),
    );
    const error = await failed(model.doStream(asks('go')));
    expect(error).toMatchObject({
      message: 'The endpoint answered 429: Slow down.',
      statusCode: 429,
      code: 'rate_limit_exceeded',
      retryAfterMs: 7_200_000,
      isRetryable: true,
      responseHeaders: { 'x-ratelimit-reset-tokens': '6m0s' },
      responseBody: JSON.stringify(limited),
      data: limited.error,
    });
    expect(failureOf(error)).toMatchObject({ class: 'rate_limited', retryAfterMs: 7_200_000 });
    expect([ApiCallError6.isInstance(error), ApiCallError7.isInstance(error)]).toEqual([true, true]);
  });

  it.each([
    [529, true, 'overloaded'],
    [503, true, 'overloaded'],
    [500, true, 'dependency'],
    [401, false, 'auth'],
    [404, false, 'invalid_request'],
  ])('reports a %i', async (code, isRetryable, failureClass) => {
    const error = await failed(modelAt(await start(status(code, {}, 'sorry'))).doGenerate(asks('go')));
    expect(error).toMatchObject({ statusCode: code, isRetryable, message: `The endpoint answered ${code}: sorry` });
    expect(failureOf(error).class).toBe(failureClass);
  });

  it('reads a pause told as a date', async () => {
    const at = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 90_000);
    const error = await failed(
      modelAt(await start(status(503, { 'retry-after': at.toUTCString() }))).doGenerate(asks('go')),
    );
    expect(error.retryAfterMs).toBeGreaterThan(80_000);
    expect(error.retryAfterMs).toBeLessThan(92_000);
  });

  it.each([
    ['cut', { kind: 'cut', afterChunks: 2 }],
    ['ended too early', { kind: 'cut', afterChunks: 2, clean: true }],
  ] as const)('does not take half an answer for one: %s', async (_, fault) => {
    const model = modelAt(await start({ faults: [{ fault }] }));
    const parts: StreamPart[] = [];
    const error = await (async () => {
      const { stream } = await model.doStream(asks('go'));
      for await (const part of stream as unknown as AsyncIterable<StreamPart>) parts.push(part);
      return parts.find((part) => part.type === 'error')?.error;
    })().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'MODEL_STREAM_CUT', class: 'network' });
    expect(parts.filter((part) => part.type === 'finish').every((part) => part.finishReason.unified === 'error')).toBe(
      true,
    );
  });

  it('does not read on after what it cannot read', async () => {
    const model = modelAt(await start({ faults: [{ fault: { kind: 'garbage' }, times: 2 }] }));
    expect(await failed(model.doGenerate(asks('go')))).toMatchObject({
      code: 'MODEL_ANSWER_UNREADABLE',
      class: 'invalid_output',
    });
    const parts = await partsOf((await model.doStream(asks('go'))).stream);
    expect(parts).toContainEqual({
      type: 'error',
      error: expect.objectContaining({ code: 'MODEL_ANSWER_UNREADABLE' }) as unknown,
    });
    expect(parts.at(-1)).toMatchObject({ type: 'finish', finishReason: { unified: 'error' } });
  });

  it('finds an error inside of an answer', async () => {
    const body = { error: { message: 'Out of capacity', code: 529, type: 'overloaded_error' } };
    const model = modelAt(await start({ faults: [{ fault: { kind: 'error-chunk', body }, times: 2 }] }));
    expect(failureOf(await failed(model.doGenerate(asks('go')))).class).toBe('overloaded');
    const parts = await partsOf((await model.doStream(asks('go'))).stream);
    const part = parts.find(({ type }) => type === 'error');
    expect(failureOf(part?.type === 'error' ? part.error : null).class).toBe('overloaded');
  });

  it('tells a refusal from an answer', async () => {
    const script: Script = { conversations: [{ match: 'go', turns: [{ refusal: 'I will not do that.' }] }] };
    const model = modelAt(await start(script));
    const answer = await model.doGenerate(asks('go'));
    expect(answer).toMatchObject({
      content: [{ type: 'text', text: 'I will not do that.' }],
      finishReason: { unified: 'content-filter', raw: 'stop' },
      providerMetadata: { probe: { refusal: 'I will not do that.' } },
    });
    const parts = await partsOf((await model.doStream(asks('go'))).stream);
    expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'content-filter' } });
  });

  it.each([
    ['answers nothing', { response: 60 }, { kind: 'hang', begun: true }],
    ['is slow with its first token', { response: 60 }, { kind: 'slow', firstMs: 5_000 }],
    ['falls silent', { idle: 60 }, { kind: 'slow', firstMs: 0, chunkMs: 5_000 }],
    ['takes too long in all', { total: 100 }, { kind: 'slow', firstMs: 0, chunkMs: 40 }],
  ] as const)('gives up on an endpoint that %s', async (_, timeout, fault) => {
    const model = modelAt(await start({ faults: [{ fault }] }), { timeout });
    const call = model.doStream(asks('one two three four five six')).then(({ stream }) => partsOf(stream));
    expect(await failed(call)).toMatchObject({ code: 'MODEL_TIMEOUT', class: 'timeout', isRetryable: true });
  });

  it('ends with the signal of its caller, and with its reason', async () => {
    const model = modelAt(await start({ faults: [{ fault: { kind: 'hang', begun: false } }] }));
    const controller = new AbortController();
    const reason = new Error('No longer wanted.');
    const call = model.doGenerate({ ...asks('go'), abortSignal: controller.signal });
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
  });

  it('says that nobody is there', async () => {
    const { url } = await start();
    await endpoint?.close();
    endpoint = null;
    expect(await failed(modelAt({ url }).doGenerate(asks('go')))).toMatchObject({
      code: 'MODEL_UNREACHABLE',
      class: 'network',
    });
  });

  it('bounds what it reads', async () => {
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode('data: '.padEnd(512 * 1024, 'x'))),
    });
    const model = modelAt({ url: 'https://x.test/v1' }, { fetch: () => Promise.resolve(new Response(endless)) });
    const { stream } = await model.doStream(asks('go'));
    await expect(partsOf(stream)).rejects.toMatchObject({ code: 'MODEL_ANSWER_UNREADABLE' });
  });
});

describe('an OpenAI-compatible model', () => {
  it('sends keys of idempotency, and can fetch an answer by its id', async () => {
    const model = modelAt(await start({ honoursKeys: true }), { supportsIdempotencyKeys: true, storesAnswers: true });
    const call = { ...asks('go'), headers: { 'Idempotency-Key': 'run/1' } };
    const first = await model.doGenerate(call);
    expect(await model.doGenerate(call)).toEqual({
      ...first,
      response: expect.objectContaining({ id: first.response?.id }) as unknown,
    });
    expect((await model.fetch?.(first.response?.id ?? ''))?.content).toEqual(first.content);
    expect(await model.fetch?.('nothing')).toBeNull();
    expect(endpoint?.books()).toMatchObject({
      received: 2,
      repeated: 1,
      inferences: [{ key: 'run/1', answered: true }],
    });
  });

  it('reads chunks however the bytes were cut, and every form of line end', async () => {
    const text = [
      '{"choices":[{"delta":{"content":"Zürich €"}}]}',
      '{"choices":[{"delta":{},"finish_reason":"stop"}]}',
    ];
    const bytes = new TextEncoder().encode(`\uFEFF: hello\r\ndata: ${text[0]}\r\r\ndata:${text[1]}\n\ndata: [DONE]`);
    for (const size of [1, 2, 3, 7, 64]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.slice(i * size, (i + 1) * size),
      );
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          const next = pieces.shift();
          if (next === undefined) controller.close();
          else controller.enqueue(next);
        },
      });
      const model = modelAt({ url: 'https://x.test/v1' }, { fetch: () => Promise.resolve(new Response(body)) });
      const parts = await partsOf((await model.doStream(asks('go'))).stream);
      expect(parts.flatMap((part) => (part.type === 'text-delta' ? [part.delta] : []))).toEqual(['Zürich €']);
      expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'stop' } });
    }
  });

  it('collects the probabilities of tokens, where it was told to ask for them', async () => {
    const logprobs = { content: [{ token: 'Yes', logprob: -0.1, top_logprobs: [] }] };
    const answer = { choices: [{ message: { content: 'Yes' }, logprobs, finish_reason: 'stop' }] };
    let asked: unknown;
    const model = modelAt(
      { url: 'https://x.test/v1' },
      {
        logprobs: 2,
        fetch: (_, init) => {
          asked = JSON.parse(String(init.body));
          return Promise.resolve(Response.json(answer));
        },
      },
    );
    expect((await model.doGenerate(asks('go'))).providerMetadata).toEqual({ probe: { logprobs: logprobs.content } });
    expect(asked).toMatchObject({ logprobs: true, top_logprobs: 2 });
  });

  it('ends the request when nobody reads on', async () => {
    const signals: (AbortSignal | null | undefined)[] = [];
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void =>
      controller.enqueue(new TextEncoder().encode('data: {"choices":[]}\n\n'));
    const model = modelAt(
      { url: 'https://x.test/v1' },
      {
        fetch: (_, init) => {
          signals.push(init.signal);
          return Promise.resolve(new Response(new ReadableStream<Uint8Array>({ pull })));
        },
      },
    );
    await (await model.doStream(asks('go'))).stream.cancel();
    const reader = (await model.doStream(asks('go'))).stream.getReader();
    await reader.read();
    await reader.cancel();
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, true]);
  });

  it('reads nothing before it is asked, and looks at its options', () => {
    expect(() => openaiCompatible({ baseUrl: 'host/v1', model: '', timeout: { idle: 0 }, ports: nodePorts })).toThrow(
      /baseUrl must be.*model must be.*timeout\.idle/,
    );
    expect(() => openaiCompatible({ baseUrl: 'https://h/v1', modell: 'x' } as never)).toThrow(/did you mean "model"/);
  });
});
