/** The example does what the guide says, and the guide shows it as it is. */
import { readFileSync } from 'node:fs';
import { createSpine, memory } from 'eventspine';
import { expect, it } from 'vitest';
import { app } from './spine.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

it('is in the guide as it is', () => {
  const code = read('spine.ts').replace(/^\/\*\*[^]*?\*\/\n/, '');
  expect(read('../../docs/guides/schedules.md')).toContain(`\`\`\`ts\n${code}\`\`\``);
});

it('brings its schedules along, which can be started by hand', async () => {
  const spine = createSpine(app, { store: memory() });
  try {
    // The definitions come with the worker's first words.
    await (await spine.start('pull', null)).result();
    const [news, nightly] = (await spine.schedules.list().page()).items;
    expect([news?.name, news?.everyMs]).toEqual(['news', 900_000]);
    expect(nightly).toMatchObject({ name: 'nightly', timeZone: 'Europe/Berlin', app: 'schedules', overlap: 'queue' });
    const run = await spine.schedules.trigger<'report'>('nightly');
    expect(await run.result()).toBe('what the last 1 days have brought');
  } finally {
    await spine.close();
  }
});
