import { generateText as generateText6, Output as Output6, tool as tool6 } from 'ai';
import { Output as Output7, stepCountIs, streamText as streamText7, tool as tool7 } from 'ai7';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { CallOptions, FunctionTool, PromptMessage } from '../language-model.js';
import { embed, dimensions } from './embed.js';
import { answerLocally } from './local-answer.js';
import { localEmbedding, localModel } from './local-model.js';
import { readPrompt } from './passages.js';
import { quantitiesOf } from './quantities.js';
import { valueOf } from './schema-value.js';
import { rankSentences } from './sentence-ranking.js';
import { splitSentences } from './sentences.js';
import { stem, termsOf } from './terms.js';
import { planTools } from './tool-planning.js';

const says = (text: string): PromptMessage => ({ role: 'user', content: [{ type: 'text', text }] });

function withPassages(question: string, ...texts: string[]): PromptMessage {
  return says(
    `Question: ${question}\n\nPassages:\n\n${texts.map((text, i) => `[${i + 1}] d.md\n${text}`).join('\n\n')}`,
  );
}

function tool(name: string, properties: object = {}, required: readonly string[] = []): FunctionTool {
  return { type: 'function', name, inputSchema: { type: 'object', properties, required } };
}

const knownTools = [tool('calculate'), tool('date_diff'), tool('lookup_term')];

function planned(question: string, ...texts: string[]): unknown[] {
  const { passages } = readPrompt([withPassages(question, ...texts)]);
  return planTools(question, rankSentences(question, passages), knownTools).map(({ name, arguments: values }) => [
    name,
    ...Object.values(values),
  ]);
}

describe('terms', () => {
  it('drops common words, accents and endings, keeps codes and decimals', () => {
    const terms = termsOf('The dômes were closing at E07: 1,870.5 and the boxes');
    expect(terms).toEqual(['dom', 'clos', 'e07', '1,870.5', 'box']);
  });

  it.each([
    ['recoating', 'recoated'],
    ['recoatings', 'recoat'],
    ['stopped', 'stop'],
    ['stories', 'story'],
    ['hours', 'hour'],
  ])('brings %s and %s together', (a, b) => {
    expect(stem(a)).toBe(stem(b));
  });
});

