/** One server for all files of the project: found or started before them, stopped after them. */
import type { TestProject } from 'vitest/node';
import { pgbouncerProgram, type NoPgbouncer, type Pgbouncer } from '../../scripts/pgbouncer.mjs';
import { startPostgres } from '../../scripts/postgres.mjs';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the server is; null = there is none, for the reason given. */
    postgres: { readonly url: string | null; readonly reason: string };
    /** A pooler to put in front of it. */
    pgbouncer: Pgbouncer | NoPgbouncer;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres();
  console.log(server.url === null ? `No PostgreSQL: ${server.reason}.` : `PostgreSQL: ${server.source}.`);
  project.provide('postgres', { url: server.url, reason: server.url === null ? server.reason : '' });
  const pooler = pgbouncerProgram();
  console.log(pooler.program === null ? `No PgBouncer: ${pooler.reason}.` : `PgBouncer: ${pooler.source}.`);
  project.provide('pgbouncer', pooler);
  return async () => {
    if (server.url !== null) await server.stop();
  };
}
