/**
 * The statements of the write path. Set-based: a batch of any size is one execution of each that it needs. Every
 * statement that waits for row locks takes them in the order of the key, and the writer issues them in one global order:
 * outbox, run, task, schedule, timer, entry, dedupe, dead letter, blob, tally, topic counters. Claims and promotions skip
 * what is locked, so they wait for nobody.
 */
import { eventColumns, runColumns, scheduleColumns, sessionColumns, taskColumns } from './rows.js';

export type Sql = ReturnType<typeof writeSql>;

/** The statements for the schema of the given (quoted) name. */
export function writeSql(s: string) {
  const eventFields = 'tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload, era, commit, n';
  return {
    // Looking, under locks where something will be changed

    lockOutbox: `SELECT o.id FROM unnest($1::bigint[]) AS k (id) JOIN ${s}.outbox o ON o.id = k.id
      WHERE o.refused IS NULL ORDER BY o.id FOR UPDATE OF o`,
    lockRuns: lookUp(s, 'run', ['tenant', 'run'], 'tenant, run, head, status, workflow, era'),
    lockSchedules: lookUp(s, 'schedule', ['tenant', 'name'], scheduleColumns),
    lockTasks: lookUp(s, 'task', ['tenant', 'run', 'task'], taskColumns),
    lockDedupe: lookUp(s, 'dedupe', ['tenant', 'scope', 'key'], 'tenant, scope, key, hash, reference, expires_at'),
    lockLetters: lookUp(s, 'dead_letter', ['tenant', 'id'], 'tenant, id'),
    lockBlobs: lookUp(s, 'blob', ['tenant', 'hash'], 'tenant, hash'),
    lockEntries: lookUp(s, 'entry', ['tenant', 'space', 'key', 'ref'], 'tenant, space, key, ref, value'),

    // The same where it is believed to be known: locks the rows, and fails unless every one is as it is believed to be.
    // What is compared stands outside: as a condition it could lead the planner to another index than that of the key.

    trustRuns: `SELECT 1 / (count(*) FILTER (WHERE r.head = k.head AND r.era = k.era) = $5::bigint)::integer FROM (
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::integer[]) AS k (tenant, run, head, era)
        ORDER BY tenant COLLATE "C", run COLLATE "C") k
      CROSS JOIN LATERAL (
        SELECT r.head, r.era FROM ${s}.run r WHERE r.tenant = k.tenant AND r.run = k.run FOR UPDATE) r`,
    trustLeases: `SELECT 1 / (count(*) FILTER (WHERE t.state = 3 AND t.token = k.token) = $5::bigint)::integer FROM (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS k (tenant, run, task, token)
        ORDER BY tenant COLLATE "C", run COLLATE "C", task COLLATE "C") k
      CROSS JOIN LATERAL (
        SELECT t.state, t.token FROM ${s}.task t
        WHERE t.tenant = k.tenant AND t.run = k.run AND t.task = k.task FOR UPDATE) t`,

    // Writing what a batch has come to

    addRuns: `INSERT INTO ${s}.run (${runColumns}, era)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[],
        $16::integer[])`,
    /** Rows that are there: the conflict takes each to its row by the key, and no estimate can take it elsewhere. */
    moveRuns: `INSERT INTO ${s}.run (${runColumns}, era)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[],
        $16::integer[])
      ON CONFLICT (tenant, run) DO UPDATE SET ${fromExcluded(runColumns, ['tenant', 'run'])}`,
    addEvents: `INSERT INTO ${s}.event (${eventFields})
      SELECT e.tenant, e.stream, e.seq, e.type, e.at, e.payload_kind, e.envelope, e.salt, e.blob, e.payload, e.era,
        $13::bigint, e.n
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::smallint[], $7::bytea[],
        $8::bytea[], $9::text[], $10::bytea[], $11::integer[], $12::integer[])
        AS e (tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload, era, n)`,
    dropTasks: `DELETE FROM ${s}.task WHERE ctid = ANY (ARRAY(
        SELECT t.place FROM ${keys3('run', 'task')}
        CROSS JOIN LATERAL (
          SELECT t.ctid AS place FROM ${s}.task t
          WHERE t.tenant = k.tenant AND t.run = k.run AND t.task = k.task OFFSET 0) t))`,
    addTasks: `INSERT INTO ${s}.task (${taskColumns})
      SELECT * FROM ${taskValues}`,
    moveTasks: `INSERT INTO ${s}.task (${taskColumns})
      SELECT * FROM ${taskValues}
      ON CONFLICT (tenant, run, task) DO UPDATE SET ${fromExcluded(taskColumns, ['tenant', 'run', 'task'])}`,
    dropTimers: `DELETE FROM ${s}.timer m USING ${keys3('run', 'name')}
      WHERE m.tenant = k.tenant AND m.run = k.run AND m.name = k.name`,
    putTimers: `INSERT INTO ${s}.timer (tenant, run, name, fire_at)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) ORDER BY 1, 2, 3
      ON CONFLICT (tenant, run, name) DO UPDATE SET fire_at = excluded.fire_at`,
    dropEntries: `DELETE FROM ${s}.entry n
      USING unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (tenant, space, key, ref)
      WHERE n.tenant = k.tenant AND n.space = k.space AND n.key = k.key AND n.ref = k.ref`,
    putEntries: `INSERT INTO ${s}.entry (tenant, space, key, ref, value, run, at)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
      ORDER BY 1, 2, 3, 4
      ON CONFLICT (tenant, space, key, ref) DO UPDATE
      SET value = excluded.value, run = excluded.run, at = excluded.at`,
    addEntries: `INSERT INTO ${s}.entry (tenant, space, key, ref, value, run, at)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
      ORDER BY 1, 2, 3, 4`,
    dropSchedules: `DELETE FROM ${s}.schedule c USING unnest($1::text[], $2::text[]) AS k (tenant, name)
      WHERE c.tenant = k.tenant AND c.name = k.name`,
    addSchedules: `INSERT INTO ${s}.schedule (${scheduleColumns}) SELECT * FROM ${scheduleValues} ORDER BY 1, 2`,
    moveSchedules: `INSERT INTO ${s}.schedule (${scheduleColumns}) SELECT * FROM ${scheduleValues} ORDER BY 1, 2
      ON CONFLICT (tenant, name) DO UPDATE SET ${fromExcluded(scheduleColumns, ['tenant', 'name'])}`,
    dropOutbox: `DELETE FROM ${s}.outbox o USING unnest($1::bigint[]) AS k (id) WHERE o.id = k.id`,
    dropDedupe: `DELETE FROM ${s}.dedupe d USING ${keys3('scope', 'key')}
      WHERE d.tenant = k.tenant AND d.scope = k.scope AND d.key = k.key`,
    addDedupe: `INSERT INTO ${s}.dedupe (tenant, scope, key, hash, reference, expires_at)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) ORDER BY 1, 2, 3`,
    dropLetters: `DELETE FROM ${s}.dead_letter l USING unnest($1::text[], $2::text[]) AS k (tenant, id) WHERE l.tenant = k.tenant AND l.id = k.id`,
    addLetters: `INSERT INTO ${s}.dead_letter (tenant, id, run, workflow, path, class, code, message, attempts, at)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::bigint[], $10::bigint[]) ORDER BY 1, 2`,
    putBlobs: `INSERT INTO ${s}.blob (tenant, hash, refs, created_at, bytes)
      SELECT b.tenant, b.hash, 0, $4::bigint, b.bytes
      FROM unnest($1::text[], $2::text[], $3::bytea[]) AS b (tenant, hash, bytes) ORDER BY 1, 2
      ON CONFLICT (tenant, hash) DO UPDATE SET created_at = excluded.created_at`,
    referBlobs: `UPDATE ${s}.blob b SET refs = b.refs + v.refs
      FROM unnest($1::text[], $2::text[], $3::bigint[]) AS v (tenant, hash, refs)
      WHERE b.tenant = v.tenant AND b.hash = v.hash`,
    count: `INSERT INTO ${s}.tally AS t (tenant, kind, name, state, slot, count)
      SELECT v.tenant, v.kind, v.name, v.state, $6::smallint, v.count
      FROM unnest($1::text[], $2::smallint[], $3::text[], $4::smallint[], $5::bigint[])
        AS v (tenant, kind, name, state, count) ORDER BY 1, 2, 3, 4
      ON CONFLICT (tenant, kind, name, state, slot) DO UPDATE SET count = t.count + excluded.count`,
    /** The counters of partitions are locked last of all, and the events get their offsets from them. */
    publish: `WITH heads AS (
        INSERT INTO ${s}.topic_head AS h (tenant, topic, part, head)
        SELECT * FROM unnest($14::text[], $15::text[], $16::bigint[], $17::bigint[]) ORDER BY 1, 2, 3
        ON CONFLICT (tenant, topic, part) DO UPDATE SET head = h.head + excluded.head
        RETURNING tenant, topic, part, head),
      added AS (
        INSERT INTO ${s}.event (${eventFields})
        SELECT e.tenant, e.topic || '/' || e.part, h.head - e.before, e.type, e.at, e.payload_kind, e.envelope, e.salt,
          e.blob, e.payload, $18::integer, $13::bigint, e.n
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::smallint[], $7::bytea[],
          $8::bytea[], $9::text[], $10::bytea[], $11::bigint[], $12::integer[])
          AS e (tenant, topic, part, type, at, payload_kind, envelope, salt, blob, payload, before, n)
        JOIN heads h ON h.tenant = e.tenant AND h.topic = e.topic AND h.part = e.part)
      SELECT tenant, topic, part, head FROM heads`,
    /** After every lock of the transaction: the number that it draws says in which order commits are numbered. */
    mark: `INSERT INTO ${s}.feed_commit (id, at, events, era_min, era_max)
      VALUES ($1::bigint, $2::bigint, $3::integer, $4::integer, $5::integer)`,
    /** Waits for the commit if it is still under way; afterwards it is there, or can never come. */
    settle: `INSERT INTO ${s}.feed_commit (id, at, events, era_min, era_max) VALUES ($1::bigint, $2::bigint, 0, 0, 0)
      ON CONFLICT (id) DO NOTHING RETURNING id`,

    // Work

    /**
     * Picks by the ready index, queue by queue, as many as are wanted in all. The laterals with OFFSET 0 make the planner
     * look up run and input for one candidate after the other, whatever it believes about their number.
     */
    claim: `WITH mine AS MATERIALIZED (
        SELECT 1 FROM ${s}.session WHERE session = $1 AND owner = $2::bigint FOR KEY SHARE),
      picked AS MATERIALIZED (
        SELECT q.place, c.* FROM unnest($3::text[], $4::bigint[]) WITH ORDINALITY AS q (queue, most, place)
        CROSS JOIN LATERAL (
          SELECT t.tenant, t.run, t.task, t.rank FROM ${s}.task t
          CROSS JOIN LATERAL (
            SELECT r.era FROM ${s}.run r WHERE r.tenant = t.tenant AND r.run = t.run OFFSET 0) r
          CROSS JOIN LATERAL (
            SELECT 1 FROM ${s}.event e
            WHERE e.tenant = t.tenant AND e.stream = t.run AND e.seq = t.input_seq AND e.era = r.era OFFSET 0) e
          WHERE t.queue = q.queue AND t.state = 0 AND EXISTS (SELECT 1 FROM mine)
          ORDER BY t.queue, t.rank, t.run, t.task, t.tenant LIMIT q.most
          FOR UPDATE OF t SKIP LOCKED) c
        LIMIT $5::bigint),
      numbered AS (
        SELECT tenant, run, task, row_number() OVER (ORDER BY place, rank, run, task, tenant) - 1 AS n FROM picked),
      moved AS (
        UPDATE ${s}.task t SET state = 3, token = t.token + 1, session = $1, assignment = $6::bigint + p.n,
          leased_at = $7::bigint
        FROM numbered p WHERE t.tenant = p.tenant AND t.run = p.run AND t.task = p.task
        RETURNING t.tenant, t.queue)
      ${countMoves(s, 0, 3, 8)}`,
    /** What the claim before has leased, with heads as they are now: a statement of its own sees what was committed meanwhile. */
    claimed: `SELECT ${prefixed('t', taskColumns)}, r.head, r.status, r.workflow, r.era, ${positionSql},
        ${prefixed('e', eventColumns)}
      FROM ${s}.task t
      CROSS JOIN LATERAL (SELECT r.head, r.status, r.workflow, r.era FROM ${s}.run r WHERE r.tenant = t.tenant AND r.run = t.run OFFSET 0) r
      CROSS JOIN LATERAL (
        SELECT e.* FROM ${s}.event e
        WHERE e.tenant = t.tenant AND e.stream = t.run AND e.seq = t.input_seq AND e.era = r.era OFFSET 0) e
      LEFT JOIN ${s}.feed_commit f ON f.id = e.commit
      WHERE t.state = 3 AND t.session = $1 AND t.assignment >= $2::bigint AND t.assignment < $3::bigint
        AND t.leased_at = $4::bigint AND t.xmin::text = pg_current_xact_id()::xid::text
      ORDER BY t.assignment`,
    promote: `WITH due AS MATERIALIZED (
        SELECT tenant, run, task FROM ${s}.task WHERE state = 1 AND due_at <= $1::bigint
        ORDER BY due_at, tenant, run, task LIMIT $2::bigint FOR UPDATE SKIP LOCKED),
      moved AS (
        UPDATE ${s}.task t SET state = 0, due_at = NULL, ready_at = $1::bigint
        FROM due d WHERE t.tenant = d.tenant AND t.run = d.run AND t.task = d.task
        RETURNING ${prefixed('t', taskColumns)}),
      counted AS (${countMoves(s, 1, 0, 3)})
      SELECT ${taskColumns} FROM moved`,

    // Sessions, blobs, manifests

    openSession: `INSERT INTO ${s}.session (${sessionColumns})
      VALUES ($1, $2::bigint, $3, $4, $5::bigint, $6::bigint, $7::bigint, $8)
      ON CONFLICT (session) DO UPDATE SET owner = excluded.owner, worker = excluded.worker, app = excluded.app,
        opened_at = excluded.opened_at, counter = excluded.counter, received = excluded.received, info = excluded.info`,
    takeSession: `UPDATE ${s}.session SET owner = $2::bigint WHERE session = $1 RETURNING ${sessionColumns}`,
    beat: `WITH heard AS MATERIALIZED (
        SELECT s.session FROM ${s}.session s JOIN unnest($1::text[]) AS k (session) ON k.session = s.session
        ORDER BY s.session FOR UPDATE OF s)
      UPDATE ${s}.session s
      SET counter = greatest(s.counter, v.counter), received = greatest(s.received, v.received)
      FROM heard h JOIN unnest($1::text[], $2::bigint[], $3::bigint[]) AS v (session, counter, received)
        ON v.session = h.session
      WHERE s.session = h.session RETURNING s.session, s.owner`,
    closeSession: `DELETE FROM ${s}.session WHERE session = $1`,
    putManifest: `INSERT INTO ${s}.manifest (app, hash, manifest, registered_at) VALUES ($1, $2, $3, $4::bigint)
      ON CONFLICT (app, hash) DO UPDATE SET manifest = excluded.manifest, registered_at = excluded.registered_at`,
  };
}

