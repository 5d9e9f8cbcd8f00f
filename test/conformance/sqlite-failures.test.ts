/** What only the store on disk can get wrong: settings, ownership, schemas, and disks that lie or fill up. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/index.js';
import { openWriter } from '../../src/stores/sqlite/connection.js';
import { loadDriver, readValue, type SqliteDatabase, type SqliteDriver } from '../../src/stores/sqlite/driver.js';
import { openOnDriver } from '../../src/stores/sqlite/memory.js';
import { migrations } from '../../src/stores/sqlite/migrations/migrations.js';
import { openSqliteStore, sqlite } from '../../src/stores/sqlite/open.js';
import { inline, move, newTask, start, tenant } from '../../src/testing/conformance/builders.js';
import { manualClock } from '../../src/testing/conformance/index.js';
import { recycledThreads } from './sqlite-places.js';

const real = await loadDriver();
const host = recycledThreads();
let folder: string;
let file: string;
const open: Store[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventspine-failures-'));
  file = join(folder, 'spine.db');
});

afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens on threads; closed after the test. */
async function openThreaded(url?: string): Promise<Store> {
  const store = await openSqliteStore({ file, ...(url === undefined ? {} : { url }) }, host);
  open.push(store);
  return store;
}

/** Opens in this thread over the given driver; closed after the test. */
function openInline(driver: SqliteDriver): Store {
  const store = openOnDriver({ driver, file, clock: manualClock() });
  open.push(store);
  return store;
}

/** The real driver, with a say in every statement that is run. */
function driverThat(
  intervene: (sql: string, parameters: readonly unknown[]) => void,
  calls: string[] = [],
): SqliteDriver {
  return {
    name: 'faulty',
    open: (path, options) => {
      const database = real.open(path, options);
      const wrapped: SqliteDatabase = {
        exec: (sql) => {
          intervene(sql, []);
          calls.push(sql);
          database.exec(sql);
        },
        prepare: (sql) => {
          const statement = database.prepare(sql);
          const watched =
            <T>(run: (...parameters: (string | number | bigint | Uint8Array | null)[]) => T) =>
            (...parameters: (string | number | bigint | Uint8Array | null)[]): T => {
              intervene(sql, parameters);
              calls.push(sql);
              return run(...parameters);
            };
          return {
            run: watched((...p) => statement.run(...p)),
            get: watched((...p) => statement.get(...p)),
            all: watched((...p) => statement.all(...p)),
            setReturnArrays: (enabled) => statement.setReturnArrays(enabled),
          };
        },
        close: () => {
          calls.push('close');
          database.close();
        },
      };
      return wrapped;
    },
  };
}

function sqliteError(errcode: number): Error {
  return Object.assign(new Error(`disk trouble ${errcode}`), { code: 'ERR_SQLITE_ERROR', errcode });
}

describe('settings', () => {
  it('opens nothing before it is used', () => {
    sqlite({ file });
    expect(existsSync(file)).toBe(false);
  });

  it('runs with WAL and full synchronisation', () => {
    const { database } = openWriter(real, file);
    expect(readValue(database, 'PRAGMA journal_mode')).toBe('wal');
    expect(readValue(database, 'PRAGMA synchronous')).toBe(2);
    database.close();
  });

  for (const [pragma, what] of [
    ['PRAGMA synchronous = FULL', /synchronous is/],
    ['PRAGMA journal_mode = WAL', /journal_mode is/],
  ] as const) {
    it(`refuses a driver that ignores ${pragma}`, () => {
      const deaf: SqliteDriver = {
        name: 'deaf',
        open: (path, options) => {
          const database = real.open(path, options);
          database.exec('PRAGMA synchronous = NORMAL');
          return {
            exec: (sql) => (sql === pragma ? undefined : database.exec(sql)),
            prepare: (sql) => database.prepare(sql === pragma ? 'PRAGMA journal_mode' : sql),
            close: () => database.close(),
          };
        },
      };
      expect(() => openWriter(deaf, file)).toThrow(expect.objectContaining({ code: 'STORE_UNSUITABLE' }));
      expect(() => openWriter(deaf, file)).toThrow(what);
    });
  }

  it('refuses a SQLite with the WAL-reset fault', () => {
    const old: SqliteDriver = {
      name: 'old',
      open: (path, options) => {
        const database = real.open(path, options);
        return {
          exec: (sql) => database.exec(sql),
          prepare: (sql) => database.prepare(sql.includes('sqlite_version') ? "SELECT '3.51.2'" : sql),
          close: () => database.close(),
        };
      },
    };
    expect(() => openWriter(old, file)).toThrow(/3\.51\.2, at least 3\.51\.3/);
  });

  it('refuses a file that is not a database', async () => {
    writeFileSync(file, 'not a database at all, but long enough to be looked at'.repeat(100));
    await expect(openSqliteStore({ file }, host)).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
    expect(readFileSync(file, 'utf8').startsWith('not a database')).toBe(true);
  });

  it('refuses a database of another program and leaves it as it was', async () => {
    const other = real.open(file, { readOnly: false });
    other.exec('CREATE TABLE theirs (x)');
    other.close();
    await expect(openSqliteStore({ file }, host)).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
  });

  it('refuses a folder that is not there', async () => {
    const missing = join(folder, 'none', 'spine.db');
    await expect(openSqliteStore({ file: missing }, host)).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
  });
});

