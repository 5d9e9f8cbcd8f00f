/**
 * Opening the store: looks at the server and brings the schema to the newest over the direct URL, draws the number of
 * this opening, and puts the parts together. Any number of openings may be at one database at the same time.
 */
import { SpineError } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
import type { Store, StoreFactory } from '../../store/index.js';
import { DatabaseClock } from './clock.js';
import { Database } from './database.js';
import { makeDirect, makePool, type DirectClient, type PostgresPool } from './driver.js';
import { Duties } from './duties.js';
import { reasonOf } from './failures.js';
import { Feed } from './feed.js';
import { GroupCommit } from './group-commit.js';
import { forgetHome, settleHome } from './home.js';
import { migrate, quoteName } from './migrate.js';
import { Neighbours } from './neighbours.js';
import { PostgresStore } from './postgres-store.js';
import { Reads } from './reads.js';
import { int } from './rows.js';
import { writeSql } from './sql.js';
import { Upkeep } from './upkeep.js';
import { Witness } from './witness.js';
import { commitsOf, Writer } from './writer.js';

/** Options of `postgres`. */
export interface PostgresOptions {
  /** `postgres://user:password@host/database`. May lead to a pooler in transaction mode (PgBouncer and the like). */
  readonly url: string;
  /**
   * The same database without a pooler between, for migrations and for news between nodes. Default: `url`; behind a
   * pooler news then come by asking, up to 2 s late while little happens.
   */
  readonly directUrl?: string;
  /** A pool of `pg` to use instead of one made from `url`; the caller ends it, after the store is closed. */
  readonly pool?: PostgresPool;
  /** The schema (namespace) that holds the tables; several installations may share a database. Default: `eventspine`. */
  readonly schema?: string;
  /** The most connections of this node, but for one direct one. More than 4 to 8 a core of the server do not help. Default: 8. */
  readonly connectionsMax?: number;
  /** Whether missing tables are made at opening. False where the role of the server may not: run it once with one that may. Default: true. */
  readonly migrate?: boolean;
  /**
   * Whether statements are prepared once for each connection, which saves about a seventh of a small commit. Default: where a
   * connection leads to the very server process that it names; poolers make that up, so behind one nothing is prepared.
   */
  readonly prepare?: boolean;
  /** The longest a statement may run on the server, ms. Default: 30 000. */
  readonly statementMs?: number;
  /** The longest a statement may wait for another's row, ms. Default: 10 000. */
  readonly lockMs?: number;
  /** The longest an answer is waited for before the connection is given up, ms; more than `statementMs`. Default: 35 000. */
  readonly queryMs?: number;
  /** The longest a connection may take to come about, ms. Default: 5 000. */
  readonly connectMs?: number;
  /** How long commits are held and tried again while the database is not to be had, before STORE_BUSY, ms. Default: 10 000. */
  readonly patienceMs?: number;
  /** Told what works less well than it could, such as a pooler where `directUrl` should lead. Default: `process.emitWarning`. */
  readonly warn?: (message: string) => void;
  /** The store's clock. Default: the database's. Only tests have another. */
  readonly clock?: Clock;
}

const defaults = {
  schema: 'eventspine',
  connectionsMax: 8,
  statementMs: 30_000,
  lockMs: 10_000,
  queryMs: 35_000,
  connectMs: 5_000,
  patienceMs: 10_000,
} as const;

/** Appears in `pg_stat_activity`. */
const applicationName = 'eventspine';
const pooledWarning =
  'News between servers come by asking, up to 2 s late: the way to PostgreSQL leads through a pooler. Give the URL of the database itself as well: EVENTSPINE_DIRECT_URL, or `directUrl` of `postgres()`.';
/** PostgreSQL cuts longer names. */
const schemaLengthMax = 48;

/** The store for several servers, for `createSpine(app, { store: postgres({ url }) })`. Opens nothing until it is used. */
export function postgres(options: PostgresOptions): StoreFactory {
  return { name: 'postgres', location: locationOf(options), open: () => openPostgresStore(options) };
}

/**
 * Opens the store. Rejects with STORE_TOO_NEW for a newer schema, STORE_UNSUITABLE for a server that cannot be used or
 * reached.
 */
