/**
 * The way to the database: a pool, a bound in time for every round trip, settings that last for one transaction only.
 * Knows nothing of tables.
 *
 * Invariant: a connection that did not come to its end in order is closed and never used again.
 */
import type { PostgresClient, PostgresPool, WireConnection } from './driver.js';
import { Pipeline, PreparedStatements, type Row, type Statement } from './pipeline.js';
import type { Witness } from './witness.js';

export interface DatabaseTimes {
  /** The longest a statement may run on the server. */
  readonly statementMs: number;
  /** The longest a statement may wait for a row lock. */
  readonly lockMs: number;
  /** The longest a round trip may take before its connection is given up; longer than the server's own bound. */
  readonly queryMs: number;
}

/** A connection with a transaction of its own. */
export interface Session {
  /** One round trip. Rejects with what the server or the driver threw. */
  run(statements: readonly Statement[]): Promise<Row[][]>;
  /**
   * Whether a round trip may be sent behind one that is not answered yet: only where nobody stands between who might give
   * the two to different server processes, and not while plans wait to be made anew.
   */
  mayFollow(): boolean;
  /** Gives the connection back, after its transaction has ended. */
  release(): void;
  /** Rolls back what the server has refused, and gives the connection back; closes it where that cannot be done. */
  undo(): Promise<void>;
  /** Closes the connection: nothing is known of its state. */
  destroy(): void;
}

/** What each connection has prepared; null = it must not. Known to all stores, since they may share a pool. */
const preparedOn = new WeakMap<PostgresClient, PreparedStatements | null>();

/** Statements stay prepared; each is planned anew when it is next carried out. */
const discardPlans: Statement = { text: 'DISCARD PLANS', values: [] };

/** The server's clock in epoch ms. */
export const clockSql = '(extract(epoch from clock_timestamp()) * 1000)::bigint';

export class Database {
  readonly #pool: PostgresPool;
  readonly #ownsPool: boolean;
  readonly #times: DatabaseTimes;
  /** Sets what holds for this transaction; answers with the server's clock. */
  readonly settings: Statement;
  /** The same for reads, which may run as long as they are waited for. */
  readonly #readSettings: Statement;
  /** Of this opening alone, so that its end leaves those of others on a shared pool. */
  readonly #ignore: () => void;
  readonly #guard: (client: Pick<PostgresClient, 'on'>) => void;

  readonly #mayPrepare: boolean;
  readonly #witness: Witness | null;
  /** Connections whose database had what this opening knows of. */
  readonly #met = new WeakSet<PostgresClient>();

