/** Schedules as a caller sees them: the client's surface, the handlers of HTTP and the engine behind, in one process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient } from '../client/index.js';
import { createMemoryStore } from '../store/memory.js';
import { MemoryData } from '../store/memory-data.js';
import type { Clock } from '../core/ports.js';
import { defineApp, schedule, workflow } from '../workflow/index.js';
import { createSpine, type Spine } from './create-spine.js';

const report = workflow('report', {}, (_, input) => input);
const app = defineApp({
  workflows: [report],
  schedules: [schedule('nightly', { start: report, cron: '0 3 * * *', timeZone: 'Europe/Berlin' })],
});

let spine: Spine<typeof app>;
/** The store's clock: moved by hand, so that no test waits for a tick. */
let nowMs: number;

beforeEach(async () => {
  nowMs = Date.parse('2025-06-01T00:00:00Z');
  const clock: Clock = { now: () => nowMs, monotonicMs: () => performance.now() };
  const data = new MemoryData();
  spine = createSpine(app, { store: { name: 'memory', open: async () => createMemoryStore({ clock, data }) } });
  await (await spine.start('report', null)).result();
});

afterEach(() => spine.close());

/** A client over HTTP, without a network: what it sends is what would go over one. */
function remote(): ReturnType<typeof createClient<typeof app>> {
  return createClient<typeof app>({
    url: 'http://localhost',
    fetch: (input, init) => spine.fetch(new Request(input, init)),
    retry: { attempts: 1 },
  });
}

