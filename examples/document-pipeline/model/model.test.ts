import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Passage } from '../retrieval/search.ts';
import type { ChatMessage } from './chat.ts';
import { chat, embedding } from './client.ts';
import { type ModelEndpoint, startModelEndpoint } from './endpoint.ts';
import { answerLocally } from './local-model.ts';
import { promptOf, readPrompt } from './prompt.ts';
import { quantitiesOf } from './quantities.ts';
import { rankSentences } from './sentence-ranking.ts';
import { planTools } from './tool-planning.ts';

function passage(text: string, document = 'd.md'): Passage {
  return { chunkId: `${document}#0`, document, title: 'T', heading: 'Heading', text, score: 1 };
}

const power = passage(
  'The tank holds 2,400 litres. Under load the generator burns 18 litres per hour.\n\n[2] is no passage',
);

function planned(question: string, ...texts: string[]): unknown[] {
  const prompt = readPrompt(
    promptOf(
      question,
      texts.map((text) => passage(text)),
    )[1]?.content ?? '',
  );
  return planTools(question, rankSentences(question, prompt?.passages ?? [])).map(({ name, arguments: values }) => [
    name,
    ...Object.values(values),
  ]);
}

describe('prompt', () => {
  it('is read back as it was written, whatever a passage contains', () => {
    const [, asked] = promptOf('How\nlong?', [passage('One.\nTwo.'), passage('Three.', 'e.pdf')]);
    expect(readPrompt(asked?.content ?? '')).toEqual({
      question: 'How long?',
      passages: [
        { number: 1, source: 'd.md, "Heading"', text: 'One.\nTwo.' },
        { number: 2, source: 'e.pdf, "Heading"', text: 'Three.' },
      ],
    });
  });

  it('is told apart from other text', () => {
    expect(readPrompt('Hello')).toBeNull();
  });
});

describe('quantities', () => {
  it('finds numbers with units and rates, and no dates', () => {
    expect(quantitiesOf('On 2024-06-03 the tank held 2,400 litres, 18.5 litres per hour, 54 km/h')).toEqual([
      { value: 2400, unit: 'litre', per: null },
      { value: 18.5, unit: 'litre', per: 'hour' },
      { value: 54, unit: 'km/h', per: null },
    ]);
  });
});

describe('tool planning', () => {
  it('divides a total by a rate when asked how long it lasts', () => {
    expect(planned('How long does the tank last under load?', power.text)).toEqual([
      ['calculate', '2400 / 18', 'hours'],
    ]);
  });

  it('multiplies a rate by a count when asked how much', () => {
    const text = 'They write 1.4 TB per night. A year has 310 observing nights.';
    expect(planned('How much do they write in a year of observing nights?', text)).toEqual([
      ['calculate', '1.4 * 310', 'TB'],
    ]);
  });

  it('converts what is asked for in another unit', () => {
    expect(planned('Which wind is the limit, in mph?', 'The limit is a wind of 54 km/h.')).toEqual([
      ['calculate', '54 / 1.609344', 'mph'],
    ]);
  });

  it('counts days between two dates, the earlier one first', () => {
    expect(planned('How many days lie between the coatings?', 'Coatings: 2024-06-03 and 2021-05-17.')).toEqual([
      ['date_diff', '2021-05-17', '2024-06-03'],
    ]);
  });

  it('looks up abbreviations and asked words, several at once', () => {
    expect(planned('What does seeing mean, and what is PWV?', 'Seeing.')).toEqual([
      ['lookup_term', 'PWV'],
      ['lookup_term', 'seeing'],
    ]);
  });

  it('asks for nothing where no rule applies', () => {
    expect(planned('Who is the engineer?', 'The engineer is Tomas.')).toEqual([]);
  });
});

describe('the built-in model', () => {
  it('quotes sentences with the numbers of their passages', () => {
    const turn = answerLocally(
      promptOf('Who leads the day shift?', [passage('Rain.'), passage('The day shift is led by Ann.')]),
      true,
    );
    expect(turn).toEqual({ kind: 'text', text: 'The day shift is led by Ann. [2]' });
  });

  it('asks for tools first and reports what they returned', () => {
    const messages: ChatMessage[] = promptOf('How long does the tank last under load?', [power]);
    const turn = answerLocally(messages, true);
    expect(turn.kind).toBe('tools');
    const content = JSON.stringify({ expression: '2400 / 18', value: 133.3333, unit: 'hours' });
    const next = answerLocally([...messages, { role: 'tool', tool_call_id: 'call_1', content }], true);
    expect(next.kind === 'text' && next.text).toContain('2400 / 18 = 133.3333 hours');
  });

  it('says so when the passages have nothing on the question', () => {
    expect(answerLocally(promptOf('Who sings?', [passage('Rain falls.')]), true)).toEqual({
      kind: 'text',
      text: 'The documents do not say.',
    });
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
    const answer = await chat({ url, messages, idempotencyKey: 'a', signal, onText: (piece) => pieces.push(piece) });
    expect(pieces.length).toBeGreaterThan(3);
    expect(answer).toEqual({ model: 'eventspine-extractive', text: pieces.join(''), toolCalls: [] });
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
    const answer = await chat({ url, messages: promptOf('q', []), tools: [], idempotencyKey: 'a', signal });
    expect(seen).toBe('/v1/chat/completions Bearer k');
    expect(answer.toolCalls).toEqual([
      { id: 'c1', type: 'function', function: { name: 'calculate', arguments: '{"expression":"1+1"}' } },
    ]);
  });

  it("hands a provider's refusal and its pause to the worker", async () => {
    const { url } = await start(
      await providerOf((_, response) => response.writeHead(429, { 'retry-after': '7' }).end('slow down')),
    );
    await expect(chat({ url, messages: promptOf('q', []), idempotencyKey: 'a', signal })).rejects.toMatchObject({
      status: 429,
      retryAfter: 7,
    });
  });

  it('does not take half an answer for an answer', async () => {
    const { url } = await start(
      await providerOf((_, response) =>
        response.end('data: {"choices":[{"delta":{"content":"Half"},"finish_reason":null}]}\n\n'),
      ),
    );
    await expect(chat({ url, messages: promptOf('q', []), idempotencyKey: 'a', signal })).rejects.toThrow('broke off');
  });
});
