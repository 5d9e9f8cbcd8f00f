import { describe, expect, it } from 'vitest';
import { int8s, texts, utf8Byteas } from './arrays.js';
import { column, rowsSql, rowsStatement } from './row-statement.js';

interface Thing {
  readonly tenant: string;
  readonly name: string | null;
  readonly size: number | null;
  readonly body: string;
}

const sql = rowsSql(
  'tenant text, name text, size bigint, body bytea',
  'tenant, name',
  (rows) => `INSERT INTO thing ${rows}, $5::bigint`,
);

function statementOf(...things: readonly Thing[]) {
  const columns = [
    column(texts, things, ({ tenant }) => tenant),
    column(texts, things, ({ name }) => name),
    column(int8s, things, ({ size }) => size),
    column(
      utf8Byteas,
      things,
      ({ body }) => body,
      (body) => Buffer.from(body),
    ),
  ];
  return rowsStatement(sql, columns, 9);
}

const thing: Thing = { tenant: 'acme', name: null, size: 1, body: 'ä' };

describe('a statement over rows', () => {
  it('takes a single row as it is, and no array', () => {
    expect(statementOf(thing)).toEqual({
      text: 'INSERT INTO thing SELECT $1::text AS tenant, $2::text AS name, $3::bigint AS size, $4::bytea AS body, $5::bigint',
      values: ['acme', null, 1, Buffer.from('ä'), 9],
    });
  });

  it('takes one value of a column in which all rows are alike, where that is likely', () => {
    const { text, values } = statementOf(thing, { ...thing, size: null });
    expect(text).toContain('SELECT $1::text AS tenant, $2::text AS name, unnest($3::bigint[]) AS size');
    expect(values).toEqual(['acme', null, int8s([1, null]), utf8Byteas(['ä', 'ä']), 9]);
  });

  it('takes arrays alone as soon as one of those columns differs', () => {
    const { text, values } = statementOf(thing, { ...thing, tenant: 'other' });
    expect(text).toContain('SELECT unnest($1::text[]) AS tenant, unnest($2::text[]) AS name');
    expect(values.slice(0, 2)).toEqual([texts(['acme', 'other']), texts([null, null])]);
  });

  it('is not made with a column that it does not have', () => {
    expect(() => rowsSql('a text', 'b', (rows) => rows)).toThrow('no column b');
  });
});
