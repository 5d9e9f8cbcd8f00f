import { describe, expect, it } from 'vitest';
import { runnerOf } from './transaction-clients.js';

const statement = 'SELECT $1::text, $2::text, $1::text';
const values = [`it's \\ $2::text`, 'Ü'];

describe('runnerOf', () => {
  it('hands values to pg as parameters', async () => {
    const asked: unknown[] = [];
    const tx = { query: (...args: unknown[]) => Promise.resolve({ rows: asked.push(args) ? [{ a: '1' }] : [] }) };
    expect(await runnerOf(tx)(statement, values)).toEqual([{ a: '1' }]);
    expect(asked).toEqual([[statement, values]]);
  });

  it('writes values into the statement for Drizzle, in letters that end no literal', async () => {
    const asked: string[] = [];
    const tx = {
      // Drizzle has one too, for something else.
      query: {},
      rollback: () => undefined,
      execute: (text: string) => Promise.resolve(asked.push(text) ? [{ a: '1' }] : []),
    };
    expect(await runnerOf(tx)(statement, values)).toEqual([{ a: '1' }]);
    const literals = [...(asked[0] ?? '').matchAll(/convert_from\(decode\('([A-Za-z0-9+/=]*)', 'base64'\), 'UTF8'\)/g)];
    expect(literals.map(([, text = '']) => Buffer.from(text, 'base64').toString())).toEqual([
      values[0],
      values[1],
      values[0],
    ]);
    expect(asked[0]).not.toContain('$');
  });

  it('gives each statement of Kysely an identity of its own', async () => {
    const asked: { queryId: object; parameters: unknown }[] = [];
    const tx = {
      isTransaction: true,
      executeQuery: (query: (typeof asked)[number]) => Promise.resolve({ rows: asked.push(query) ? [] : [] }),
    };
    const run = runnerOf(tx);
    await run(statement, values);
    await run(statement, values);
    expect(asked[0]?.parameters).toEqual(values);
    expect(asked[0]?.queryId).not.toBe(asked[1]?.queryId);
  });

  it.each([
    ['nothing', null, /not an object/],
    ['a database of Kysely', { executeQuery: () => undefined, isTransaction: false }, /not its transaction/],
    ['a database of Drizzle', { execute: () => undefined }, /not its transaction/],
    ['something else', { run: () => undefined }, /none of a pg client/],
  ])('refuses %s', (_, tx, says) => {
    expect(() => runnerOf(tx)).toThrow(says);
  });

  it('refuses a client that gives no rows', async () => {
    await expect(runnerOf({ query: () => Promise.resolve({}) })('SELECT 1', [])).rejects.toMatchObject({
      code: 'TRANSACTION_INVALID',
    });
  });
});
