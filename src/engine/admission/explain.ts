/**
 * Why something waits: the counter that is short for it, how much of it is used, who is before it, and when it may be its
 * turn. Any server says so, by what lies in the store; the coordinator is not asked.
 */
import { Ledger, demandsOf, placeOfPause, type Demand, type Shortage } from '../../core/admission/ledger.js';
import { limitOfKey } from '../../core/admission/limit.js';
import { isoOf } from '../../core/instant.js';
import { ticketSpace } from '../../core/run/tickets.js';
import type { LimitWait } from '../../protocol/http.js';
import type { EngineContext } from '../context.js';
import { readCounter, readSpace, type StoredCounter } from './counter-rows.js';
import type { LimitRules } from './limit-rules.js';
import { readTicketValue, type ResolveTicket, type TicketKey } from './ticket-rows.js';

/** Tickets that are looked through for who is before it. */
const placesMax = 2_000;

export interface Explainer {
  readonly context: Pick<EngineContext, 'store' | 'ports'>;
  readonly rules: LimitRules;
  readonly resolve: ResolveTicket;
  /** Until when a place has asked for a pause; null = it has not. */
  readonly told: (place: string) => number | null;
}

/** What a ticket that waits is waiting for; null = for nothing that limits know of. */
export async function explainWait(
  { context: { store, ports }, rules, resolve, told }: Explainer,
  key: TicketKey,
  text: string,
): Promise<LimitWait | null> {
  const value = readTicketValue(text);
  const resolved = resolve(key, value);
  if (resolved === null) return null;
  const specs = [...rules.inForce.values()];
  const demands = demandsOf(specs, resolved.work);
  const [first] = demands;
  if (first === undefined) return null;
  const counters = (await Promise.all(demands.map((demand) => readCounter(store, demand.key, ports.hash)))).flatMap(
    (counter) => counter ?? [],
  );
  const now = store.now();
  const ledger = ledgerOf(counters, rules, told);
  const short = shortest(ledger, demands, now);
  const paused = short === null || short.at === null ? null : placeOfPause(short.key);
  const wanted = short?.key ?? first.key;
  const before = (await readSpace(store, key.tenant, ticketSpace, 'waiting', placesMax)).filter(
    ({ ref, value: other }) => {
      const place = readTicketValue(other);
      if (`${place.order}/${ref}` >= `${value.order}/${key.ref}`) return false;
      const work = resolve({ tenant: key.tenant, ref }, place)?.work;
      return work !== undefined && demandsOf(specs, work).some((demand) => demand.key === wanted);
    },
  ).length;
  const view = ledger.view(wanted, now);
  const notBefore = value.notBefore ?? 0;
  const expectedAt = Math.max(
    notBefore,
    turnOf({ at: short?.at ?? null, before, key: wanted }, counters, rules, now) ?? 0,
  );
  return {
    key: wanted,
    limit: limitOfKey(wanted),
    used: view?.used ?? 0,
    max: view?.limit ?? 0,
    before,
    since: isoOf(value.since),
    expectedAt: expectedAt <= 0 ? null : isoOf(Math.max(now, expectedAt)),
    ...(paused === null ? {} : { paused }),
  };
}

function ledgerOf(counters: readonly StoredCounter[], rules: LimitRules, told: Explainer['told']): Ledger {
  const ledger = new Ledger((key) => rules.ruleOf(key), told);
  for (const { key, counter } of counters) ledger.restore(key, counter);
  return ledger;
}

/** The counter that will be short for the longest time. */
function shortest(ledger: Ledger, demands: readonly Demand[], now: number): Shortage | null {
  const verdict = ledger.reserve(demands, now);
  if (verdict.tag === 'reserved') return null;
  return verdict.short.reduce((worst, one) => {
    if (worst.at === null || one.at === null) return worst.at === null ? worst : one;
    return one.at > worst.at ? one : worst;
  });
}

/** When it may be its turn, if everybody before it takes what everybody took so far; null = nobody can say. */
function turnOf(
  { at, before, key }: { readonly at: number | null; readonly before: number; readonly key: string },
  counters: readonly StoredCounter[],
  rules: LimitRules,
  now: number,
): number | null {
  const rule = rules.ruleOf(key);
  const counter = counters.find((one) => one.key === key)?.counter;
  if (rule?.kind === 'concurrency' && counter?.k === 'slots')
    return counter.held === 0 || rule.max === 0 ? null : now + counter.held * (Math.floor(before / rule.max) + 1);
  if (rule?.kind === 'rate' && rule.of === 'requests')
    return (at ?? now) + Math.ceil((before * rule.perMs) / rule.amount);
  return at;
}
