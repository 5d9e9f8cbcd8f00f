/**
 * Schema 1. Not released yet; from the first release on it is never edited, only followed by another number.
 *
 * Codes: run.status 0 active, 1 waiting, 2 succeeded, 3 failed, 4 cancelled, 5 refused. task.state 0 ready, 1 delayed,
 * 2 held, 3 leased; task.kind 0 activation, 1 call. All instants are epoch ms. event.body is laid out in
 * `event-body.ts`: type, instant, salt, the envelope's bytes and an inline payload; event.blob is the hash of a payload
 * that lies in `blob`. hlc, actor, cause, correlation, traceparent, schema, region, epoch and the payload's commitment
 * are in the envelope's bytes. `run.sealed` is reserved for the ledger.
 */
export const initialSchema = `
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('epoch', 0), ('feed_head', 0);

CREATE TABLE run (
  tenant TEXT NOT NULL,
  run TEXT NOT NULL,
  workflow TEXT NOT NULL,
  version TEXT,
  status INTEGER NOT NULL,
  head INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  expires_at INTEGER,
  cancel_requested INTEGER NOT NULL,
  failure_class TEXT,
  failure_code TEXT,
  failure_message TEXT,
  labels TEXT,
  sealed BLOB,
  PRIMARY KEY (tenant, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_started ON run (tenant, started_at, run);
CREATE INDEX run_failed ON run (tenant, started_at, run) WHERE status = 3;
CREATE INDEX run_expiry ON run (expires_at, tenant, run) WHERE expires_at IS NOT NULL AND status >= 2;

CREATE TABLE event (
  position INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  blob TEXT,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_stream ON event (tenant, stream, seq);

CREATE TABLE task (
  tenant TEXT NOT NULL,
  run TEXT NOT NULL,
  task TEXT NOT NULL,
  kind INTEGER NOT NULL,
  queue TEXT NOT NULL,
  rank REAL NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  token INTEGER NOT NULL,
  deadline_ms INTEGER NOT NULL,
  input_seq INTEGER NOT NULL,
  due_at INTEGER,
  limit_key TEXT,
  session TEXT,
  assignment INTEGER,
  leased_at INTEGER,
  ready_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, run, task)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_ready ON task (queue, rank, run, task, tenant, ready_at) WHERE state = 0;
CREATE INDEX task_delayed ON task (due_at, tenant, run, task) WHERE state = 1;
CREATE INDEX task_held ON task (limit_key, rank, run, task, tenant) WHERE state = 2;
CREATE INDEX task_leased ON task (session, assignment, tenant, run, task) WHERE state = 3;

CREATE TABLE timer (
  tenant TEXT NOT NULL,
  run TEXT NOT NULL,
  name TEXT NOT NULL,
  fire_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_due ON timer (fire_at, tenant, run, name);

CREATE TABLE dedupe (
  tenant TEXT NOT NULL,
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  hash TEXT NOT NULL,
  reference TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_expiry ON dedupe (expires_at, tenant, scope, key);

CREATE TABLE dead_letter (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  run TEXT NOT NULL,
  workflow TEXT NOT NULL,
  path TEXT,
  class TEXT NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_letter_at ON dead_letter (tenant, at, id);
CREATE INDEX dead_letter_run ON dead_letter (tenant, run);

CREATE TABLE blob (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  hash TEXT NOT NULL,
  refs INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX blob_hash ON blob (tenant, hash);
CREATE INDEX blob_idle ON blob (created_at, tenant, hash) WHERE refs = 0;
CREATE TABLE blob_data (
  id INTEGER PRIMARY KEY,
  bytes BLOB
) STRICT;

CREATE TABLE topic_head (
  tenant TEXT NOT NULL,
  topic TEXT NOT NULL,
  part INTEGER NOT NULL,
  head INTEGER NOT NULL,
  PRIMARY KEY (tenant, topic, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
  session TEXT PRIMARY KEY,
  owner INTEGER NOT NULL,
  worker TEXT NOT NULL,
  app TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  received INTEGER NOT NULL,
  info TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest (
  app TEXT NOT NULL,
  hash TEXT NOT NULL,
  manifest TEXT NOT NULL,
  registered_at INTEGER NOT NULL,
  PRIMARY KEY (app, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally (
  tenant TEXT NOT NULL,
  kind INTEGER NOT NULL,
  name TEXT NOT NULL,
  state INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, name, state)
) STRICT, WITHOUT ROWID;
`;