describe('schedules over HTTP', () => {
  it('are made, read, changed, paused, started and removed', async () => {
    const { schedules } = remote();
    const made = await schedules.put('weekly', { start: 'report', input: { n: 1 }, cron: '0 6 * * 1', jitter: '5m' });
    expect(made).toMatchObject({
      name: 'weekly',
      tenant: 'default',
      start: 'report',
      input: { n: 1 },
      cron: '0 6 * * 1',
      timeZone: 'UTC',
      everyMs: null,
      jitterMs: 300_000,
      app: null,
      next: [
        '2025-06-02T06:00:00.000Z',
        '2025-06-09T06:00:00.000Z',
        expect.any(String),
        expect.any(String),
        expect.any(String),
      ],
    });
    expect((await schedules.put('weekly', { start: 'report', every: '1h' })).everyMs).toBe(3_600_000);
    expect(await schedules.pause('weekly', { reason: 'why' })).toEqual({ id: 'weekly', outcome: 'done' });
    expect(await schedules.pause('weekly')).toEqual({ id: 'weekly', outcome: 'already' });
    expect(await schedules.get('weekly')).toMatchObject({ pauseReason: 'why', next: [] });
    const run = await schedules.trigger<'report'>('weekly', { idempotencyKey: 'k' });
    expect((await schedules.trigger('weekly', { idempotencyKey: 'k' })).id).toBe(run.id);
    expect(await run.result()).toBeNull();
    expect((await run.status()).labels).toEqual({ schedule: 'weekly', tick: '2025-06-01T00:00:00.000Z' });
    expect(await schedules.resume('weekly')).toEqual({ id: 'weekly', outcome: 'done' });
    await schedules.delete('weekly');
    await expect(schedules.get('weekly')).rejects.toMatchObject({
      code: 'SCHEDULE_NOT_FOUND',
      problem: { status: 404 },
    });
  });

  it('are listed page by page', async () => {
    const { schedules } = remote();
    for (const name of ['a', 'b', 'c']) await schedules.put(name, { start: 'report', every: '1h' });
    const first = await schedules.list({ limit: 2 }).page();
    expect(first.items.map(({ name }) => name)).toEqual(['a', 'b']);
    const names: string[] = [];
    for await (const { name } of schedules.list({ limit: 2 })) names.push(name);
    expect(names).toEqual(['a', 'b', 'c', 'nightly']);
  });

  it('answer 201 where they are new, and 200 where they were there', async () => {
    const put = (body: unknown) =>
      spine.fetch(
        new Request('http://localhost/v1/schedules/a', {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      );
    expect((await put({ start: 'report', every: '1h' })).status).toBe(201);
    expect((await put({ start: 'report', every: '2h' })).status).toBe(200);
    const started = await spine.fetch(new Request('http://localhost/v1/schedules/a/trigger', { method: 'POST' }));
    expect([started.status, started.headers.get('location')]).toEqual([202, expect.stringContaining('/v1/runs/run_')]);
  });

  it('are refused with every fault at once', async () => {
    const { schedules } = remote();
    const given = { start: 'report', cron: '61 * * * *', timeZone: 'Mars', overlap: 'maybe', jitter: 'x' } as const;
    const refused = schedules.put('a', given as never);
    await expect(refused).rejects.toMatchObject({ code: 'SCHEDULE_INVALID', problem: { status: 422 } });
    await expect(refused).rejects.toThrow(/timeZone.*cron "61.*jitter.*overlap/s);
    await expect(schedules.put('a', { start: 'report', cron: '@daily', every: '1h' })).rejects.toThrow('either');
    await expect(schedules.put('a', { start: 'report', evry: '1h' } as never)).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    await expect(schedules.put('a b', { start: 'report', every: '1h' })).rejects.toMatchObject({
      code: 'SCHEDULE_INVALID',
    });
    await expect(schedules.put('a', { start: 'nothing' as 'report', every: '1h' })).rejects.toMatchObject({
      code: 'WORKFLOW_UNKNOWN',
    });
    await expect(schedules.put('a', { start: 'report', every: '1h', labels: { tick: 'x' } })).rejects.toThrow(
      'set by the schedule itself',
    );
  });

  it('of an app can be paused and started, and are not changed', async () => {
    const { schedules } = remote();
    expect(await schedules.get('nightly')).toMatchObject({
      app: 'app',
      next: [
        '2025-06-01T01:00:00.000Z',
        expect.any(String),
        expect.any(String),
        expect.any(String),
        expect.any(String),
      ],
    });
    await expect(schedules.put('nightly', { start: 'report', every: '1h' })).rejects.toMatchObject({
      code: 'SCHEDULE_OWNED',
      problem: { status: 409 },
    });
    await expect(schedules.delete('nightly')).rejects.toMatchObject({ code: 'SCHEDULE_OWNED' });
    expect((await schedules.pause('nightly')).outcome).toBe('done');
    expect(await (await schedules.trigger('nightly')).result()).toBeNull();
  });
});

describe('a start that is put off', () => {
  it.each(['over HTTP', 'in this process'])('begins at its time, %s', async (way) => {
    const client = way === 'over HTTP' ? remote() : spine;
    const delayed = await client.start('report', 1, { delay: '10m' });
    const dated = await client.start('report', 2, { startAt: new Date('2025-06-01T00:10:00Z') });
    const [many] = await client.startMany('report', [{ input: 3, startAt: '2025-06-01T00:10:00Z' }]);
    if (many?.tag !== 'started') throw new Error('it was not started');
    const [later] = await client.startMany('report', [{ input: 4, delay: 600_000 }]);
    if (later?.tag !== 'started') throw new Error('it was not started');
    const runs = [delayed, dated, many.run, later.run];
    for (const run of runs) {
      expect(await run.status()).toMatchObject({
        state: 'waiting',
        waitingFor: [{ kind: 'timer', until: '2025-06-01T00:10:00.000Z' }],
      });
    }
    nowMs += 600_000;
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([1, 2, 3, 4]);
  });

  it('is refused where it is no time', async () => {
    for (const client of [remote(), spine]) {
      await expect(client.start('report', 1, { delay: 'soon' as '1s' })).rejects.toMatchObject({
        code: 'DURATION_INVALID',
      });
      await expect(client.start('report', 1, { startAt: 'tomorrow' })).rejects.toThrow(/startAt/);
      await expect(client.start('report', 1, { delay: '1s', startAt: 0 })).rejects.toThrow(/either delay or startAt/);
    }
  });
});
