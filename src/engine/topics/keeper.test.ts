import { describe, expect, it } from 'vitest';
import { indexSpace } from '../../core/run/waits.js';
import { subscriptionCursorSpace } from '../../core/topics/subscription.js';
import type { TopicRetention } from '../../core/topics/retention.js';
import type { TopicEvent } from './publication.js';
import { TopicKeeper } from './keeper.js';
import { gapBefore, readLow, readLows } from './low-water.js';
import { offsetAt } from './offset-at.js';
import { storedBytes } from './retention.js';
import { tenant, topicPlace, type TopicPlace } from '../../../test/support/topic-place.js';

const minute = 60_000;
const day = 24 * 60 * minute;
const all: TopicRetention = { ageMs: null, bytes: null, events: null, behind: 'hold' };
const at = { tenant, topic: 'noted', partition: 0 };

const keeperOf = (place: TopicPlace, subscribers: readonly string[] = []): TopicKeeper =>
  new TopicKeeper(place.context, place.catalog, async () =>
    subscribers.map((name) => ({ space: subscriptionCursorSpace, name })),
  );

const times = (count: number, event: Partial<TopicEvent> = {}): Partial<TopicEvent>[] =>
  Array.from({ length: count }, () => event);

/** What the router writes when it has come so far. */
const routed = (place: TopicPlace, next: number): Promise<unknown> =>
  place.store.apply([
    {
      tenant,
      entries: [{ op: 'put', space: 'cursor', key: 'noted/0', ref: 'router', value: String(next), run: '', at: 0 }],
    },
  ]);

const consumed = (place: TopicPlace, name: string, next: number): Promise<unknown> => {
  const value = JSON.stringify({ next });
  return place.store.apply([
    {
      tenant,
      entries: [{ op: 'put', space: subscriptionCursorSpace, key: name, ref: 'noted/0', value, run: '', at: 0 }],
    },
  ]);
};

describe('retention', () => {
  it('takes what is older than the topic keeps, and says from where on there is something left', async () => {
    const place = topicPlace({ retention: { ...all, ageMs: 10 * minute } });
    const keeper = keeperOf(place);
    await place.publish(...times(3));
    place.clock.advance(6 * minute);
    await place.publish(...times(2));
    await keeper.tick();
    expect(await place.offsets()).toEqual([0, 1, 2, 3, 4]);
    place.clock.advance(5 * minute);
    await keeper.tick();
    expect(await place.offsets()).toEqual([3, 4]);
    expect([...(await readLows(place.store, tenant))]).toEqual([['noted/0', 3]]);
    place.clock.advance(day);
    await keeper.tick();
    expect(await place.offsets()).toEqual([]);
    expect((await readLow(place.store, at)).low.low).toBe(5);
    expect(keeper.trimmed.retention).toBe(5);
    await place.publish({});
    expect(await place.offsets()).toEqual([5]);
  });

  it('takes more than one transition may, bite by bite', async () => {
    const place = topicPlace({ retention: { ...all, events: 10 } });
    for (let i = 0; i < 7; i++) await place.publish(...times(100));
    await keeperOf(place).tick();
    expect(await place.offsets()).toEqual(Array.from({ length: 10 }, (_, i) => 690 + i));
  });

  it('keeps no more bytes than it may, however they are stored', async () => {
    const place = topicPlace({ retention: { ...all, bytes: 100_000 } });
    const keeper = keeperOf(place);
    await place.publish(...times(10, { value: 'x'.repeat(20_000) }), ...times(10));
    await keeper.tick();
    const rows = await place.read();
    const bytes = rows.reduce((sum, row) => sum + storedBytes(row), 0);
    expect(bytes).toBeLessThanOrEqual(100_000);
    expect(bytes + 20_000).toBeGreaterThan(100_000);
    expect((await readLow(place.store, at)).low).toMatchObject({ bytes, measured: 20, low: rows[0]?.seq });
    await place.publish(...times(1, { value: 'x'.repeat(90_000) }));
    await keeper.tick();
    expect((await readLow(place.store, at)).low.bytes).toBeLessThanOrEqual(100_000);
    expect((await place.offsets()).at(-1)).toBe(20);
  });

  it('does not touch what the router has not brought to waits, and takes its index entries along', async () => {
    const place = topicPlace({ key: 'id', retention: { ...all, events: 1, behind: 'gap' } });
    await place.publish(...times(4, { value: { id: 'a' } }));
    await keeperOf(place).tick();
    expect(await place.offsets()).toEqual([0, 1, 2, 3]);
    await routed(place, 2);
    await keeperOf(place).tick();
    expect(await place.offsets()).toEqual([2, 3]);
    expect(await place.store.readEntries({ tenant, space: indexSpace('noted'), limit: 9 })).toEqual([]);
  });

  it.each(['hold', 'gap'] as const)('with the policy %s, treats subscriptions that are behind so', async (behind) => {
    const place = topicPlace({ retention: { ...all, events: 2, behind } });
    await place.publish(...times(9));
    await consumed(place, 'slow', 3);
    await consumed(place, 'quick', 9);
    await consumed(place, 'gone', 0);
    await keeperOf(place, ['slow', 'quick', 'not-begun']).tick();
    expect((await place.offsets())[0]).toBe(behind === 'hold' ? 3 : 7);
  });

  it('is done once where two servers both believe to have the duty', async () => {
    const place = topicPlace({ retention: { ...all, bytes: 50_000 } });
    const other = new TopicKeeper(place.beside(), place.catalog, async () => []);
    await place.publish(...times(20, { value: 'x'.repeat(10_000) }));
    place.store.holdDuty = async () => true;
    await Promise.all([keeperOf(place).tick(), other.tick()]);
    const rows = await place.read();
    const { low } = await readLow(place.store, at);
    await keeperOf(place).tick();
    expect(low.bytes).toBe(rows.reduce((sum, row) => (row.seq < low.measured ? sum + storedBytes(row) : sum), 0));
  });

  it('tells a reader what it has missed, and nothing where it has missed nothing', async () => {
    const place = topicPlace({ retention: { ...all, events: 3 } });
    await place.publish(...times(10));
    await keeperOf(place).tick();
    expect(await gapBefore(place.store, at, 2, 7)).toEqual({ from: 3, to: 6 });
    expect(await gapBefore(place.store, at, -1, 7)).toEqual({ from: 0, to: 6 });
    expect(await gapBefore(place.store, at, 6, 7)).toBeNull();
    expect(await gapBefore(place.store, at, 7, 8)).toBeNull();
    expect(await gapBefore(place.store, at, 9, null)).toBeNull();
    expect(await gapBefore(place.store, at, 4, null)).toEqual({ from: 5, to: 6 });
  });
});

