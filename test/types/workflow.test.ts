/**
 * Types of the programming model: what is inferred, and what must not compile. `tsc` is the judge; running the file
 * checks what has a value.
 */
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import type { RunHandle } from '../../src/client/index.js';
import {
  approvalRequested,
  capability,
  defineApp,
  type InputOf,
  type OutputOf,
  type Received,
  signal,
  topic,
  type TopicDataOf,
  type TopicNameOf,
  workflow,
  type WorkflowNameOf,
} from '../../src/workflow/index.js';
import type { App } from './design-program.js';

describe('types of an app', () => {
  it('name its workflows and topics', () => {
    expectTypeOf<WorkflowNameOf<App>>().toEqualTypeOf<'answer' | 'ingest'>();
    expectTypeOf<TopicNameOf<App>>().toEqualTypeOf<'document.uploaded' | 'question.answered'>();
  });

  it('give clients the input before and the output after the schemas', () => {
    expectTypeOf<InputOf<App, 'answer'>>().toEqualTypeOf<{
      question: string;
      tenant: string;
      urgent?: boolean | undefined;
    }>();
    expectTypeOf<OutputOf<App, 'answer'>>().toEqualTypeOf<
      { published: false; url?: never } | { published: true; url: string }
    >();
    expectTypeOf<OutputOf<App, 'ingest'>>().toEqualTypeOf<number>();
    expectTypeOf<InputOf<App, 'ingest'>>().toEqualTypeOf<{ document: { id: string; bytes: number }; at: string }>();
    expectTypeOf<TopicDataOf<App, 'question.answered'>>().toEqualTypeOf<{
      published: boolean;
      url?: string | undefined;
    }>();
  });
});

describe('types of definitions', () => {
  const dated = z.object({ at: z.string().transform((text) => text.length), deep: z.object({ id: z.string() }) });

  it('hand the body what the schema gives back', () => {
    workflow('a', { input: dated }, async (_ctx, input) => {
      expectTypeOf(input.at).toEqualTypeOf<number>();
    });
    workflow('b', { on: topic('t', { schema: dated }) }, async (_ctx, input) => {
      expectTypeOf(input.at).toEqualTypeOf<number>();
    });
    workflow('c', {}, async (_ctx, input) => {
      expectTypeOf(input).toBeUnknown();
    });
  });

  it('check selectors against the schema', () => {
    topic('t', { schema: dated, key: 'deep.id' });
    const Ident = z.strictObject({ id: z.string() });
    // @ts-expect-error the schema has no such field
    const misspelt = topic('t', { schema: Ident, key: 'ids' });
    expect(() => defineApp({ topics: [misspelt] })).toThrow('did you mean "id"');
    // @ts-expect-error an object is not a key
    topic('t', { schema: dated, key: 'deep' });
  });

  it('infer what handlers get and callers give', () => {
    const parse = capability('parse', { input: dated, output: z.object({ n: z.coerce.number<string>() }) });
    parse.implement((input, { signal }) => {
      expectTypeOf(input.at).toEqualTypeOf<number>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      return { n: '4' };
    });
    // @ts-expect-error the handler returns what the output schema does not take
    parse.implement(() => ({ n: 4 }));
    workflow('w', {}, async (ctx) => {
      const result = await ctx.call(parse, { at: 'x', deep: { id: 'y' } });
      expectTypeOf(result).toEqualTypeOf<{ n: number }>();
      // @ts-expect-error the input is not what the capability takes
      await ctx.call(parse, { at: 4, deep: { id: 'y' } });
    });
  });

  it('infer results of steps, maps, scopes and races', () => {
    workflow('w', {}, async (ctx) => {
      expectTypeOf(await ctx.step('a', () => 1)).toEqualTypeOf<number>();
      expectTypeOf(await ctx.step('b', { n: 1 }, async ({ n }) => `${n}`)).toEqualTypeOf<string>();
      expectTypeOf(await ctx.map('c', [1, 2], (n) => `${n}`)).toEqualTypeOf<string[]>();
      expectTypeOf(await ctx.scope('d', 7, () => true)).toEqualTypeOf<boolean>();
      const won = await ctx.any('e', { x: async () => 1, y: async () => 'two' });
      if (won.winner === 'x') expectTypeOf(won.value).toEqualTypeOf<number>();
      else expectTypeOf(won.value).toEqualTypeOf<string>();
    });
  });

  it('let a workflow complete only a topic that takes its result', () => {
    const done = topic('done', { schema: z.object({ n: z.number() }) });
    workflow('ok', { completes: done }, async () => ({ n: 1 }));
    // @ts-expect-error the topic takes a number
    workflow('wrong', { completes: done }, async () => ({ n: 'one' }));
  });

  it('refuse wrong durations', () => {
    // @ts-expect-error "soon" is not a duration
    expect(() => workflow('w', { timeout: 'soon' }, async () => 1)).toThrow('timeout is not a duration');
  });
});

