/** Schema 3: schedules. `version` guards each write; `body` is the engine's JSON. */
export function schedulesSchema(s: string): string {
  return `
CREATE TABLE ${s}.schedule (
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  due_at bigint,
  body text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0);
CREATE INDEX schedule_due ON ${s}.schedule (due_at, tenant, name) WHERE due_at IS NOT NULL;
ALTER TABLE ${s}.schedule ENABLE ROW LEVEL SECURITY;
`;
}
