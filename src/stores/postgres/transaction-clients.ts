/**
 * The caller's transaction, whatever client it belongs to, as one way to run SQL in it. Clients are recognised by their
 * shape; whether a transaction is open is not asked of them but of the database (see `outbox.ts`).
 *
 * Values and columns are texts throughout, which is what all of them hand over alike. The columns of answers have names in
 * small letters, since some clients rewrite others.
 */
import { SpineError } from '../../core/errors.js';
import type { DrizzleTransaction, KyselyTransaction, PrismaTransaction, SqlTransaction } from '../../store/index.js';

/** Runs one statement in the caller's transaction and gives its rows. Rejects with what the client threw. */
export type RunWithin = (
  text: string,
  values: readonly string[],
) => Promise<readonly Readonly<Record<string, string | null>>[]>;

/** How to run SQL in `tx`. Throws TRANSACTION_INVALID for what is no transaction of a known client. */
export function runnerOf(tx: unknown): RunWithin {
  if (typeof tx !== 'object' || tx === null) throw invalid('it is not an object');
  if (isKysely(tx)) {
    if (tx.isTransaction !== true) throw invalid('it is a Kysely database, not its transaction');
    return async (text, values) => rowsOf((await tx.executeQuery(kyselyQuery(text, values))).rows);
  }
  if (isPrisma(tx)) return async (text, values) => rowsOf(await tx.$queryRawUnsafe(text, ...values));
  if (isDrizzle(tx)) {
    if (typeof tx.rollback !== 'function') throw invalid('it is a Drizzle database, not its transaction');
    return async (text, values) => rowsOf(await tx.execute(withLiterals(text, values)));
  }
  if (isSql(tx)) return async (text, values) => rowsOf((await tx.query(text, [...values])).rows);
  throw invalid('it is none of a pg client, a Drizzle, Kysely or Prisma transaction, and has no `query(text, values)`');
}

function isKysely(tx: object): tx is Omit<KyselyTransaction, 'isTransaction'> & { readonly isTransaction?: unknown } {
  return hasMethod(tx, 'executeQuery');
}

function isPrisma(tx: object): tx is PrismaTransaction {
  return hasMethod(tx, '$queryRawUnsafe');
}

/** Has `query` too, by which it builds relational queries: an object, or not ours to call. */
function isDrizzle(tx: object): tx is Omit<DrizzleTransaction, 'rollback'> & { readonly rollback?: unknown } {
  return hasMethod(tx, 'execute');
}

function isSql(tx: object): tx is SqlTransaction {
  return hasMethod(tx, 'query');
}

function hasMethod(tx: object, name: string): boolean {
  return typeof (tx as Readonly<Record<string, unknown>>)[name] === 'function';
}

function kyselyQuery(sql: string, values: readonly string[]): Parameters<KyselyTransaction['executeQuery']>[0] {
  return {
    sql,
    parameters: [...values],
    query: { kind: 'RawNode', sqlFragments: [sql], parameters: [] },
    // An object of its own each time: plug-ins keep what they remember of a query by it.
    queryId: { queryId: 'eventspine' },
  };
}

/**
 * The statement with its values written into it: Drizzle takes parameters only in objects of its own making. The
 * letters of base64 cannot end a literal, whatever the value is and however the server reads quotes.
 */
function withLiterals(text: string, values: readonly string[]): string {
  return text.replaceAll(/\$(\d+)::text/g, (_, place: string) => {
    const value = values[Number(place) - 1] ?? '';
    return `convert_from(decode('${Buffer.from(value, 'utf8').toString('base64')}', 'base64'), 'UTF8')`;
  });
}

/** Rows as they are, or within the result of a driver. */
function rowsOf(result: unknown): readonly Readonly<Record<string, string | null>>[] {
  const rows: unknown = Array.isArray(result) ? result : (result as { readonly rows?: unknown } | null)?.rows;
  if (!Array.isArray(rows)) throw invalid('its client gave no rows');
  return rows as readonly Readonly<Record<string, string | null>>[];
}

/** The error for a `tx` that cannot be used. */
export function invalid(reason: string): SpineError {
  return new SpineError('TRANSACTION_INVALID', { reason });
}
