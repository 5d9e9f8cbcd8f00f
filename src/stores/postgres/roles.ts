/**
 * The SQL that gives the rights: one role for servers, which may read and write rows and nothing else, and one for
 * readers (reports, support), which sees the rows of one tenant at a time. Run once by the owner of the tables; running
 * it again changes nothing.
 */
import { limits } from '../../core/limits.js';
import { quoteName } from './migrate.js';

/** Roles of the database for those who do not own the tables. */
export interface PostgresRoles {
  /** The schema of the store. Default: `eventspine`. */
  readonly schema?: string;
  /** The role of the servers; must exist. They open the store with `migrate: false`. */
  readonly server: string;
  /** A role that may only read; must exist. It says whose rows it wants: `SET LOCAL eventspine.tenant = 'acme'`. */
  readonly reader?: string;
  /**
   * The role under which the application has transactions of its own, where it passes them as `tx`; must exist. It may
   * leave work there and see which keys are taken, and nothing else.
   */
  readonly application?: string;
}

/** Tables whose rows belong to a tenant. The migrations turn row-level security on for each. */
const tenantTables = [
  'run',
  'event',
  'task',
  'timer',
  'entry',
  'schedule',
  'dedupe',
  'dead_letter',
  'blob',
  'topic_head',
  'tally',
  'outbox',
] as const;

/** The statements, to be run by the owner of the tables. */
export function postgresRolesSql({ schema = 'eventspine', server, reader, application }: PostgresRoles): string {
  const s = quoteName(schema);
  const role = quoteName(server);
  const lines = [
    `GRANT USAGE ON SCHEMA ${s} TO ${role};`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${s} TO ${role};`,
    `GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${s} TO ${role};`,
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${s} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${role};`,
    ...tenantTables.flatMap((table) => [
      `DROP POLICY IF EXISTS server ON ${s}.${table};`,
      `CREATE POLICY server ON ${s}.${table} TO ${role} USING (true) WITH CHECK (true);`,
    ]),
  ];
  if (reader !== undefined) lines.push(...readerLines(s, quoteName(reader)));
  if (application !== undefined) lines.push(...applicationLines(s, quoteName(application)));
  return `${lines.join('\n')}\n`;
}

/**
 * A reader may name any tenant, but not that of the installation, whose rows are secrets and keys: its name is longer than that of
 * a tenant may be.
 */
function readerLines(s: string, of: string): string[] {
  return [
    `GRANT USAGE ON SCHEMA ${s} TO ${of};`,
    `GRANT SELECT ON ${tenantTables.map((table) => `${s}.${table}`).join(', ')} TO ${of};`,
    ...tenantTables.flatMap((table) => [
      `DROP POLICY IF EXISTS reader ON ${s}.${table};`,
      `CREATE POLICY reader ON ${s}.${table} FOR SELECT TO ${of}
  USING (tenant = current_setting('eventspine.tenant', true) AND char_length(tenant) <= ${limits.tenantLengthMax});`,
    ]),
  ];
}

function applicationLines(s: string, of: string): string[] {
  return [
    `GRANT USAGE ON SCHEMA ${s} TO ${of};`,
    `GRANT SELECT ON ${s}.dedupe TO ${of};`,
    `GRANT SELECT, INSERT ON ${s}.outbox TO ${of};`,
    ...['dedupe', 'outbox'].flatMap((table) => [
      `DROP POLICY IF EXISTS application ON ${s}.${table};`,
      `CREATE POLICY application ON ${s}.${table} TO ${of} USING (true) WITH CHECK (true);`,
    ]),
  ];
}
