/**
 * Schema 2: the outbox, where callers leave transitions in transactions of their own.
 *
 * - A row that can be seen is committed, and is there to be carried out (`format` says how `transition` is written) or,
 *   where it says why, `refused` for good.
 * - `outbox_key` keeps two transactions from leaving the same key: the second waits for the first, as with any unique key.
 */
export function outboxSchema(s: string): string {
  return `
CREATE TABLE ${s}.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  scope text COLLATE "C",
  key text COLLATE "C",
  hash text COLLATE "C",
  reference text COLLATE "C",
  format smallint NOT NULL,
  transition text COLLATE "C" NOT NULL,
  refused text COLLATE "C"
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX outbox_key ON ${s}.outbox (tenant, scope, key) WHERE key IS NOT NULL AND refused IS NULL;
CREATE INDEX outbox_open ON ${s}.outbox (id) WHERE refused IS NULL;
CREATE INDEX outbox_refused ON ${s}.outbox (id) WHERE refused IS NOT NULL;
ALTER TABLE ${s}.outbox ENABLE ROW LEVEL SECURITY;
`;
}