describe('ownership', () => {
  it('refuses a second owner and says who the first is', async () => {
    await openThreaded('http://localhost:7070');
    const second = openSqliteStore({ file }, host);
    await expect(second).rejects.toMatchObject({ code: 'STORE_OWNED' });
    await expect(second).rejects.toThrow(new RegExp(`process ${process.pid} on .* at http://localhost:7070`));
  });

  it('gives the file to the next owner after closing', async () => {
    const first = await openThreaded();
    await first.close();
    expect(existsSync(`${file}-owner`)).toBe(false);
    expect((await openThreaded()).epoch).toBe(2);
  });

  it('does not take a note for an owner', async () => {
    writeFileSync(`${file}-owner`, '{"pid":1}');
    expect((await openThreaded()).epoch).toBe(1);
  });
});

describe('schemas', () => {
  it('refuses a newer schema without touching it', async () => {
    await (await openThreaded()).close();
    const database = real.open(file, { readOnly: false });
    database.exec(`PRAGMA user_version = ${migrations.length + 1}`);
    database.close();
    await expect(openSqliteStore({ file }, host)).rejects.toMatchObject({ code: 'STORE_TOO_NEW' });
    const after = real.open(file, { readOnly: true });
    expect(readValue(after, 'PRAGMA user_version')).toBe(migrations.length + 1);
    after.close();
  });

  for (let schema = 1; schema <= migrations.length; schema++) {
    it(`upgrades schema ${schema} to the newest and goes on`, async () => {
      openWriter(real, file, { schema }).database.close();
      const store = await openThreaded();
      expect((await store.apply([start()]))[0]?.tag).toBe('applied');
      expect(await store.check(9)).toEqual([]);
      await store.close();
      const database = real.open(file, { readOnly: true });
      expect(readValue(database, 'PRAGMA user_version')).toBe(migrations.length);
      database.close();
    });
  }
});