describe('sentences', () => {
  it('does not cut inside numbers and ends at line breaks', () => {
    expect(splitSentences('It is 2.5 degrees. Stop!\nNext line')).toEqual(['It is 2.5 degrees.', 'Stop!', 'Next line']);
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

describe('embedding', () => {
  const near = (a: string, b: string): number => {
    const [x, y] = [embed(a), embed(b)];
    return x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0) / (Math.hypot(...x) * Math.hypot(...y));
  };

  it('is the same each time, of unit length within its rounding', () => {
    const vector = embed('The generator burns diesel.');
    expect(embed('The generator burns diesel.')).toEqual(vector);
    expect(vector).toHaveLength(dimensions);
    expect(Math.hypot(...vector)).toBeGreaterThan(120);
    expect(Math.hypot(...vector)).toBeLessThan(134);
  });

  it('puts other forms of a word nearer than other words', () => {
    expect(near('recoating the mirror', 'the mirror was recoated')).toBeGreaterThan(0.9);
    expect(near('generator', 'genarator')).toBeGreaterThan(0.15);
    expect(near('recoating the mirror', 'diesel for the winter')).toBeLessThan(0.2);
  });

  it('of nothing is nothing', () => {
    expect(new Set(embed('the of and'))).toEqual(new Set([0]));
  });

  it('answers in the order of the values', async () => {
    const { embeddings } = await localEmbedding().doEmbed({ values: ['a tank', 'a dome'] });
    expect(embeddings).toEqual([embed('a tank'), embed('a dome')]);
  });
});

describe('what the built-in model reads', () => {
  it('is a question and its numbered passages, whatever a passage contains', () => {
    const text = 'Question: How long?\n\nPassages:\n\n[1] d.md\nOne.\nTwo.\n\n[2] is no passage\n\n[2] e.pdf\nThree.';
    expect(readPrompt([says(text)])).toEqual({
      question: 'How long?',
      isNumbered: true,
      passages: [
        { number: 1, source: 'd.md', text: 'One.\nTwo.' },
        { number: 2, source: 'is no passage', text: '' },
        { number: 2, source: 'e.pdf', text: 'Three.' },
      ].filter(({ text }) => text !== ''),
    });
  });

  it('is the last question of any other conversation, with all the rest as text', () => {
    const prompt: PromptMessage[] = [
      { role: 'system', content: 'The dome leaks.' },
      says('Hello.'),
      { role: 'assistant', content: [{ type: 'text', text: 'Good day.' }] },
      says('It rains. Does the dome leak? Tell me.'),
    ];
    expect(readPrompt(prompt)).toMatchObject({ question: 'Does the dome leak?', isNumbered: false });
    expect(readPrompt(prompt).passages.map(({ text }) => text)).toEqual([
      'It rains.\nTell me.',
      'The dome leaks.',
      'Hello.',
      'Good day.',
    ]);
  });
});

describe('tool planning', () => {
  it('divides a total by a rate when asked how long it lasts', () => {
    expect(
      planned(
        'How long does the tank last under load?',
        'The tank holds 2,400 litres. Under load the generator burns 18 litres per hour.',
      ),
    ).toEqual([['calculate', '2400 / 18', 'hours']]);
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

  it('asks for a tool of any name when the question has a word of it and its arguments', () => {
    const weather = tool('getWeather', { city: { type: 'string' }, days: { type: 'integer' } }, ['city', 'days']);
    expect(planTools('What is the weather in Lima for 3 days?', [], [weather])).toEqual([
      { name: 'getWeather', arguments: { city: 'Lima', days: 3 } },
    ]);
    expect(planTools('What is the weather in Lima?', [], [weather])).toEqual([]);
    expect(planTools('Who lives in Lima for 3 days?', [], [weather])).toEqual([]);
  });
});

describe('a value of a schema', () => {
  const from = { sentences: ['Domes leak.', 'Mirrors age.'], numbers: [12.5, 3], text: 'Domes leak, status open' };

  it('has the form that was asked for', () => {
    const schema = z.toJSONSchema(
      z.object({
        summary: z.string().max(6),
        detail: z.string(),
        status: z.enum(['closed', 'open']),
        count: z.number().int().max(10),
        points: z.array(z.object({ text: z.string() })).min(1),
        note: z.string().nullable(),
        kind: z.literal('report'),
      }),
    );
    expect(valueOf(schema, from)).toMatchObject({
      summary: 'Domes ',
      detail: 'Mirrors age.',
      status: 'open',
      count: 10,
      points: [{ text: 'Mirrors age.' }],
      kind: 'report',
    });
  });

  it('ends for a schema that refers to itself', () => {
    const tree = { $defs: { n: { type: 'object', properties: { next: { $ref: '#/$defs/n' } } } }, $ref: '#/$defs/n' };
    expect(JSON.stringify(valueOf(tree, from)).length).toBeLessThan(500);
  });
});

describe('the built-in model', () => {
  const answer = (options: CallOptions): unknown => answerLocally(options);

  it('quotes sentences with the numbers of their passages', () => {
    const prompt = [withPassages('Who leads the day shift?', 'Rain.', 'The day shift is led by Ann.')];
    expect(answer({ prompt, tools: knownTools })).toEqual({ kind: 'text', text: 'The day shift is led by Ann. [2]' });
  });

  it('says so when it was given nothing on the question', () => {
    expect(answer({ prompt: [withPassages('Who sings?', 'Rain falls.')] })).toEqual({
      kind: 'text',
      text: 'The documents do not say.',
    });
    expect(answer({ prompt: [says('Hello')] })).toMatchObject({
      text: expect.stringContaining('I am the built-in model') as unknown,
    });
  });

  it('may be bound to one tool, to any, and to none', () => {
    const prompt = [says('What is PWV?')];
    const offered = [...knownTools, tool('note', { text: { type: 'string' } }, ['text'])];
    const names = (toolChoice: CallOptions['toolChoice']): unknown => {
      const turn = answerLocally({ prompt, tools: offered, toolChoice });
      return turn.kind === 'tools' ? turn.calls.map(({ toolName }) => toolName) : turn.kind;
    };
    expect(names(undefined)).toEqual(['lookup_term']);
    expect(names({ type: 'tool', toolName: 'note' })).toEqual(['note']);
    expect(names({ type: 'none' })).toBe('text');
    expect(names({ type: 'required' })).toEqual(['lookup_term']);
  });

  it('pauses after each word and stops when it is told to', async () => {
    const waits: number[] = [];
    const after = (ms: number, then: () => void): (() => void) => {
      waits.push(ms);
      then();
      return () => undefined;
    };
    const timers = { after, turn: (then: () => void) => then() };
    const model = localModel({ wordPause: '20ms', ports: { timers } });
    const stop = new AbortController();
    const { stream } = await model.doStream({
      prompt: [says('The dome leaks. What leaks?')],
      abortSignal: stop.signal,
    });
    const reader = stream.getReader();
    for (let i = 0; i < 4; i += 1) await reader.read();
    expect(waits).toContain(20);
    stop.abort(new Error('enough'));
    await expect(
      (async () => {
        while (!(await reader.read()).done) continue;
      })(),
    ).rejects.toThrow('enough');
  });

  it('runs a program of the SDK with tools, version 6', async () => {
    const { text, steps, totalUsage } = await generateText6({
      model: localModel(),
      prompt: 'What is the weather in Lima?',
      stopWhen: ({ steps }) => steps.length === 3,
      tools: {
        weather: tool6({
          inputSchema: z.object({ city: z.string() }),
          execute: ({ city }) => ({ city, degrees: 21 }),
        }),
      },
    });
    expect(steps).toHaveLength(2);
    expect(text).toBe('weather says: city Lima, degrees 21.');
    expect(totalUsage.totalTokens).toBeGreaterThan(10);
  });

  it('runs a streaming program of the SDK with tools, version 7', async () => {
    const result = streamText7({
      model: localModel(),
      prompt: 'What is the weather in Lima?',
      stopWhen: stepCountIs(3),
      tools: {
        weather: tool7({
          inputSchema: z.object({ city: z.string() }),
          execute: ({ city }) => ({ city, degrees: 21 }),
        }),
      },
    });
    expect(await result.text).toBe('weather says: city Lima, degrees 21.');
  });

  it('fills the schema of a structured answer, in both versions', async () => {
    const schema = z.object({ title: z.string(), mood: z.enum(['calm', 'wild']) });
    const six = await generateText6({
      model: localModel(),
      prompt: 'The sea is wild. How is the sea?',
      output: Output6.object({ schema }),
    });
    expect(six.output).toEqual({ title: 'The sea is wild.', mood: 'wild' });
    const seven = streamText7({
      model: localModel(),
      prompt: 'The sea is wild. How is the sea?',
      output: Output7.object({ schema }),
    });
    expect(await seven.output).toEqual(six.output);
  });

  it('refuses options that it does not know', () => {
    expect(() => localModel({ wordPause: 'soon' as '1s' })).toThrow(/wordPause/);
  });
});
