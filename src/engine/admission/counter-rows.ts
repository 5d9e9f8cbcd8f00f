/**
 * What admission keeps in the store: the fence, which names the last write of whoever grants; the counters of all limits;
 * and the holders, one for each ticket that has shares of them. All are written together, from the fence as it was, so that
 * of two who believe to be the only one the slower writes nothing.
 */
import type { Counter, Share } from '../../core/admission/ledger.js';
import type { Hash } from '../../core/ports.js';
import type { EntryRow, EntryWrite, Store } from '../../store/contract.js';
import { systemTenant } from '../system-tenant.js';
import type { TicketKey } from './ticket-rows.js';

const fenceKey = { space: 'admission', key: 'fence', ref: '' } as const;
const counterSpace = 'limit-counters';
/** Space of holders. Key: the tenant of the ticket. */
export const holderSpace = 'limit-holders';

/** A ticket that has shares of counters. */
export interface Holder extends TicketKey {
  readonly shares: readonly Share[];
  /** Who does the work (`placeOf`): the endpoint of a model, or a capability; empty = nobody in particular. */
  readonly endpoint: string;
  /** When it was granted. */
  readonly at: number;
}

/** The run that a counter belongs to, where the limit is counted by run: it goes when the run has gone. */
export interface CounterOwner {
  readonly tenant: string;
  readonly run: string;
}

export interface StoredCounter {
  readonly key: string;
  readonly counter: Counter;
  readonly owner: CounterOwner | null;
}

export async function readFence(store: Pick<Store, 'readEntries'>): Promise<string | null> {
  const { space, key } = fenceKey;
  const [entry] = await store.readEntries({ tenant: systemTenant, space, key, limit: 1 });
  return entry?.value ?? null;
}

export function moveFence(from: string | null, to: string, at: number): EntryWrite {
  return { op: 'put', ...fenceKey, value: to, run: '', at, expected: from };
}

/** Keys are made of names that may be longer, all together, than those of an index. */
function entryKeyOf(key: string, hash: Hash): string {
  return key.length <= keyLengthMax ? key : `#${hash.sha256(key)}`;
}

const keyLengthMax = 1_000;

export function counterWrite(
  { key, counter, owner }: Omit<StoredCounter, 'counter'> & { readonly counter: Counter | null },
  at: number,
  hash: Hash,
): EntryWrite {
  const place = { space: counterSpace, key: entryKeyOf(key, hash), ref: '' };
  if (counter === null) return { op: 'drop', ...place };
  return { op: 'put', ...place, value: JSON.stringify({ key, counter, owner } satisfies StoredCounter), run: '', at };
}

export function holderPut({ tenant, ref, ...rest }: Holder, at: number): EntryWrite {
  return { op: 'put', space: holderSpace, key: tenant, ref, value: JSON.stringify(rest), run: '', at };
}

export function holderDrop({ tenant, ref }: TicketKey): EntryWrite {
  return { op: 'drop', space: holderSpace, key: tenant, ref };
}

export async function readCounters(store: Pick<Store, 'readEntries'>): Promise<StoredCounter[]> {
  return (await readSpace(store, systemTenant, counterSpace)).map(({ value }) => JSON.parse(value) as StoredCounter);
}

/** One counter; null = nothing was ever counted, or nothing that matters. */
export async function readCounter(
  store: Pick<Store, 'readEntries'>,
  key: string,
  hash: Hash,
): Promise<StoredCounter | null> {
  const [entry] = await store.readEntries({
    tenant: systemTenant,
    space: counterSpace,
    key: entryKeyOf(key, hash),
    limit: 1,
  });
  return entry === undefined ? null : (JSON.parse(entry.value) as StoredCounter);
}

export async function readHolders(store: Pick<Store, 'readEntries'>): Promise<Holder[]> {
  return (await readSpace(store, systemTenant, holderSpace)).map(({ key, ref, value }) => ({
    ...(JSON.parse(value) as Omit<Holder, keyof TicketKey>),
    tenant: key,
    ref,
  }));
}

/** All entries of a space, or of one key of it. */
export async function readSpace(
  store: Pick<Store, 'readEntries'>,
  tenant: string,
  space: string,
  key?: string,
  most = Number.MAX_SAFE_INTEGER,
): Promise<EntryRow[]> {
  const rows: EntryRow[] = [];
  let after: EntryRow | undefined;
  for (;;) {
    const limit = Math.min(pageRows, most - rows.length);
    if (limit <= 0) return rows;
    const page: readonly EntryRow[] = await store.readEntries({
      tenant,
      space,
      ...(key === undefined ? {} : { key }),
      ...(after === undefined ? {} : { after }),
      limit,
    });
    rows.push(...page);
    after = page.at(-1);
    if (page.length < limit) return rows;
  }
}

const pageRows = 500;
