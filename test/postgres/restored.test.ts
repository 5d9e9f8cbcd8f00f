/**
 * A database that was put back from a copy: what was handed out after the copy was taken is not handed out again, and who
 * still holds it is refused.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LeaseKey, Store } from '../../src/store/index.js';
import { markPostgresRestored, openPostgresStore } from '../../src/stores/postgres/index.js';
import * as build from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const { queue } = build;

let original: string;
let copy: string;

beforeEach(async () => {
  original = `original_${newSchema()}`;
  copy = `copy_${newSchema()}`;
  if (noPostgres === null) await sql(`CREATE DATABASE ${original} TEMPLATE template0 ENCODING 'UTF8'`);
});

afterEach(async () => {
  if (noPostgres !== null) return;
  for (const name of [original, copy]) await sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
});

function urlOf(database: string): string {
  const url = new URL(serverUrl());
  url.pathname = `/${database}`;
  return url.href;
}

const open = (database: string): Promise<Store> => openPostgresStore({ url: urlOf(database) });
/** Copies a database that nobody has open, as a dump that is put back elsewhere does. */
const copyAs = (name: string): Promise<unknown> => sql(`CREATE DATABASE ${name} TEMPLATE ${original}`);

async function claim(store: Store, session: string): Promise<LeaseKey> {
  await store.openSession(build.session({ session }));
  const [found] = await store.claim({ session, queues: [{ queue, limit: 1 }], limit: 1, assignmentFrom: 1 });
  if (found === undefined) throw new Error('there is nothing to claim');
  return build.leaseOf(found.task);
}

/** A store with a task that was claimed and given back. */
async function fill(database: string): Promise<void> {
  const store = await open(database);
  await build.applyAll(store, build.start());
  await store.release([await claim(store, 'ses_1')]);
  await store.holdDuty('timers', 60_000);
  // Events get their place in the feed after their commit; what has none yet would get one in the copy.
  await expect.poll(() => store.feedHead()).toBeGreaterThan(0);
  await store.close();
}

describeUnless(noPostgres, 'a database that was put back', () => {
  it('gives no epoch, token or position that the original has given since, and refuses who holds one', async () => {
    await fill(original);
    await copyAs(copy);
    const lost = await open(original);
    const late = await claim(lost, 'ses_late');
    await build.applyAll(lost, ...Array.from({ length: 5 }, (_, i) => build.start({ run: `run_lost${i}` })));
    const lostHead = await lost.feedHead();
    await lost.close();

    const store = await open(copy);
    expect(store.epoch).toBeGreaterThan(lost.epoch);
    expect(await store.listSessions()).toEqual([]);
    expect(await store.holdDuty('timers', 1_000)).toBe(true);
    const lease = await claim(store, 'ses_new');
    expect(lease.token).toBeGreaterThan(late.token);
    // The holder from before comes back: what it did is not believed, what the new one did is.
    expect(await store.apply([build.finish(late, 1), build.finish(lease, 1)])).toMatchObject([
      { tag: 'fenced' },
      { tag: 'applied' },
    ]);
    const news = await store.readFeed({ after: lostHead, limit: 9 });
    expect(news.map(({ stream, seq }) => `${stream} ${seq}`)).toEqual(['run_1 2']);
    expect((await store.readFeed({ after: 0, limit: 9 })).length).toBe(2);
    expect(await store.check(9)).toEqual([]);
    const { epoch } = store;
    await store.close();

    // It jumps once.
    const next = await open(copy);
    expect(next.epoch).toBe(epoch + 1);
    await next.close();
  });

  it('is one store for several nodes that start on it at the same time', async () => {
    await fill(original);
    await copyAs(copy);
    const stores = await Promise.all([open(copy), open(copy), open(copy)]);
    const epochs = stores.map((store) => store.epoch).sort((a, b) => a - b);
    const [first = 0] = epochs;
    expect(epochs).toEqual([first, first + 1, first + 2]);
    expect(first).toBeLessThan(2_000);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('is not taken for one when it is only opened again', async () => {
    await fill(original);
    const store = await open(original);
    expect(store.epoch).toBe(2);
    expect((await store.listSessions()).length).toBe(1);
    await store.close();
  });

  it('is taken for one when that is said: a copy of its files cannot be told from it', async () => {
    await fill(original);
    await markPostgresRestored({ url: urlOf(original) });
    const store = await open(original);
    expect(store.epoch).toBeGreaterThan(1_000);
    expect(await store.listSessions()).toEqual([]);
    await store.close();
    const next = await open(original);
    expect(next.epoch).toBe(store.epoch + 1);
    await next.close();
  });
});
