/**
 * Schema 1. Frozen: what has been released is never edited, only followed by another number.
 *
 * Codes as in `codes.ts`. All instants are epoch ms; all text sorts by code point (collation C). The text of events is
 * stored as its UTF-8 bytes. `run.sealed` is reserved for the ledger.
 *
 * - `event` is append-only and partitioned by `era`: the week in which its run began, or in which it was published. So
 *   the events of a run are in one partition, whose number is in the row of the run, and a week is dropped as a whole.
 *   Era 0 is for what was moved aside. `event_default` should be empty; `check` says where it is not.
 * - `feed_commit` has one row for each commit that applied something. It is what makes an unknown outcome known (`id` is
 *   made by the node before it commits), what says in which order commits are to be numbered (`ord`, drawn after every
 *   row lock of the commit was had), and where the numbers are (`first`, given after the commit; see `feed.ts`).
 * - `task` holds unfinished work only and no payloads, so it is itself the thin table; see docs/adr.
 * - `tally` is spread over slots, so that nodes do not wait for each other's counters.
 * - No foreign keys, no triggers, no functions, no extensions.
 */
export function initialSchema(s: string): string {
  return `
CREATE TABLE ${s}.meta (
  key text COLLATE "C" PRIMARY KEY,
  value bigint NOT NULL
);
INSERT INTO ${s}.meta (key, value) VALUES ('epoch', 0), ('schema', 0);

CREATE TABLE ${s}.feed (
  id smallint PRIMARY KEY,
  head bigint NOT NULL
) WITH (fillfactor = 20);
INSERT INTO ${s}.feed (id, head) VALUES (1, 0);

CREATE TABLE ${s}.feed_commit (
  id bigint PRIMARY KEY,
  ord bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  events integer NOT NULL,
  era_min integer NOT NULL,
  era_max integer NOT NULL,
  first bigint
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX feed_commit_pending ON ${s}.feed_commit (ord) WHERE first IS NULL AND events > 0;
CREATE UNIQUE INDEX feed_commit_first ON ${s}.feed_commit (first) WHERE first IS NOT NULL;
CREATE INDEX feed_commit_bare ON ${s}.feed_commit (at) WHERE events = 0;

CREATE TABLE ${s}.run (
  tenant text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  era integer NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  version text COLLATE "C",
  status smallint NOT NULL,
  head bigint NOT NULL,
  priority bigint NOT NULL,
  started_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  expires_at bigint,
  cancel_requested boolean NOT NULL,
  failure_class text COLLATE "C",
  failure_code text COLLATE "C",
  failure_message text COLLATE "C",
  labels text COLLATE "C",
  sealed bytea,
  PRIMARY KEY (tenant, run)
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX run_started ON ${s}.run (tenant, started_at, run);
CREATE INDEX run_failed ON ${s}.run (tenant, started_at, run) WHERE status = 3;
CREATE INDEX run_expiry ON ${s}.run (expires_at, tenant, run) WHERE expires_at IS NOT NULL AND status >= 2;

CREATE TABLE ${s}.event (
  era integer NOT NULL,
  commit bigint NOT NULL,
  n integer NOT NULL,
  seq bigint NOT NULL,
  at bigint NOT NULL,
  payload_kind smallint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  envelope bytea NOT NULL,
  salt bytea,
  blob text COLLATE "C",
  payload bytea
) PARTITION BY RANGE (era);
CREATE UNIQUE INDEX event_stream ON ${s}.event (tenant, stream, seq, era);
CREATE INDEX event_commit ON ${s}.event (commit, n);
CREATE TABLE ${s}.event_aside PARTITION OF ${s}.event FOR VALUES FROM (0) TO (1);
CREATE TABLE ${s}.event_default PARTITION OF ${s}.event DEFAULT;

CREATE TABLE ${s}.task (
  tenant text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  task text COLLATE "C" NOT NULL,
  kind smallint NOT NULL,
  queue text COLLATE "C" NOT NULL,
  rank double precision NOT NULL,
  state smallint NOT NULL,
  attempt bigint NOT NULL,
  token bigint NOT NULL,
  deadline_ms bigint NOT NULL,
  input_seq bigint NOT NULL,
  due_at bigint,
  limit_key text COLLATE "C",
  session text COLLATE "C",
  assignment bigint,
  leased_at bigint,
  ready_at bigint NOT NULL,
  PRIMARY KEY (tenant, run, task)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX task_ready ON ${s}.task (queue, rank, run, task, tenant) INCLUDE (ready_at) WHERE state = 0;
CREATE INDEX task_delayed ON ${s}.task (due_at, tenant, run, task) WHERE state = 1;
CREATE INDEX task_held ON ${s}.task (limit_key, rank, run, task, tenant) WHERE state = 2;
CREATE INDEX task_leased ON ${s}.task (session, assignment, tenant, run, task) WHERE state = 3;

CREATE TABLE ${s}.timer (
  tenant text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  fire_at bigint NOT NULL,
  PRIMARY KEY (tenant, run, name)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX timer_due ON ${s}.timer (fire_at, tenant, run, name);

CREATE TABLE ${s}.dedupe (
  tenant text COLLATE "C" NOT NULL,
  scope text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL,
  reference text COLLATE "C" NOT NULL,
  expires_at bigint NOT NULL,
  PRIMARY KEY (tenant, scope, key)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX dedupe_expiry ON ${s}.dedupe (expires_at, tenant, scope, key);

CREATE TABLE ${s}.dead_letter (
  tenant text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  path text COLLATE "C",
  class text COLLATE "C" NOT NULL,
  code text COLLATE "C" NOT NULL,
  message text COLLATE "C" NOT NULL,
  attempts bigint NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX dead_letter_at ON ${s}.dead_letter (tenant, at, id);
CREATE INDEX dead_letter_run ON ${s}.dead_letter (tenant, run);

CREATE TABLE ${s}.blob (
  tenant text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL,
  refs bigint NOT NULL,
  created_at bigint NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (tenant, hash)
);
ALTER TABLE ${s}.blob ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX blob_idle ON ${s}.blob (created_at, tenant, hash) WHERE refs = 0;

CREATE TABLE ${s}.topic_head (
  tenant text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  head bigint NOT NULL,
  PRIMARY KEY (tenant, topic, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);

CREATE TABLE ${s}.session (
  session text COLLATE "C" PRIMARY KEY,
  owner bigint NOT NULL,
  worker text COLLATE "C" NOT NULL,
  app text COLLATE "C" NOT NULL,
  opened_at bigint NOT NULL,
  counter bigint NOT NULL,
  received bigint NOT NULL,
  info text COLLATE "C" NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);

CREATE TABLE ${s}.manifest (
  app text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL,
  manifest text COLLATE "C" NOT NULL,
  registered_at bigint NOT NULL,
  PRIMARY KEY (app, hash)
);

CREATE TABLE ${s}.tally (
  tenant text COLLATE "C" NOT NULL,
  kind smallint NOT NULL,
  name text COLLATE "C" NOT NULL,
  state smallint NOT NULL,
  slot smallint NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (tenant, kind, name, state, slot)
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0);

CREATE TABLE ${s}.duty (
  duty text COLLATE "C" PRIMARY KEY,
  owner bigint NOT NULL,
  until bigint NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE ${s}.run ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.task ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.timer ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.dedupe ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.dead_letter ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.blob ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.topic_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${s}.tally ENABLE ROW LEVEL SECURITY;
`;
}
