/** Schema 2: schedules. `version` guards each write; `body` is the engine's JSON. */
export const schedulesSchema = `
CREATE TABLE schedule (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  due_at INTEGER,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_due ON schedule (due_at, tenant, name) WHERE due_at IS NOT NULL;
`;
