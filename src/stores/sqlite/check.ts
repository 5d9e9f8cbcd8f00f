/** The invariants of `check` as SQL, all over one snapshot, so that a store under load is not accused of its own haste. */
import { nameOf, runStatuses, taskStates, type Violation } from '../../store/index.js';
import { prepare, type SqliteDatabase } from './driver.js';

interface Check {
  readonly property: string;
  /** Yields tenant, subject and the values that `detail` puts into words. */
  readonly sql: string;
  readonly detail: (values: readonly unknown[]) => string;
}

const checks: readonly Check[] = [
  {
    property: 'P3',
    sql: `SELECT r.tenant, r.run FROM run r WHERE r.status = 0 AND NOT EXISTS
      (SELECT 1 FROM task t WHERE t.tenant = r.tenant AND t.run = r.run AND t.kind = 0)`,
    detail: () => 'an active run has no activation task',
  },
  {
    property: 'P3',
    sql: `SELECT r.tenant, r.run FROM run r WHERE r.status = 1
      AND NOT EXISTS (SELECT 1 FROM task t WHERE t.tenant = r.tenant AND t.run = r.run AND t.kind = 1)
      AND NOT EXISTS (SELECT 1 FROM timer m WHERE m.tenant = r.tenant AND m.run = r.run)
      AND NOT EXISTS (SELECT 1 FROM entry n WHERE n.tenant = r.tenant AND n.run = r.run AND n.run <> '')`,
    detail: () => 'a waiting run has no timer, no open call and no entry',
  },
  {
    property: 'P3',
    sql: `SELECT t.tenant, t.run, t.task FROM task t LEFT JOIN run r ON r.tenant = t.tenant AND r.run = t.run
      WHERE r.run IS NULL OR r.status >= 2`,
    detail: ([task]) => `task ${String(task)} belongs to no unfinished run`,
  },
  {
    property: 'P3',
    sql: `SELECT t.tenant, t.run, t.task, t.input_seq FROM task t JOIN run r ON r.tenant = t.tenant AND r.run = t.run
      WHERE r.status < 2 AND NOT EXISTS
      (SELECT 1 FROM event e WHERE e.tenant = t.tenant AND e.stream = t.run AND e.seq = t.input_seq)`,
    detail: ([task, seq]) => `task ${String(task)} has no input event ${String(seq)}`,
  },
  {
    // What is to be done between two runs (`isErrand`) is looked after whatever has become of them.
    property: 'P3',
    sql: `SELECT m.tenant, m.run, m.name FROM timer m LEFT JOIN run r ON r.tenant = m.tenant AND r.run = m.run
      WHERE (r.run IS NULL OR r.status >= 2) AND m.name NOT LIKE ':child:%' AND m.name NOT LIKE ':parent:%'
          AND m.name NOT LIKE ':send:%'`,
    detail: ([name]) => `timer ${String(name)} belongs to no unfinished run`,
  },
  {
    // A lease may outlive its session until the reaper takes it, so an absent session is no fault.
    property: 'P7',
    sql: `SELECT tenant, run, task FROM task
      WHERE state = 3 AND (session IS NULL OR assignment IS NULL OR leased_at IS NULL OR token < 1)`,
    detail: ([task]) => `leased task ${String(task)} has no holder`,
  },
  {
    property: 'P7',
    sql: 'SELECT tenant, run FROM task WHERE kind = 0 GROUP BY tenant, run HAVING count(*) > 1',
    detail: () => 'a run has several activation tasks',
  },
  {
    property: 'P11',
    sql: `SELECT r.tenant, r.run, count(e.seq), max(e.seq), r.head FROM run r
      LEFT JOIN event e ON e.tenant = r.tenant AND e.stream = r.run
      GROUP BY r.tenant, r.run HAVING count(e.seq) <> r.head OR max(e.seq) <> r.head`,
    detail: ([count, , head]) => `${String(count)} events, head ${String(head)}`,
  },
  tallyCheck('P32', 0, 'SELECT tenant, workflow AS name, status AS state, count(*) AS truth FROM run GROUP BY 1, 2, 3'),
  tallyCheck('P16', 1, 'SELECT tenant, queue AS name, state, count(*) AS truth FROM task GROUP BY 1, 2, 3'),
];

function tallyCheck(property: string, kind: 0 | 1, counted: string): Check {
  return {
    property,
    sql: `WITH counted AS (${counted}), kept AS (SELECT tenant, name, state, count FROM tally WHERE kind = ${kind})
      SELECT coalesce(c.tenant, k.tenant), coalesce(c.name, k.name), coalesce(c.state, k.state),
        coalesce(k.count, 0), coalesce(c.truth, 0)
      FROM counted c FULL JOIN kept k ON k.tenant = c.tenant AND k.name = c.name AND k.state = c.state
      WHERE coalesce(k.count, 0) <> coalesce(c.truth, 0)`,
    detail: ([state, kept, truth]) =>
      `the tally says ${String(kept)} ${kind === 0 ? nameOf(runStatuses, Number(state)) : nameOf(taskStates, Number(state))}, there are ${String(truth)}`,
  };
}

/** At most `limit` violations; empty = all hold. */
export function checkFile(database: SqliteDatabase, limit: number): Violation[] {
  const found: Violation[] = [];
  database.exec('BEGIN');
  try {
    for (const { property, sql, detail } of checks) {
      const rows = prepare(database, `${sql} LIMIT ?`).all(limit - found.length) as [string, string, ...unknown[]][];
      for (const [tenant, subject, ...values] of rows)
        found.push({ property, tenant, subject, detail: detail(values) });
    }
  } finally {
    database.exec('COMMIT');
  }
  return found;
}
