/**
 * The statements of the write path. Set-based: a batch of any size is one execution of each that it needs. Every
 * statement that waits for row locks takes them in the order of the key, and the writer issues them in one global order:
 * outbox, run, task, schedule, timer, entry, dedupe, dead letter, blob, tally, topic counters. Claims and promotions skip
 * what is locked, so they wait for nobody.
 *
 * Arrays are stepped through in the select list and not in FROM: there `unnest` makes a table of each first, which was
 * more than half of what a small batch cost the server.
 */
import { payloadKind } from '../../store/index.js';
import { columnsOf, rowsOf, rowsSql } from './row-statement.js';
import { eventColumns, runColumns, scheduleColumns, sessionColumns, taskColumns } from './rows.js';

export type Sql = ReturnType<typeof writeSql>;

/** The statements for the schema of the given (quoted) name. */
export function writeSql(s: string) {
  const eventFields = 'tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload, era, commit, n';
  return {
    // Looking, under locks where something will be changed

    lockOutbox: `SELECT o.id FROM (SELECT unnest($1::bigint[]) AS id) k JOIN ${s}.outbox o ON o.id = k.id
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

    trustRuns: rowsSql(
      'tenant text, run text, head bigint, era integer',
      'tenant, era',
      (rows) => `SELECT 1 / (count(*) FILTER (WHERE r.head = k.head AND r.era = k.era) = $5::bigint)::integer FROM (
          SELECT * FROM (${rows}) k ORDER BY tenant COLLATE "C", run COLLATE "C") k
        CROSS JOIN LATERAL (
          SELECT r.head, r.era FROM ${s}.run r WHERE r.tenant = k.tenant AND r.run = k.run FOR UPDATE) r`,
      () => `SELECT 1 / (count(*) FILTER (WHERE r.head = $3::bigint AND r.era = $4::integer) = $5::bigint)::integer FROM (
          SELECT r.head, r.era FROM ${s}.run r WHERE r.tenant = $1::text AND r.run = $2::text FOR UPDATE) r`,
    ),
    trustLeases: rowsSql(
      'tenant text, run text, task text, token bigint',
      'tenant',
      (rows) => `SELECT 1 / (count(*) FILTER (WHERE t.state = 3 AND t.token = k.token) = $5::bigint)::integer FROM (
          SELECT * FROM (${rows}) k ORDER BY tenant COLLATE "C", run COLLATE "C", task COLLATE "C") k
        CROSS JOIN LATERAL (
          SELECT t.state, t.token FROM ${s}.task t
          WHERE t.tenant = k.tenant AND t.run = k.run AND t.task = k.task FOR UPDATE) t`,
      () => `SELECT 1 / (count(*) FILTER (WHERE t.state = 3 AND t.token = $4::bigint) = $5::bigint)::integer FROM (
          SELECT t.state, t.token FROM ${s}.task t
          WHERE t.tenant = $1::text AND t.run = $2::text AND t.task = $3::text FOR UPDATE) t`,
    ),

    // Writing what a batch has come to

    addRuns: rowsSql(
      runTypes,
      `${runsAlike}, status, head, expires_at`,
      (rows) => `INSERT INTO ${s}.run (${runColumns}, era) ${rows}`,
    ),
    /**
     * Rows that are there, each as it is believed to be, or the statement fails. Many are taken by place, so that no estimate
     * can take the planner elsewhere than to the key; a row that is moved meanwhile has another place, and then is missed.
     */
    moveRuns: rowsSql(
      `${runTypes}, found bigint`,
      runsAlike,
      (rows) => `WITH moved AS (
          UPDATE ${s}.run r SET ${fromRow('v', runColumns, ['tenant', 'run'])}
          FROM (
            SELECT k.*, r.place FROM (
              SELECT * FROM (${rows}) k ORDER BY tenant COLLATE "C", run COLLATE "C") k
            CROSS JOIN LATERAL (
              SELECT r.ctid AS place FROM ${s}.run r WHERE r.tenant = k.tenant AND r.run = k.run OFFSET 0) r) v
          WHERE r.ctid = v.place AND r.head = v.found AND r.era = v.era RETURNING 1)
        SELECT 1 / (count(*) = $18::bigint)::integer FROM moved`,
      () => `WITH moved AS (
          UPDATE ${s}.run r SET ${fromParameters(runTypes, ['tenant', 'run', 'era'])}
          WHERE r.tenant = $1::text AND r.run = $2::text AND r.head = $17::bigint AND r.era = $16::integer RETURNING 1)
        SELECT 1 / (count(*) = $18::bigint)::integer FROM moved`,
    ),
    addEvents: rowsSql(
      `tenant text, stream text, seq bigint, type text, at bigint, payload_kind smallint, envelope bytea, salt bytea,
        blob text, payload bytea, era integer, n integer`,
      'tenant, blob, era',
      (
        rows,
      ) => `INSERT INTO ${s}.event (tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload, era, n,
          commit)
        ${rows}, $13::bigint`,
    ),
    /** Rows that are there, each in the state and with the token that it is believed to have, or the statement fails. */
    dropTasks: rowsSql(
      'tenant text, run text, task text, state smallint, token bigint',
      'tenant, state',
      (rows) => `WITH dropped AS (
          DELETE FROM ${s}.task t
          USING (
            SELECT k.state, k.token, t.place FROM (
              SELECT * FROM (${rows}) k ORDER BY tenant COLLATE "C", run COLLATE "C", task COLLATE "C") k
            CROSS JOIN LATERAL (
              SELECT t.ctid AS place FROM ${s}.task t
              WHERE t.tenant = k.tenant AND t.run = k.run AND t.task = k.task OFFSET 0) t) v
          WHERE t.ctid = v.place AND t.state = v.state AND t.token = v.token RETURNING 1)
        SELECT 1 / (count(*) = $6::bigint)::integer FROM dropped`,
      () => `WITH dropped AS (
          DELETE FROM ${s}.task t WHERE t.tenant = $1::text AND t.run = $2::text AND t.task = $3::text
            AND t.state = $4::smallint AND t.token = $5::bigint RETURNING 1)
        SELECT 1 / (count(*) = $6::bigint)::integer FROM dropped`,
    ),
    addTasks: rowsSql(taskTypes, tasksAlike, (rows) => `INSERT INTO ${s}.task (${taskColumns}) ${rows}`),
    /** Rows that are there and locked: the conflict takes each to its row by the key. */
    moveTasks: rowsSql(
      taskTypes,
      tasksAlike,
      (rows) => `INSERT INTO ${s}.task (${taskColumns}) ${rows}
        ON CONFLICT (tenant, run, task) DO UPDATE SET ${fromExcluded(taskColumns, ['tenant', 'run', 'task'])}`,
    ),
    dropTimers: `DELETE FROM ${s}.timer m USING ${keys3('run', 'name')}
      WHERE m.tenant = k.tenant AND m.run = k.run AND m.name = k.name`,
    putTimers: `INSERT INTO ${s}.timer (tenant, run, name, fire_at)
      ${rowsOf('tenant text, run text, name text, fire_at bigint')} ORDER BY 1, 2, 3
      ON CONFLICT (tenant, run, name) DO UPDATE SET fire_at = excluded.fire_at`,
    dropEntries: `DELETE FROM ${s}.entry n
      USING (${rowsOf('tenant text, space text, key text, ref text')}) k
      WHERE n.tenant = k.tenant AND n.space = k.space AND n.key = k.key AND n.ref = k.ref`,
    putEntries: `INSERT INTO ${s}.entry (tenant, space, key, ref, value, run, at)
      ${rowsOf('tenant text, space text, key text, ref text, value text, run text, at bigint')}
      ORDER BY 1, 2, 3, 4
      ON CONFLICT (tenant, space, key, ref) DO UPDATE
      SET value = excluded.value, run = excluded.run, at = excluded.at`,
    addEntries: `INSERT INTO ${s}.entry (tenant, space, key, ref, value, run, at)
      ${rowsOf('tenant text, space text, key text, ref text, value text, run text, at bigint')}
      ORDER BY 1, 2, 3, 4`,
    dropSchedules: `DELETE FROM ${s}.schedule c USING (${rowsOf('tenant text, name text')}) k
      WHERE c.tenant = k.tenant AND c.name = k.name`,
    addSchedules: `INSERT INTO ${s}.schedule (${scheduleColumns}) ${rowsOf(scheduleTypes)} ORDER BY 1, 2`,
    moveSchedules: `INSERT INTO ${s}.schedule (${scheduleColumns}) ${rowsOf(scheduleTypes)} ORDER BY 1, 2
      ON CONFLICT (tenant, name) DO UPDATE SET ${fromExcluded(scheduleColumns, ['tenant', 'name'])}`,
    dropOutbox: `DELETE FROM ${s}.outbox o USING (SELECT unnest($1::bigint[]) AS id) k WHERE o.id = k.id`,
    dropDedupe: `DELETE FROM ${s}.dedupe d USING ${keys3('scope', 'key')}
      WHERE d.tenant = k.tenant AND d.scope = k.scope AND d.key = k.key`,
    addDedupe: `INSERT INTO ${s}.dedupe (tenant, scope, key, hash, reference, expires_at)
      ${rowsOf('tenant text, scope text, key text, hash text, reference text, expires_at bigint')} ORDER BY 1, 2, 3`,
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
    /** Events of one partition go, and their hold on blobs with them. */
    trim: `WITH gone AS (
        DELETE FROM ${s}.event e WHERE e.tenant = $1 AND e.stream = $2 AND e.seq = ANY($3::bigint[])
        RETURNING e.blob, e.payload_kind)
      UPDATE ${s}.blob b SET refs = b.refs - v.refs
      FROM (SELECT blob, count(*) AS refs FROM gone WHERE payload_kind = ${payloadKind.blob} GROUP BY 1) v
      WHERE b.tenant = $1 AND b.hash = v.blob`,
    count: `INSERT INTO ${s}.tally AS t (tenant, kind, name, state, slot, count)
      SELECT v.tenant, v.kind, v.name, v.state, $6::smallint, v.count
      FROM (${rowsOf('tenant text, kind smallint, name text, state smallint, count bigint')}) v
      ORDER BY 1, 2, 3, 4
      ON CONFLICT (tenant, kind, name, state, slot) DO UPDATE SET count = t.count + excluded.count`,
    /** The counters of partitions are locked last of all, and the events get their offsets from them. */
    publish: `WITH heads AS (
        INSERT INTO ${s}.topic_head AS h (tenant, topic, part, head)
        ${rowsOf('tenant text, topic text, part bigint, head bigint', 14)} ORDER BY 1, 2, 3
        ON CONFLICT (tenant, topic, part) DO UPDATE SET head = h.head + excluded.head
        RETURNING tenant, topic, part, head),
      added AS (
        INSERT INTO ${s}.event (${eventFields})
        SELECT e.tenant, e.topic || '/' || e.part, h.head - e.before, e.type, e.at, e.payload_kind, e.envelope, e.salt,
          e.blob, e.payload, $18::integer, $13::bigint, e.n
        FROM (${rowsOf('tenant text, topic text, part bigint, type text, at bigint, payload_kind smallint, envelope bytea, salt bytea, blob text, payload bytea, before bigint, n integer')}) e
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
          SELECT t.ctid AS spot, t.tenant, t.run, t.task, t.rank FROM ${s}.task t
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
        SELECT spot, row_number() OVER (ORDER BY place, rank, run, task, tenant) - 1 AS n FROM picked),
      moved AS (
        UPDATE ${s}.task t SET state = 3, token = t.token + 1, session = $1, assignment = $6::bigint + p.n,
          leased_at = $7::bigint
        FROM numbered p WHERE t.ctid = p.spot
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

const scheduleTypes = 'tenant text, name text, version bigint, due_at bigint, body text';

const runTypes = `tenant text, run text, workflow text, version text, status smallint, head bigint, priority bigint,
  started_at bigint, updated_at bigint, expires_at bigint, cancel_requested boolean, failure_class text, failure_code text,
  failure_message text, labels text, era integer`;
/** In what the runs of a batch are alike where none has failed and nobody uses what is for some runs only. */
const runsAlike =
  'tenant, version, priority, cancel_requested, failure_class, failure_code, failure_message, labels, era';

const taskTypes = `tenant text, run text, task text, kind smallint, queue text, rank float8, state smallint, attempt bigint,
  token bigint, deadline_ms bigint, input_seq bigint, due_at bigint, limit_key text, session text, assignment bigint,
  leased_at bigint, ready_at bigint`;
/** The same of tasks that nobody holds back and nobody has. */
const tasksAlike =
  'tenant, kind, state, attempt, token, deadline_ms, due_at, limit_key, session, assignment, leased_at';

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
  return `SELECT r.* FROM (
      SELECT * FROM (${rowsOf(key.map((column) => `${column} text`).join(', '))}) k
      ORDER BY ${key.map((column) => `${column} COLLATE "C"`).join(', ')}) k
    CROSS JOIN LATERAL (
      SELECT ${prefixed('r', columns)} FROM ${s}.${table} r
      WHERE ${key.map((column) => `r.${column} = k.${column}`).join(' AND ')} FOR UPDATE) r`;
}

/** `SET` of all columns but those of the key to what was to be inserted. */
function fromExcluded(columns: string, key: readonly string[]): string {
  return fromRow('excluded', columns, key);
}

/** The same to what is in the given row. */
function fromRow(row: string, columns: string, key: readonly string[]): string {
  return columns
    .split(',')
    .map((column) => column.trim())
    .filter((column) => !key.includes(column))
    .map((column) => `${column} = ${row}.${column}`)
    .join(', ');
}

/** The same to the parameters of these numbers: columns with their types. */
function fromParameters(columns: string, key: readonly string[]): string {
  return columnsOf(columns)
    .flatMap(({ name, type }, i) => (key.includes(name) ? [] : [`${name} = $${i + 1}::${type}`]))
    .join(', ');
}

function keys3(second: string, third: string): string {
  return `(${rowsOf(`tenant text, ${second} text, ${third} text`)}) k`;
}

/** The columns with the name of their table before each. */
export function prefixed(table: string, columns: string): string {
  return columns
    .split(',')
    .map((column) => `${table}.${column.trim()}`)
    .join(', ');
}
