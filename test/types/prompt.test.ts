/** Types of prompts and of kept answers: all versions of a prompt together say what it is about. `tsc` is the judge. */
import { describe, expectTypeOf, it } from 'vitest';
import { cached, defineApp, model, prompt, rule, type Ctx, type FilledPrompt } from '../../src/workflow/index.js';
import { fakeModel } from '../../src/testing/index.js';

const writer = model('writer', { versions: { v1: { use: fakeModel('x') } }, cache: { ttl: '1h' } });
const greeting = prompt('greeting', {
  versions: {
    v1: ({ name }: { name: string }) => `Hello ${name}`,
    v2: ({ name, tone }: { name: string; tone: 'warm' | 'cool' }) => [{ role: 'user', content: `${tone}, ${name}` }],
  },
  use: { v1: 9, v2: 1 },
});
const fixed = prompt('fixed', { versions: { v1: () => 'Hello.' }, use: 'v1' });

/** Never called: what is in here is compiled. */
export async function body(ctx: Ctx): Promise<void> {
  expectTypeOf(greeting.name).toEqualTypeOf<'greeting'>();
  expectTypeOf(greeting.with({ name: 'Ada', tone: 'warm' })).toEqualTypeOf<FilledPrompt>();
  expectTypeOf(fixed.with()).toEqualTypeOf<FilledPrompt>();
  const { cached: from } = await ctx.infer('a', { model: writer, prompt: fixed.with(), cache: { ttl: '2d' } });
  expectTypeOf(from).toEqualTypeOf<{ readonly at: number; readonly savedMicros: number } | undefined>();
  await ctx.infer('b', {
    model: writer,
    prompt: greeting.with({ name: 'Ada', tone: 'cool' }),
    cache: false,
    fallback: ['other', cached({ maxAge: '7d' }), rule('r', () => 'x')],
  });
  // @ts-expect-error the second version needs a tone
  greeting.with({ name: 'Ada' });
  // @ts-expect-error nothing is asked for
  fixed.with({ name: 'Ada' });
  // @ts-expect-error a prompt has to be filled
  await ctx.infer('c', { model: writer, prompt: greeting });
  // @ts-expect-error a cache has a time
  await ctx.infer('d', { model: writer, prompt: 'x', cache: {} });
  // @ts-expect-error there is no such version
  prompt('p', { versions: { v1: () => 'x' }, use: 'v2' });
  // @ts-expect-error a version writes text or messages
  prompt('p', { versions: { v1: () => 1 } });
}

describe('types of prompts', () => {
  it('are those of all versions together', () => {
    expectTypeOf(defineApp({ prompts: [greeting, fixed] }).kind).toEqualTypeOf<'app'>();
  });
});
