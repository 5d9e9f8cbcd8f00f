/** Dead letters as an operator sees them: over HTTP, with real bodies behind, in one process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createClient, type Client } from '../client/index.js';
import type { Clock } from '../core/ports.js';
import type { RedriveView } from '../protocol/http.js';
import { createMemoryStore } from '../store/memory.js';
import { MemoryData } from '../store/memory-data.js';
import { capability, dag, defineApp, workflow } from '../workflow/index.js';
import { createSpine, type Spine } from './create-spine.js';

const runs = new Map<string, number>();
const count = (name: string): void => void runs.set(name, (runs.get(name) ?? 0) + 1);
let isBroken: boolean;

const lookUp = capability('look-up', { input: z.object({ id: z.string() }), output: z.string() });

const order = workflow('order', { input: z.object({ id: z.string() }) }, async (ctx, { id }) => {
  const paid = await ctx.step('pay', () => {
    count('pay');
    return 'paid';
  });
  const name = await ctx.call(lookUp, { id });
  return `${paid} by ${name}`;
});

const parse = workflow('parse', {}, async (ctx, input) => {
  await ctx.step('first', () => count('first'));
  return ctx.step('number', input, (text) => {
    if (Number.isNaN(Number(text)))
      throw Object.assign(new Error(`${String(text)} is no number`), { retryable: false });
    return Number(text);
  });
});

const flaky = workflow('flaky', {}, async (ctx, input) => {
  await ctx.step('once', () => count(`once ${String(input)}`));
  return ctx.step('often', () => {
    if (isBroken)
      throw Object.assign(new Error('The model is overloaded right now, try again later'), {
        status: 503,
        retryable: false,
      });
    count(`often ${String(input)}`);
    return input;
  });
});

const strict = workflow('strict', { input: z.object({ n: z.number() }) }, async (ctx, { n }) => {
  await ctx.step('first', () => count('first'));
  if (n < 0) throw Object.assign(new Error('n is below zero'), { class: 'poison' });
  return n;
});

const graph = dag('graph', {
  input: z.object({ id: z.string() }),
  nodes: {
    note: { run: () => count('noted') },
    find: { run: lookUp, after: ['note'], input: 'input' },
  },
});

const app = defineApp({
  workflows: [order, parse, flaky, strict, graph],
  handlers: [
    lookUp.implement(({ id }) => {
      if (id !== 'c_42') throw Object.assign(new Error(`There is no customer ${id}`), { retryable: false });
      return 'Ada';
    }),
  ],
});

let spine: Spine<typeof app>;
let client: Client<typeof app>;
let nowMs: number;

beforeEach(() => {
  runs.clear();
  isBroken = true;
  nowMs = Date.parse('2025-06-01T00:00:00Z');
  const startedMs = performance.now();
  const clock: Clock = {
    now: () => nowMs + Math.floor(performance.now() - startedMs),
    monotonicMs: () => performance.now(),
  };
  const data = new MemoryData();
  spine = createSpine(app, { store: { name: 'memory', open: async () => createMemoryStore({ clock, data }) } });
  client = createClient<typeof app>({
    url: 'http://localhost',
    fetch: (input, init) => spine.fetch(new Request(input, init)),
    retry: { attempts: 1 },
  });
});

afterEach(() => spine.close());

async function theLetter(): Promise<string> {
  const { items } = await client.deadLetters.list().page();
  expect(items).toHaveLength(1);
  return items[0]?.id ?? '';
}

describe('a dead letter', () => {
  it('tells class, remedy, confidence, reason and the trail of attempts', async () => {
    const run = await client.start('flaky', 1);
    await run.result().catch(() => undefined);
    const letter = await client.deadLetters.get(await theLetter());
    expect(letter).toMatchObject({
      class: 'overloaded',
      path: 'often',
      remedy: { name: 'backoff_then_fallback_model', redriveMayHelp: true },
      notEditable: 'the step is given no input, only what its body holds',
    });
    expect(letter.confidence).toBeGreaterThan(0.5);
    expect(letter.reason).toContain('It says this');
    expect(letter.classifier).toMatch(/^\d+\.\d+$/);
    expect(letter.trail.map(({ what }) => what)).toEqual(['attempt_failed', 'gave_up']);
    await client.deadLetters.redrive(letter.id, { reason: 'once more' });
    await run.result().catch(() => undefined);
    const second = await client.deadLetters.get(await theLetter());
    expect(second.id).not.toBe(letter.id);
    expect(second.trail.map(({ what, reason }) => [what, reason])).toEqual([
      ['attempt_failed', null],
      ['gave_up', null],
      ['redriven', 'once more'],
      ['attempt_failed', null],
      ['gave_up', null],
    ]);
    expect(runs.get('once 1')).toBe(1);
  });

  it('gives a call another input, which must fit its schema, and repeats nothing that is finished', async () => {
    const run = await client.start('order', { id: 'mistyped' });
    await run.result().catch(() => undefined);
    const id = await theLetter();
    await expect(client.deadLetters.edit(id, { input: { id: 7 }, reason: 'x' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    });
    await expect(client.deadLetters.edit(id, { input: { id: 'c_42' }, reason: ' ' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    await client.deadLetters.edit(id, { input: { id: 'c_42' }, reason: 'the id was mistyped' });
    expect(await run.result()).toBe('paid by Ada');
    expect(runs.get('pay')).toBe(1);
    const history = await client.runs.history(run.id).page();
    expect(history.items.find(({ type }) => type === 'input.edited')).toMatchObject({
      data: { path: 'look-up', reason: 'the id was mistyped', deadLetter: id },
    });
  });

  it('gives a step that has an input another one, and keeps to it', async () => {
    const run = await client.start('parse', 'seven');
    await run.result().catch(() => undefined);
    await client.deadLetters.edit(await theLetter(), { input: 'eight', reason: 'a slip' });
    await run.result().catch(() => undefined);
    const letter = await client.deadLetters.get(await theLetter());
    expect(letter.message).toContain('eight is no number');
    expect(letter.trail.map(({ what }) => what)).toContain('edited');
    // A redrive without an edit goes by the last one.
    await client.deadLetters.redrive(letter.id);
    await run.result().catch(() => undefined);
    const third = await client.deadLetters.get(await theLetter());
    expect(third.message).toContain('eight is no number');
    await client.deadLetters.edit(third.id, { input: '9', reason: 'at last' });
    expect(await run.result()).toBe(9);
    expect(runs.get('first')).toBe(1);
  });

  it('gives a body another input, held against the schema of its workflow', async () => {
    const run = await client.start('strict', { n: -1 });
    await run.result().catch(() => undefined);
    const id = await theLetter();
    expect(await client.deadLetters.get(id)).toMatchObject({ path: null, class: 'poison', notEditable: null });
    await expect(client.deadLetters.edit(id, { input: {}, reason: 'x' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    });
    await client.deadLetters.edit(id, { input: { n: 2 }, reason: 'the sign was wrong' });
    expect(await run.result()).toBe(2);
    expect(runs.get('first')).toBe(1);
  });

  it('gives a node of a graph another input', async () => {
    const run = await client.start('graph', { id: 'mistyped' });
    await run.result().catch(() => undefined);
    const id = await theLetter();
    await client.deadLetters.edit(id, { input: { id: 'c_42' }, reason: 'mistyped' });
    expect(await run.result()).toMatchObject({ find: 'Ada' });
    expect(runs.get('noted')).toBe(1);
  });

  it('is corrected by an event, in the form that triage is trained with', async () => {
    await (await client.start('flaky', 1)).result().catch(() => undefined);
    const id = await theLetter();
    await expect(client.deadLetters.correct(id, { label: 'nonsense' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    const correction = { label: 'quota_exhausted', reason: 'the account is empty' };
    expect(await client.deadLetters.correct(id, correction)).toMatchObject({ outcome: 'done' });
    expect(await client.deadLetters.correct(id, correction)).toMatchObject({ outcome: 'already' });
    const { items } = await client.topics.events('eventspine.corrections').page();
    expect(items.map(({ event }) => event['data'])).toMatchObject([
      {
        id,
        text: 'The model is overloaded right now, try again later',
        label: 'quota_exhausted',
        source: 'flaky:often',
        said: 'overloaded',
        why: 'the account is empty',
      },
    ]);
  });

  it('is found by step, time and words', async () => {
    for (const n of [1, 2]) await (await client.start('flaky', n)).result().catch(() => undefined);
    await (await client.start('order', { id: 'nobody' })).result().catch(() => undefined);
    const found = async (filter: Parameters<typeof client.deadLetters.list>[0]): Promise<number> =>
      (await client.deadLetters.list(filter).page()).items.length;
    expect(await found({})).toBe(3);
    expect(await found({ step: 'often' })).toBe(2);
    expect(await found({ step: 'ofte' })).toBe(0);
    expect(await found({ text: 'NO CUSTOMER' })).toBe(1);
    expect(await found({ since: '2030-01-01T00:00:00Z' })).toBe(0);
    expect(await found({ since: '2025-06-01T00:00:00Z', class: 'overloaded' })).toBe(2);
    expect(await client.deadLetters.count({ workflow: 'flaky' })).toEqual({ count: 2, more: false });
    const pages = client.deadLetters.list({ step: 'often', limit: 1 });
    const ids: string[] = [];
    for await (const letter of pages) ids.push(letter.id);
    expect(new Set(ids).size).toBe(2);
    await expect(found({ class: 'nonsense' })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });
});

describe('a redrive of many', () => {
  async function fail(many: number): Promise<void> {
    const started = await Promise.all(Array.from({ length: many }, (_, n) => client.start('flaky', n)));
    await Promise.all(started.map((run) => run.result().catch(() => undefined)));
  }

  async function end(id: string): Promise<RedriveView> {
    for (;;) {
      const view = await client.redrives.get(id);
      if (view.state !== 'running') return view;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('sends each back once, at its rate, and repeats nothing that is finished', async () => {
    await fail(30);
    await (await client.start('order', { id: 'nobody' })).result().catch(() => undefined);
    isBroken = false;
    const begun = performance.now();
    const redrive = await client.redrives.begin({
      filter: { class: 'overloaded' },
      ratePerSecond: 60,
      reason: 'the provider is back',
    });
    expect(redrive).toMatchObject({ state: 'running', total: 30, redriven: 0 });
    expect(await end(redrive.id)).toMatchObject({ state: 'done', redriven: 30, gone: 0, refused: 0 });
    // The first bite of 15 goes at once, the second when its time has come.
    expect(performance.now() - begun).toBeGreaterThan(200);
    await client.runs.list({ workflow: 'flaky' }).page();
    for (let n = 0; n < 30; n++) expect(runs.get(`once ${n}`)).toBe(1);
    expect(await theLetter()).toMatch(/^dlq_/);
    expect((await client.redrives.list()).map(({ id }) => id)).toEqual([redrive.id]);
    expect((await client.schedules.list().page()).items).toEqual([]);
  });

  it('leaves those alone that fail again meanwhile', async () => {
    await fail(3);
    const { id } = await client.redrives.begin({ filter: {}, ratePerSecond: 1_000 });
    expect(await end(id)).toMatchObject({ state: 'done', redriven: 3 });
    expect(await client.redrives.cancel(id)).toMatchObject({ outcome: 'already' });
  });

  it('can be cancelled, and is not found under another id', async () => {
    await fail(10);
    const { id } = await client.redrives.begin({ filter: {}, ratePerSecond: 2 });
    expect(await client.redrives.cancel(id)).toMatchObject({ outcome: 'done' });
    const ended = await end(id);
    expect(ended.state).toBe('cancelled');
    expect(ended.redriven).toBeLessThan(10);
    await expect(client.redrives.get('rdv_x')).rejects.toMatchObject({ code: 'REDRIVE_NOT_FOUND' });
    await expect(client.redrives.begin({ filter: {}, ratePerSecond: 0 })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });
});