  constructor(
    pool: PostgresPool,
    ownsPool: boolean,
    times: DatabaseTimes,
    mayPrepare = true,
    witness: Witness | null = null,
  ) {
    this.#mayPrepare = mayPrepare;
    this.#witness = witness;
    this.#pool = pool;
    this.#ownsPool = ownsPool;
    this.#times = times;
    const timeouts = `set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
      set_config('idle_in_transaction_session_timeout', $1, true)`;
    const values = [times.statementMs, times.lockMs];
    // Whatever the server's default is, an acknowledged commit is on its disk (and on a synchronous standby's). Writes
    // look rows up by their keys; left to its estimates the planner now and then reads a whole table instead. And one plan
    // for arrays of any length is kept: for a short array it would think one of its own cheaper, and plan every time.
    this.settings = {
      text: `SELECT ${clockSql}, ${timeouts}, set_config('enable_hashjoin', 'off', true),
        set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true),
        set_config('plan_cache_mode', 'force_generic_plan', true), set_config('synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' WHEN 'local' THEN 'on'
        ELSE current_setting('synchronous_commit') END, true)`,
      values,
    };
    this.#readSettings = { text: `SELECT ${timeouts}`, values };
    // An idle connection that breaks is no news: the next caller gets another.
    this.#ignore = () => undefined;
    this.#guard = (client) => void client.on('error', this.#ignore);
    pool.on('error', this.#ignore);
    // Between a pool that hands a connection over and whoever awaits it an error may come in the same packet as the
    // connection; one that nobody hears ends the process.
    pool.on('connect', this.#guard);
  }

  /** A connection to run several round trips on. */
  async session(): Promise<Session> {
    const client = await this.#pool.connect();
    let broken = false;
    const onError = (): void => {
      broken = true;
    };
    client.on('error', onError);
    let ended = false;
    const end = (destroy: boolean): void => {
      if (ended) return;
      ended = true;
      client.removeListener('error', onError);
      // What breaks after this is nobody's concern, but an error that nobody hears would end the process.
      if (destroy) client.on('error', this.#ignore);
      client.release(destroy);
    };
    let known: PreparedStatements | null;
    try {
      this.#witness?.assertWhole();
      known = await this.#meet(client);
    } catch (error) {
      end(true);
      throw error;
    }
    if (known?.takeStale(performance.now()) === true) {
      try {
        await this.#roundTrip(client, [discardPlans], null);
      } catch (error) {
        end(true);
        throw error;
      }
    }
    let last: Trip | null = null;
    return {
      run: (statements) => {
        last = this.#trip(client, statements, known, last);
        return last.rows;
      },
      mayFollow: () => !broken && known?.isStale(performance.now()) === false,
      release: () => end(broken),
      undo: async () => {
        // What was sent behind what has failed is refused first.
        await last?.rows.catch(() => undefined);
        try {
          await this.#roundTrip(client, [{ text: 'ROLLBACK', values: [] }], known);
          end(broken);
        } catch {
          end(true);
        }
      },
      destroy: () => end(true),
    };
  }

  /** Statements as one transaction of their own, in one round trip; the rows of each. */
  async once(statements: readonly Statement[]): Promise<Row[][]> {
    const session = await this.session();
    try {
      const results = await session.run([this.settings, ...statements]);
      session.release();
      return results.slice(1);
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  /** Reads in one round trip; each statement sees what was committed when it began. */
  async read(statements: readonly Statement[]): Promise<Row[][]> {
    const session = await this.session();
    try {
      const results = await session.run([this.#readSettings, ...statements]);
      session.release();
      return results.slice(1);
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  /** Reads that all see one and the same moment. */
  async readAtOnce(statements: readonly Statement[]): Promise<Row[][]> {
    const session = await this.session();
    try {
      const results = await session.run([
        { text: 'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY', values: [] },
        this.#readSettings,
        ...statements,
        { text: 'COMMIT', values: [] },
      ]);
      session.release();
      return results.slice(2, -1);
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  /** Rejects where a connection does not stay with its transaction from one round trip to the next. */
  async assertTransactions(): Promise<void> {
    const session = await this.session();
    try {
      await session.run([{ text: 'BEGIN', values: [] }]);
      await session.run([{ text: 'COMMIT', values: [] }]);
      session.release();
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  /** Closes the pool unless it was passed in. */
  async close(): Promise<void> {
    if (this.#ownsPool) await this.#pool.end();
    else {
      this.#pool.removeListener('error', this.#ignore);
      this.#pool.removeListener('connect', this.#guard);
    }
  }

  /**
   * A connection that is new to this opening: whether its database has what it must have, and whether it leads to the very
   * server process that it names, so that what is prepared stays.
   */
  async #meet(client: PostgresClient): Promise<PreparedStatements | null> {
    const prepared = this.#mayPrepare ? preparedOn.get(client) : null;
    if (prepared !== undefined && this.#met.has(client)) return prepared;
    const [rows, found] = await this.#roundTrip(
      client,
      [{ text: 'SELECT pg_backend_pid()', values: [] }, ...(this.#witness?.question() ?? [])],
      null,
    );
    this.#witness?.judge(found);
    this.#met.add(client);
    if (prepared !== undefined) return prepared;
    const isDirect = client.processID !== undefined && String(client.processID) === rows?.[0]?.[0];
    const made = isDirect ? new PreparedStatements(performance.now()) : null;
    preparedOn.set(client, made);
    return made;
  }

  #roundTrip(
    client: PostgresClient,
    statements: readonly Statement[],
    prepared: PreparedStatements | null,
  ): Promise<Row[][]> {
    return this.#trip(client, statements, prepared, null).rows;
  }

  /** `before`: the one that was sent last, if it may not be answered yet; this one then is written behind it at once. */
  #trip(
    client: PostgresClient,
    statements: readonly Statement[],
    prepared: PreparedStatements | null,
    before: Trip | null,
  ): Trip {
    const pipeline = new Pipeline(statements, prepared);
    const wire = before?.isAnswered === false ? before.pipeline.wire : null;
    const trip: Trip = { pipeline, isAnswered: false, rows: this.#answer(client, pipeline, wire) };
    const answered = (): void => {
      trip.isAnswered = true;
    };
    pipeline.done.then(answered, answered);
    return trip;
  }

  async #answer(client: PostgresClient, pipeline: Pipeline, wire: WireConnection | null): Promise<Row[][]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('The database did not answer in time')), this.#times.queryMs);
    });
    try {
      if (wire !== null) pipeline.submit(wire);
      client.query(pipeline);
      return await Promise.race([pipeline.done, late]);
    } finally {
      clearTimeout(timer);
      // Where the time ran out first, what the connection says when it is closed has no listener any more.
      pipeline.done.catch(() => undefined);
    }
  }
}

/** A round trip that was sent. */
interface Trip {
  readonly pipeline: Pipeline;
  readonly rows: Promise<Row[][]>;
  isAnswered: boolean;
}
