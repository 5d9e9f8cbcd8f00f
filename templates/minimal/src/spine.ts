/** The definitions of this app. Importing the file opens nothing; `eventspine dev src/spine.ts` puts it to work. */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';

const Input = z.object({ url: z.string().startsWith('http'), remindAfterDays: z.number().int().min(0).default(1) });

export const readLater = workflow('read-later', { input: Input }, async (ctx, { url, remindAfterDays }) => {
  // A step runs once: when its result is recorded, no crash and no deployment repeats it.
  const title = await ctx.step('title', ({ signal }) => titleOf(url, signal), {
    retry: { attempts: 5 },
    timeout: '10s',
  });
  // Days of waiting hold no memory and no worker.
  await ctx.sleep('until it is time', `${remindAfterDays}d`);
  const text = await ctx.step('remind', ({ log }) => {
    log.info(`You wanted to read "${title}".`, { url });
    return `Read "${title}": ${url}`;
  });
  return { title, text };
});

async function titleOf(url: string, signal: AbortSignal): Promise<string> {
  const page = await fetch(url, { signal });
  if (!page.ok) throw new Error(`${url} answered ${page.status}.`);
  return /<title>([^<]*)<\/title>/i.exec(await page.text())?.[1]?.trim() ?? url;
}

export const app = defineApp({ name: 'read-later', workflows: [readLater] });
export type App = typeof app;
