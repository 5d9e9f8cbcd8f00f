import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PromptMessage } from 'eventspine/models';
import { afterEach, describe, expect, it } from 'vitest';
import type { Passage } from '../retrieval/search.ts';
import { ask, embedding } from './ask.ts';
import { type ModelEndpoint, startModelEndpoint } from './endpoint.ts';
import { offeredTools, promptOf } from './prompt.ts';

function passage(text: string, document = 'd.md'): Passage {
  return { chunkId: `${document}#0`, document, title: 'T', heading: 'Heading', text, score: 1 };
}

describe('prompt', () => {
  it('numbers the passages and keeps the question on one line', () => {
    const [, asked] = promptOf('How\nlong?', [passage('One.\nTwo.'), passage('Three.', 'e.pdf')]);
    const text = 'Question: How long?\n\nPassages:\n\n[1] d.md, "Heading"\nOne.\nTwo.\n\n[2] e.pdf, "Heading"\nThree.';
    expect(asked).toEqual({ role: 'user', content: [{ type: 'text', text }] });
  });
});

describe('the model endpoint', () => {
  let endpoint: ModelEndpoint | undefined;
  let other: Server | undefined;
  const signal = new AbortController().signal;
  afterEach(async () => {
    await endpoint?.close();
    other?.close();
  });

  async function start(providerUrl?: string): Promise<ModelEndpoint> {
    const provider = providerUrl === undefined ? null : { baseUrl: providerUrl, apiKey: 'k', model: 'm' };
    endpoint = await startModelEndpoint({ provider, wordPauseMs: 0, embeddingPauseMs: 0 });
    return endpoint;
  }

  function providerOf(listener: RequestListener): Promise<string> {
    return new Promise((resolve) => {
      const server = createServer(listener);
      other = server;
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`));
    });
  }

  it('streams the answer of the built-in model word by word', async () => {
    const { url } = await start();
    const pieces: string[] = [];
    const messages = promptOf('Who leads the day shift?', [passage('The day shift is led by Ann.')]);
    const answer = await ask({ url, messages, idempotencyKey: 'a', signal, onText: (piece) => pieces.push(piece) });
    expect(pieces.length).toBeGreaterThan(3);
    expect(answer).toEqual({ model: 'eventspine-extractive', text: pieces.join(''), toolCalls: [] });
  });

  it('has tools called by the built-in model, and told what they returned', async () => {
    const { url } = await start();
    const messages = promptOf('How long does the tank last under load?', [
      passage('The tank holds 2,400 litres. Under load the generator burns 18 litres per hour.'),
    ]);
    const asked = await ask({ url, messages, tools: offeredTools, idempotencyKey: 'a', signal });
    const [call] = asked.toolCalls;
    expect(call).toMatchObject({
      function: { name: 'calculate', arguments: '{"expression":"2400 / 18","unit":"hours"}' },
    });
    const results: PromptMessage[] = [
      { role: 'assistant', content: [{ type: 'tool-call', toolCallId: 'c', toolName: 'calculate', input: {} }] },
      {
        role: 'tool',
        content: [
          {
            type: 'tool-result',
            toolCallId: 'c',
            toolName: 'calculate',
            output: { type: 'json', value: { expression: '2400 / 18', value: 133.3, unit: 'hours' } },
          },
        ],
      },
    ];
    const told = await ask({ url, messages: [...messages, ...results], idempotencyKey: 'b', signal });
    expect(told.text).toContain('2400 / 18 = 133.3 hours');
  });

  it('counts calls by key, with those whose answer was cut off', async () => {
    const { url, calls } = await start();
    await embedding({ url, text: 'dome', idempotencyKey: 'e', signal });
    await embedding({ url, text: 'dome', idempotencyKey: 'e', signal });
    expect(calls().get('e')).toEqual({ kind: 'embedding', received: 2, answered: 2 });
  });

  it('passes chat on to a provider with its key and model, tools included', async () => {
    let seen = '';
    const providerUrl = await providerOf((request, response) => {
      seen = `${request.url} ${request.headers.authorization}`;
      const part = (index: number, id: string | undefined, text: string): string =>
        `data: ${JSON.stringify({ model: 'm', choices: [{ delta: { tool_calls: [{ index, ...(id === undefined ? {} : { id }), function: { ...(id === undefined ? {} : { name: 'calculate' }), arguments: text } }] }, finish_reason: null }] })}\n\n`;
      response.write(part(0, 'c1', '{"expression"'));
      response.write(part(0, undefined, ':"1+1"}'));
      response.end('data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n');
    });
    const { url } = await start(providerUrl);
    const answer = await ask({ url, messages: promptOf('q', []), tools: [], idempotencyKey: 'a', signal });
    expect(seen).toBe('/v1/chat/completions Bearer k');
    expect(answer.toolCalls).toEqual([
      { id: 'c1', type: 'function', function: { name: 'calculate', arguments: '{"expression":"1+1"}' } },
    ]);
  });

  it("hands a provider's refusal and its pause to the worker", async () => {
    const { url } = await start(
      await providerOf((_, response) => response.writeHead(429, { 'retry-after': '7' }).end('slow down')),
    );
    await expect(ask({ url, messages: promptOf('q', []), idempotencyKey: 'a', signal })).rejects.toMatchObject({
      statusCode: 429,
      retryAfterMs: 7_000,
    });
  });

  it('does not take half an answer for an answer', async () => {
    const { url } = await start(
      await providerOf((_, response) =>
        response.end('data: {"choices":[{"delta":{"content":"Half"},"finish_reason":null}]}\n\n'),
      ),
    );
    await expect(ask({ url, messages: promptOf('q', []), idempotencyKey: 'a', signal })).rejects.toThrow('broke off');
  });
});
