/**
 * Eras: the weeks by which events are partitioned. Nothing but arithmetic and the DDL of partitions.
 */

const eraMs = 7 * 24 * 60 * 60_000;
/** Weeks made ahead; an opening once a month suffices to never need the default partition. */
const erasAhead = 5;
const eraMax = 2 ** 31 - 1;

/** The era of an instant. Era 0 is not one of them: it holds what was moved aside. */
export function eraOf(at: number): number {
  return Math.min(eraMax, Math.max(1, Math.floor(at / eraMs)));
}

/** DDL that makes the partitions of the era of `now` and of the weeks after it. Idempotent. */
export function partitionsSql(schema: string, now: number): string {
  const first = eraOf(now);
  return Array.from({ length: erasAhead + 1 }, (_, i) => first + i)
    .map((era) => partitionSql(schema, era))
    .join('\n');
}

/** Weeks back for which a store that is moved here gets partitions of their own; what is older goes aside. */
const erasBack = 260;

/** The era for what began at `at` in another store: that of its week, within the partitions that are worth having. */
export function eraOfMoved(at: number, now: number): number {
  const era = Math.min(eraOf(at), eraOf(now) + erasAhead);
  return era < eraOf(now) - erasBack ? 0 : era;
}

/** DDL that makes the partition of one era. Idempotent. */
export function partitionSql(schema: string, era: number): string {
  return `CREATE TABLE IF NOT EXISTS ${schema}.event_${era}
        PARTITION OF ${schema}.event FOR VALUES FROM (${era}) TO (${era + 1});`;
}

/** Partitions that must be there by now: that of this era and the next. */
export function partitionsWanted(now: number): readonly string[] {
  return [eraOf(now), eraOf(now) + 1].map((era) => `event_${era}`);
}
