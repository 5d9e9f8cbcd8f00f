/** Two tenants in one database: apart over the API, and to a role of people and reports by row-level security. */
import pg from 'pg';
import { afterAll, expect } from 'vitest';
import { postgres, postgresRolesSql } from '../../src/stores/postgres/index.js';
import { systemTenant } from '../../src/engine/system-tenant.js';
import { describeUnless } from '../skip.js';
import { itKeepsTenantsApart } from '../support/tenant-canaries.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

describeUnless(noPostgres, 'tenants on PostgreSQL', () => {
  const schema = newSchema();
  const reader = `${schema}_reader`;

  afterAll(async () => {
    if (noPostgres !== null) return;
    await sql(`DROP OWNED BY ${reader}; DROP ROLE ${reader}; DROP SCHEMA ${schema} CASCADE`);
  });

  itKeepsTenantsApart(
    () => ({ store: postgres({ url: serverUrl(), schema }) }),
    async () => {
      await sql(`CREATE ROLE ${reader} LOGIN`);
      await sql(postgresRolesSql({ schema, server: new URL(serverUrl()).username || 'postgres', reader }));
      const tables = await sql(
        `SELECT c.relname AS name, c.relrowsecurity AS secured, c.relispartition AS part
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
         WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm')`,
        [schema],
      );
      expect(tables.length).toBeGreaterThan(10);
      const policies = await sql(`SELECT tablename AS name, qual FROM pg_policies WHERE policyname = 'reader'`);
      let filled = 0;
      const url = new URL(serverUrl());
      url.username = reader;
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      try {
        for (const { name, secured, part } of tables) {
          const table = `${schema}."${String(name)}"`;
          const seen = `SELECT tenant, count(*)::int AS n FROM ${table} GROUP BY 1`;
          if (part === true) {
            // Its rows are there through its parent only, where the policy is.
            await expect(client.query(seen), table).rejects.toThrow('permission denied');
            continue;
          }
          expect([name, secured]).toEqual([name, true]);
          const all = await sql(seen);
          const tenants = all.map(({ tenant }) => String(tenant));
          if (tenants.length > 0) filled += 1;
          const policy = policies.find((one) => one['name'] === name);
          expect([name, policy?.['qual']]).toEqual([
            name,
            expect.stringMatching(/tenant.* = current_setting\('eventspine.tenant'/),
          ]);
          expect((await client.query(seen)).rows, `${table} without a tenant`).toEqual([]);
          for (const tenant of [...tenants, 'nobody', '', '%']) {
            await client.query('BEGIN');
            await client.query(`SELECT set_config('eventspine.tenant', $1, true)`, [tenant]);
            const { rows } = await client.query(seen);
            await client.query('COMMIT');
            // Those of the installation, secrets among them, are for no reader.
            const own = all.filter((one) => one['tenant'] === tenant && tenant !== systemTenant);
            expect([name, rows]).toEqual([name, own]);
          }
          // The setting ends with its transaction.
          expect((await client.query(seen)).rows, `${table} after a transaction`).toEqual([]);
          await expect(client.query(`UPDATE ${table} SET tenant = 'mine'`), table).rejects.toThrow('permission denied');
        }
        // What the scene leaves empty is held by its policy alone.
        expect(filled).toBeGreaterThanOrEqual(8);
      } finally {
        await client.end();
      }
    },
  );
});
