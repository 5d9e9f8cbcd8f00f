/** Places for tests of the PostgreSQL store: schemas of one database, emptied and used again. */
import pg from 'pg';
import { inject } from 'vitest';
import type { Outcome, Store, Transition } from '../../src/store/index.js';
import { topicStream } from '../../src/store/index.js';
import { openPostgresStore, type PostgresOptions } from '../../src/stores/postgres/index.js';
import type { ManualClock, StorePlace } from '../../src/testing/conformance/index.js';

const { url, reason } = inject('postgres');

/** Why there is no server; null = there is one. */
export const noPostgres = url === null ? reason : null;

/** URL of the server. Only where there is one. */
export function serverUrl(): string {
  if (url === null) throw new Error(reason);
  return url;
}

let lastSchema = 0;

/** A name that no other test uses. */
export function newSchema(): string {
  lastSchema += 1;
  return `t${process.pid}_${lastSchema}`;
}

/** Runs SQL as the owner of everything. */
export async function sql(text: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
  admin ??= new pg.Pool({ connectionString: serverUrl(), max: 2, allowExitOnIdle: true });
  const { rows } = await admin.query(text, [...values]);
  return rows as Record<string, unknown>[];
}

let admin: pg.Pool | null = null;

/** Opens a store in a schema of its own; `dispose` drops it. */
export async function ownSchema(
  given: Partial<PostgresOptions> = {},
): Promise<{ readonly schema: string; readonly open: () => Promise<Store>; readonly dispose: () => Promise<void> }> {
  const schema = given.schema ?? newSchema();
  return {
    schema,
    open: () => openPostgresStore({ url: serverUrl(), ...given, schema }),
    dispose: async () => void (await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)),
  };
}

const idle: string[] = [];
let pool: pg.Pool | null = null;

const tables =
  'run, event, task, timer, entry, schedule, dedupe, dead_letter, blob, topic_head, session, manifest, tally, duty, feed_commit, outbox'.split(
    ', ',
  );

/** An empty schema on the given clock; schemas that were given back serve again, since making one takes 100 ms. */
export async function postgresPlace(clock: ManualClock): Promise<StorePlace> {
  const schema = idle.pop() ?? newSchema();
  pool ??= new pg.Pool({ connectionString: serverUrl(), max: 10, allowExitOnIdle: true });
  const shared = pool;
  return {
    keeps: true,
    open: async () => numbered(await openPostgresStore({ url: serverUrl(), schema, clock, pool: shared })),
    dispose: async () => {
      const deletes = tables.map((table) => `DELETE FROM ${schema}.${table};`).join('');
      await sql(
        `${deletes} UPDATE ${schema}.feed SET head = 0; UPDATE ${schema}.meta SET value = 0 WHERE key = 'epoch'`,
      );
      idle.push(schema);
    },
  };
}

/**
 * The store with positions in its outcomes, as the suite wants them. This store numbers events after their commit and
 * answers before; here they are looked up in the feed, so the suite sees the very numbers that readers get.
 */
function numbered(store: Store): Store {
  // The feed only grows at its end, so that each look goes on where the last one ended.
  const positions = new Map<string, number>();
  let head = 0;
  let looking: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    for (const { tenant, stream, seq, position } of await store.readFeed({ after: head, limit: 1_000_000 })) {
      positions.set(`${tenant}\0${stream}\0${seq}`, position);
      head = position;
    }
  };
  const apply = async (transitions: readonly Transition[]): Promise<Outcome[]> => {
    const outcomes = await store.apply(transitions);
    const written = outcomes.some((o, i) => o.tag === 'applied' && keysOf(transitions[i], o.offsets).length > 0);
    if (!written) return outcomes;
    looking = looking.then(look);
    try {
      await looking;
    } catch {
      // A store that was closed meanwhile has still applied what it was given.
      looking = Promise.resolve();
      return outcomes;
    }
    return outcomes.map((o, i) =>
      o.tag === 'applied'
        ? { ...o, positions: keysOf(transitions[i], o.offsets).map((key) => positions.get(key) ?? -1) }
        : o,
    );
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'apply') return apply;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function keysOf(transition: Transition | undefined, offsets: readonly number[]): string[] {
  if (transition === undefined) return [];
  const { tenant, events = [], publishes = [] } = transition;
  return [
    ...events.map(({ run, seq }) => `${tenant}\0${run}\0${seq}`),
    ...publishes.map(({ topic, partition }, i) => `${tenant}\0${topicStream(topic, partition)}\0${offsets[i] ?? -1}`),
  ];
}
