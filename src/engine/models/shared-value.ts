/**
 * Small values that all servers share and change: each is one entry of the store, written from the value as it was read, so
 * that no change of a neighbour is lost. A change can be told to the world: its event is in the same transition.
 */
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { modelsTopic } from '../../core/manifest.js';
import type { EntryWrite, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { preparePublication } from '../topics/publication.js';
import { systemTenant } from '../system-tenant.js';

/** Where a value is. */
export interface ValuePlace {
  readonly space: string;
  readonly key: string;
  readonly ref: string;
}

/** What a change comes to. `value` null = there is to be none. */
export interface ValueChange<T> {
  readonly value: T | null;
  /** Data of the event that tells of it; null = nobody is told. */
  readonly event: object | null;
  /** Topic of the engine's own that is told. Default: that of models. */
  readonly topic?: string;
  /** Entries of the installation that are written with it. */
  readonly beside?: readonly EntryWrite[];
}

/** Who has made a change. */
export const engineActor = 'engine';

/** Of the others that change the same value at the same time, one gets through with each attempt. */
const attemptsMax = 50;

/**
 * Changes a value. `change` is told what it is, and answers null to leave it; it may be called again where a neighbour was
 * quicker. Resolves with the value as it is then. Rejects with what `change` throws, and with STORE_BUSY.
 */
export async function changeValue<T>(
  { context, catalog }: { readonly context: EngineContext; readonly catalog: Catalog },
  place: ValuePlace,
  actor: string,
  change: (value: T | null, now: number) => ValueChange<T> | null,
): Promise<T | null> {
  const { store } = context;
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const expected = await readValue(store, place);
    const now = store.now();
    const before = expected === null ? null : (JSON.parse(expected) as T);
    const next = change(before, now);
    const value = next === null || next.value === null ? null : JSON.stringify(next.value);
    if (next === null || value === expected) return before;
    const transition: Transition = {
      tenant: systemTenant,
      entries: [
        value === null
          ? { op: 'drop', ...place, expected }
          : { op: 'put', ...place, value, run: '', at: now, expected },
        ...(next.beside ?? []),
      ],
      ...(next.event === null ? {} : telling(context, catalog, actor, next.topic ?? modelsTopic.name, next.event, now)),
    };
    const [outcome] = await store.apply([transition]);
    if (outcome?.tag === 'applied') return next.value;
    if (outcome?.tag !== 'conflict') break;
  }
  throw new SpineError('STORE_BUSY', {});
}

async function readValue(store: EngineContext['store'], { space, key, ref }: ValuePlace): Promise<string | null> {
  const rows = await store.readEntries({ tenant: systemTenant, space, key, limit: refsMax });
  return rows.find((row) => row.ref === ref)?.value ?? null;
}

/** Versions of one model, at most; other values are the only ones of their key. */
const refsMax = 1_000;

function telling(
  context: EngineContext,
  catalog: Catalog,
  actor: string,
  topic: string,
  value: object,
  at: number,
): Pick<Transition, 'publishes' | 'dedupe' | 'blobs'> {
  const { write, dedupe, blobs } = preparePublication(
    context,
    catalog,
    {
      topic,
      id: newId('event', context.ports),
      source: topic.replace('.', '/'),
      type: topic,
      data: payloadOfJson(value),
      value,
    },
    { tenant: systemTenant, actor, cause: null, correlation: null, traceparent: null },
    at,
  );
  return { publishes: [write], dedupe: [dedupe], blobs };
}
