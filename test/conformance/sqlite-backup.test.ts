/** Copies of a SQLite store: taken while it is in use, put back in its place, and never taken for the original. */
import { existsSync, mkdtempSync, renameSync, rmSync, copyFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LeaseKey, Store } from '../../src/store/index.js';
import { backupSqlite, markSqliteRestored, openSqliteStore } from '../../src/stores/sqlite/index.js';
import * as build from '../../src/testing/conformance/builders.js';

const { tenant, queue } = build;

let folder: string;
let file: string;
let copy: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventspine-backup-'));
  [file, copy] = [join(folder, 'spine.db'), join(folder, 'copy.db')];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function claim(store: Store, session: string): Promise<LeaseKey> {
  await store.openSession(build.session({ session }));
  const [found] = await store.claim({ session, queues: [{ queue, limit: 1 }], limit: 1, assignmentFrom: 1 });
  if (found === undefined) throw new Error('there is nothing to claim');
  return build.leaseOf(found.task);
}

/** Puts the copy in the place of the file, as one restores. */
function putBack(): void {
  for (const ending of ['', '-wal', '-shm']) rmSync(file + ending, { force: true });
  renameSync(copy, file);
}

describe('a copy of a SQLite store', () => {
  it('is the store as it was at one moment, taken while it is written to', async () => {
    const store = await openSqliteStore({ file });
    let acknowledged = 0;
    let writing = true;
    const writer = (async () => {
      while (writing) {
        const run = `run_${acknowledged}`;
        await build.applyAll(store, { ...build.start({ run }), timers: [{ op: 'set', run, name: 't', fireAt: 1 }] });
        acknowledged += 1;
      }
    })();
    while (acknowledged < 50) await new Promise((wake) => setImmediate(wake));
    const before = acknowledged;
    const { bytes } = await backupSqlite({ file, to: copy });
    expect(bytes).toBeGreaterThan(8_192);
    writing = false;
    await writer;
    await store.close();

    const restored = await openSqliteStore({ file: copy });
    const runs = await restored.listRuns({ tenant, limit: 100_000 });
    expect(runs.items.length).toBeGreaterThanOrEqual(before);
    expect(runs.items.length).toBeLessThanOrEqual(acknowledged);
    expect((await restored.readFeed({ after: 0, limit: 100_000 })).length).toBe(runs.items.length);
    expect((await restored.dueTimers(100_000)).length).toBe(runs.items.length);
    expect(await restored.check(9)).toEqual([]);
    await restored.close();
  });

  it('gives no epoch, token or position that the original has given since, and refuses who holds one', async () => {
    const store = await openSqliteStore({ file });
    await build.applyAll(store, build.start());
    await store.release([await claim(store, 'ses_1')]);
    await backupSqlite({ file, to: copy });
    const late = await claim(store, 'ses_late');
    await build.applyAll(store, ...Array.from({ length: 5 }, (_, i) => build.start({ run: `run_lost${i}` })));
    const lostHead = await store.feedHead();
    await store.close();
    const last = await openSqliteStore({ file });
    await last.close();
    putBack();

    const restored = await openSqliteStore({ file });
    expect(restored.epoch).toBeGreaterThan(last.epoch);
    expect(await restored.listSessions()).toEqual([]);
    const lease = await claim(restored, 'ses_new');
    expect(lease.token).toBeGreaterThan(late.token);
    expect(await restored.apply([build.finish(late, 1), build.finish(lease, 1)])).toMatchObject([
      { tag: 'fenced' },
      { tag: 'applied' },
    ]);
    const news = await restored.readFeed({ after: lostHead, limit: 9 });
    expect(news.map(({ stream, seq }) => `${stream} ${seq}`)).toEqual(['run_1 2']);
    expect(await restored.check(9)).toEqual([]);
    await restored.close();
    // It jumps once.
    const next = await openSqliteStore({ file });
    expect(next.epoch).toBe(restored.epoch + 1);
    await next.close();
  });

  it('is taken for one when that is said: a copy of the file itself cannot be told from it', async () => {
    const store = await openSqliteStore({ file });
    await build.applyAll(store, build.start());
    await expect(markSqliteRestored({ file })).rejects.toMatchObject({ code: 'STORE_OWNED' });
    await store.close();
    copyFileSync(file, copy);
    const plain = await openSqliteStore({ file: copy });
    expect(plain.epoch).toBe(store.epoch + 1);
    await plain.close();
    await markSqliteRestored({ file: copy });
    const restored = await openSqliteStore({ file: copy });
    expect(restored.epoch).toBeGreaterThan(1_000);
    await restored.close();
  });

  it('is not made over something, nor from something else, and leaves nothing half-made', async () => {
    const store = await openSqliteStore({ file });
    await store.close();
    writeFileSync(copy, 'precious');
    await expect(backupSqlite({ file, to: copy })).rejects.toMatchObject({ code: 'STORE_NOT_EMPTY' });
    const none = join(folder, 'none.db');
    await expect(backupSqlite({ file: none, to: join(folder, 'a.db') })).rejects.toMatchObject({
      code: 'STORE_UNSUITABLE',
    });
    await expect(backupSqlite({ file: copy, to: join(folder, 'b.db') })).rejects.toMatchObject({
      code: 'STORE_UNSUITABLE',
    });
    expect([none, join(folder, 'a.db'), join(folder, 'b.db'), join(folder, 'b.db.part')].filter(existsSync)).toEqual(
      [],
    );
  });
});
