/**
 * Schema 5: indexes as the statements want them. Nothing else, so that programs of schema 4 work on with it.
 *
 * - No index of `run` speaks of `status`, not even as a condition: so a run that moves on or ends without an instant at
 *   which it expires touches none of them (HOT).
 * - `task_age` tells since when the oldest ready task of a queue waits without a walk through its backlog; `task_ready` is
 *   the smaller for it.
 * - The primary key of `run` is made again, last: of two indexes that seem equally cheap the planner takes the newer one,
 *   and while `run` has a few hundred rows `run_started` seems as cheap for a look by tenant and run. A plan made
 *   then is kept for up to a minute, in which it would walk through all runs of the tenant for each.
 */
export function indexesSchema(s: string): string {
  return `
DROP INDEX ${s}.run_failed;
CREATE INDEX run_failed ON ${s}.run (tenant, started_at, run) WHERE failure_class IS NOT NULL;
DROP INDEX ${s}.run_expiry;
CREATE INDEX run_expiry ON ${s}.run (expires_at, tenant, run) WHERE expires_at IS NOT NULL;
DROP INDEX ${s}.task_ready;
CREATE INDEX task_ready ON ${s}.task (queue, rank, run, task, tenant) WHERE state = 0;
CREATE INDEX task_age ON ${s}.task (queue, ready_at) WHERE state = 0;
ALTER TABLE ${s}.run DROP CONSTRAINT run_pkey, ADD CONSTRAINT run_pkey PRIMARY KEY (tenant, run);
`;
}
