/**
 * Schema 3: entries, the rows of secondary indexes. They come and go with what they stand for, so their dead rows are
 * cleared away early. `entry_run` finds those of a run, which go with it.
 */
export function entriesSchema(s: string): string {
  return `
CREATE TABLE ${s}.entry (
  tenant text COLLATE "C" NOT NULL,
  space text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  ref text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (tenant, space, key, ref)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX entry_run ON ${s}.entry (tenant, run) WHERE run <> '';
ALTER TABLE ${s}.entry ENABLE ROW LEVEL SECURITY;
`;
}