export async function openPostgresStore(options: PostgresOptions): Promise<Store> {
  const given = { ...defaults, ...options };
  if (given.schema.length === 0 || given.schema.length > schemaLengthMax || !/^[a-z_][a-z0-9_]*$/.test(given.schema))
    throw new SpineError('STORE_UNSUITABLE', { reason: `"${given.schema}" is no name for a schema` });
  if (given.queryMs <= given.statementMs)
    throw new SpineError('STORE_UNSUITABLE', { reason: 'queryMs must be more than statementMs' });
  const schema = quoteName(given.schema);
  const directUrl = given.directUrl ?? given.url;
  const direct = (): Promise<DirectClient> =>
    makeDirect({ url: directUrl, name: applicationName, connectMs: given.connectMs });
  await prepare(await direct(), schema, given.migrate ?? true);
  const pool =
    given.pool ??
    (await makePool({
      url: given.url,
      name: applicationName,
      connectMs: given.connectMs,
      size: given.connectionsMax,
    }));
  const { statementMs, lockMs, queryMs } = given;
  const witness = new Witness(schema);
  const database = new Database(
    pool,
    given.pool === undefined,
    { statementMs, lockMs, queryMs },
    given.prepare ?? true,
    witness,
  );
  try {
    return await assemble(given, database, schema, direct, witness);
  } catch (error) {
    await database.close();
    throw error instanceof SpineError ? error : unusable(error);
  }
}

/**
 * Says of a store that it was put back from a backup that cannot be told from the original (a snapshot of the disk, a
 * base backup, point-in-time recovery), so that the next opening gives no number that was given since. Run it before
 * the first server is started. A dump that was put back is recognised by itself. Rejects with STORE_UNSUITABLE.
 */
export async function markPostgresRestored(options: Pick<PostgresOptions, 'url' | 'schema'>): Promise<void> {
  const { url, schema = defaults.schema } = options;
  const client = await makeDirect({ url, name: applicationName, connectMs: defaults.connectMs });
  try {
    await client.connect();
    await forgetHome(client, quoteName(schema));
  } catch (error) {
    throw unusable(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function prepare(client: DirectClient, schema: string, mayMigrate: boolean): Promise<void> {
  try {
    await client.connect();
    await migrate(client, schema, mayMigrate);
    await settleHome(client, schema);
  } catch (error) {
    throw error instanceof SpineError ? error : unusable(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function assemble(
  options: PostgresOptions & { readonly patienceMs: number },
  database: Database,
  schema: string,
  direct: () => Promise<DirectClient>,
  witness: Witness,
): Promise<Store> {
  const clock = options.clock ?? null;
  const databaseClock = new DatabaseClock();
  const sqlClock = { now: () => clock?.now() ?? null };
  // A pooler in statement mode would let everything pass but what takes two round trips.
  await database.assertTransactions();
  const sentMs = performance.now();
  const [rows] = await database.once([
    {
      text: `UPDATE ${schema}.meta SET value = value + 1 WHERE key = 'epoch'
        RETURNING value, (extract(epoch from clock_timestamp()) * 1000)::bigint`,
      values: [],
    },
  ]);
  databaseClock.seen(int(rows?.[0]?.[1]), sentMs, performance.now());
  const epoch = int(rows?.[0]?.[0]);
  const feed = new Feed(database, schema, commitsOf(epoch), witness);
  const neighbours = new Neighbours({ database, schema, epoch, direct, onPooled: () => warn(pooledWarning) });
  const { warn = (message) => process.emitWarning(message, 'EventspineWarning') } = options;
  const now = (): number => (clock === null ? databaseClock.now() : clock.now());
  const writer = new Writer({
    database,
    now,
    sql: writeSql(schema),
    epoch,
    clock,
    onClock: (databaseMs, sent, received) => databaseClock.seen(databaseMs, sent, received),
    onCommit: ({ commit, events, work }) => {
      if (commit !== null) witness.committed(commit);
      if (events > 0) feed.poke();
      neighbours.committed(events, work);
    },
    onSent: () => commits.canFollow(),
  });
  const commits = new GroupCommit({
    commit: (requests, place) => writer.commit(requests, place),
    follow: (requests) => writer.follow(requests),
    patienceMs: options.patienceMs,
  });
  return new PostgresStore({
    epoch,
    schema,
    database,
    feed,
    neighbours,
    witness,
    now,
    clock: databaseClock,
    commits,
    reads: new Reads(database, schema, sqlClock),
    upkeep: new Upkeep(database, schema, sqlClock, epoch),
    duties: new Duties(database, schema, sqlClock, epoch),
  });
}

/** Host, port, database and schema: equal for factories of one store, and without a secret. */
function locationOf({ url, schema = defaults.schema }: PostgresOptions): string {
  try {
    const { hostname, port, pathname } = new URL(url);
    return `postgres://${hostname}:${port === '' ? '5432' : port}${pathname}#${schema}`;
  } catch {
    return `postgres#${schema}`;
  }
}

function unusable(cause: unknown): SpineError {
  return new SpineError('STORE_UNSUITABLE', { reason: reasonOf(cause) }, { cause });
}
