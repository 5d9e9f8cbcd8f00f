/** Schedules: rows that are moved under a guard, in one transition with the runs that they start. */
import assert from 'node:assert/strict';
import type { Outcome, ScheduleRow, ScheduleWrite } from '../../../store/index.js';
import { applyAll, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'schedules';

const row = (name: string, given: Partial<ScheduleRow> = {}): ScheduleRow => ({
  tenant,
  name,
  version: 1,
  dueAt: null,
  body: '{"every":1}',
  ...given,
});

const write = (expected: number, to: ScheduleRow): ScheduleWrite => ({ name: to.name, expected, row: to });

const drop = (name: string, expected: number): ScheduleWrite => ({ name, expected, row: null });

const tagsOf = (outcomes: readonly Outcome[]): string[] => outcomes.map(({ tag }) => tag);

export const scheduleCases: readonly StoreCase[] = [
  {
    concern,
    name: 'reads what was written, of the tenant alone',
    run: async ({ store }) => {
      const written = row('nightly', { version: 1_750_000_000_000, dueAt: 7, body: '{"text":"é \\u0000"}' });
      await applyAll(store, { tenant, schedules: [write(0, written)] });
      assert.deepEqual(await store.readSchedule(tenant, 'nightly'), written);
      assert.equal(await store.readSchedule('other', 'nightly'), null);
      assert.equal(await store.readSchedule(tenant, 'Nightly'), null);
    },
  },
  {
    concern,
    name: 'moves a schedule from the version that is expected, and from no other',
    run: async ({ store }) => {
      await applyAll(store, { tenant, schedules: [write(0, row('a'))] });
      const [stale, again, moved] = await store.apply([
        { tenant, schedules: [write(7, row('a', { version: 8 }))] },
        { tenant, schedules: [write(0, row('a', { version: 9 }))] },
        { tenant, schedules: [write(1, row('a', { version: 2, body: '{}' }))] },
      ]);
      assert.deepEqual(stale, { tag: 'conflict', run: 'a', head: 1 });
      assert.deepEqual(again, { tag: 'conflict', run: 'a', head: 1 });
      assert.equal(moved?.tag, 'applied');
      assert.deepEqual(await store.readSchedule(tenant, 'a'), row('a', { version: 2, body: '{}' }));
    },
  },
  {
    concern,
    name: 'lets one of two competitors in a batch tick, and refuses all of the other',
    run: async ({ store }) => {
      await applyAll(store, { tenant, schedules: [write(0, row('a'))] });
      const tick = (run: string) => ({ ...start({ run }), schedules: [write(1, row('a', { version: 2 }))] });
      assert.deepEqual(tagsOf(await store.apply([tick('run_1'), tick('run_2')])), ['applied', 'conflict']);
      assert.notEqual(await store.readRun(tenant, 'run_1'), null);
      assert.equal(await store.readRun(tenant, 'run_2'), null);
      assert.deepEqual(await store.check(9), []);
    },
  },
  {
    concern,
    name: 'writes no schedule where another guard of the transition refuses',
    run: async ({ store }) => {
      await applyAll(store, start());
      const outcomes = await store.apply([{ ...start(), schedules: [write(0, row('a'))] }]);
      assert.deepEqual(tagsOf(outcomes), ['conflict']);
      assert.equal(await store.readSchedule(tenant, 'a'), null);
    },
  },
  {
    concern,
    name: 'removes a schedule from the version that is expected, after which the name is free',
    run: async ({ store }) => {
      await applyAll(store, { tenant, schedules: [write(0, row('a', { dueAt: 1 }))] });
      const outcomes = await store.apply([
        { tenant, schedules: [drop('a', 2)] },
        { tenant, schedules: [drop('a', 1)] },
        { tenant, schedules: [drop('a', 1)] },
        { tenant, schedules: [write(0, row('a', { version: 5 }))] },
      ]);
      assert.deepEqual(tagsOf(outcomes), ['conflict', 'applied', 'conflict', 'applied']);
      assert.deepEqual(await store.readSchedule(tenant, 'a'), row('a', { version: 5 }));
      assert.deepEqual(await store.dueSchedules(9), []);
    },
  },
  {
    concern,
    name: 'writes several in one transition, or none of them',
    run: async ({ store }) => {
      const both = [write(0, row('a')), write(0, row('b'))];
      await applyAll(store, { tenant, schedules: [write(0, row('b'))] });
      assert.deepEqual(tagsOf(await store.apply([{ tenant, schedules: both }])), ['conflict']);
      assert.equal(await store.readSchedule(tenant, 'a'), null);
      await applyAll(store, { tenant, schedules: [drop('b', 1)] }, { tenant, schedules: both });
      assert.notEqual(await store.readSchedule(tenant, 'a'), null);
    },
  },
  {
    concern,
    name: 'lists what is due from its instant on, oldest first, until it is moved',
    run: async ({ store, clock }) => {
      const now = clock.now();
      await applyAll(store, {
        tenant,
        schedules: [
          write(0, row('late', { dueAt: now + 20 })),
          write(0, row('soon', { dueAt: now + 10 })),
          write(0, row('paused')),
        ],
      });
      await applyAll(store, {
        tenant: 'a',
        schedules: [write(0, row('x', { tenant: 'a', dueAt: now + 10 }))],
      });
      assert.equal(await store.nextDueAt(), now + 10);
      assert.deepEqual(await store.dueSchedules(9), []);
      clock.advance(20);
      const due = async (limit: number) => (await store.dueSchedules(limit)).map((one) => `${one.tenant} ${one.name}`);
      assert.deepEqual(await due(9), ['a x', `${tenant} soon`, `${tenant} late`]);
      assert.deepEqual(await due(1), ['a x']);
      await applyAll(store, {
        tenant,
        schedules: [write(1, row('soon', { version: 2, dueAt: now + 90 })), write(1, row('late', { version: 2 }))],
      });
      assert.deepEqual(await due(9), ['a x']);
      await applyAll(store, { tenant: 'a', schedules: [drop('x', 1)] });
      assert.equal(await store.nextDueAt(), now + 90);
    },
  },
  {
    concern,
    name: 'tells the earliest of timers, delayed tasks and schedules',
    run: async ({ store, clock }) => {
      const now = clock.now();
      await applyAll(store, { tenant, schedules: [write(0, row('a', { dueAt: now + 50 }))] });
      assert.equal(await store.nextDueAt(), now + 50);
      await applyAll(store, start({ task: { dueAt: now + 40 } }));
      assert.equal(await store.nextDueAt(), now + 40);
    },
  },
  {
    concern,
    name: 'lists the schedules of a tenant page by page in the order of their names',
    run: async ({ store }) => {
      const names = ['b', 'a', '\u{1f600}', 'ｚ', 'B'];
      await applyAll(
        store,
        { tenant, schedules: names.map((name) => write(0, row(name))) },
        { tenant: 'other', schedules: [write(0, row('c', { tenant: 'other' }))] },
      );
      const found: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof store.listSchedules>> = await store.listSchedules({
          tenant,
          limit: 2,
          ...(cursor === null ? {} : { cursor }),
        });
        found.push(...page.items.map(({ name }) => name));
        cursor = page.next;
      } while (cursor !== null);
      assert.deepEqual(found, ['B', 'a', 'b', 'ｚ', '\u{1f600}']);
      assert.deepEqual(await store.listSchedules({ tenant: 'none', limit: 2 }), { items: [], next: null });
    },
  },
  {
    concern,
    name: 'refuses rows that cannot be stored, or that do not move on',
    run: async ({ store }) => {
      const refused = await store.apply([
        { tenant, schedules: [write(0, row('a\0'))] },
        { tenant, schedules: [write(0, row('a', { body: '\ud800' }))] },
        { tenant, schedules: [write(0, row('a', { version: 0 }))] },
        { tenant, schedules: [write(0, row('a', { version: 1.5 }))] },
        { tenant, schedules: [write(0, row('a', { tenant: 'other' }))] },
        { tenant, schedules: [write(0, row('a', { dueAt: 0.5 }))] },
        { tenant, schedules: [write(0, row('a')), drop('a', 1)] },
        { tenant, schedules: [{ name: 'b', expected: 0, row: row('a') }] },
      ]);
      assert.deepEqual(tagsOf(refused), Array<string>(8).fill('unstorable'));
      assert.equal(await store.readSchedule(tenant, 'a\0'), null);
      assert.deepEqual(await store.listSchedules({ tenant, limit: 9 }), { items: [], next: null });
    },
  },
  {
    concern,
    name: 'keeps schedules when it is opened again',
    reopens: true,
    run: async ({ store, reopen }) => {
      const written = row('a', { version: 3, dueAt: 9 });
      await applyAll(store, { tenant, schedules: [write(0, written)] });
      const again = await reopen();
      assert.deepEqual(await again.dueSchedules(9), [written]);
    },
  },
  {
    concern,
    name: 'lets one of several servers move a schedule, and shows it to all',
    neighbours: true,
    run: async ({ store, beside }) => {
      const other = await beside();
      const created = await Promise.all(
        [store, other].map((one) => one.apply([{ tenant, schedules: [write(0, row('a'))] }])),
      );
      assert.deepEqual(tagsOf(created.flat()).sort(), ['applied', 'conflict']);
      for (let version = 1; version < 20; version++) {
        const ticks = [store, other].map((one, i) =>
          one.apply([
            {
              ...start({ run: `run_${version}_${i}` }),
              schedules: [write(version, row('a', { version: version + 1 }))],
            },
          ]),
        );
        assert.deepEqual(tagsOf((await Promise.all(ticks)).flat()).sort(), ['applied', 'conflict']);
      }
      assert.equal((await other.readSchedule(tenant, 'a'))?.version, 20);
      assert.equal((await store.listRuns({ tenant, limit: 99 })).items.length, 19);
    },
  },
];
