/** Dedupe keys. */
import assert from 'node:assert/strict';
import { applyAll, applyOne, dedupe, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'dedupe';

export const dedupeCases: readonly StoreCase[] = [
  {
    concern,
    name: 'reads a key back as it was taken',
    run: async ({ store }) => {
      await applyAll(store, start({ dedupe: [dedupe()] }));
      assert.deepEqual(await store.readDedupe(tenant, 'start:answer', 'k1'), { tenant, ...dedupe() });
    },
  },
  {
    concern,
    name: 'refuses a taken key with what it stands for',
    run: async ({ store }) => {
      await applyAll(store, start({ dedupe: [dedupe()] }));
      const again = start({ run: 'run_2', dedupe: [dedupe({ hash: 'h2', reference: 'run_2' })] });
      assert.deepEqual(await applyOne(store, again), { tag: 'duplicate', found: { tenant, ...dedupe() } });
      assert.equal(await store.readRun(tenant, 'run_2'), null);
    },
  },
  {
    concern,
    name: 'gives all who would set a value at the same time the one that was set',
    run: async ({ store }) => {
      // A key with nothing beside it, in a tenant longer than that of any request: how secrets are kept.
      const owner = 'x'.repeat(65);
      const values = ['a', 'b', 'c', 'd'];
      const set = (reference: string): ReturnType<typeof applyOne> =>
        applyOne(store, {
          tenant: owner,
          dedupe: [dedupe({ scope: 'secret', key: 'name', hash: '', reference, expiresAt: 253_370_764_800_000 })],
        });
      const outcomes = await Promise.all(values.map(set));
      const stored = (await store.readDedupe(owner, 'secret', 'name'))?.reference;
      assert.equal(outcomes.filter(({ tag }) => tag === 'applied').length, 1);
      assert.ok(stored !== undefined && values[outcomes.findIndex(({ tag }) => tag === 'applied')] === stored);
      assert.deepEqual(
        outcomes.flatMap((outcome) => (outcome.tag === 'duplicate' ? [outcome.found.reference] : [])),
        [stored, stored, stored],
      );
      await store.expire(100);
      assert.equal((await store.readDedupe(owner, 'secret', 'name'))?.reference, stored);
      assert.deepEqual(await store.check(10), []);
    },
  },
  {
    concern,
    name: 'refuses a key that was taken earlier in the same batch',
    run: async ({ store }) => {
      const runs = ['run_1', 'run_2', 'run_3'];
      const outcomes = await store.apply(runs.map((run) => start({ run, dedupe: [dedupe({ reference: run })] })));
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.tag === 'duplicate' ? outcome.found.reference : outcome.tag)),
        ['applied', 'run_1', 'run_1'],
      );
    },
  },
  {
    concern,
    name: 'leaves a key free when its transition was refused',
    run: async ({ store }) => {
      await applyAll(store, start());
      const outcomes = await store.apply([
        start({ dedupe: [dedupe()] }),
        start({ run: 'run_2', dedupe: [dedupe({ reference: 'run_2' })] }),
      ]);
      assert.deepEqual(
        outcomes.map(({ tag }) => tag),
        ['conflict', 'applied'],
      );
    },
  },
  {
    concern,
    name: 'takes no key when another of the same transition is taken',
    run: async ({ store }) => {
      await applyAll(store, start({ dedupe: [dedupe({ key: 'b' })] }));
      const both = start({ run: 'run_2', dedupe: [dedupe({ key: 'a' }), dedupe({ key: 'b' })] });
      assert.equal((await applyOne(store, both)).tag, 'duplicate');
      assert.equal(await store.readDedupe(tenant, 'start:answer', 'a'), null);
    },
  },
  {
    concern,
    name: 'keeps scopes and tenants apart',
    run: async ({ store }) => {
      await applyAll(
        store,
        start({ dedupe: [dedupe()] }),
        start({ run: 'run_2', dedupe: [dedupe({ scope: 'start:other' })] }),
        start({ tenant: 'other', dedupe: [dedupe()] }),
      );
    },
  },
  {
    concern,
    name: 'tells keys apart that would run together',
    run: async ({ store }) => {
      await applyAll(
        store,
        start({ dedupe: [dedupe({ scope: 'a', key: 'bc' }), dedupe({ scope: 'ab', key: 'c' })] }),
        start({ run: 'run_2', dedupe: [dedupe({ scope: '', key: 'abc' }), dedupe({ scope: 'abc', key: '' })] }),
      );
    },
  },
  {
    concern,
    name: 'gives an expired key to the next who wants it',
    run: async ({ store, clock }) => {
      await applyAll(store, start({ dedupe: [dedupe({ expiresAt: clock.now() + 100 })] }));
      clock.advance(99);
      assert.equal((await applyOne(store, start({ run: 'run_2', dedupe: [dedupe()] }))).tag, 'duplicate');
      clock.advance(1);
      assert.equal(await store.readDedupe(tenant, 'start:answer', 'k1'), null);
      const taken = dedupe({ reference: 'run_2', hash: 'h2', expiresAt: clock.now() + 100 });
      await applyAll(store, start({ run: 'run_2', dedupe: [taken] }));
      assert.deepEqual(await store.readDedupe(tenant, 'start:answer', 'k1'), { tenant, ...taken });
    },
  },
  {
    concern,
    name: 'takes a key that expires as it is taken',
    run: async ({ store, clock }) => {
      await applyAll(
        store,
        start({ dedupe: [dedupe({ expiresAt: clock.now() })] }),
        start({ run: 'run_2', dedupe: [dedupe({ reference: 'run_2' })] }),
      );
    },
  },
  {
    concern,
    name: 'is case-sensitive and does not trim',
    run: async ({ store }) => {
      const keys = ['k', 'K', ' k', 'k ', 'é', 'e\u0301'];
      await applyAll(store, ...keys.map((key, i) => start({ run: `run_${i}`, dedupe: [dedupe({ key })] })));
    },
  },
  {
    concern,
    name: 'reads an absent key as null',
    run: async ({ store }) => assert.equal(await store.readDedupe(tenant, 's', 'k'), null),
  },
  {
    concern,
    name: 'reads many keys at once, in their order, those that are absent, past their time or of others as null',
    run: async ({ store, clock }) => {
      const scope = 'start:answer';
      await applyAll(
        store,
        start({ dedupe: [dedupe({ key: 'a', reference: 'run_1' })] }),
        start({ run: 'run_2', dedupe: [dedupe({ key: 'b', reference: 'run_2' })] }),
        start({ run: 'run_3', dedupe: [dedupe({ key: 'past', expiresAt: clock.now() })] }),
        start({ run: 'run_4', dedupe: [dedupe({ scope: 'topic:other', key: 'c' })] }),
      );
      const keys = ['b', 'none', 'a', 'past', 'c', 'b', 'a\0'].map((key) => ({ scope, key }));
      const found = await store.readDedupes(tenant, keys);
      assert.deepEqual(
        found.map((row) => row?.reference ?? null),
        ['run_2', null, 'run_1', null, null, 'run_2', null],
      );
      assert.deepEqual(found[2], await store.readDedupe(tenant, scope, 'a'));
      assert.deepEqual(await store.readDedupes(`${tenant}-other`, keys.slice(0, 1)), [null]);
      assert.deepEqual(await store.readDedupes(tenant, []), []);
    },
  },
];