describe('failures', () => {
  // IOERR_FSYNC, IOERR_WRITE, CORRUPT, NOTADB, READONLY
  for (const code of [1034, 778, 11, 26, 8]) {
    it(`closes for ever after result code ${code} at a commit`, async () => {
      let broken = false;
      const calls: string[] = [];
      const store = openInline(
        driverThat((sql) => {
          if (broken && sql === 'COMMIT') throw sqliteError(code);
        }, calls),
      );
      await store.apply([start()]);
      broken = true;
      await expect(store.apply([start({ run: 'run_2' })])).rejects.toMatchObject({ code: 'STORE_FAILED' });
      expect(await store.failed).toMatchObject({ code: 'STORE_FAILED' });
      broken = false;
      calls.length = 0;
      await expect(store.apply([start({ run: 'run_3' })])).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await expect(store.readRun(tenant, 'run_1')).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await store.close();
      expect(calls).toEqual([]);
    });
  }

  it('closes for ever when a read finds the file corrupt', async () => {
    let broken = false;
    const store = openInline(
      driverThat((sql) => {
        if (broken && sql.startsWith('SELECT')) throw sqliteError(11);
      }),
    );
    await store.apply([start()]);
    broken = true;
    await expect(store.readRun(tenant, 'run_1')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(await store.failed).toMatchObject({ code: 'STORE_FAILED' });
  });

  it('rejects all that is waiting when the thread fails', async () => {
    const threads = recycledThreads();
    const deaths: ((reason: string) => void)[] = [];
    const store = await openSqliteStore(
      { file },
      {
        start: () => {
          const thread = threads.start();
          return {
            ...thread,
            listen: (onMessage, onDeath) => {
              deaths.push(onDeath);
              thread.listen(onMessage, onDeath);
            },
          };
        },
      },
    );
    open.push(store);
    const calls = [store.apply([start()]), store.promoteDue(1)];
    deaths.at(-1)?.('killed');
    for (const call of await Promise.allSettled(calls))
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FAILED' } });
    expect(await store.failed).toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.apply([start()])).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.readRun(tenant, 'run_1')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.readTally()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await store.close();
  });

  it('rejects while the disk is full, keeps what it has, and recovers', async () => {
    let database: SqliteDatabase | null = null;
    const store = openInline({
      name: 'small disk',
      open: (path, options) => {
        database = real.open(path, options);
        return database;
      },
    });
    await store.apply([start()]);
    const disk = database as SqliteDatabase | null;
    const pages = Number(disk === null ? 0 : readValue(disk, 'PRAGMA page_count'));
    disk?.exec(`PRAGMA max_page_count = ${pages + 4}`);
    const large = start({ run: 'run_2', payload: inline('x'.repeat(200_000)) });
    await expect(store.apply([large])).rejects.toMatchObject({ code: 'STORE_FULL' });
    expect((await store.readRun(tenant, 'run_1'))?.head).toBe(1);
    expect(await store.readRun(tenant, 'run_2')).toBeNull();
    disk?.exec('PRAGMA max_page_count = 1000000');
    expect(await store.apply([large])).toEqual([{ tag: 'applied', positions: [2], offsets: [] }]);
    expect(await store.check(9)).toEqual([]);
  });

  it('asks to try again while another program holds the write lock', async () => {
    let busy = false;
    const store = openInline(
      driverThat((sql) => {
        if (busy && sql === 'BEGIN IMMEDIATE') throw sqliteError(5);
      }),
    );
    busy = true;
    await expect(store.apply([start()])).rejects.toMatchObject({ code: 'STORE_BUSY' });
    busy = false;
    expect((await store.apply([start()]))[0]?.tag).toBe('applied');
  });

  it('refuses only the item that SQL refuses, wherever it stands in the batch', async () => {
    for (const bad of [0, 3, 6]) {
      rmSync(file, { force: true });
      const store = openOnDriver({
        driver: driverThat((sql, parameters) => {
          if (sql.startsWith('INSERT INTO event') && parameters.includes('run_bad')) throw sqliteError(19);
        }),
        file: ':memory:',
        clock: manualClock(),
      });
      const batch = Array.from({ length: 7 }, (_, i) => start({ run: i === bad ? 'run_bad' : `run_${i}` }));
      const outcomes = await store.apply(batch);
      expect(outcomes.map(({ tag }) => tag)).toEqual(batch.map((_, i) => (i === bad ? 'unstorable' : 'applied')));
      expect(await store.readRun(tenant, 'run_bad')).toBeNull();
      expect(await store.feedHead()).toBe(6);
      expect(await store.check(9)).toEqual([]);
      await store.close();
    }
  });

  it('turns new work away when too much is waiting, and lets heartbeats through', async () => {
    const store = await openThreaded();
    const batch = (call: number) => Array.from({ length: 1_000 }, (_, i) => start({ run: `run_${call}_${i}` }));
    const calls = Array.from({ length: 25 }, (_, call) => store.apply(batch(call)));
    const beat = store.beat([{ session: 'none', counter: 1, received: 0 }]);
    const settled = await Promise.allSettled(calls);
    const refused = settled.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBe(5);
    for (const call of refused) expect(call).toMatchObject({ reason: { code: 'STORE_BUSY' } });
    expect(await beat).toEqual(['none']);
    expect(await store.feedHead()).toBe(20_000);
  });
});

describe('group commit', () => {
  it('commits what was handed over together at once', async () => {
    const calls: string[] = [];
    const store = openInline(driverThat(() => undefined, calls));
    calls.length = 0;
    await store.apply([
      start(),
      move({ head: 1 }),
      { ...move({ head: 2 }), tasks: [{ op: 'open', run: 'run_1', task: newTask({ task: 'c1' }) }] },
    ]);
    expect(calls.filter((sql) => sql === 'COMMIT')).toHaveLength(1);
  });

  const strace = spawnSync('strace', ['-V']).status === 0;
  it.skipIf(!strace)(
    `calls fsync once per group commit${strace ? '' : ' (SKIPPED: strace is not installed)'}`,
    () => {
      const log = join(folder, 'strace');
      const script = join(folder, 'commits.mts');
      const module = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);
      writeFileSync(
        script,
        `import { openSqliteStore } from ${module('stores/sqlite/open.ts')};
       import { start } from ${module('testing/conformance/builders.ts')};
       const store = await openSqliteStore({ file: ${JSON.stringify(file)} });
       for (let i = 0; i < 20; i++)
         await Promise.all(Array.from({ length: 40 }, (_, k) => store.apply([start({ run: 'run_' + i + '_' + k })])));
       process.exit(0);`,
      );
      const traced = ['-f', '-qq', '-y', '-e', 'trace=fsync,fdatasync', '-o', log];
      const run = spawnSync('strace', [...traced, process.execPath, '--import', 'tsx', script], {
        cwd: new URL('../..', import.meta.url).pathname,
        encoding: 'utf8',
        timeout: 60_000,
      });
      expect(run.stderr).toBe('');
      const synced = readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes('spine.db-wal'));
      // 20 group commits of 40 calls each (too few to be split), and a few for opening: the schema, the epoch, the header of the WAL.
      expect(synced.length).toBeGreaterThanOrEqual(20);
      expect(synced.length).toBeLessThanOrEqual(26);
    },
    90_000,
  );
});
