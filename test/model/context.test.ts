/** What one run has fetched is used by the runs that follow from it. On a real engine and worker. */
import { describe, expect, it } from 'vitest';
import { nodePorts } from '../../src/runtime/index.js';
import { memory, type StoreFactory } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { createSpine } from '../../src/spine/index.js';
import { defineApp, topic, workflow, type AnyApp } from '../../src/workflow/index.js';

const stores: Readonly<Record<string, () => StoreFactory>> = {
  memory: () => memory({ clock: nodePorts.clock }),
  sqlite: () => ({ name: 'sqlite', open: () => createSqliteMemoryStore({ clock: nodePorts.clock }) }),
};

describe.each(Object.entries(stores))('a context bundle on %s', (_, store) => {
  async function withSpine<T>(app: AnyApp, use: (spine: ReturnType<typeof createSpine>) => Promise<T>): Promise<T> {
    const spine = createSpine(app, { store: store(), worker: { parkAfterMs: 0 } });
    try {
      return await use(spine);
    } finally {
      await spine.close();
    }
  }

  it.each([10, 5_000, 60_000])(
    'of %i characters is fetched once by a run, its children and their events',
    async (size) => {
      let fetches = 0;
      const seen: unknown[] = [];
      const profile = (): string => {
        fetches += 1;
        return 'p'.repeat(size);
      };
      const told = topic('told');
      const listener = workflow('listener', { on: told }, async (ctx) => {
        seen.push(((await ctx.context('profile', { key: 'ann', maxAge: '1h' }, profile)) as string).length);
      });
      const child = workflow('child', {}, async (ctx) => {
        await ctx.sleep(1);
        const value = (await ctx.context('profile', { key: 'ann' }, profile)) as string;
        await ctx.emit(told, { n: 1 });
        return value.length;
      });
      const parent = workflow('parent', {}, async (ctx) => {
        const first = (await ctx.context('profile', { key: 'ann' }, profile)) as string;
        const again = (await ctx.context('profile', { key: 'ann', as: 'again' }, profile)) as string;
        return [first.length, again.length, await ctx.child(child, null)];
      });
      const app = defineApp({ name: 'a', topics: [told], workflows: [parent, child, listener] });
      await withSpine(app, async (spine) => {
        const run = await spine.start('parent', null);
        expect(await run.result()).toEqual([size, size, size]);
        await expect.poll(() => seen).toEqual([size]);
        expect(fetches).toBe(1);
        const { context, steps } = await run.status();
        expect(context).toMatchObject({
          saved: 1,
          fetched: 1,
          bundles: [{ name: 'profile', key: 'ann', version: null }],
        });
        const childRun = steps.find(({ kind }) => kind === 'child')?.run ?? '';
        expect((await spine.runs.get(childRun)).context).toMatchObject({ saved: 1, fetched: 0 });
      });
    },
  );

  it('is fetched again under another key or version, and when it is too old', async () => {
    let fetches = 0;
    const fetch = (): number => (fetches += 1);
    const uses = workflow('uses', {}, async (ctx) => {
      const values = [
        await ctx.context('docs', fetch),
        await ctx.context('docs', { key: 'other' }, fetch),
        await ctx.context('docs', { version: '2', as: 'second' }, fetch),
        await ctx.context('docs', { version: '2', as: 'third' }, fetch),
      ];
      await ctx.sleep(30);
      values.push(await ctx.context('docs', { maxAge: 10, as: 'fourth' }, fetch));
      values.push(await ctx.context('docs', { maxAge: '1h', as: 'fifth' }, fetch));
      return values;
    });
    await withSpine(defineApp({ name: 'a', workflows: [uses] }), async (spine) => {
      const run = await spine.start('uses', null);
      expect(await run.result()).toEqual([1, 2, 3, 3, 4, 4]);
    });
  });
});
