/** Schema 2: entries, the rows of secondary indexes. `entry_run` finds those of a run, which go with it. */
export const entriesSchema = `
CREATE TABLE entry (
  tenant TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  ref TEXT NOT NULL,
  value TEXT NOT NULL,
  run TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, space, key, ref)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_run ON entry (tenant, run) WHERE run <> '';
`;
