import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadDriver, prepare, type SqliteDatabase } from './driver.js';
import { WalSpace } from './wal-space.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventspine-wal-'));
  file = join(folder, 'a.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const lengthOf = (path: string): number => statSync(path).size;

describe('room in the log', () => {
  it('is made behind the end, once, until the log has gone past it', () => {
    writeFileSync(`${file}-wal`, Buffer.alloc(5_000, 1));
    const space = new WalSpace(file);
    space.keepAhead();
    const filled = lengthOf(`${file}-wal`);
    expect(filled).toBeGreaterThanOrEqual(5_000 + 1024 * 1024);
    space.keepAhead();
    expect(lengthOf(`${file}-wal`)).toBe(filled);
    writeFileSync(`${file}-wal`, Buffer.alloc(1), { flag: 'a' });
    space.keepAhead();
    expect(lengthOf(`${file}-wal`)).toBeGreaterThan(filled + 1024 * 1024);
    space.close();
  });

  it('is not made without bound', () => {
    writeFileSync(`${file}-wal`, Buffer.alloc(49 * 1024 * 1024));
    const space = new WalSpace(file);
    space.keepAhead();
    expect(lengthOf(`${file}-wal`)).toBe(49 * 1024 * 1024);
    space.close();
  });

  it('is invisible to SQLite: commits before and after it are found again by another connection', async () => {
    const driver = await loadDriver();
    const database = driver.open(file, { readOnly: false });
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t(a INTEGER) STRICT');
    const space = new WalSpace(file);
    for (let i = 0; i < 50; i++) {
      database.exec(`INSERT INTO t VALUES (${i})`);
      space.keepAhead();
    }
    const other = driver.open(file, { readOnly: true });
    expect(countOf(other)).toEqual([50]);
    other.close();
    space.close();
    database.close();
    const again = driver.open(file, { readOnly: false });
    expect(countOf(again)).toEqual([50]);
    again.close();
  });
});

function countOf(database: SqliteDatabase): unknown {
  return prepare(database, 'SELECT count(*) FROM t').all()[0];
}
