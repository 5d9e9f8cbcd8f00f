import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { defineApp, topic, workflow } from '../workflow/index.js';
import { type Client, createClient } from './client.js';
import type { JsonOf } from './json-of.js';
import type { RunHandle } from './run-handle.js';

const uploaded = topic('uploaded', { schema: z.object({ name: z.string(), size: z.number().optional() }) });
const answer = workflow('answer', { input: z.object({ question: z.string() }) }, () => ({
  text: 'x' as string,
  at: new Date(),
  tags: new Set<string>(),
  parts: [{ n: 1n }],
}));
const ingest = workflow('ingest', { on: uploaded }, (_, data) => data.name);
const app = defineApp({ workflows: [answer, ingest], topics: [uploaded] });

const client: Client<typeof app> = createClient<typeof app>({ url: 'http://127.0.0.1:1' });
const untyped = createClient({ url: 'http://127.0.0.1:1' });

describe('Client types', () => {
  it('know the names, the inputs and the results as JSON', () => {
    const start = (): Promise<RunHandle<{ text: string; at: string; tags: unknown; parts: { n: string }[] }>> =>
      client.start('answer', { question: 'why' });
    expectTypeOf(start).toBeFunction();
    expectTypeOf(() => client.start('ingest', { name: 'a' })).returns.resolves.toEqualTypeOf<RunHandle<string>>();
    // @ts-expect-error no such workflow
    const unknown = (): unknown => client.start('anwser', { question: 'why' });
    // @ts-expect-error the input has another shape
    const misfit = (): unknown => client.start('answer', { text: 'why' });
    expectTypeOf([unknown, misfit]).toBeArray();
  });

  it('check the data of declared topics and let others through', () => {
    const known = (): unknown => client.publish('uploaded', { name: 'a' });
    const other = (): unknown => client.publish('another', 7);
    expectTypeOf([known, other]).toBeArray();
  });

  it('ask for nothing where no app is given', () => {
    expectTypeOf(() => untyped.start('anything', 7)).returns.resolves.toEqualTypeOf<RunHandle<unknown>>();
  });

  it('say what JSON makes of a value', () => {
    expectTypeOf<JsonOf<{ a?: Date; b: [1, 'x'] }>>().toEqualTypeOf<{ a?: string; b: [1, 'x'] }>();
    expectTypeOf<JsonOf<Uint8Array | null>>().toEqualTypeOf<string | null>();
  });
});
