/**
 * The transactions of callers: what a client of the caller's database must look like for a transition to be left in its
 * transaction. Shapes only, as small as they can be, so that no client is a dependency of ours and every version of one
 * that keeps the shape will do.
 */

/**
 * A connection with an open transaction that runs SQL with `$1`, `$2` ...: a `Client` or `PoolClient` of `pg` after
 * `BEGIN`. For clients that are not named here a few lines make one: `{ query: async (text, values) => ({ rows }) }`.
 */
export interface SqlTransaction {
  query(text: string, values: string[]): PromiseLike<{ readonly rows: readonly unknown[] }>;
}

/** The `tx` of `db.transaction(async (tx) => ...)` of Drizzle (node-postgres). */
export interface DrizzleTransaction {
  execute(query: string): PromiseLike<unknown>;
  rollback(): never;
}

/** The `trx` of `db.transaction().execute(async (trx) => ...)` of Kysely. */
export interface KyselyTransaction {
  readonly isTransaction: true;
  executeQuery(query: KyselyQuery): PromiseLike<{ readonly rows: readonly unknown[] }>;
}

/** A compiled query of Kysely. */
export interface KyselyQuery {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly query: {
    readonly kind: 'RawNode';
    readonly sqlFragments: readonly string[];
    readonly parameters: readonly never[];
  };
  readonly queryId: { readonly queryId: string };
}

/** The `tx` of `prisma.$transaction(async (tx) => ...)` of Prisma. */
export interface PrismaTransaction {
  $queryRawUnsafe(query: string, ...values: string[]): PromiseLike<unknown>;
}

/** A transaction of the caller's own, on the database of the store. */
export type CallerTransaction = SqlTransaction | DrizzleTransaction | KyselyTransaction | PrismaTransaction;
