/**
 * A SQLite store moved to PostgreSQL: equal to the old one in every read of the contract, whatever it has lived through;
 * and nothing at all where something is wrong.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dumpTables, moveStore, type DumpBatch, type DumpTarget, type Store } from '../../src/store/index.js';
import { openPostgresStore, openPostgresTarget } from '../../src/stores/postgres/index.js';
import { openSqliteDump } from '../../src/stores/sqlite/index.js';
import { openOnDriver } from '../../src/stores/sqlite/memory.js';
import { loadDriver } from '../../src/stores/sqlite/driver.js';
import * as build from '../../src/testing/conformance/builders.js';
import { manualClock, type ManualClock } from '../../src/testing/conformance/index.js';
import { begin, storeCommands } from '../model/store-commands.js';
import { PlainStore } from '../model/plain-store.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const { tenant } = build;
const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';

let folder: string;
let file: string;
let schema: string;
let clock: ManualClock;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventspine-move-'));
  fresh();
});

afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  if (noPostgres === null) await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
});

function fresh(): void {
  schema = newSchema();
  file = join(folder, `${schema}.db`);
  clock = manualClock();
}

async function openFile(): Promise<Store> {
  return openOnDriver({ driver: await loadDriver(), file, clock });
}

const openTarget = (): Promise<DumpTarget> => openPostgresTarget({ url: serverUrl(), schema });
const openMoved = (): Promise<Store> => openPostgresStore({ url: serverUrl(), schema, clock });

async function moveAll(change?: (target: DumpTarget) => DumpTarget) {
  const source = await openSqliteDump({ file });
  try {
    const target = await openTarget();
    try {
      return await moveStore(source, change?.(target) ?? target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Everything that the contract lets one read, but for sessions and what belongs to an opening. */
async function everything(store: Store, tenants: readonly string[]): Promise<unknown> {
  const of = async (who: string) => {
    const runs = await store.listRuns({ tenant: who, limit: 500, order: 'oldest' });
    const keys = runs.items.map(({ run }) => ({ tenant: who, run }));
    const topics = await store.listTopics(who);
    const feed = await store.readFeed({ after: 0, limit: 9_999 });
    const blobs = new Set(feed.flatMap(({ payload }) => (payload !== null && 'blob' in payload ? [payload.blob] : [])));
    return {
      runs,
      newest: await store.listRuns({ tenant: who, limit: 500 }),
      failed: await store.listRuns({ tenant: who, statuses: ['failed'], limit: 500 }),
      histories: await store.readHistories(keys),
      tasks: await Promise.all(keys.map(({ run }) => store.readTasks(who, run))),
      timers: await Promise.all(keys.map(({ run }) => store.readTimers(who, run))),
      entries: await store.readEntries({ tenant: who, space: 's', limit: 999 }),
      topics,
      published: await Promise.all(
        topics.map(({ topic, partition }) =>
          store.readEvents({ tenant: who, stream: `${topic}/${partition}`, after: -1, limit: 9_999 }),
        ),
      ),
      letters: await store.listDeadLetters({ tenant: who, limit: 500 }),
      schedules: await store.listSchedules({ tenant: who, limit: 500 }),
      dedupe: await Promise.all(['k1', 'k2', 'ключ'].map((key) => store.readDedupe(who, 'start:answer', key))),
      blobs: await Promise.all(
        [...blobs, 'idle'].map(async (hash) => [hash, bytesOf(await store.readBlob(who, hash))]),
      ),
    };
  };
  return {
    tenants: await Promise.all(tenants.map(of)),
    feed: await store.readFeed({ after: 0, limit: 9_999 }),
    keys: (await store.readFeed({ after: 3, limit: 9_999 })).map(({ position, stream, seq }) => [
      position,
      stream,
      seq,
    ]),
    head: await store.feedHead(),
    leases: await store.listLeases({ limit: 999 }),
    due: await store.dueTimers(999),
    dueSchedules: await store.dueSchedules(999),
    nextDueAt: await store.nextDueAt(),
    tally: await store.readTally(),
    queues: await store.queueStats(),
    manifests: await store.listManifests(),
    violations: (await store.check(999)).map(({ property, subject }) => `${property} ${subject}`).sort(),
  };
}

