import { readUIMessageStream as read6, type UIMessageChunk } from 'ai';
import { readUIMessageStream as read7 } from 'ai7';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UiContinuation, type UiChunk } from './ui-continuation.js';

/** What a page makes of chunks, in either version of the SDK. */
async function shown(chunks: readonly UiChunk[]): Promise<object[]> {
  const results: object[] = [];
  for (const read of [read6, read7 as unknown as typeof read6]) {
    const stream = new ReadableStream<UIMessageChunk>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk as unknown as UIMessageChunk);
        controller.close();
      },
    });
    let last: object = {};
    for await (const message of read({ stream, terminateOnError: true })) last = message.parts;
    results.push(last);
  }
  expect(results[1]).toEqual(results[0]);
  return results[0] as object[];
}

/** All lives but the last break off. */
function sentOf(lives: readonly (readonly UiChunk[])[]): UiChunk[] {
  const page = new UiContinuation();
  return lives.flatMap((life, i) => {
    if (i > 0) page.restart();
    return life.flatMap((chunk) => page.next(chunk));
  });
}

const delta = (id: string, text: string): UiChunk => ({ type: 'text-delta', id, delta: text });

/** A program in two steps, with reasoning, a tool and text. */
function program(text: string, rest = 'It is warm in Lima.'): UiChunk[] {
  return [
    { type: 'start', messageId: 'm' },
    { type: 'start-step' },
    { type: 'reasoning-start', id: 'r' },
    { type: 'reasoning-delta', id: 'r', delta: 'I have to look.' },
    { type: 'reasoning-end', id: 'r' },
    { type: 'text-start', id: 't' },
    delta('t', text),
    { type: 'text-end', id: 't' },
    { type: 'tool-input-start', toolCallId: 'c', toolName: 'look' },
    { type: 'tool-input-delta', toolCallId: 'c', inputTextDelta: '{"city":"Lima"}' },
    { type: 'tool-input-available', toolCallId: 'c', toolName: 'look', input: { city: 'Lima' } },
    { type: 'tool-output-available', toolCallId: 'c', output: { degrees: 21 } },
    { type: 'finish-step' },
    { type: 'start-step' },
    { type: 'text-start', id: 't' },
    delta('t', rest),
    { type: 'text-end', id: 't' },
    { type: 'finish-step' },
    { type: 'finish' },
  ];
}

/** The same in smaller deltas. */
function split(chunks: readonly UiChunk[], size: (i: number) => number): UiChunk[] {
  let n = 0;
  return chunks.flatMap((chunk): UiChunk[] => {
    const field = chunk.type === 'tool-input-delta' ? 'inputTextDelta' : 'delta';
    const text = chunk[field];
    if (typeof text !== 'string') return [chunk];
    const pieces: UiChunk[] = [];
    for (let at = 0; at < text.length; ) {
      const length = size(n++);
      pieces.push({ ...chunk, [field]: text.slice(at, at + length) });
      at += length;
    }
    return pieces;
  });
}

describe('the continuation of a message', () => {
  it('sends on what there is of a program that lives once', () => {
    const chunks = program('I look.');
    expect(sentOf([chunks])).toEqual(chunks);
  });

  it('says nothing twice, wherever programs died and however they cut their deltas', async () => {
    const whole = program('I look it up for you.');
    const expected = await shown(whole);
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 });
    const lives = fc.array(fc.record({ sizes, dies: fc.nat(60) }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(lives, async (given) => {
        const made = given.map(({ sizes: of, dies }, i) => {
          const chunks = split(whole, (n) => of[n % of.length] ?? 1);
          return i === given.length - 1 ? chunks : chunks.slice(0, dies);
        });
        const sent = sentOf(made);
        expect(sent.filter(({ type }) => type.startsWith('data-'))).toEqual([]);
        expect(await shown(sent)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('goes on with another text where the model has said another one', async () => {
    const first = split(program('I look it up.'), () => 3).slice(0, 13);
    const sent = sentOf([first, program('I look at the sky.')]);
    expect(sent.filter(({ type }) => type.startsWith('data-'))).toEqual([
      { type: 'data-eventspine-restart', data: { restarts: 1 }, transient: true },
    ]);
    const texts = (await shown(sent)).flatMap((part) => ('text' in part ? [part.text] : []));
    expect(texts).toEqual(['I have to look.', 'I look it', 'I look at the sky.', 'It is warm in Lima.']);
  });

  it('takes whatever programs say for a message that ends well, with the text of the last life in it', async () => {
    const text = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom('a', 'b', ' ') });
    const life = fc.record({ text, rest: text, size: fc.integer({ min: 1, max: 5 }), dies: fc.nat(40) });
    await fc.assert(
      fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), async (given) => {
        const made = given.map(({ text: of, rest, size, dies }, i) => {
          const chunks = split(program(of, rest), () => size);
          return i === given.length - 1 ? chunks : chunks.slice(0, dies);
        });
        const parts = await shown(sentOf(made));
        const last = given.at(-1);
        const texts = parts.flatMap((part) => ('text' in part ? [part.text] : []));
        expect(texts).toContain(last?.text);
        expect(texts.at(-1)).toBe(last?.rest);
        expect(parts.filter((part) => 'state' in part && /streaming|input-available/.test(String(part.state)))).toEqual(
          [],
        );
      }),
      { numRuns: 100 },
    );
  });
});
