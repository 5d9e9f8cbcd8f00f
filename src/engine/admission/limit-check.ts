/**
 * What the doctor knows of limits: slots in use are those of tickets that hold them, each holder has a ticket, and each
 * ticket a run that is alive. Bounded; where things move too fast to be compared, nothing is said.
 */
import { isEnded } from '../../core/run/state.js';
import { runOfTicket, ticketSpace } from '../../core/run/tickets.js';
import type { EntryRow, Store, Violation } from '../../store/contract.js';
import { systemTenant } from '../system-tenant.js';
import { readCounters, readFence, readHolders, readSpace, type Holder, type StoredCounter } from './counter-rows.js';

const ticketsMax = 1_000;
/** A holder without a ticket is settled within moments; after so long nobody does it any more. */
const orphanedAfterMs = 30_000;

export interface LimitCheck {
  readonly checked: number;
  readonly violations: readonly Violation[];
}

/** Compares counters, holders, tickets and runs. */
export async function checkLimits(store: Store, tenants: readonly string[]): Promise<LimitCheck> {
  const steady = await steadyRows(store);
  const violations: Violation[] = [];
  let checked = 0;
  if (steady !== null) {
    const { counters, holders } = steady;
    violations.push(...slotFaults(counters, holders));
    checked += counters.length;
    for (const holder of holders.filter(({ at }) => at < store.now() - orphanedAfterMs).slice(0, ticketsMax)) {
      checked += 1;
      if (await hasTicket(store, holder)) continue;
      if ((await readHolders(store)).some(({ tenant, ref }) => tenant === holder.tenant && ref === holder.ref))
        violations.push(fault(holder.tenant, holder.ref, 'shares of limits are held for a ticket that is not there'));
    }
  }
  for (const tenant of tenants) {
    for (const phase of ['waiting', 'granted']) {
      const tickets = await readSpace(store, tenant, ticketSpace, phase, ticketsMax);
      checked += tickets.length;
      for (const ticket of tickets)
        if (await isOrphan(store, ticket))
          violations.push(fault(tenant, ticket.ref, `a ticket is ${phase}, and its run has ended or gone`));
    }
  }
  return { checked, violations };
}

/** Counters and holders of one moment; null = there is none, or none that could be had. */
async function steadyRows(
  store: Store,
): Promise<{ readonly counters: readonly StoredCounter[]; readonly holders: readonly Holder[] } | null> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = await readFence(store);
    if (before === null) return null;
    const [counters, holders] = await Promise.all([readCounters(store), readHolders(store)]);
    if ((await readFence(store)) === before) return { counters, holders };
  }
  return null;
}

function slotFaults(counters: readonly StoredCounter[], holders: readonly Holder[]): Violation[] {
  const held = new Map<string, number>();
  for (const { shares } of holders) for (const { key } of shares) held.set(key, (held.get(key) ?? 0) + 1);
  return counters.flatMap(({ key, counter }) => {
    const slots = held.get(key) ?? 0;
    return counter.k !== 'slots' || counter.used === slots
      ? []
      : [fault('', key, `${counter.used} slots are counted, and ${slots} are held`)];
  });
}

async function hasTicket(store: Store, { tenant, ref }: Pick<Holder, 'tenant' | 'ref'>): Promise<boolean> {
  const { length } = ref;
  // Keys are read from just before the ref on.
  const after = { ref: ref.slice(0, length - 1) };
  for (const key of ['waiting', 'granted', 'settled']) {
    const rows = await store.readEntries({ tenant, space: ticketSpace, key, after: { key, ...after }, limit: 50 });
    if (rows.some((row) => row.ref === ref)) return true;
  }
  return false;
}

async function isOrphan(store: Store, { tenant, key, ref }: EntryRow): Promise<boolean> {
  const row = await store.readRun(tenant, runOfTicket(ref));
  if (row !== null && !isEnded(row.status)) return false;
  // It may have ended since the ticket was read.
  const again = await store.readEntries({
    tenant,
    space: ticketSpace,
    key,
    after: { key, ref: `${runOfTicket(ref)}/` },
    limit: 200,
  });
  return again.some((other) => other.ref === ref);
}

function fault(tenant: string, subject: string, detail: string): Violation {
  return { property: 'limits', tenant: tenant === systemTenant ? '' : tenant, subject, detail };
}
