/** Entries of secondary indexes. */
import assert from 'node:assert/strict';
import { limits } from '../../../core/limits.js';
import { predictionAnswerSpace, predictionSpace } from '../../../core/models/prediction.js';
import type { EntryQuery, EntryRow, EntryWrite, Store } from '../../../store/index.js';
import {
  applyAll,
  applyOne,
  claimOne,
  finish,
  leaseOf,
  move,
  put,
  someTime,
  start,
  tenant,
  topicEvent,
} from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'entries';

const drop = (key: string, ref: string): EntryWrite => ({ op: 'drop', space: 's', key, ref });

const names = (rows: readonly EntryRow[]): string[] => rows.map(({ key, ref }) => `${key}/${ref}`);

const read = async (store: Store, query: Partial<EntryQuery> = {}): Promise<string[]> =>
  names(await store.readEntries({ tenant, space: 's', limit: 99, ...query }));

/** Adds to a counter 40 times, several at a time, each from the value it has read: none of them may be lost. */
async function raceForValue(stores: readonly Store[]): Promise<void> {
  const add = async (store: Store): Promise<void> => {
    for (;;) {
      const [entry] = await store.readEntries({ tenant, space: 's', key: 'k', limit: 1 });
      const value = String(Number(entry?.value ?? 0) + 1);
      const outcome = await applyOne(store, { tenant, entries: [put({ value, expected: entry?.value ?? null })] });
      if (outcome.tag === 'applied') return;
      assert.equal(outcome.tag, 'conflict');
    }
  };
  const worker = async (store: Store): Promise<void> => {
    for (let n = 0; n < 5; n++) await add(store);
  };
  await Promise.all(Array.from({ length: 8 }, (_, i) => worker(stores[i % stores.length] as Store)));
  const [entry] = (await stores[0]?.readEntries({ tenant, space: 's', limit: 1 })) ?? [];
  assert.equal(entry?.value, '40');
}

