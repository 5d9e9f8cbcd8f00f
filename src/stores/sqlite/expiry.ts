/** Retention: deletes what has outlived its time, oldest first, bounded per kind, inside the writer's transaction. */
import { type ExpireCounts, idleBlobKeptMs, tallyKind } from '../../store/index.js';
import { prepare, type SqliteDatabase, type SqliteStatement } from './driver.js';
import type { Tally } from './tally.js';

export type ExpiryStatements = ReturnType<typeof prepareExpiry>;

export function prepareExpiry(database: SqliteDatabase) {
  const sql = (text: string): SqliteStatement => prepare(database, text);
  return {
    pastRuns: sql(`SELECT tenant, run, workflow, status FROM run INDEXED BY run_expiry
      WHERE expires_at IS NOT NULL AND status >= 2 AND expires_at <= ? ORDER BY expires_at, tenant, run LIMIT ?`),
    blobsOfRun: sql(`SELECT blob, count(*) FROM event
      WHERE tenant = ? AND stream = ? AND blob IS NOT NULL GROUP BY blob`),
    releaseBlob: sql('UPDATE blob SET refs = refs - ? WHERE tenant = ? AND hash = ?'),
    dropEvents: sql('DELETE FROM event WHERE tenant = ? AND stream = ?'),
    dropTasks: sql('DELETE FROM task WHERE tenant = ? AND run = ? RETURNING queue, state'),
    dropTimers: sql('DELETE FROM timer WHERE tenant = ? AND run = ?'),
    dropEntries: sql("DELETE FROM entry INDEXED BY entry_run WHERE tenant = ? AND run = ? AND run <> ''"),
    dropDeadLetters: sql('DELETE FROM dead_letter WHERE tenant = ? AND run = ?'),
    dropRun: sql('DELETE FROM run WHERE tenant = ? AND run = ?'),
    dropDedupe: sql(`DELETE FROM dedupe WHERE (tenant, scope, key) IN (
      SELECT tenant, scope, key FROM dedupe INDEXED BY dedupe_expiry
      WHERE expires_at <= ? ORDER BY expires_at, tenant, scope, key LIMIT ?)`),
    idleBlobs: sql(`SELECT id FROM blob INDEXED BY blob_idle
      WHERE refs = 0 AND created_at < ? ORDER BY created_at, tenant, hash LIMIT ?`),
    dropBlob: sql('DELETE FROM blob WHERE id = ?'),
    dropBlobData: sql('DELETE FROM blob_data WHERE id = ?'),
    dropEmptyTally: sql('DELETE FROM tally WHERE count = 0'),
  } satisfies Record<string, SqliteStatement>;
}

/** Deletes at most `limit` of each kind. */
export function expireRows(sql: ExpiryStatements, tally: Tally, now: number, limit: number): ExpireCounts {
  const runs = sql.pastRuns.all(now, limit) as [tenant: string, run: string, workflow: string, status: number][];
  for (const [tenant, run, workflow, status] of runs) {
    dropRun(sql, tally, tenant, run);
    tally.add(tenant, tallyKind.run, workflow, status, -1);
  }
  const dedupe = Number(sql.dropDedupe.run(now, limit).changes);
  const blobs = sql.idleBlobs.all(now - idleBlobKeptMs, limit) as [id: number][];
  for (const [id] of blobs) {
    sql.dropBlob.run(id);
    sql.dropBlobData.run(id);
  }
  // Counters of queues and workflows that are no more would otherwise stay for ever.
  if (runs.length > 0) sql.dropEmptyTally.run();
  return { runs: runs.length, dedupe, blobs: blobs.length };
}

function dropRun(sql: ExpiryStatements, tally: Tally, tenant: string, run: string): void {
  for (const [blob, count] of sql.blobsOfRun.all(tenant, run) as [blob: string, count: number][])
    sql.releaseBlob.run(count, tenant, blob);
  sql.dropEvents.run(tenant, run);
  for (const [queue, state] of sql.dropTasks.all(tenant, run) as [queue: string, state: number][])
    tally.add(tenant, tallyKind.task, queue, state, -1);
  sql.dropTimers.run(tenant, run);
  sql.dropEntries.run(tenant, run);
  sql.dropDeadLetters.run(tenant, run);
  sql.dropRun.run(tenant, run);
}
