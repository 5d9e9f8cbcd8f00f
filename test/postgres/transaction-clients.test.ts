/** The transactions of `pg`, Drizzle, Kysely and Prisma in somebody else's app: the code of the guide, compiled and run. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FreshApp, missingRegistry } from '../process/packaging/fresh-app.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const clients = ['pg', 'drizzle', 'kysely', 'prisma'];

describeUnless(noPostgres ?? (await missingRegistry()), 'transactions of other packages', () => {
  let app: FreshApp;
  let database: string;

  beforeAll(async () => {
    database = newSchema();
    await sql(`CREATE DATABASE ${database}`);
    app = await FreshApp.make('transactions');
    await app.install();
    // Writes types only. It asks for a program that it does not need here, and would fetch it from a host of its own.
    const generate = ['node_modules/prisma/build/index.js', 'generate'];
    await app.succeeds(process.execPath, generate, {
      environment: {
        PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
        CHECKPOINT_DISABLE: '1',
        PRISMA_HIDE_UPDATE_MESSAGE: '1',
      },
      ms: 60_000,
    });
  }, 240_000);

  afterAll(async () => {
    app.remove();
    await sql(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  });

  it('fits their types, and refuses their databases where these can be told from transactions', async () => {
    await app.succeeds(process.execPath, ['node_modules/typescript/bin/tsc'], { ms: 60_000 });
  }, 60_000);

  it('takes part in theirs: both are committed, or neither', async () => {
    const url = new URL(serverUrl());
    url.pathname = `/${database}`;
    const { stdout } = await app.succeeds(process.execPath, ['dist/main.js'], {
      environment: { DATABASE_URL: url.href },
      ms: 60_000,
    });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.slice(0, -1)).toEqual(
      clients.map((name) => ({
        name,
        result: `packed it's a \\ bööк $1::text`,
        again: name === 'prisma' ? 'P2002' : '23505',
        noTransaction: 'TRANSACTION_INVALID',
      })),
    );
    expect(lines.at(-1)).toEqual({
      runs: [...clients.map(() => 'fulfil'), ...clients.map(() => 'thank')],
      orders: clients.length,
      events: clients.map((name) => `${name}-1`),
    });
  });

  it('is what the guide shows', () => {
    const guide = readFileSync(new URL('../../docs/guides/transactions.md', import.meta.url), 'utf8');
    const blocks = [...guide.matchAll(/^```ts\n\/\/ (\S+\.ts)\n([\s\S]*?)\n```$/gm)];
    expect(blocks.map(([, file]) => file)).toEqual(
      expect.arrayContaining(clients.map((name) => `src/with-${name}.ts`)),
    );
    const fixture = new URL('../process/packaging/fixtures/transactions/', import.meta.url);
    for (const [, file = '', code = ''] of blocks)
      expect(readFileSync(new URL(file, fixture), 'utf8'), file).toContain(code);
  });
});
