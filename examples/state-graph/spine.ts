/**
 * A small research graph: two searches side by side, a draft, a critic who may send it back, and a person at the end. Start
 * it with `npx eventspine dev examples/state-graph/spine.ts`, then `npx eventspine run research '{"question":"Do domes leak?"}'`
 * and `npx eventspine approvals list`.
 *
 *     :start ─▶ papers ─┐
 *          └──▶ notes ──┴▶ write ─▶ criticise ─▶ ask ─▶ :end
 *                            ▲           │
 *                            └── again ──┘
 */
import { capability, defineApp, workflow } from 'eventspine';
import { z } from 'zod';
import { end, graph, runGraph, start } from './graph.ts';

export const search = capability('search', {
  input: z.object({ source: z.enum(['papers', 'notes']), question: z.string() }),
  output: z.array(z.string()),
});
export const write = capability('write', {
  input: z.object({ question: z.string(), found: z.array(z.string()), remarks: z.array(z.string()) }),
  output: z.string(),
});
export const criticise = capability('criticise', {
  input: z.object({ draft: z.string() }),
  output: z.object({ remark: z.string().nullable() }),
});

/** What the nodes share. */
interface Research {
  readonly question: string;
  readonly found: readonly string[];
  readonly draft: string;
  readonly remarks: readonly string[];
  readonly isGood: boolean;
  readonly answer: string | null;
}

const join = <T>(old: readonly T[], added: readonly T[]): readonly T[] => [...old, ...added];
const roundsMax = 3;

export const researchGraph = graph<Research>()({
  channels: {
    question: { initial: '' },
    found: { initial: [], reduce: join },
    draft: { initial: '' },
    remarks: { initial: [], reduce: join },
    isGood: { initial: false },
    answer: { initial: null },
  },
  nodes: {
    papers: async (ctx, { question }) => ({ found: await ctx.call(search, { source: 'papers', question }) }),
    notes: async (ctx, { question }) => ({ found: await ctx.call(search, { source: 'notes', question }) }),
    write: async (ctx, { question, found, remarks }) => ({
      draft: await ctx.call(write, { question, found: [...found], remarks: [...remarks] }),
    }),
    criticise: async (ctx, { draft }) => {
      const { remark } = await ctx.call(criticise, { draft });
      return remark === null ? { isGood: true } : { remarks: [remark] };
    },
    ask: async (ctx, { question, draft }) => {
      const review = await ctx.approve('review', { to: 'role:editor', title: question, show: draft, expires: '7d' });
      return { answer: review.outcome === 'approved' ? draft : null };
    },
  },
  edges: {
    [start]: ['papers', 'notes'],
    papers: 'write',
    notes: 'write',
    write: 'criticise',
    criticise: ({ isGood, remarks }) => (isGood || remarks.length >= roundsMax ? 'ask' : 'write'),
    ask: end,
  },
});

export const research = workflow('research', { input: z.object({ question: z.string() }) }, (ctx, { question }) =>
  runGraph(ctx, researchGraph, { question }),
);

export const app = defineApp({
  name: 'research',
  workflows: [research],
  handlers: [
    search.implement(({ source, question }) => [`${source} on "${question}"`]),
    write.implement(({ found, remarks }) => [...found, ...remarks.map((remark) => `(${remark})`)].join('; ')),
    criticise.implement(({ draft }) => ({ remark: draft.includes('(') ? null : 'say more' })),
  ],
});
