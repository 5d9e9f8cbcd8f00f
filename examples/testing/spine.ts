/**
 * An app to be tested: a newsletter that is drafted by a pool of workers, waits two days for objections, and is published.
 * The tests beside it run months of it in milliseconds, without network, database or server.
 */
import { capability, defineApp, Terminal, topic, workflow } from 'eventspine';
import { z } from 'zod';

export const draft = capability('draft', {
  input: z.object({ subject: z.string() }),
  output: z.object({ title: z.string(), body: z.string() }),
  retry: { attempts: 3 },
});

export const published = topic('newsletter.published', { schema: z.object({ url: z.string() }) });

/** What would call a service over the network. */
async function post(letter: { readonly title: string }, key: string): Promise<string> {
  const answer = await fetch('https://press.example/letters', {
    method: 'POST',
    headers: { 'idempotency-key': key },
    body: JSON.stringify(letter),
  });
  if (!answer.ok) throw new Error(`The press answered ${answer.status}.`);
  return ((await answer.json()) as { url: string }).url;
}

export const newsletter = workflow(
  'newsletter',
  { input: z.object({ subjects: z.array(z.string()) }), completes: published },
  async (ctx, { subjects }) => {
    const letters = await ctx.map('letters', subjects, { key: (subject) => subject }, (subject, ctx) =>
      ctx.call(draft, { subject }),
    );
    const [first] = letters;
    if (first === undefined) throw new Terminal('NOTHING_TO_SAY');
    await ctx.sleep('objections', '2d');
    const url = await ctx.step('publish', first, (letter, { idempotencyKey }) => post(letter, idempotencyKey));
    return { url };
  },
);

export const app = defineApp({ name: 'newsletter', workflows: [newsletter], capabilities: [draft] });
