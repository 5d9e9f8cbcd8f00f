/** The example does what the guide says, and the guide shows it as it is. */
import { readFileSync } from 'node:fs';
import { createSpine, memory } from 'eventspine';
import { expect, it } from 'vitest';
import { app } from './spine.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

it('is in the guide as it is', () => {
  const code = read('spine.ts').replace(/^\/\*\*[^]*?\*\/\n/, '');
  expect(read('../../docs/guides/limits.md')).toContain(`\`\`\`ts\n${code}\`\`\``);
});

it('lets ten pictures be made, and says what the eleventh waits for', async () => {
  const spine = createSpine(app, { store: memory() });
  try {
    const run = await spine.start(
      'album',
      Array.from({ length: 12 }, (_, i) => `mountain ${i}`),
    );
    await expect
      .poll(async () => (await spine.run(run.id).status())?.waitingFor.map(({ limit }) => limit?.key), {
        timeout: 10_000,
      })
      .toEqual(['gpu-pace[tenant=default]', 'gpu-pace[tenant=default]']);
    await spine.limits.set('gpu-pace', { rate: { requests: 100, per: '1m' }, by: ['tenant'] });
    expect(await run.result()).toHaveLength(12);
  } finally {
    await spine.close();
  }
});