describe('types of waits', () => {
  const Shipped = z.object({
    orderId: z.string(),
    parcel: z.coerce.number<string>(),
    at: z.object({ city: z.string() }),
  });
  const shipped = topic('shipped', { schema: Shipped, key: 'orderId', index: ['orderId', 'at.city'] });
  const paid = signal('paid', { schema: z.object({ cents: z.number() }) });

  it('give the data after the schema, and null only where there is a timeout', () => {
    workflow('w', { signals: [paid] }, async (ctx) => {
      const event = await ctx.waitFor(shipped, { match: { orderId: 'o', 'at.city': 'Ulm' } });
      expectTypeOf(event.data.parcel).toEqualTypeOf<number>();
      expectTypeOf(event.at).toEqualTypeOf<number>();
      const late = await ctx.waitFor(shipped, { match: { orderId: 'o' }, timeout: '1d' });
      expectTypeOf(late).toEqualTypeOf<Received<z.output<typeof Shipped>> | null>();
      expectTypeOf((await ctx.waitFor(paid)).data).toEqualTypeOf<{ cents: number }>();
      expectTypeOf(await ctx.waitFor(paid, { timeout: 5 })).toEqualTypeOf<Received<{ cents: number }> | null>();
    });
  });

  it('check what is matched', () => {
    workflow('w', {}, async (ctx) => {
      // @ts-expect-error a topic needs a match
      await ctx.waitFor(shipped);
      // @ts-expect-error no such field
      await ctx.waitFor(shipped, { match: { order: 'o' } });
      // @ts-expect-error a text is compared with a text
      await ctx.waitFor(shipped, { match: { orderId: 7 } });
      // @ts-expect-error a signal has nothing to match
      await ctx.waitFor(paid, { match: { cents: 1 } });
    });
    // @ts-expect-error no such field
    topic('t', { schema: z.strictObject({ id: z.string() }), index: ['ids'] });
  });

  it('tell the outcomes of an approval apart, and give the form after its schema', () => {
    workflow('w', {}, async (ctx) => {
      const plain = await ctx.approve('plain', { to: 'role:editor' });
      if (plain.outcome === 'approved') expectTypeOf(plain.form).toBeUndefined();
      const edited = await ctx.approve('edited', { to: ['user:ann', 'role:x'], form: Shipped, expires: '2d' });
      if (edited.outcome === 'approved') expectTypeOf(edited.form).toEqualTypeOf<z.output<typeof Shipped>>();
      if (edited.outcome === 'rejected') expectTypeOf(edited.comment).toEqualTypeOf<string | null>();
      // @ts-expect-error nothing is filled in where nobody has approved
      if (edited.outcome === 'expired') void edited.form;
      // @ts-expect-error an address says whether it is a role or a user
      await ctx.approve('bad', { to: 'ann' });
    });
  });

  it('start workflows on requests for approvals', () => {
    workflow('tell', { on: approvalRequested }, (_ctx, request) => {
      expectTypeOf(request.to).toEqualTypeOf<readonly string[]>();
      expectTypeOf(request.expiresAt).toEqualTypeOf<string | null>();
    });
  });

  it('let clients send what the signal takes', () => {
    const send = (run: RunHandle): unknown => [
      run.signal(paid, { cents: 1 }),
      run.signal('paid', { anything: true }),
      // @ts-expect-error not what the signal takes
      run.signal(paid, { cents: '1' }),
    ];
    expect(send).toBeTypeOf('function');
  });
});