export const entryCases: readonly StoreCase[] = [
  {
    concern,
    name: 'gives back what was put, whole',
    run: async ({ store }) => {
      const entry = put({ key: 'orderId=ö', ref: 'run_1/7', value: '{"x":"\\u0000"}', run: 'run_1', at: someTime + 1 });
      await applyAll(store, { ...start(), entries: [entry] });
      assert.deepEqual(await store.readEntries({ tenant, space: 's', limit: 9 }), [
        {
          tenant,
          space: 's',
          key: 'orderId=ö',
          ref: 'run_1/7',
          value: '{"x":"\\u0000"}',
          run: 'run_1',
          at: someTime + 1,
        },
      ]);
    },
  },
  {
    concern,
    name: 'needs no run: a transition may hold entries alone',
    run: async ({ store }) => {
      await applyAll(store, { tenant, entries: [put()] });
      assert.deepEqual(await read(store), ['k/r']);
    },
  },
  {
    concern,
    name: 'reads a space in the order of key and ref, by code point',
    run: async ({ store }) => {
      const keys = ['b', 'a', 'B', '', '\u{1f600}', '\uffee', 'a '];
      await applyAll(store, {
        tenant,
        entries: keys.flatMap((key) => ['2', '10', '1'].map((ref) => put({ key, ref }))),
      });
      assert.deepEqual(
        await read(store),
        ['', 'B', 'a', 'a ', 'b', '\uffee', '\u{1f600}'].flatMap((key) => [`${key}/1`, `${key}/10`, `${key}/2`]),
      );
    },
  },
  {
    concern,
    name: 'reads one key, and keeps tenants and spaces apart',
    run: async ({ store }) => {
      await applyAll(
        store,
        { tenant, entries: [put({ key: 'a' }), put({ key: 'b' }), put({ key: 'c' }), put({ space: 't', key: 'b' })] },
        { tenant: 'other', entries: [put({ key: 'b', ref: 'x' })] },
      );
      assert.deepEqual(await read(store, { key: 'b' }), ['b/r']);
      assert.deepEqual(await read(store, { tenant: 'other' }), ['b/x']);
      assert.deepEqual(await read(store, { space: 't' }), ['b/r']);
      assert.deepEqual(await read(store, { key: 'none' }), []);
      assert.deepEqual(await read(store, { space: 'none' }), []);
    },
  },
  {
    concern,
    name: 'reads on after an entry, which need not be there any more',
    run: async ({ store }) => {
      await applyAll(store, {
        tenant,
        entries: ['a', 'b', 'c'].flatMap((key) => ['1', '2', '3'].map((ref) => put({ key, ref }))),
      });
      assert.deepEqual(await read(store, { limit: 4 }), ['a/1', 'a/2', 'a/3', 'b/1']);
      assert.deepEqual(await read(store, { after: { key: 'b', ref: '1' }, limit: 3 }), ['b/2', 'b/3', 'c/1']);
      assert.deepEqual(await read(store, { key: 'b', after: { key: 'b', ref: '15' } }), ['b/2', 'b/3']);
      assert.deepEqual(await read(store, { key: 'b', after: { key: 'b', ref: '3' } }), []);
      assert.deepEqual(await read(store, { after: { key: 'c', ref: '3' } }), []);
      assert.deepEqual(await read(store, { limit: 0 }), []);
    },
  },
  {
    concern,
    name: 'replaces the entry that has the key, and its run with it',
    run: async ({ store }) => {
      await applyAll(store, start(), start({ run: 'run_2' }));
      await applyAll(store, { tenant, entries: [put({ value: '1', run: 'run_1' })] });
      await applyAll(store, { tenant, entries: [put({ value: '2', run: 'run_2', at: someTime + 5 })] });
      assert.deepEqual(await store.readEntries({ tenant, space: 's', limit: 9 }), [
        { tenant, space: 's', key: 'k', ref: 'r', value: '2', run: 'run_2', at: someTime + 5 },
      ]);
    },
  },
  {
    concern,
    name: 'drops an entry; what is not there without complaint',
    run: async ({ store }) => {
      await applyAll(store, { tenant, entries: [put({ key: 'a' }), put({ key: 'b' })] });
      await applyAll(store, { tenant, entries: [drop('a', 'r'), drop('a', 'none'), drop('none', 'r')] });
      assert.deepEqual(await read(store), ['b/r']);
    },
  },
  {
    concern,
    name: 'applies the entries of a transition, and of a batch, in their order',
    run: async ({ store }) => {
      await applyAll(
        store,
        {
          tenant,
          entries: [put({ key: 'a', value: '1' }), drop('a', 'r'), put({ key: 'b' }), put({ key: 'b', value: '2' })],
        },
        { tenant, entries: [put({ key: 'c' }), drop('b', 'r'), put({ key: 'b', value: '3' })] },
        { tenant, entries: [drop('c', 'r')] },
      );
      const rows = await store.readEntries({ tenant, space: 's', limit: 9 });
      assert.deepEqual(
        rows.map(({ key, value }) => `${key} ${value}`),
        ['b 3'],
      );
    },
  },
  {
    concern,
    name: 'writes no entry of a transition that is refused',
    run: async ({ store }) => {
      await applyAll(store, start(), { tenant, entries: [put({ key: 'kept' })] });
      const outcome = await applyOne(store, {
        ...move({ head: 5 }),
        entries: [put({ key: 'new' }), drop('kept', 'r')],
      });
      assert.equal(outcome.tag, 'conflict');
      assert.deepEqual(await read(store), ['kept/r']);
    },
  },
  {
    concern,
    name: 'refuses, singly, an entry that cannot be a key everywhere',
    run: async ({ store }) => {
      for (const bad of [
        put({ key: 'k'.repeat(2_001) }),
        put({ ref: '\u{1f600}'.repeat(501) }),
        put({ key: 'a\0b' }),
        put({ value: '\ud800' }),
        put({ at: 0.5 }),
        drop('\0', 'r'),
      ]) {
        const [outcome, beside] = await store.apply([
          { tenant, entries: [put({ key: 'beside' }), bad] },
          { tenant, entries: [put({ key: 'other' })] },
        ]);
        assert.equal(outcome?.tag, 'unstorable', JSON.stringify(bad));
        assert.equal(beside?.tag, 'applied');
      }
      assert.deepEqual(await read(store), ['other/r']);
    },
  },
  {
    concern,
    name: 'takes a key of the greatest length',
    run: async ({ store }) => {
      // As varied as text can be: nothing that a backend could make smaller.
      let key = '';
      for (let i = 0, seed = 7; i < 1_980; i++) {
        seed = (seed * 48_271) % 2_147_483_647;
        key += String.fromCharCode(33 + (seed % 94));
      }
      await applyAll(store, { tenant, entries: [put({ key, run: 'run_1' })] });
      assert.deepEqual(await read(store, { key }), [`${key}/r`]);
    },
  },
  {
    concern,
    name: 'deletes the entries of a run with the run, and no others',
    run: async ({ store, clock }) => {
      await applyAll(
        store,
        {
          ...start({ row: { status: 'succeeded', expiresAt: clock.now() } }),
          entries: [put({ key: 'a', run: 'run_1' })],
        },
        { ...start({ run: 'run_2' }), entries: [put({ key: 'b', run: 'run_2' }), put({ key: 'c' })] },
        { tenant: 'other', entries: [put({ key: 'd', run: 'run_1' })] },
      );
      assert.equal((await store.expire(9)).runs, 1);
      assert.deepEqual(await read(store), ['b/r', 'c/r']);
      assert.deepEqual(await read(store, { tenant: 'other' }), ['d/r']);
    },
  },
  {
    concern,
    name: 'P3: takes an entry of a waiting run for what moves it on',
    run: async ({ store }) => {
      await applyAll(store, start());
      const { task, ...lease } = leaseOf(await claimOne(store));
      await applyAll(store, {
        ...move({ head: 1, row: { status: 'waiting' }, type: 'run.parked' }),
        lease: { task, ...lease },
        tasks: [{ op: 'close', run: 'run_1', task }],
        entries: [put({ run: 'run_1' })],
      });
      assert.deepEqual(await store.check(9), []);
      await applyAll(store, { tenant, entries: [put({ run: '' })] });
      assert.deepEqual(
        (await store.check(9)).map(({ property, subject }) => `${property} ${subject}`),
        ['P3 run_1'],
      );
    },
  },
  {
    concern,
    name: 'keeps entries of a run that has ended until somebody drops them or the run goes',
    run: async ({ store }) => {
      await applyAll(store, { ...start(), entries: [put({ run: 'run_1' })] });
      await applyAll(store, finish(leaseOf(await claimOne(store)), 1));
      assert.deepEqual(await store.check(9), []);
      assert.deepEqual(await read(store), ['k/r']);
    },
  },
  {
    concern,
    name: 'finds entries again after it was opened again',
    reopens: true,
    run: async ({ store, reopen }) => {
      await applyAll(store, { tenant, entries: [put({ key: 'a' }), put({ key: 'b' })] });
      await applyAll(store, { tenant, entries: [drop('a', 'r')] });
      assert.deepEqual(await read(await reopen()), ['b/r']);
    },
  },
  {
    concern,
    name: 'keeps answers of models whole, and drops the two entries of one only while it is the same',
    run: async ({ store }) => {
      const text = '🙂ö"\\n'.repeat(Math.floor(limits.predictionBytesMax / 16));
      const kept = (value: string): EntryWrite[] => [
        put({ space: predictionSpace, key: 'f', ref: '["m","v"]', value }),
        put({ space: predictionAnswerSpace, key: 'f', ref: '["m","v"]', value: JSON.stringify({ value, text }) }),
      ];
      const dropping = (expected: string): EntryWrite[] => [
        { op: 'drop', space: predictionSpace, key: 'f', ref: '["m","v"]', expected },
        { op: 'drop', space: predictionAnswerSpace, key: 'f', ref: '["m","v"]' },
      ];
      const answer = async (): Promise<unknown> => {
        const [entry] = await store.readEntries({ tenant, space: predictionAnswerSpace, key: 'f', limit: 9 });
        return entry === undefined ? null : JSON.parse(entry.value);
      };
      await applyAll(store, { tenant, entries: kept('first') }, { tenant, entries: kept('second') });
      assert.deepEqual(await answer(), { value: 'second', text });
      assert.equal((await applyOne(store, { tenant, entries: dropping('first') })).tag, 'conflict');
      assert.deepEqual(await answer(), { value: 'second', text });
      await applyAll(store, { tenant, entries: dropping('second') });
      assert.equal(await answer(), null);
    },
  },
  {
    concern,
    name: 'puts and drops an entry only from the value that it is expected to have',
    run: async ({ store }) => {
      const refused = { tag: 'conflict', run: 's/k/r', head: 1 };
      await applyAll(store, { tenant, entries: [put({ value: '1', expected: null })] });
      assert.deepEqual(await applyOne(store, { tenant, entries: [put({ value: '2', expected: null })] }), refused);
      assert.deepEqual(await applyOne(store, { tenant, entries: [put({ value: '2', expected: '0' })] }), refused);
      await applyAll(store, { tenant, entries: [put({ value: '2', expected: '1' })] });
      assert.deepEqual(await applyOne(store, { tenant, entries: [{ ...drop('k', 'r'), expected: '1' }] }), refused);
      assert.deepEqual(await read(store), ['k/r']);
      await applyAll(store, { tenant, entries: [{ ...drop('k', 'r'), expected: '2' }] });
      assert.deepEqual(await applyOne(store, { tenant, entries: [put({ value: '3', expected: '2' })] }), {
        ...refused,
        head: 0,
      });
      await applyAll(store, { tenant, entries: [{ ...drop('k', 'r'), expected: null }] });
      assert.deepEqual(await read(store), []);
    },
  },
  {
    concern,
    name: 'refuses all of a transition whose entry has another value, and nothing of its neighbours',
    run: async ({ store }) => {
      await applyAll(store, { tenant, entries: [put({ value: '1' })] });
      const outcomes = await store.apply([
        { tenant, entries: [put({ key: 'a' })] },
        {
          ...start(),
          entries: [put({ key: 'b' }), put({ value: '2', expected: '0' })],
          timers: [{ op: 'set', run: 'run_1', name: 't', fireAt: someTime }],
        },
        { tenant, entries: [put({ key: 'c' })] },
      ]);
      assert.deepEqual(
        outcomes.map(({ tag }) => tag),
        ['applied', 'conflict', 'applied'],
      );
      assert.deepEqual(await read(store), ['a/r', 'c/r', 'k/r']);
      assert.equal(await store.readRun(tenant, 'run_1'), null);
    },
  },
  {
    concern,
    name: 'sees in one batch what the items before have made of a value',
    run: async ({ store }) => {
      const step = (expected: string | null, value: string) => ({ tenant, entries: [put({ value, expected })] });
      const outcomes = await store.apply([
        step(null, '1'),
        step(null, '1'),
        step('1', '2'),
        { tenant, entries: [{ ...drop('k', 'r'), expected: '2' }] },
        step('2', '3'),
        { tenant, entries: [put({ value: '4' })] },
        step('4', '5'),
      ]);
      assert.deepEqual(
        outcomes.map(({ tag }) => tag),
        ['applied', 'conflict', 'applied', 'applied', 'conflict', 'applied', 'applied'],
      );
      assert.equal((await store.readEntries({ tenant, space: 's', limit: 1 }))[0]?.value, '5');
    },
  },
  {
    concern,
    name: 'counts each of many who add to a value at the same time, and lets those who lost try again',
    run: async (world) => {
      await raceForValue([world.store]);
    },
  },
  {
    concern,
    name: 'counts each of many who add to a value from several servers',
    neighbours: true,
    run: async (world) => {
      await raceForValue([world.store, await world.beside()]);
    },
  },
  {
    concern,
    name: 'lists partitions of all tenants, in pages',
    run: async ({ store }) => {
      assert.deepEqual(await store.listPartitions({ after: null, limit: 9 }), []);
      const publish = (of: string, topic: string, partition: number): Promise<void> =>
        applyAll(store, { tenant: of, publishes: [topicEvent({ topic, partition })] });
      await publish('b', 'x', 0);
      await publish('a', 'y', 10);
      await publish('a', 'y', 2);
      await publish('a', 'x', 1);
      await publish('a', 'x', 1);
      const all = [
        { tenant: 'a', topic: 'x', partition: 1, head: 2 },
        { tenant: 'a', topic: 'y', partition: 2, head: 1 },
        { tenant: 'a', topic: 'y', partition: 10, head: 1 },
        { tenant: 'b', topic: 'x', partition: 0, head: 1 },
      ];
      assert.deepEqual(await store.listPartitions({ after: null, limit: 9 }), all);
      assert.deepEqual(await store.listPartitions({ after: null, limit: 2 }), all.slice(0, 2));
      assert.deepEqual(
        await store.listPartitions({ after: { tenant: 'a', topic: 'y', partition: 2 }, limit: 9 }),
        all.slice(2),
      );
    },
  },
];
