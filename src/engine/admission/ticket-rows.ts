/** Entries of tickets as admission reads them: which work it is that waits, and what it has come to. */
import type { Demand, Settlement } from '../../core/admission/ledger.js';
import type { Work } from '../../core/admission/limit.js';
import type { Waiting } from '../../core/admission/queue.js';
import { runOfTicket, type SettledValue, type TicketValue } from '../../core/run/tickets.js';

/** A ticket by its tenant and the `ref` of its entry. */
export interface TicketKey {
  readonly tenant: string;
  readonly ref: string;
}

/** A ticket that waits, with what it draws on. */
export interface WaitingTicket extends Waiting, TicketKey {
  readonly value: TicketValue;
  readonly work: Work;
}

/** Work whose outcome is known, as the run has recorded it. */
export interface SettledTicket extends TicketKey {
  readonly settlement: Omit<Settlement, 'heldMs'>;
  /** Whether an entry says so, which is dropped when the counters have taken it up. */
  readonly hasEntry: boolean;
}

export function ticketId({ tenant, ref }: TicketKey): string {
  return `${tenant}/${ref}`;
}

/** The run of a ticket, as a key of maps. */
export function runOf({ tenant, ref }: TicketKey): string {
  return `${tenant}/${runOfTicket(ref)}`;
}

export function readTicketValue(text: string): TicketValue {
  return JSON.parse(text) as TicketValue;
}

export function readSettledValue(text: string): SettledValue {
  return JSON.parse(text) as SettledValue;
}

/** What the ticket stands for, as limits see it. */
export function workOf({ tenant, ref }: TicketKey, value: TicketValue): Work {
  return {
    tenant,
    workflow: value.workflow,
    run: runOfTicket(ref),
    kind: value.kind,
    model: '',
    endpoint: '',
    capability: value.capability,
    limits: value.limits,
    tokens: 0,
    costMicros: 0,
  };
}

/** What a ticket weighs in sharing between tenants: large requests more than small ones. */
function costOf({ tokens }: Work): number {
  return 1 + tokens / tokensPerCost;
}

const tokensPerCost = 1_000;

/** A ticket that is ready to be queued. */
export function waitingTicket(key: TicketKey, value: TicketValue, demandsOf: (work: Work) => Demand[]): WaitingTicket {
  const work = workOf(key, value);
  const { tenant, ref } = key;
  const order = `${value.order}/${ref}`;
  return { id: ticketId(key), tenant, ref, order, value, work, demands: demandsOf(work), cost: costOf(work) };
}
