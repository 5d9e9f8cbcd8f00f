/**
 * What an error means. Four things can follow: the batch is looked through for the item that cannot be stored, the same
 * is tried again, the batch is refused for now, or nothing is known of what became of it. Whatever is wrong with a
 * server or a network may be right again later; only a database that has lost something is done with (`witness.ts`).
 */

/**
 * `item`: a value or a constraint was at fault. `fault`: the statement was: a table or a right is missing. `again`: rolled back for reasons of concurrency. `full`: no room.
 * `lost`: the connection ended, or the server is not ready; what was under way may have been committed.
 */
export type FailureKind = 'item' | 'fault' | 'again' | 'full' | 'lost';

/** SQLSTATE by class and by code, https://www.postgresql.org/docs/current/errcodes-appendix.html */
const codes: Readonly<Record<string, FailureKind>> = {
  '23505': 'again', // unique_violation: somebody else was quicker; a new look tells
  '40001': 'again', // serialization_failure
  '40P01': 'again', // deadlock_detected
  '55P03': 'again', // lock_not_available
  '57014': 'again', // query_canceled: the statement timeout
  '25006': 'lost', // read_only_sql_transaction: this server is a standby now
  '25P03': 'lost', // idle_in_transaction_session_timeout
  '53100': 'full', // disk_full
};
const classes: Readonly<Record<string, FailureKind>> = {
  '08': 'lost', // connection exception
  '22': 'item', // data exception
  '23': 'item', // integrity constraint violation
  '28': 'lost', // invalid authorization: a password that is being changed
  '53': 'lost', // insufficient resources: too many connections, out of memory
  '54': 'item', // program limit exceeded: an index row too large
  '57': 'lost', // operator intervention: shutdown, crash, not yet accepting connections
  '58': 'lost', // system error
};

/** Classifies what was thrown by the driver. */
export function classifyFailure(error: unknown): FailureKind {
  const code = stateOf(error);
  // Without a state it came from the socket or from the driver.
  if (code === null) return 'lost';
  return codes[code] ?? classes[code.slice(0, 2)] ?? 'fault';
}

/** The SQLSTATE of an error from the server; null = it did not come from there. */
export function stateOf(error: unknown): string | null {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
