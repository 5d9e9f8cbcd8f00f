/** What must hold after a store was put back from a backup that was taken under load. The same for every store. */
import { expect } from 'vitest';
import type { Drill, Started } from './drill.js';
import { until } from './until.js';

/** When the backup was begun and when it was finished, epoch ms. */
export interface Taken {
  readonly fromAt: number;
  readonly untilAt: number;
}

/**
 * The server serves the restored store, its workers are there. What was acknowledged before the backup is there and comes
 * to its end; what was acknowledged after it is gone and says so; asking again under the same keys makes no duplicates.
 * Returns how many starts were lost.
 */
export async function expectRestored(drill: Drill, taken: Taken): Promise<number> {
  const before = drill.started.filter(({ at }) => at < taken.fromAt);
  const after = drill.started.filter(({ at }) => at > taken.untilAt + 1_000);
  expect(before.length).toBeGreaterThan(20);
  expect(after.length).toBeGreaterThan(0);
  for (const { id } of before) expect((await drill.run(id))?.id).toBe(id);
  for (const { id } of after) expect(await drill.run(id)).toBeNull();

  const again: Started[] = [];
  for (const { n } of drill.started) again.push(await drill.start('chain', n));
  const kept = drill.started.filter(({ id }, i) => again[i]?.id === id);
  expect(before.filter((one) => !kept.includes(one))).toEqual([]);
  expect(new Set(again.map(({ id }) => id)).size).toBe(again.length);
  for (const { id } of again) expect((await drill.ended(id)).state).toBe('succeeded');
  await until('every run was listed once', async () => {
    const { items } = (await drill.get('/v1/runs?workflow=chain&limit=500')) as { items: readonly { id: string }[] };
    return items.length === again.length ? true : null;
  });
  // Nothing that the restored store has recorded was run again.
  const since = drill.executions().filter(({ at }) => at > taken.untilAt);
  expect(since.length).toBeGreaterThan(0);
  expect(await drill.faults()).toEqual([]);
  return drill.started.length - kept.length;
}