/** Position of the event `e` of the commit `f`; 0 while it is not numbered yet. */
export const positionSql = 'coalesce(f.first + e.n, 0)';

const scheduleValues = 'unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])';

const taskValues = `unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::float8[], $7::smallint[],
  $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[], $15::bigint[],
  $16::bigint[], $17::bigint[])`;

/** Moves the counters of the tasks in `moved` from one state to another; the slot is the parameter of that number. */
function countMoves(s: string, from: number, to: number, slot: number): string {
  return `INSERT INTO ${s}.tally AS t (tenant, kind, name, state, slot, count)
    SELECT m.tenant, 1, m.queue, v.state, $${slot}::smallint, sum(v.by) FROM moved m
    CROSS JOIN (VALUES (${from}::smallint, -1), (${to}::smallint, 1)) AS v (state, by)
    GROUP BY 1, 3, 4 ORDER BY 1, 3, 4
    ON CONFLICT (tenant, kind, name, state, slot) DO UPDATE SET count = t.count + excluded.count`;
}

/**
 * Finds rows by their keys and locks them in the order of the keys. One look into the index a key, whatever the planner
 * believes: left to itself it walked through the index of a table that had just been small for one row of the batch.
 */
function lookUp(s: string, table: string, key: readonly string[], columns: string): string {
  const parameters = key.map((_, i) => `$${i + 1}::text[]`).join(', ');
  return `SELECT r.* FROM (
      SELECT * FROM unnest(${parameters}) AS k (${key.join(', ')})
      ORDER BY ${key.map((column) => `${column} COLLATE "C"`).join(', ')}) k
    CROSS JOIN LATERAL (
      SELECT ${prefixed('r', columns)} FROM ${s}.${table} r
      WHERE ${key.map((column) => `r.${column} = k.${column}`).join(' AND ')} FOR UPDATE) r`;
}

/** `SET` of all columns but those of the key to what was to be inserted. */
function fromExcluded(columns: string, key: readonly string[]): string {
  return columns
    .split(',')
    .map((column) => column.trim())
    .filter((column) => !key.includes(column))
    .map((column) => `${column} = excluded.${column}`)
    .join(', ');
}

function keys3(second: string, third: string): string {
  return `unnest($1::text[], $2::text[], $3::text[]) AS k (tenant, ${second}, ${third})`;
}

/** The columns with the name of their table before each. */
export function prefixed(table: string, columns: string): string {
  return columns
    .split(',')
    .map((column) => `${table}.${column.trim()}`)
    .join(', ');
}
