/** The store for several servers: one PostgreSQL database, any number of owners. */
export type { PostgresClient, PostgresPool, Submittable, WireConnection } from './driver.js';
export { markPostgresRestored, openPostgresStore, postgres, type PostgresOptions } from './open.js';
export { openPostgresTarget, type PostgresTargetOptions } from './restore.js';
export { postgresRolesSql, type PostgresRoles } from './roles.js';
