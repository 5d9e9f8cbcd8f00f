import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ApprovalListQuery, ApprovalsApi } from '../client/index.js';
import type { ApprovalView } from '../protocol/http.js';
import {
  approvalRequested,
  createSpine,
  defineApp,
  memory,
  signal,
  topic,
  workflow,
  type AnyApp,
  type Ctx,
  type Spine,
} from './index.js';

const Shipped = z.object({ orderId: z.string(), parcel: z.number(), at: z.object({ city: z.string() }).optional() });
const shipped = topic('shipped', { schema: Shipped, key: 'orderId', index: ['orderId', 'parcel', 'at.city'] });
const paid = signal('paid', { schema: z.object({ amount: z.number() }) });

let spine: Spine<AnyApp> | null = null;

afterEach(async () => {
  await spine?.close();
  spine = null;
});

/** A spine that runs one body, and parks it at once when it waits. */
function open<Out>(
  body: (ctx: Ctx, input: unknown) => Promise<Out>,
  others: readonly ReturnType<typeof workflow>[] = [],
) {
  const app = defineApp({ topics: [shipped], workflows: [workflow('w', {}, body), ...others] });
  const opened = createSpine(app as AnyApp, { store: memory(), worker: { parkAfterMs: 0 } });
  spine = opened;
  return opened;
}

const inbox = async (approvals: ApprovalsApi, query?: ApprovalListQuery): Promise<readonly ApprovalView[]> =>
  (await approvals.list(query).page()).items;

const waitsFor = async (id: string, kind: string): Promise<void> => {
  await expect
    .poll(async () => (await spine?.run(id).status())?.waitingFor.map((wait) => wait.kind), { timeout: 5_000 })
    .toContain(kind);
};

describe('waiting for events', () => {
  const body = async (ctx: Ctx): Promise<unknown> => {
    await ctx.waitFor(signal('begin'));
    const first = await ctx.waitFor(shipped, { match: { orderId: 'o1' } });
    const second = await ctx.waitFor(shipped, { as: 'again', match: { orderId: 'o1' } });
    return [first.data.parcel, second.data.parcel];
  };

  it('finds what came before the wait, during and after it, each event once and in order', async () => {
    const { start, publish, signal: send } = open(body);
    await publish('shipped', { orderId: 'o1', parcel: 0 }); // before the run was born
    const run = await start('w', null);
    await publish('shipped', { orderId: 'o2', parcel: 9 });
    await publish('shipped', { orderId: 'o1', parcel: 1 });
    await waitsFor(run.id, 'signal');
    await send(run.id, 'begin');
    await waitsFor(run.id, 'event');
    await publish('shipped', { orderId: 'o1', parcel: 2 });
    expect(await run.result()).toEqual([1, 2]);
  });

  it('matches all fields that are named, also inner ones and numbers', async () => {
    const { start, publish } = open(async (ctx) => {
      const found = await ctx.waitFor(shipped, { match: { orderId: 'o1', parcel: 3, 'at.city': 'Ulm' } });
      return found.data;
    });
    const run = await start('w', null);
    await publish('shipped', { orderId: 'o1', parcel: 3 });
    await publish('shipped', { orderId: 'o1', parcel: 4, at: { city: 'Ulm' } });
    await publish('shipped', { orderId: 'o1', parcel: 3, at: { city: 'Ulm' } });
    expect(await run.result()).toEqual({ orderId: 'o1', parcel: 3, at: { city: 'Ulm' } });
  });

  it('gives one event to every run that waits for it', async () => {
    const { start, publish } = open(
      async (ctx) => (await ctx.waitFor(shipped, { match: { orderId: 'o1' } })).data.parcel,
    );
    const runs = await Promise.all([1, 2, 3].map(() => start('w', null)));
    for (const run of runs) await waitsFor(run.id, 'event');
    await publish('shipped', { orderId: 'o1', parcel: 7 });
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([7, 7, 7]);
  });

  it('gives null when its time is up', async () => {
    const { start } = open((ctx) => ctx.waitFor(shipped, { match: { orderId: 'o1' }, timeout: 10 }));
    expect(await (await start('w', null)).result()).toBeNull();
  });

  it('refuses a match on a field that is not indexed, and says which are', async () => {
    const { start } = open((ctx) => ctx.waitFor(shipped, { match: { city: 'Ulm' } as never }));
    await expect((await start('w', null)).result()).rejects.toThrow(/"city" is not an indexed field.*orderId, parcel/);
  });

  it('leaves out the event that has started the run', async () => {
    const started: string[] = [];
    const follow = workflow('follow', { on: shipped }, async (ctx, event) => {
      started.push(event.orderId);
      if (event.parcel > 1) return 'late';
      return (await ctx.waitFor(shipped, { match: { orderId: event.orderId } })).data.parcel;
    });
    const opened = open(async () => null, [follow as never]);
    const { runs } = await opened.publish('shipped', { orderId: 'o5', parcel: 1 });
    await waitsFor(runs[0] ?? '', 'event');
    await opened.publish('shipped', { orderId: 'o5', parcel: 2 });
    expect(await opened.run(runs[0] ?? '').result()).toBe(2);
  });
});

