/** Histories, the feed and payloads. */
import assert from 'node:assert/strict';
import type { EventWrite } from '../../../store/index.js';
import { applyAll, event, inBlob, inline, move, runRow, start, tenant, topicEvent } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'events and feed';

const payloads: readonly { readonly name: string; readonly payload: EventWrite['payload'] }[] = [
  { name: 'no payload', payload: null },
  { name: 'an empty text', payload: inline('') },
  { name: 'an empty salt', payload: { salt: new Uint8Array(0), text: 'x' } },
  { name: 'an empty text and an empty salt', payload: { salt: new Uint8Array(0), text: '' } },
  { name: 'the text null', payload: inline('null') },
  { name: 'a salt of every byte', payload: { salt: Uint8Array.from({ length: 256 }, (_, i) => i), text: 'x' } },
  { name: 'a text at the inline bound', payload: inline('x'.repeat(16 * 1024)) },
  { name: 'a text of 8 MiB', payload: inline('é'.repeat(4 * 1024 * 1024)) },
  { name: 'a text with NUL', payload: inline('a\0b\0') },
  { name: 'a blob', payload: inBlob('b1') },
];

export const eventCases: readonly StoreCase[] = [
  {
    concern,
    name: 'reads back an event exactly as written',
    run: async ({ store }) => {
      const written = { ...event('run_1', 1), type: 'run.started', at: 42, envelope: '{"a": 1 ,"ü":"\\u0000"}' };
      await applyAll(store, { tenant, runs: [{ expected: 0, row: runRow() }], events: [written] });
      assert.deepEqual(await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 9 }), [
        {
          position: 1,
          tenant,
          stream: 'run_1',
          seq: 1,
          type: 'run.started',
          at: 42,
          envelope: written.envelope,
          payload: null,
        },
      ]);
    },
  },
  ...payloads.map(
    ({ name, payload }): StoreCase => ({
      concern,
      name: `round-trips ${name} as payload`,
      run: async ({ store }) => {
        await store.putBlob(tenant, 'b1', new Uint8Array([1]));
        await applyAll(store, start({ payload }));
        const [read] = await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 1 });
        assert.deepEqual(read?.payload, payload);
        const [[again]] = (await store.readHistories([{ tenant, run: 'run_1' }])) as [[typeof read]];
        assert.deepEqual(again?.payload, payload);
        const [fed] = await store.readFeed({ after: 0, limit: 1 });
        assert.deepEqual(fed?.payload, payload);
      },
    }),
  ),
  {
    concern,
    name: 'does not share the bytes of a salt with the caller',
    run: async ({ store }) => {
      const salt = new Uint8Array([1, 2, 3]);
      await applyAll(store, start({ payload: { salt, text: 'x' } }));
      salt.fill(0);
      const [read] = await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 1 });
      assert.deepEqual(read?.payload, { salt: new Uint8Array([1, 2, 3]), text: 'x' });
    },
  },
  {
    concern,
    name: 'reads a history in order, after a seq, up to a limit',
    run: async ({ store }) => {
      await applyAll(store, start(), ...[1, 2, 3, 4, 5].map((head) => move({ head })));
      const seqs = async (after: number, limit: number): Promise<number[]> =>
        (await store.readEvents({ tenant, stream: 'run_1', after, limit })).map(({ seq }) => seq);
      assert.deepEqual(await seqs(0, 10), [1, 2, 3, 4, 5, 6]);
      assert.deepEqual(await seqs(2, 2), [3, 4]);
      assert.deepEqual(await seqs(6, 10), []);
      assert.deepEqual(await seqs(99, 10), []);
      assert.deepEqual(await seqs(0, 0), []);
    },
  },
  {
    concern,
    name: 'reads no events of a stream that does not exist',
    run: async ({ store }) => assert.deepEqual(await store.readEvents({ tenant, stream: 'x', after: 0, limit: 9 }), []),
  },
  {
    concern,
    name: 'reads whole histories in the order asked for, absent ones as empty',
    run: async ({ store }) => {
      await applyAll(store, start(), start({ run: 'run_2' }), move({ head: 1 }));
      const histories = await store.readHistories([
        { tenant, run: 'run_2' },
        { tenant, run: 'run_none' },
        { tenant, run: 'run_1' },
        { tenant, run: 'run_2' },
      ]);
      assert.deepEqual(
        histories.map((events) => events.map(({ stream, seq }) => `${stream}:${seq}`)),
        [['run_2:1'], [], ['run_1:1', 'run_1:2'], ['run_2:1']],
      );
    },
  },
  {
    concern,
    name: 'reads no histories when none are asked for',
    run: async ({ store }) => assert.deepEqual(await store.readHistories([]), []),
  },
  {
    concern,
    name: 'reads a long history whole',
    run: async ({ store }) => {
      const events = Array.from({ length: 3_000 }, (_, i) => event('run_1', i + 1, { payload: inline(`"${i}"`) }));
      await applyAll(store, { tenant, runs: [{ expected: 0, row: runRow({ head: 3_000 }) }], events });
      const [history = []] = await store.readHistories([{ tenant, run: 'run_1' }]);
      assert.equal(history.length, 3_000);
      assert.ok(history.every(({ seq, payload }, i) => seq === i + 1 && JSON.stringify(payload).includes(`${i}`)));
    },
  },
  {
    concern,
    name: 'puts every event of every stream into one feed without gap',
    run: async ({ store }) => {
      await applyAll(
        store,
        start(),
        { ...move({ head: 1 }), publishes: [topicEvent(), topicEvent({ partition: 1 })] },
        start({ tenant: 'other' }),
      );
      const feed = await store.readFeed({ after: 0, limit: 99 });
      assert.deepEqual(
        feed.map(({ position, tenant: of, stream, seq }) => [position, of, stream, seq]),
        [
          [1, tenant, 'run_1', 1],
          [2, tenant, 'run_1', 2],
          [3, tenant, 'orders/0', 0],
          [4, tenant, 'orders/1', 0],
          [5, 'other', 'run_1', 1],
        ],
      );
      assert.equal(await store.feedHead(), 5);
    },
  },
  {
    concern,
    name: 'answers with the positions of run events first, then of topic events',
    run: async ({ store }) => {
      const [outcome] = await store.apply([{ ...start(), publishes: [topicEvent(), topicEvent()] }]);
      assert.deepEqual(outcome, { tag: 'applied', positions: [1, 2, 3], offsets: [0, 1] });
    },
  },
  {
    concern,
    name: 'reads the feed after a position, up to a limit',
    run: async ({ store }) => {
      await applyAll(store, start(), ...[1, 2, 3, 4].map((head) => move({ head })));
      const positions = async (after: number, limit: number): Promise<number[]> =>
        (await store.readFeed({ after, limit })).map(({ position }) => position);
      assert.deepEqual(await positions(0, 2), [1, 2]);
      assert.deepEqual(await positions(2, 99), [3, 4, 5]);
      assert.deepEqual(await positions(5, 99), []);
      assert.deepEqual(await positions(99, 99), []);
    },
  },
  {
    concern,
    name: 'has an empty feed with head 0 at the start',
    run: async ({ store }) => {
      assert.equal(await store.feedHead(), 0);
      assert.deepEqual(await store.readFeed({ after: 0, limit: 9 }), []);
    },
  },
  {
    concern,
    name: 'shows a tailing reader every event once and in order',
    run: async ({ store }) => {
      const seen: number[] = [];
      for (let round = 0; round < 10; round++) {
        const writes = Array.from({ length: 7 }, (_, i) => store.apply([start({ run: `run_${round}_${i}` })]));
        for (const row of await store.readFeed({ after: seen.at(-1) ?? 0, limit: 5 })) seen.push(row.position);
        await Promise.all(writes);
      }
      for (const row of await store.readFeed({ after: seen.at(-1) ?? 0, limit: 99 })) seen.push(row.position);
      assert.deepEqual(
        seen,
        Array.from({ length: 70 }, (_, i) => i + 1),
      );
    },
  },
  {
    concern,
    name: 'shows a write to every read that follows it',
    run: async ({ store }) => {
      for (let i = 1; i <= 20; i++) {
        await applyAll(store, start({ run: `run_${i}` }));
        assert.notEqual(await store.readRun(tenant, `run_${i}`), null);
        assert.equal((await store.readFeed({ after: i - 1, limit: 9 })).length, 1);
        assert.equal((await store.listRuns({ tenant, limit: 99 })).items.length, i);
        assert.equal((await store.readHistories([{ tenant, run: `run_${i}` }]))[0]?.length, 1);
        assert.equal((await store.queueStats())[0]?.ready, i);
      }
    },
  },
];
