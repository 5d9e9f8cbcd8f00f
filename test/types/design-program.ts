/**
 * The program of the design, as far as its parts exist: it must compile as a user would write it.
 */
import { z } from 'zod';
import { capability, defineApp, topic, workflow } from '../../src/workflow/index.js';

const Query = z.object({ query: z.string() });
const Docs = z.array(z.object({ id: z.string(), text: z.string() }));
const Question = z.object({ question: z.string(), tenant: z.string(), urgent: z.boolean().default(false) });
const Answered = z.object({ published: z.boolean(), url: z.string().optional() });
const Uploaded = z.object({ document: z.object({ id: z.string(), bytes: z.number() }), at: z.string() });

type Draft = { readonly claims: readonly { readonly id: string; readonly text: string }[] };
declare function searchDocs(query: string, signal: AbortSignal): Promise<{ id: string; text: string }[]>;
declare function ask(question: string, docs: z.infer<typeof Docs>): Promise<Draft>;
declare function checkClaim(claim: Draft['claims'][number]): Promise<{ readonly ok: boolean; readonly at: Date }>;
declare function publishPage(text: string, step: { readonly idempotencyKey: string }): Promise<string>;

export const answered = topic('question.answered', { schema: Answered });
export const documentUploaded = topic('document.uploaded', { schema: Uploaded, key: 'document.id', partitions: 8 });

export const retrieve = capability('retrieve', { input: Query, output: Docs });

export const answer = workflow(
  'answer',
  { input: Question, completes: answered, retain: '30d', timeout: '1h30m', retry: { attempts: 3 } },
  async (ctx, { question }) => {
    const docs = await ctx.call(retrieve, { query: question });
    const draft = await ctx.step('draft', () => ask(question, docs), { timeout: '30s' });
    const checks = await ctx.map('checks', draft.claims, { key: (c) => c.id, concurrency: 4 }, (claim, ctx) =>
      ctx.step('check', claim, checkClaim, { retry: { attempts: 5 }, timeout: '30s' }),
    );
    if (!checks.every((check) => check.ok)) return { published: false as const };
    const url = await ctx.step('publish', question, publishPage, { effect: 'external' });
    return { published: true as const, url };
  },
);

export const ingest = workflow('ingest', { on: documentUploaded, version: '2' }, async (ctx, { document }) => {
  ctx.progress({ document: document.id });
  const first = await ctx.race('first', {
    size: (ctx) => ctx.step('size', () => document.bytes),
    late: async (ctx) => {
      await ctx.sleep('5s');
      return 'late';
    },
  });
  return first.winner === 'size' ? first.value : first.value.length;
});

export const app = defineApp({
  workflows: [answer, ingest],
  topics: [documentUploaded, answered],
  handlers: [retrieve.implement(({ query }, { signal }) => searchDocs(query, signal))],
});
export type App = typeof app;
