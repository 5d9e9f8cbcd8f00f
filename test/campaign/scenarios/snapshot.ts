/**
 * A transaction that somebody leaves open while work goes on: no dead row may be cleaned up, and the queue must not become
 * slow for it.
 */
import pg from 'pg';
import { playRound, type Round } from '../support/round.js';
import { pause } from '../support/asking.js';

/** Holds a snapshot for so long. The rate of its last part must be at least half of that of its first. */
export function heldSnapshot(ms: number): Promise<Round> {
  let broken: string | null = null;
  return playRound({ traffic: { lanes: 4, pauseMs: 10 } }, async ({ database, traffic, fired, took }) => {
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    // Writing gives it a number, which holds up even more than a snapshot does.
    await holder.query('CREATE TABLE held (n int)');
    const rates: number[] = [];
    const part = ms / 6;
    for (let i = 0; i < 6; i++) {
      const before = traffic.acknowledged.length;
      const begun = performance.now();
      await pause(part);
      rates.push((traffic.acknowledged.length - before) / ((performance.now() - begun) / 1_000));
    }
    const [row] = await database.sql(
      "SELECT coalesce(sum(n_dead_tup), 0) AS dead FROM pg_stat_user_tables WHERE schemaname = 'eventspine'",
    );
    const dead = Number(row?.['dead']);
    if (dead < 1_000) throw new Error(`only ${dead} dead rows: nothing was held up`);
    fired('snapshot held');
    fired('dead rows under a snapshot', dead);
    await holder.query('ROLLBACK');
    await holder.end();
    took('pause of a client at the end of the snapshot', 1_000 / (rates.at(-1) ?? 1));
    const [first = 0] = rates;
    if ((rates.at(-1) ?? 0) < first / 2)
      broken = `from ${first.toFixed(0)} to ${(rates.at(-1) ?? 0).toFixed(0)} runs/s`;
  }).then((round) =>
    broken === null
      ? round
      : {
          ...round,
          violations: [...round.violations, { property: 'P17', detail: `slow under a snapshot: ${broken}` }],
        },
  );
}
