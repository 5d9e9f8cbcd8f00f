/** The invariants of `check` as SQL, all over one snapshot, so that a store under load is not accused of its own haste. */
import { nameOf, runStatuses, taskStates, type Violation } from '../../store/index.js';
import type { Database } from './database.js';
import type { Row, Statement } from './pipeline.js';
import { text } from './rows.js';

interface Check {
  readonly property: string;
  /** Yields tenant, subject and the values that `detail` puts into words. */
  readonly sql: string;
  readonly detail: (values: readonly (string | null)[]) => string;
}

function checks(s: string): readonly Check[] {
  return [
    {
      property: 'P3',
      sql: `SELECT r.tenant, r.run FROM ${s}.run r WHERE r.status = 0 AND NOT EXISTS
        (SELECT 1 FROM ${s}.task t WHERE t.tenant = r.tenant AND t.run = r.run AND t.kind = 0)`,
      detail: () => 'an active run has no activation task',
    },
    {
      property: 'P3',
      sql: `SELECT r.tenant, r.run FROM ${s}.run r WHERE r.status = 1
        AND NOT EXISTS (SELECT 1 FROM ${s}.task t WHERE t.tenant = r.tenant AND t.run = r.run AND t.kind = 1)
        AND NOT EXISTS (SELECT 1 FROM ${s}.timer m WHERE m.tenant = r.tenant AND m.run = r.run)
        AND NOT EXISTS (SELECT 1 FROM ${s}.entry n WHERE n.tenant = r.tenant AND n.run = r.run AND n.run <> '')`,
      detail: () => 'a waiting run has no timer, no open call and no entry',
    },
    {
      property: 'P3',
      sql: `SELECT t.tenant, t.run, t.task FROM ${s}.task t LEFT JOIN ${s}.run r ON r.tenant = t.tenant AND r.run = t.run
        WHERE r.run IS NULL OR r.status >= 2`,
      detail: ([task]) => `task ${String(task)} belongs to no unfinished run`,
    },
    {
      property: 'P3',
      sql: `SELECT t.tenant, t.run, t.task, t.input_seq FROM ${s}.task t
        JOIN ${s}.run r ON r.tenant = t.tenant AND r.run = t.run WHERE r.status < 2 AND NOT EXISTS
        (SELECT 1 FROM ${s}.event e
         WHERE e.tenant = t.tenant AND e.stream = t.run AND e.seq = t.input_seq AND e.era = r.era)`,
      detail: ([task, seq]) => `task ${String(task)} has no input event ${String(seq)}`,
    },
    {
      // What is to be done between two runs (`isErrand`) is looked after whatever has become of them.
      property: 'P3',
      sql: `SELECT m.tenant, m.run, m.name FROM ${s}.timer m LEFT JOIN ${s}.run r ON r.tenant = m.tenant AND r.run = m.run
        WHERE (r.run IS NULL OR r.status >= 2) AND m.name NOT LIKE ':child:%' AND m.name NOT LIKE ':parent:%'
          AND m.name NOT LIKE ':send:%'`,
      detail: ([name]) => `timer ${String(name)} belongs to no unfinished run`,
    },
    {
      property: 'P3',
      sql: `SELECT tenant, coalesce(reference, id::text), id, refused FROM ${s}.outbox WHERE refused IS NOT NULL`,
      detail: ([id, reason]) =>
        `entry ${String(id)} of the outbox was committed by its caller and cannot be carried out: ${String(reason)}`,
    },
    {
      // A lease may outlive its session until the reaper takes it, so an absent session is no fault.
      property: 'P7',
      sql: `SELECT tenant, run, task FROM ${s}.task
        WHERE state = 3 AND (session IS NULL OR assignment IS NULL OR leased_at IS NULL OR token < 1)`,
      detail: ([task]) => `leased task ${String(task)} has no holder`,
    },
    {
      property: 'P7',
      sql: `SELECT tenant, run FROM ${s}.task WHERE kind = 0 GROUP BY tenant, run HAVING count(*) > 1`,
      detail: () => 'a run has several activation tasks',
    },
    {
      property: 'P11',
      sql: `SELECT r.tenant, r.run, count(e.seq), max(e.seq), r.head FROM ${s}.run r
        LEFT JOIN ${s}.event e ON e.tenant = r.tenant AND e.stream = r.run AND e.era = r.era
        GROUP BY r.tenant, r.run HAVING count(e.seq) <> r.head OR max(e.seq) <> r.head`,
      detail: ([count, , head]) => `${String(count)} events, head ${String(head)}`,
    },
    tallyCheck(
      s,
      'P32',
      0,
      `SELECT tenant, workflow AS name, status AS state, count(*) AS truth FROM ${s}.run GROUP BY 1, 2, 3`,
    ),
    tallyCheck(s, 'P16', 1, `SELECT tenant, queue AS name, state, count(*) AS truth FROM ${s}.task GROUP BY 1, 2, 3`),
  ];
}

function tallyCheck(s: string, property: string, kind: 0 | 1, counted: string): Check {
  return {
    property,
    sql: `WITH counted AS (${counted}),
        kept AS (SELECT tenant, name, state, sum(count) AS count FROM ${s}.tally WHERE kind = ${kind} GROUP BY 1, 2, 3)
      SELECT coalesce(c.tenant, k.tenant), coalesce(c.name, k.name), coalesce(c.state, k.state),
        coalesce(k.count, 0), coalesce(c.truth, 0)
      FROM counted c FULL JOIN kept k ON k.tenant = c.tenant AND k.name = c.name AND k.state = c.state
      WHERE coalesce(k.count, 0) <> coalesce(c.truth, 0)`,
    detail: ([state, kept, truth]) => {
      const name = kind === 0 ? nameOf(runStatuses, Number(state)) : nameOf(taskStates, Number(state));
      return `the tally says ${String(kept)} ${name}, there are ${String(truth)}`;
    },
  };
}

/** At most `limit` violations; empty = all hold. */
export async function checkDatabase(database: Database, schema: string, limit: number): Promise<Violation[]> {
  const { statements, violationsOf } = checksOf(schema, limit);
  return violationsOf(await database.readAtOnce(statements));
}

/** The checks as statements, for a transaction that is under way, and what their results say. */
export function checksOf(
  schema: string,
  limit: number,
): {
  readonly statements: readonly Statement[];
  readonly violationsOf: (results: readonly (readonly Row[])[]) => Violation[];
} {
  const all = checks(schema);
  const violationsOf = (results: readonly (readonly Row[])[]): Violation[] => {
    const found = all.flatMap(({ property, detail }, i) =>
      (results[i] ?? []).map(
        ([tenant, subject, ...values]): Violation => ({
          property,
          tenant: text(tenant),
          subject: text(subject),
          detail: detail(values),
        }),
      ),
    );
    return found.slice(0, limit);
  };
  return { statements: all.map(({ sql }) => ({ text: `${sql} LIMIT $1::bigint`, values: [limit] })), violationsOf };
}