describe('first of several', () => {
  it('closes the waits that lost, and leaves to others what comes for them later', async () => {
    const {
      start,
      publish,
      signal: send,
    } = open(async (ctx) => {
      const first = await ctx.race('first', {
        paid: (branch) => branch.waitFor(paid),
        shipped: (branch) => branch.waitFor(shipped, { match: { orderId: 'o1' } }),
        late: (branch) => branch.sleep('1d'),
      });
      const then = await ctx.waitFor(shipped, { match: { orderId: 'o1' } });
      return [first.winner, then.data.parcel];
    });
    const run = await start('w', null);
    await waitsFor(run.id, 'event');
    await send(run.id, paid, { amount: 3 });
    await expect
      .poll(async () => (await run.status()).steps.find(({ path }) => path === 'first/shipped/shipped')?.status)
      .toBe('cancelled');
    await publish('shipped', { orderId: 'o1', parcel: 4 });
    expect(await run.result()).toEqual(['paid', 4]);
  });
});

describe('signals', () => {
  it('are kept for a wait that comes later, given in order, and known by their id', async () => {
    const { start, signal: send } = open(async (ctx) => {
      const amounts: number[] = [];
      for (let i = 0; i < 3; i++) amounts.push((await ctx.waitFor(paid, { as: ['paid', i] })).data.amount);
      return amounts;
    });
    const run = await start('w', null);
    expect(await send(run.id, paid, { amount: 1 }, { id: 'one' })).toEqual({ id: run.id, outcome: 'done' });
    expect(await send(run.id, paid, { amount: 1 }, { id: 'one' })).toEqual({ id: run.id, outcome: 'already' });
    await run.signal('paid', { amount: 2 });
    await run.signal(paid, { amount: 3 });
    expect(await run.result()).toEqual([1, 2, 3]);
    await expect(run.signal(paid, { amount: 4 })).rejects.toMatchObject({ code: 'RUN_ENDED' });
    await expect(send('run_none', 'x')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });
});

describe('declared signals', () => {
  it('are checked by the server before they count, and no others are taken', async () => {
    const app = defineApp({ workflows: [workflow('w', { signals: [paid] }, (ctx) => ctx.waitFor(paid))] });
    const opened = createSpine(app as AnyApp, { store: memory() });
    spine = opened;
    const run = await opened.start('w', null);
    await expect(run.signal('paid', { amount: 'three' })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(run.signal('paid')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(run.signal('pay', { amount: 3 })).rejects.toMatchObject({ code: 'SIGNAL_UNKNOWN' });
    await run.signal(paid, { amount: 3 }, { id: 'p' });
    expect(await run.result()).toMatchObject({ id: 'p', data: { amount: 3 } });
  });
});

describe('long waits', () => {
  it('hold for a hundred years, and no timer of the runtime overflows', async () => {
    const { start, signal: send } = open(async (ctx) => {
      await ctx.race('r', {
        signal: (branch) => branch.waitFor(signal('now'), { timeout: '36500d' }),
        event: (branch) => branch.waitFor(shipped, { match: { orderId: 'x' }, timeout: '36500d' }),
        approval: (branch) => branch.approve('ok', { to: 'user:ann', expires: '36500d' }),
        sleep: (branch) => branch.sleepUntil(new Date('2999-01-01')),
      });
      return 'woken';
    });
    const run = await start('w', null);
    await waitsFor(run.id, 'approval');
    const { waitingFor } = await run.status();
    expect(waitingFor.map((wait) => Number(wait.until?.slice(0, 4)) > 2100)).toEqual([true, true, true, true]);
    await send(run.id, 'now');
    expect(await run.result()).toBe('woken');
    await expect((await start('w', null)).signal('x'.repeat(200))).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('refuse a time that is longer than that', async () => {
    const { start } = open((ctx) => ctx.waitFor(paid, { timeout: '36600d' }));
    await expect((await start('w', null)).result()).rejects.toThrow(/DURATION_INVALID|duration/i);
  });
});

describe('approvals', () => {
  const Edit = z.object({ text: z.string().min(1) });
  const body = (ctx: Ctx): Promise<unknown> =>
    ctx.approve('review', {
      to: ['role:editor', 'user:ann'],
      title: 'Publish?',
      show: { draft: 'd' },
      form: Edit,
      expires: '2d',
    });

  it('lie in the inbox with what is to be seen, and end with the first word', async () => {
    const { start, approvals } = open(body);
    const run = await start('w', null);
    await waitsFor(run.id, 'approval');
    const [item] = await inbox(approvals, { to: 'role:editor' });
    expect(item).toMatchObject({ run: run.id, workflow: 'w', path: 'review', title: 'Publish?', state: 'open' });
    const id = item?.id ?? '';
    expect(await approvals.get(id)).toMatchObject({
      show: { draft: 'd' },
      form: { type: 'object', required: ['text'] },
      to: ['role:editor', 'user:ann'],
    });
    await approvals.comment(id, 'have a look', { as: { user: 'ann' } });
    await expect(approvals.approve(id, { as: { user: 'bob' }, form: { text: 'x' } })).rejects.toMatchObject({
      code: 'APPROVAL_NOT_ADDRESSED',
    });
    await expect(approvals.approve(id, { as: { user: 'ann' }, form: { text: '' } })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    });
    const as = { user: 'eve', roles: ['editor'] };
    await approvals.approve(id, { as, form: { text: 'mended' }, comment: 'fine' });
    expect(await run.result()).toMatchObject({
      outcome: 'approved',
      by: 'user:eve',
      form: { text: 'mended' },
      comment: 'fine',
    });
    expect(await approvals.approve(id, { as, form: { text: 'mended' } })).toMatchObject({ outcome: 'already' });
    await expect(approvals.reject(id, { as: { user: 'ann' } })).rejects.toMatchObject({ code: 'APPROVAL_SETTLED' });
    expect(await inbox(approvals, { to: '*' })).toEqual([]);
    expect((await approvals.get(id)).notes.map(({ what, by }) => `${what} ${by}`)).toEqual([
      'requested null',
      'commented user:ann',
      'approved user:eve',
    ]);
  });

  it('can be rejected, delegated, and expire', async () => {
    const { start, approvals } = open(async (ctx, input) =>
      input === 'short' ? ctx.approve('review', { to: 'user:ann', expires: 5 }) : body(ctx),
    );
    expect(await (await start('w', 'short')).result()).toMatchObject({ outcome: 'expired' });
    const run = await start('w', null);
    await waitsFor(run.id, 'approval');
    const [item] = await inbox(approvals);
    const id = item?.id ?? '';
    await approvals.delegate(id, 'user:zoe', { as: { user: 'ann' } });
    expect(await inbox(approvals, { to: ['role:editor', 'user:ann'] })).toEqual([]);
    expect((await inbox(approvals, { to: 'user:zoe' })).map((one) => one.to)).toEqual([['user:zoe']]);
    await approvals.reject(id, { as: { user: 'zoe' }, comment: 'no' });
    expect(await run.result()).toMatchObject({ outcome: 'rejected', by: 'user:zoe', comment: 'no' });
    await expect(approvals.get('run_x.1')).rejects.toMatchObject({ code: 'APPROVAL_NOT_FOUND' });
  });

  it('ask others when nobody answers, and tell of themselves on a topic', async () => {
    const told: string[] = [];
    const tell = workflow('tell', { on: approvalRequested }, async (_, request) => void told.push(request.title));
    const { start, approvals } = open(
      (ctx) => ctx.approve('review', { to: 'user:ann', escalate: [{ after: 10, to: 'role:chief' }] }),
      [tell as never],
    );
    const run = await start('w', null);
    await expect.poll(async () => (await inbox(approvals, { to: 'role:chief' })).length, { timeout: 5_000 }).toBe(1);
    await expect.poll(() => told).toEqual(['review']);
    const [item] = await inbox(approvals, { to: 'user:ann' });
    await approvals.approve(item?.id ?? '', { as: { user: 'x', roles: ['chief'] } });
    expect(await run.result()).toMatchObject({ outcome: 'approved', by: 'user:x' });
  });
});