describe('compaction', () => {
  const compaction = { lagMs: 0, tombstoneMs: day };
  const write = (key: string, n: number | null): Partial<TopicEvent> => ({ key, value: n === null ? null : { n } });

  it('leaves the newest event of each key, where it is', async () => {
    const place = topicPlace({ compaction });
    await place.publish(write('a', 1), write('b', 1), write('a', 2), write('c', 1), write('b', 2), write('a', 3));
    const keeper = keeperOf(place);
    await keeper.tick();
    expect(await place.offsets()).toEqual([3, 4, 5]);
    expect((await readLow(place.store, at)).low).toMatchObject({ low: 0, clean: 6 });
    // What is missing has given way to what is there: no reader has missed it.
    expect(await gapBefore(place.store, at, -1, 3)).toBeNull();
    await place.publish(write('c', 2), write('d', 1));
    await keeper.tick();
    expect(await place.offsets()).toEqual([4, 5, 6, 7]);
    expect(keeper.trimmed.compaction).toBe(4);
  });

  it('lets an event stay until it is old enough to give way', async () => {
    const place = topicPlace({ compaction: { ...compaction, lagMs: minute } });
    await place.publish(write('a', 1), write('a', 2));
    await keeperOf(place).tick();
    expect(await place.offsets()).toEqual([0, 1]);
    place.clock.advance(minute);
    await keeperOf(place).tick();
    expect(await place.offsets()).toEqual([1]);
  });

  it('keeps an event without data for its time, and then no trace of the key', async () => {
    const place = topicPlace({ compaction });
    const keeper = keeperOf(place);
    await place.publish(write('a', 1), write('b', 1), write('a', null));
    await keeper.tick();
    expect(await place.offsets()).toEqual([1, 2]);
    place.clock.advance(day - 1);
    await keeper.tick();
    expect(await place.offsets()).toEqual([1, 2]);
    place.clock.advance(day);
    await keeper.tick();
    expect(await place.offsets()).toEqual([1]);
  });

  it('is compacted as a whole, however many keys and events there are', async () => {
    const place = topicPlace({ compaction });
    for (let i = 0; i < 30; i++) await place.publish(...Array.from({ length: 100 }, (_, n) => write(`k${n}`, i)));
    const keeper = keeperOf(place);
    await keeper.tick();
    const rows = await place.read();
    expect(rows).toHaveLength(100);
    expect(rows.every(({ payload }) => payload !== null && 'text' in payload && payload.text === '{"n":29}')).toBe(
      true,
    );
  });

  it('waits for a subscription that is held for', async () => {
    const place = topicPlace({ compaction });
    await place.publish(write('a', 1), write('a', 2), write('a', 3));
    await consumed(place, 'slow', 1);
    await keeperOf(place, ['slow']).tick();
    expect(await place.offsets()).toEqual([0, 1, 2]);
    await consumed(place, 'slow', 3);
    await keeperOf(place, ['slow']).tick();
    expect(await place.offsets()).toEqual([2]);
  });
});

describe('offsetAt', () => {
  it('finds the first event of an instant, over holes and disorder', async () => {
    const place = topicPlace({});
    const instants: number[] = [];
    for (let i = 0; i < 40; i++) {
      place.clock.advance(i % 7 === 0 ? -300 : 1_000);
      instants.push(place.clock.now());
      await place.publish({});
    }
    const offsets = [0, 3, 4, 5, 17, 18, 39];
    await place.store.apply([{ tenant, trims: [{ topic: 'noted', partition: 0, offsets }] }]);
    const left = (await place.read()).map(({ seq, at }) => ({ seq, at }));
    for (const instant of [0, ...instants, ...instants.map((one) => one + 1), place.clock.now() + minute]) {
      const expected = left.find((row) => row.at >= instant)?.seq ?? 40;
      expect(await offsetAt(place.store, at, 40, instant)).toBe(expected);
    }
  });
});
