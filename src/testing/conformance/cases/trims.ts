/** Events of topics that go: by retention, and where a later one of their key has taken their place. */
import assert from 'node:assert/strict';
import { idleBlobKeptMs, trimOffsetsMax, type Store } from '../../../store/index.js';
import { applyAll, applyOne, inBlob, move, put, start, tenant, topicEvent } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'trims';

const publish = (store: Store, count: number, partition = 0): Promise<void> =>
  applyAll(store, { tenant, publishes: Array.from({ length: count }, () => topicEvent({ partition })) });

const trim = (offsets: readonly number[], partition = 0) => ({ topic: 'orders', partition, offsets });

const offsets = async (store: Store, stream = 'orders/0', after = -1): Promise<number[]> =>
  (await store.readEvents({ tenant, stream, after, limit: 99 })).map(({ seq }) => seq);

export const trimCases: readonly StoreCase[] = [
  {
    concern,
    name: 'deletes the events that are named, and no others',
    run: async ({ store }) => {
      await applyAll(store, start());
      await publish(store, 6);
      await publish(store, 3, 1);
      await applyAll(store, { tenant: 'other', publishes: [topicEvent(), topicEvent()] });
      assert.deepEqual(await applyOne(store, { tenant, trims: [trim([0, 1, 3]), trim([2], 1)] }), {
        tag: 'applied',
        positions: [],
        offsets: [],
      });
      assert.deepEqual(await offsets(store), [2, 4, 5]);
      assert.deepEqual(await offsets(store, 'orders/1'), [0, 1]);
      assert.equal((await store.readEvents({ tenant: 'other', stream: 'orders/0', after: -1, limit: 9 })).length, 2);
      assert.deepEqual(await offsets(store, 'run_1'), [1]);
      assert.deepEqual(await store.check(9), []);
    },
  },
  {
    concern,
    name: 'reads on over what is gone, from any offset',
    run: async ({ store }) => {
      await publish(store, 9);
      await applyAll(store, { tenant, trims: [trim([0, 1, 4, 6, 7])] });
      assert.deepEqual(await offsets(store), [2, 3, 5, 8]);
      assert.deepEqual(await offsets(store, 'orders/0', 0), [2, 3, 5, 8]);
      assert.deepEqual(await offsets(store, 'orders/0', 2), [3, 5, 8]);
      assert.deepEqual(await offsets(store, 'orders/0', 4), [5, 8]);
      assert.deepEqual(await offsets(store, 'orders/0', 6), [8]);
      assert.deepEqual(await offsets(store, 'orders/0', 8), []);
      const two = await store.readEvents({ tenant, stream: 'orders/0', after: 3, limit: 1 });
      assert.deepEqual(
        two.map(({ seq }) => seq),
        [5],
      );
    },
  },
  {
    concern,
    name: 'gives no offset twice, even where nothing is left',
    run: async ({ store }) => {
      await publish(store, 2);
      await applyAll(store, { tenant, trims: [trim([0, 1])] });
      assert.deepEqual(await offsets(store), []);
      assert.deepEqual(await store.listTopics(tenant), [{ topic: 'orders', partition: 0, head: 2 }]);
      const outcome = await applyOne(store, { tenant, publishes: [topicEvent()] });
      assert.deepEqual(outcome.tag === 'applied' && outcome.offsets, [2]);
      assert.deepEqual(await offsets(store), [2]);
    },
  },
  {
    concern,
    name: 'gives no position of the feed twice, even after the newest event is gone',
    reopens: true,
    run: async ({ store, reopen }) => {
      await applyAll(store, start());
      await publish(store, 2);
      const head = await store.feedHead();
      await applyAll(store, { tenant, trims: [trim([0, 1])] });
      assert.deepEqual(
        (await store.readFeed({ after: 0, limit: 9 })).map(({ stream }) => stream),
        ['run_1'],
      );
      const again = await reopen();
      await publish(again, 1);
      const last = (await again.readFeed({ after: 0, limit: 9 })).at(-1);
      assert.ok(last !== undefined && last.position > head, `position ${last?.position} is above ${head}`);
    },
  },
  {
    concern,
    name: 'passes over what is gone already or never was',
    run: async ({ store }) => {
      await publish(store, 2);
      await applyAll(
        store,
        { tenant, trims: [trim([0])] },
        { tenant, trims: [trim([0, 7]), trim([3], 5), { topic: 'no such', partition: 0, offsets: [0] }] },
      );
      assert.deepEqual(await offsets(store), [1]);
      assert.deepEqual(await store.listTopics(tenant), [{ topic: 'orders', partition: 0, head: 2 }]);
    },
  },
  {
    concern,
    name: 'goes with its transition: a refused one deletes nothing',
    run: async ({ store }) => {
      await publish(store, 3);
      await applyAll(store, { tenant, entries: [put({ value: '0' })] });
      const outcomes = await store.apply([
        { tenant, trims: [trim([0])], entries: [put({ value: '2', expected: '1' })] },
        { tenant, trims: [trim([1])], entries: [put({ value: '1', expected: '0' })] },
      ]);
      assert.deepEqual(
        outcomes.map(({ tag }) => tag),
        ['conflict', 'applied'],
      );
      assert.deepEqual(await offsets(store), [0, 2]);
    },
  },
  {
    concern,
    name: 'gives up the hold of what goes on its blob, once',
    run: async ({ store, clock }) => {
      await store.putBlob(tenant, 'h1', new Uint8Array([1]));
      await applyAll(store, {
        tenant,
        publishes: [topicEvent({ payload: inBlob('h1') }), topicEvent(), topicEvent({ payload: inBlob('h1') })],
      });
      await applyAll(store, { tenant, trims: [trim([0, 1])] }, { tenant, trims: [trim([0])] }, start());
      clock.advance(idleBlobKeptMs + 1);
      assert.equal((await store.expire(9)).blobs, 0);
      assert.notEqual(await store.readBlob(tenant, 'h1'), null);
      await applyAll(store, { ...move({ head: 1 }), trims: [trim([2])] });
      clock.advance(idleBlobKeptMs + 1);
      assert.equal((await store.expire(9)).blobs, 1);
      assert.equal(await store.readBlob(tenant, 'h1'), null);
    },
  },
  {
    concern,
    name: 'refuses more than it deletes at a time',
    run: async ({ store }) => {
      await publish(store, 1);
      const many = Array.from({ length: trimOffsetsMax }, (_, i) => i);
      const both = [trim(many), trim([1], 1)];
      assert.equal((await applyOne(store, { tenant, trims: both })).tag, 'unstorable');
      assert.deepEqual(await offsets(store), [0]);
      assert.equal((await applyOne(store, { tenant, trims: [trim(many)] })).tag, 'applied');
      assert.deepEqual(await offsets(store), []);
    },
  },
  {
    concern,
    name: 'keeps what was trimmed away when it is opened again',
    reopens: true,
    run: async ({ store, reopen }) => {
      await publish(store, 3);
      await applyAll(store, { tenant, trims: [trim([0, 2])] });
      const again = await reopen();
      assert.deepEqual(await offsets(again), [1]);
      const outcome = await applyOne(again, { tenant, publishes: [topicEvent()] });
      assert.deepEqual(outcome.tag === 'applied' && outcome.offsets, [3]);
    },
  },
];
