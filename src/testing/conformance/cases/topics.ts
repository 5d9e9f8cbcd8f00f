/** Topic events and their offsets. */
import assert from 'node:assert/strict';
import { applyAll, applyOne, dedupe, move, start, tenant, topicEvent } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'topics';

export const topicCases: readonly StoreCase[] = [
  {
    concern,
    name: 'gives dense offsets from 0 per partition',
    run: async ({ store }) => {
      const partitions = [0, 1, 0, 2, 1, 0];
      const outcome = await applyOne(store, {
        tenant,
        publishes: partitions.map((partition) => topicEvent({ partition })),
      });
      assert.deepEqual(outcome.tag === 'applied' && outcome.offsets, [0, 0, 1, 0, 1, 2]);
      const next = await applyOne(store, { tenant, publishes: [topicEvent({ partition: 1 })] });
      assert.deepEqual(next.tag === 'applied' && next.offsets, [2]);
    },
  },
  {
    concern,
    name: 'keeps the offsets of topics and tenants apart',
    run: async ({ store }) => {
      await applyAll(
        store,
        { tenant, publishes: [topicEvent(), topicEvent({ topic: 'bills' })] },
        { tenant: 'other', publishes: [topicEvent()] },
        { tenant, publishes: [topicEvent()] },
      );
      assert.deepEqual(await store.listTopics(tenant), [
        { topic: 'bills', partition: 0, head: 1 },
        { topic: 'orders', partition: 0, head: 2 },
      ]);
      assert.deepEqual(await store.listTopics('other'), [{ topic: 'orders', partition: 0, head: 1 }]);
    },
  },
  {
    concern,
    name: 'uses up no offset for a refused publication',
    run: async ({ store }) => {
      await applyAll(store, start());
      const outcomes = await store.apply([
        { tenant, publishes: [topicEvent()] },
        { ...move({ head: 7 }), publishes: [topicEvent()] },
        { ...start({ run: 'run_2' }), publishes: [topicEvent()], deadLetters: [] },
      ]);
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.tag === 'applied' ? outcome.offsets : outcome.tag)),
        [[0], 'conflict', [1]],
      );
    },
  },
  {
    concern,
    name: 'reads a partition from an offset, the first one after -1',
    run: async ({ store }) => {
      await applyAll(store, { tenant, publishes: [1, 2, 3].map((i) => topicEvent({ type: `t${i}` })) });
      const read = async (after: number): Promise<string[]> =>
        (await store.readEvents({ tenant, stream: 'orders/0', after, limit: 9 })).map(
          ({ seq, type }) => `${seq}${type}`,
        );
      assert.deepEqual(await read(-1), ['0t1', '1t2', '2t3']);
      assert.deepEqual(await read(0), ['1t2', '2t3']);
      assert.deepEqual(await read(2), []);
    },
  },
  {
    concern,
    name: "tells a topic with a slash in its name from another's partition",
    run: async ({ store }) => {
      await applyAll(store, {
        tenant,
        publishes: [topicEvent({ topic: 'a/0', partition: 1 }), topicEvent({ topic: 'a' })],
      });
      assert.deepEqual(
        (await store.readFeed({ after: 0, limit: 9 })).map(({ stream, seq }) => [stream, seq]),
        [
          ['a/0/1', 0],
          ['a/0', 0],
        ],
      );
    },
  },
  {
    concern,
    name: 'refuses a run whose id looks like a partition',
    run: async ({ store }) => assert.equal((await applyOne(store, start({ run: 'orders/0' }))).tag, 'unstorable'),
  },
  {
    concern,
    name: 'refuses a negative partition',
    run: async ({ store }) =>
      assert.equal((await applyOne(store, { tenant, publishes: [topicEvent({ partition: -1 })] })).tag, 'unstorable'),
  },
  {
    concern,
    name: 'publishes an event and starts its triggers in one transition',
    run: async ({ store }) => {
      const key = dedupe({ scope: 'topic:orders', reference: 'evt_1' });
      const publication = { ...start(), dedupe: [key], publishes: [topicEvent()] };
      assert.deepEqual(await applyOne(store, publication), { tag: 'applied', positions: [1, 2], offsets: [0] });
      assert.deepEqual(
        await applyOne(store, { ...start({ run: 'run_2' }), dedupe: [key], publishes: [topicEvent()] }),
        {
          tag: 'duplicate',
          found: { tenant, ...key },
        },
      );
      assert.equal(await store.readRun(tenant, 'run_2'), null);
      assert.deepEqual(await store.listTopics(tenant), [{ topic: 'orders', partition: 0, head: 1 }]);
    },
  },
  {
    concern,
    name: 'lists no topics where there are none',
    run: async ({ store }) => assert.deepEqual(await store.listTopics(tenant), []),
  },
];
