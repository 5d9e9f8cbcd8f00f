import { describe, expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import { commands } from '../commands.js';
import { readEnvironment } from '../environment.js';
import { runCli } from '../run-cli.js';

interface Ran {
  readonly code: number;
  readonly out: readonly Record<string, unknown>[];
  readonly err: readonly string[];
  /** What came out before each piece of the input was asked for. */
  readonly outBefore: readonly number[];
}

async function classify(pieces: readonly string[], flags: readonly string[] = [], stop?: AbortSignal): Promise<Ran> {
  const out: Record<string, unknown>[] = [];
  const err: string[] = [];
  const outBefore: number[] = [];
  async function* inputPieces(): AsyncGenerator<string> {
    for (const piece of pieces) {
      outBefore.push(out.length);
      yield await Promise.resolve(piece);
    }
  }
  const code = await runCli(['classify', ...flags], commands, {
    out: (line) => void out.push(JSON.parse(line) as Record<string, unknown>),
    err: (line) => void err.push(line),
    terminal: false,
    columns: 80,
    folder: process.cwd(),
    environment: readEnvironment({}),
    readInput: () => Promise.reject(new Error('the whole input is never asked for')),
    inputPieces,
    outHasRoom: () => Promise.resolve(),
    signal: stop ?? new AbortController().signal,
  });
  return { code, out, err, outBefore };
}

describe('eventspine classify', () => {
  it('answers each line with what the failure is and what to do', async () => {
    const row = {
      id: 'a',
      text: 'The prompt is too long: this model takes 8192 tokens at most. However, you requested 9000 tokens.',
      http_status: 400,
      provider: 'orchid',
    };
    const { code, out, err } = await classify([`${JSON.stringify(row)}\n{"text":"Too many requests, retry in 20s"}\n`]);
    expect([code, err]).toEqual([0, []]);
    expect(out[0]).toEqual({
      id: 'a',
      label: 'context_length_exceeded',
      remedy: 'reroute_larger_context',
      retryable: false,
      confidence: expect.any(Number) as number,
      reason: 'It says this: the prompt is too long (HTTP 400).',
      extract: { limit: 8192, used: 9000 },
    });
    expect(out[1]).toMatchObject({ id: null, label: 'rate_limited', retryable: true, extract: { retry_after_s: 20 } });
  });

  it('takes any field but the text to be missing or null, and a status that is written as text', async () => {
    const { code, out } = await classify([
      '{"text":"","id":null,"http_status":null,"provider":null}\n{"text":"","http_status":"503","id":7}\n\n{"text":"x"}',
    ]);
    expect(code).toBe(0);
    expect(out.map(({ id, label }) => [id, label])).toEqual([
      [null, 'unknown'],
      [7, 'overloaded'],
      [null, 'unknown'],
    ]);
    expect(out[0]?.['extract']).toEqual({});
  });

  it.each([
    ['no JSON', '{"text":', 'Line 2 was left out: it is no JSON.'],
    ['no object', '["text"]', 'Line 2 was left out: it is JSON, but no object.'],
    ['no text', '{"id":1}', 'Line 2 was left out: it has no "text".'],
    ['a text that is none', '{"text":null}', 'Line 2 was left out: "text" is no text.'],
    ['a status that is none', '{"text":"","http_status":"soon"}', 'Line 2 was left out: "http_status" is no number.'],
    ['a provider that is none', '{"text":"","provider":{}}', 'Line 2 was left out: "provider" is no text.'],
    ['too much', `{"text":"${'x'.repeat(limits.classifyLineLengthMax)}"}`, 'Line 2 was left out: it is longer than'],
  ])('tells of a line with %s, does the rest, and ends with 1', async (_, line, told) => {
    const { code, out, err } = await classify([`{"id":1,"text":"a"}\n${line}\n{"id":3,"text":"b"}\n`]);
    expect(code).toBe(1);
    expect(out.map(({ id }) => id)).toEqual([1, 3]);
    expect(err).toEqual([expect.stringContaining(told)]);
    expect(err[0]).toMatch(/Write one JSON object on each line/);
  });

  it('tells of bad lines as JSON where JSON is asked for', async () => {
    const { err } = await classify(['{\n'], ['--json']);
    expect(JSON.parse(err[0] ?? '')).toMatchObject({
      error: { code: 'LINE_INVALID', message: 'Line 1 was left out: it is no JSON.' },
    });
  });

  it('answers a line before it asks for the next piece', async () => {
    const { outBefore } = await classify(['{"text":"a"}\n', '{"text":"b"}\n{"te', 'xt":"c"}\n']);
    expect(outBefore).toEqual([0, 1, 2]);
  });

  it('takes a mark of the byte order before the first line, and no input at all', async () => {
    expect((await classify(['\ufeff{"text":"a"}\n'])).code).toBe(0);
    expect(await classify([])).toMatchObject({ code: 0, out: [], err: [] });
  });

  it('ends in the middle when it is to stop', async () => {
    const stop = new AbortController();
    stop.abort();
    const { code, out } = await classify(['{"text":"a"}\n', '{"text":"b"}\n'], [], stop.signal);
    expect(code).toBe(130);
    expect(out).toHaveLength(1);
  });
});
