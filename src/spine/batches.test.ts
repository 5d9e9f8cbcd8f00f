import { afterEach, describe, expect, it } from 'vitest';
import type { BatchContext, Handler } from '../workflow/index.js';
import { capability, createSpine, defineApp, embedding, memory, workflow, type AnyApp, type Spine } from './index.js';

let spine: Spine<AnyApp> | null = null;

afterEach(async () => {
  await spine?.close();
  spine = null;
});

const all = Array.from({ length: 40 }, (_, i) => i);
const fast = { min: 0, max: 1 };

/** Calls `double` for each of the numbers, side by side. */
function open(handler: Handler, slots = 64) {
  const app = defineApp({
    workflows: [
      workflow('double-all', {}, async (ctx, numbers) =>
        ctx.map('each', numbers as number[], { concurrency: 40 }, (n, inner) => inner.call(double, n)),
      ),
    ],
    handlers: [handler],
  });
  const opened = createSpine(app as AnyApp, { store: memory(), worker: { slots } });
  spine = opened;
  return opened;
}

const double = capability('double', { retry: fast });

describe('a handler that takes batches', () => {
  it('does in few requests what was called many times, and gives each call its own result', async () => {
    const sizes: number[] = [];
    const handler = double.implementBatch({ max: 16, wait: 20 }, (numbers) => {
      sizes.push(numbers.length);
      return numbers.map((n) => Number(n) * 2);
    });
    const run = await open(handler).start('double-all', all);
    expect(await run.result()).toEqual(all.map((n) => n * 2));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(16);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(all.length);
    expect(sizes.length).toBeLessThan(12);
  });

  it('gathers no more than the worker has slots', async () => {
    const sizes: number[] = [];
    const handler = double.implementBatch({ max: 64, wait: 10 }, (numbers) => {
      sizes.push(numbers.length);
      return numbers.map((n) => Number(n) * 2);
    });
    const run = await open(handler, 4).start('double-all', all.slice(0, 12));
    expect(await run.result()).toHaveLength(12);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4);
  });

  it('tries again only the calls that have failed, with their keys', async () => {
    const seen = new Map<string, number[]>();
    const handler = double.implementBatch({ max: 64, wait: 20 }, (numbers, { calls }) =>
      numbers.map((n, i) => {
        const { idempotencyKey = '', attempt = 0 } = calls[i] ?? {};
        seen.set(idempotencyKey, [...(seen.get(idempotencyKey) ?? []), attempt]);
        return n === 7 && attempt === 1 ? new Error('not this one') : Number(n) * 2;
      }),
    );
    const run = await open(handler).start('double-all', all);
    expect(await run.result()).toEqual(all.map((n) => n * 2));
    const attempts = [...seen.values()];
    expect(attempts).toHaveLength(all.length);
    expect(attempts.filter((of) => of.length > 1)).toEqual([[1, 2]]);
  });

  it('fails all calls of a batch that throws, and each is tried again', async () => {
    let times = 0;
    const handler = double.implementBatch({ max: 64, wait: 20 }, (numbers) => {
      times += 1;
      if (times === 1) throw Object.assign(new Error('busy'), { status: 529 });
      return numbers.map((n) => Number(n) * 2);
    });
    const run = await open(handler).start('double-all', all.slice(0, 5));
    expect(await run.result()).toEqual([0, 2, 4, 6, 8]);
    expect(times).toBeGreaterThan(1);
  });

  it('takes no answer that has not a result for each', async () => {
    const handler = double.implementBatch({ max: 64, wait: 20 }, (numbers) => numbers.slice(1));
    const run = await open(handler).start('double-all', [1, 2]);
    await expect(run.result()).rejects.toThrow(/each input of the batch/);
  });

  it('is told when nobody wants its results any more', async () => {
    let begin: (context: BatchContext) => void = () => undefined;
    const begun = new Promise<BatchContext>((resolve) => (begin = resolve));
    const handler = double.implementBatch({ max: 2, wait: 20 }, async (_, context) => {
      begin(context);
      return await new Promise(() => undefined);
    });
    const run = await open(handler).start('double-all', [1, 2]);
    const { signal, calls } = await begun;
    expect([signal.aborted, calls.length]).toEqual([false, 2]);
    await run.cancel();
    await expect(run.result()).rejects.toThrow();
    expect(signal.aborted).toBe(true);
  });

  it('lets go of calls that are cancelled while they wait for others', async () => {
    let times = 0;
    const handler = double.implementBatch({ max: 3, wait: '1m' }, (numbers) => {
      times += 1;
      return numbers;
    });
    const { start, queues } = open(handler);
    const run = await start('double-all', [1, 2]);
    await expect.poll(async () => (await queues()).find(({ queue }) => queue === 'capability:double')?.leased).toBe(2);
    await run.cancel();
    await expect(run.result()).rejects.toThrow();
    const after = await start('double-all', [3, 4, 5]);
    expect(await after.result()).toEqual([3, 4, 5]);
    expect(times).toBe(1);
  });

  it('says what is wrong with its options', () => {
    expect(() => double.implementBatch({ max: 1, wait: '2m' }, () => [])).toThrow(
      /max.*wait is longer|wait is longer.*max/s,
    );
  });
});

describe('an embedding in batches', () => {
  it('asks the model for the texts of several calls at once', async () => {
    const asked: string[][] = [];
    const keys: unknown[] = [];
    const embed = embedding('embed', {
      use: {
        doEmbed: ({ values, headers }) => {
          asked.push([...values]);
          keys.push(headers?.['idempotency-key']);
          return Promise.resolve({ embeddings: values.map((text) => [text.length]) });
        },
      },
      batch: { max: 32, wait: 20 },
    });
    const app = defineApp({
      workflows: [
        workflow('index', {}, async (ctx, lists) =>
          ctx.map('each', lists as string[][], { concurrency: 32 }, (texts, inner) => inner.call(embed, texts)),
        ),
      ],
      handlers: [embed.handler],
    });
    const opened = createSpine(app as AnyApp, { store: memory(), worker: { slots: 32 } });
    spine = opened;
    const run = await opened.start('index', [['a', 'bb'], [], ['ccc']]);
    expect(await run.result()).toEqual([[[1], [2]], [], [[3]]]);
    expect(asked.flat().sort()).toEqual(['a', 'bb', 'ccc']);
    // Whatever stood together need not stand together again: a key would name another request.
    if (asked.length === 1) expect(keys).toEqual([undefined]);
  });
});
