/**
 * Questions are answered from documents; a person reads each answer, may change it, and only then it is published.
 * Importing this file opens nothing; `eventspine dev src/spine.ts` puts it to work.
 */
import { approvalRequested, capability, defineApp, workflow } from 'eventspine';
import { z } from 'zod';
import { draftOf } from './model.ts';
import { publishPage } from './publish.ts';
import { search } from './search.ts';

const Question = z.object({ question: z.string().min(1) });
const Passage = z.object({ source: z.string(), text: z.string(), score: z.number() });
const Draft = z.object({ text: z.string(), sources: z.array(z.string()) });
const Edit = z.object({ text: z.string().min(1) });

/** Kinds of work with queues of their own: other processes may offer them, as many as you like. */
export const retrieve = capability('retrieve', { input: Question, output: z.array(Passage), timeout: '10s' });
export const write = capability('write', {
  input: z.object({ question: z.string(), passages: z.array(Passage) }),
  output: Draft,
  retry: { attempts: 5 },
  timeout: '2m',
});

export const answer = workflow('answer', { input: Question, retain: '90d' }, async (ctx, { question }) => {
  const passages = await ctx.call(retrieve, { question });
  if (passages.length === 0) return { published: false as const, why: 'nothing was found' };
  const draft = await ctx.call(write, { question, passages });
  const review = await ctx.approve('review', {
    to: 'role:editor',
    title: question,
    show: draft,
    form: Edit,
    expires: '2d',
    escalate: [{ after: '1d', to: 'role:chief' }],
  });
  if (review.outcome !== 'approved') return { published: false as const, why: review.outcome };
  const page = await ctx.step('publish', { id: ctx.run.id, question, text: review.form.text }, publishPage);
  return { published: true as const, page, sources: draft.sources, by: review.by };
});

/** Every request for an approval starts this: put your chat or mail here. */
export const tellEditors = workflow('tell-editors', { on: approvalRequested }, (ctx, { id, title, to }) =>
  ctx.step('tell', ({ log }) => log.info(`${to.join(', ')}: please look at "${title}"`, { approval: id })),
);

export const app = defineApp({
  name: 'answers',
  workflows: [answer, tellEditors],
  handlers: [
    retrieve.implement(({ question }) => search(question)),
    write.implement(({ passages }, call) => draftOf(passages, call.signal, (part) => call.stream().write(part))),
  ],
});
export type App = typeof app;