function bytesOf(bytes: Uint8Array | null): number[] | null {
  return bytes === null ? null : [...bytes];
}

describeUnless(noPostgres, 'moving a SQLite store to PostgreSQL', () => {
  it('leaves nothing out, whatever the store has lived through', async () => {
    let moved = 0;
    await fc.assert(
      fc.asyncProperty(storeCommands, async (commands) => {
        fresh();
        const old = { store: await openFile(), clock };
        const model = new PlainStore(clock.now());
        await begin(model, old);
        await fc.asyncModelRun(() => ({ model, real: old }), commands);
        const before = await everything(old.store, [tenant]);
        const epoch = old.store.epoch;
        await old.store.close();
        const summary = await moveAll();
        const store = await openMoved();
        expect(await everything(store, [tenant])).toEqual(before);
        expect(await store.listSessions()).toEqual([]);
        expect(store.epoch).toBeGreaterThan(epoch);
        moved += Object.values(summary.rows).reduce((sum, count) => sum + count, 0);
        await store.close();
        await sql(`DROP SCHEMA ${schema} CASCADE`);
      }),
      { numRuns: nightly ? 400 : 15, endOnFailure: true },
    );
    expect(moved).toBeGreaterThan(90);
  });

  it('moves every kind of row, of many batches and several tenants, and the rows can be worked with', async () => {
    const old = await openFile();
    const label = { labels: { größe: 'ß "quoted" \\', tier: '💡' } };
    for (let n = 0; n < 1_300; n += 100)
      await build.applyAll(
        old,
        ...Array.from({ length: 100 }, (_, i) => build.start({ run: `run_${n + i}`, task: { rank: n + i } })),
      );
    clock.advance(9 * 7 * 24 * 60 * 60_000);
    await build.applyAll(
      old,
      build.start({
        tenant: 'ä/ö',
        run: 'run_x',
        row: { ...label, version: '2', startedAt: clock.now(), priority: 7 },
        dedupe: [build.dedupe({ key: 'ключ', expiresAt: clock.now() + 5_000 })],
      }),
      {
        ...build.move({ head: 1, run: 'run_1', payload: build.inBlob('big') }),
        blobs: [{ hash: 'big', bytes: new Uint8Array(200_000).fill(7) }],
        timers: [{ op: 'set', run: 'run_1', name: 'sleep', fireAt: clock.now() + 10 }],
        entries: [build.put({ run: 'run_1' }), build.put({ key: 'ключ', value: '{"x":1}' })],
        publishes: [build.topicEvent({ partition: 3 }), build.topicEvent({ topic: 'other', payload: null })],
      },
      {
        ...build.move({ head: 1, run: 'run_2', row: { status: 'failed', failureClass: 'timeout', failureCode: 'X' } }),
        tasks: [{ op: 'close', run: 'run_2', task: 'a1' }],
        deadLetters: [{ op: 'add', row: build.deadLetter({ run: 'run_2', path: 'step', at: clock.now() }) }],
      },
      {
        ...build.move({ head: 1, run: 'run_3' }),
        tasks: [
          {
            op: 'open',
            run: 'run_3',
            task: build.newTask({ task: 'c2', kind: 'call', queue: 'capability:x', dueAt: clock.now() + 60 }),
          },
          {
            op: 'open',
            run: 'run_3',
            task: build.newTask({ task: 'c3', kind: 'call', queue: 'capability:x', limitKey: 'tenant:a' }),
          },
        ],
      },
    );
    const nightly = { tenant: 'ä/ö', name: 'nightly', version: clock.now(), dueAt: clock.now() - 1, body: '{"é":1}' };
    await build.applyAll(old, {
      tenant: 'ä/ö',
      schedules: [{ name: 'nightly', expected: 0, row: nightly }],
    });
    for (let i = 0; i < 7; i++) await old.putBlob(tenant, i === 0 ? 'idle' : `b${i}`, new Uint8Array([i]));
    await old.saveManifest({ app: 'a', hash: 'h', manifest: '{"format":1}', registeredAt: clock.now() });
    const [held] = await build.claimSome(old, 2);
    if (held === undefined) throw new Error('nothing was claimed');
    await old.release([build.leaseOf(held)]);
    const tenants = [tenant, 'ä/ö'];
    const before = await everything(old, tenants);
    await old.close();

    const seen: string[] = [];
    const source = await openSqliteDump({ file });
    const target = await openTarget();
    const summary = await moveStore(source, target, ({ table, checking }) =>
      seen.push(`${table}${checking ? '?' : ''}`),
    );
    await target.close();
    source.retire(clock.now());
    await source.close();

    expect(summary).toEqual({
      rows: {
        manifests: 1,
        blobs: 8,
        runs: 1_301,
        events: 1_306,
        topics: 2,
        tasks: 1_302,
        timers: 1,
        entries: 2,
        schedules: 1,
        dedupe: 1,
        deadLetters: 1,
      },
      unfinishedRuns: 1_300,
      leases: 1,
      feedHead: 1_306,
    });
    expect(dumpTables.filter((table) => !seen.includes(table))).toEqual([]);
    expect(seen).toContain('events?');
    const store = await openMoved();
    expect(await everything(store, tenants)).toEqual(before);
    expect(await sql(`SELECT count(*)::int AS n FROM ${schema}.event_default`)).toEqual([{ n: 0 }]);

    // Life goes on: tokens rise from where they were, offsets and positions follow on, keys are remembered.
    await store.openSession(build.session({ session: 'ses_new' }));
    const [claim] = await store.claim({
      session: 'ses_new',
      queues: [{ queue: build.queue, limit: 1 }],
      limit: 1,
      assignmentFrom: 1,
    });
    expect(claim?.task).toMatchObject({ run: held.run, token: held.token + 1 });
    const [again, published] = await store.apply([
      build.start({ tenant: 'ä/ö', run: 'run_y', dedupe: [build.dedupe({ key: 'ключ', expiresAt: clock.now() + 9 })] }),
      { tenant, publishes: [build.topicEvent({ partition: 3 })] },
    ]);
    expect([again?.tag, published]).toMatchObject(['duplicate', { tag: 'applied', offsets: [1] }]);
    expect((await store.readFeed({ after: summary.feedHead, limit: 9 })).map(({ position }) => position)).toEqual([
      1_307,
    ]);
    expect(await store.check(9)).toEqual([]);
    await store.close();

    // The old file is not served again: its runs go on elsewhere. It may be moved once more.
    await expect(openFile()).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
    await (await openSqliteDump({ file })).close();
  });

  it('keeps what the ledger will seal, and gaps between positions however wide', async () => {
    const old = await openFile();
    await build.applyAll(old, build.start(), build.move({ head: 1 }));
    await old.close();
    const database = (await loadDriver()).open(file, { readOnly: false });
    database.exec(`UPDATE run SET sealed = x'0102ff'; UPDATE event SET position = 5000000000000 WHERE seq = 2;
      UPDATE meta SET value = 5000000000007 WHERE key = 'feed_head'`);
    database.close();
    await moveAll();
    expect(await sql(`SELECT encode(sealed, 'hex') AS sealed FROM ${schema}.run`)).toEqual([{ sealed: '0102ff' }]);
    const store = await openMoved();
    expect((await store.readFeed({ after: 0, limit: 9 })).map(({ position }) => position)).toEqual([1, 5e12]);
    expect((await store.readFeed({ after: 1, limit: 9 })).map(({ seq }) => seq)).toEqual([2]);
    expect(await store.feedHead()).toBe(5_000_000_000_007);
    await store.close();
  });

  it('refuses a target that has rows, events or a server, and leaves it as it is', async () => {
    const old = await openFile();
    await build.applyAll(old, build.start());
    await old.close();
    const store = await openMoved();
    await store.holdDuty('timers', 5_000_000_000);
    // Duties are held on the clock of the tests; the target looks at the database's.
    await sql(`UPDATE ${schema}.duty SET until = 9000000000000`);
    await expect(moveAll()).rejects.toMatchObject({
      code: 'STORE_NOT_EMPTY',
      detail: { reason: 'a server has it open' },
    });
    await build.applyAll(store, build.start({ run: 'run_own' }));
    const before = await everything(store, [tenant]);
    await sql(`DELETE FROM ${schema}.duty`);
    await expect(moveAll()).rejects.toMatchObject({
      code: 'STORE_NOT_EMPTY',
      detail: { reason: 'there are rows in run, event, task, tally, feed_commit' },
    });
    expect(await everything(store, [tenant])).toEqual(before);
    await store.close();
  });

  it('leaves nothing behind when it fails half-way, and can be run again', async () => {
    const old = await openFile();
    await build.applyAll(old, build.start(), build.start({ run: 'run_2' }));
    await old.close();
    const failing = (target: DumpTarget): DumpTarget =>
      wrapped(target, (batch) => {
        if (batch.table === 'tasks') throw new Error('the cable was pulled');
        return batch;
      });
    await expect(moveAll(failing)).rejects.toThrow('the cable was pulled');
    expect(await sql(`SELECT count(*)::int AS n FROM ${schema}.run`)).toEqual([{ n: 0 }]);
    expect((await moveAll()).rows.runs).toBe(2);
  });

  it.each([
    [
      'another value',
      (batch: DumpBatch): DumpBatch =>
        batch.table === 'events'
          ? { ...batch, rows: batch.rows.map((row) => ({ ...row, envelope: `${row.envelope} ` })) }
          : batch,
    ],
    [
      'a row too few',
      (batch: DumpBatch): DumpBatch => (batch.table === 'timers' ? { ...batch, rows: batch.rows.slice(1) } : batch),
    ],
    [
      'a row too many',
      (batch: DumpBatch): DumpBatch =>
        batch.table === 'timers'
          ? { ...batch, rows: batch.rows.flatMap((row) => [row, { ...row, name: 'z' }]) }
          : batch,
    ],
  ])('does not commit %s', async (_, falsify) => {
    const old = await openFile();
    await build.applyAll(old, {
      ...build.start(),
      timers: [{ op: 'set', run: 'run_1', name: 't', fireAt: 1 }],
    });
    await old.close();
    await expect(moveAll((target) => wrapped(target, falsify))).rejects.toMatchObject({ code: 'MOVE_DIFFERS' });
    expect(await sql(`SELECT count(*)::int AS n FROM ${schema}.run`)).toEqual([{ n: 0 }]);
  });

  it('keeps a server waiting that is started meanwhile, and then lets it see everything', async () => {
    const old = await openFile();
    await build.applyAll(old, build.start());
    await old.close();
    const source = await openSqliteDump({ file });
    const target = await openTarget();
    let opened = false;
    const server = openPostgresStore({ url: serverUrl(), schema }).then((store) => {
      opened = true;
      return store;
    });
    await moveStore(source, {
      write: (batch) => target.write(batch),
      finish: (head) => target.finish(head),
      batches: () => target.batches(),
      check: (limit) => target.check(limit),
      commit: async () => {
        await new Promise((wake) => setTimeout(wake, 200));
        expect(opened).toBe(false);
        await target.commit();
      },
      close: () => target.close(),
    });
    await target.close();
    const store = await server;
    expect((await store.readRun(tenant, 'run_1'))?.head).toBe(1);
    expect(store.epoch).toBeGreaterThan(source.head.epoch);
    await store.close();
    await source.close();
  });
});

/** A target that is given other rows than the source has. */
function wrapped(target: DumpTarget, change: (batch: DumpBatch) => DumpBatch): DumpTarget {
  return {
    write: async (batch) => target.write(change(batch)),
    finish: (head) => target.finish(head),
    batches: () => target.batches(),
    check: (limit) => target.check(limit),
    commit: () => target.commit(),
    close: () => target.close(),
  };
}
