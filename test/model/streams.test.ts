/** Streams that steps, calls and bodies write: what readers are told, whatever dies. On a real engine and worker. */
import { describe, expect, it } from 'vitest';
import { nodePorts } from '../../src/runtime/index.js';
import { memory } from '../../src/store/index.js';
import { createSpine } from '../../src/spine/index.js';
import { capability, defineApp, workflow, type AnyApp } from '../../src/workflow/index.js';
import type { StreamItem } from '../../src/client/index.js';

async function withSpine<T>(app: AnyApp, use: (spine: ReturnType<typeof createSpine>) => Promise<T>): Promise<T> {
  const spine = createSpine(app, { store: memory({ clock: nodePorts.clock }) });
  try {
    return await use(spine);
  } finally {
    await spine.close();
  }
}

async function all(items: AsyncIterable<StreamItem>): Promise<StreamItem[]> {
  const found: StreamItem[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const values = (items: readonly StreamItem[]): unknown[] =>
  items.flatMap((item) => (item.event === 'chunk' ? [item.value] : []));

const words = Array.from({ length: 200 }, (_, i) => `word ${i}`);

describe('a stream', () => {
  it('of a step is read while the step is at work, and as a whole by those who come late', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const app = defineApp({
      name: 'a',
      workflows: [
        workflow('write', {}, async (ctx) =>
          ctx.step('draft', async (step) => {
            for (const word of words.slice(0, 100)) await step.stream().write(word);
            await gate;
            for (const word of words.slice(100)) await step.stream().write(word);
            await step.stream('notes').write({ done: true });
            return words.length;
          }),
        ),
      ],
    });
    await withSpine(app, async (spine) => {
      const run = await spine.start('write', null);
      const early: unknown[] = [];
      for await (const item of run.chunks('draft')) {
        if (item.event === 'chunk') early.push(item.value);
        if (early.length === 100) release();
        if (item.event === 'end') expect(item.ok).toBe(true);
      }
      expect(early).toEqual(words);
      expect(values(await all(run.chunks('draft')))).toEqual(words);
      expect(values(await all(run.chunks('draft/notes')))).toEqual([{ done: true }]);
      expect(await run.result()).toBe(200);
    });
  });

  it('is gone on with after any chunk, each once and in order', async () => {
    const app = defineApp({
      name: 'a',
      workflows: [
        workflow('write', {}, async (ctx) =>
          ctx.step('draft', async (step) => {
            for (const word of words) await step.stream().write(word);
          }),
        ),
      ],
    });
    await withSpine(app, async (spine) => {
      const run = await spine.start('write', null);
      await run.result();
      for (const stop of [0, 1, 57, 198]) {
        const seen: unknown[] = [];
        let place: { cursor?: string; after?: number } = {};
        for await (const item of run.chunks('draft')) {
          if (item.event !== 'chunk') continue;
          seen.push(item.value);
          place = { after: item.offset, ...(item.cursor === null ? {} : { cursor: item.cursor }) };
          if (item.offset === stop) break;
        }
        seen.push(...values(await all(run.chunks('draft', place))));
        expect(seen).toEqual(words);
      }
    });
  });

  it('begins anew with a new attempt, of a step and of a call, and readers are told', async () => {
    const fragile = async (attempt: number, write: (chunk: unknown) => Promise<void>): Promise<string> => {
      await write(`attempt ${attempt}`);
      if (attempt === 1) throw new Error('not yet');
      return 'done';
    };
    const typing = capability('typing', { retry: { attempts: 2, min: 1, max: 1 } });
    const app = defineApp({
      name: 'a',
      workflows: [
        workflow('write', {}, async (ctx) => [
          await ctx.step('draft', (step) => fragile(step.attempt, (chunk) => step.stream().write(chunk)), {
            retry: { attempts: 2, min: 1, max: 1 },
          }),
          await ctx.call(typing, null),
        ]),
      ],
      handlers: [typing.implement((_, context) => fragile(context.attempt, (chunk) => context.stream().write(chunk)))],
    });
    await withSpine(app, async (spine) => {
      const run = await spine.start('write', null);
      await run.result();
      for (const path of ['draft', 'typing'])
        expect((await all(run.chunks(path))).map((item) => ({ ...item, cursor: null }))).toEqual([
          { event: 'chunk', value: 'attempt 1', offset: 0, cursor: null },
          { event: 'restart', attempt: 2, cursor: null },
          { event: 'chunk', value: 'attempt 2', offset: 1, cursor: null },
          { event: 'end', ok: true, cursor: null },
        ]);
    });
  });

  it('of a body is written once, however often the body is replayed', async () => {
    const app = defineApp({
      name: 'a',
      workflows: [
        workflow('write', {}, async (ctx) => {
          const log = ctx.stream('log');
          for (let i = 0; i < 5; i++) {
            await log.write(i);
            await ctx.sleep(['pause', i], 20);
          }
        }),
      ],
    });
    const spine = createSpine(app, { store: memory({ clock: nodePorts.clock }), worker: { parkAfterMs: 0 } });
    try {
      const run = await spine.start('write', null);
      await run.result();
      expect(values(await all(run.chunks('log')))).toEqual([0, 1, 2, 3, 4]);
    } finally {
      await spine.close();
    }
  });
});
