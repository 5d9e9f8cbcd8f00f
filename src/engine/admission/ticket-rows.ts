/** Entries of tickets as admission reads them: which work it is that waits, and what it has come to. */
import type { Demand, Settlement } from '../../core/admission/ledger.js';
import type { Work } from '../../core/admission/limit.js';
import type { Waiting } from '../../core/admission/queue.js';
import type { ModelManifest } from '../../core/manifest.js';
import type { Hash } from '../../core/ports.js';
import type { InferenceTicket } from '../../core/run/inference.js';
import { candidateOf, type Candidate } from '../models/admission.js';
import { runOfTicket, type SettledValue, type TicketValue } from '../../core/run/tickets.js';

/** A ticket by its tenant and the `ref` of its entry. */
export interface TicketKey {
  readonly tenant: string;
  readonly ref: string;
}

/** A ticket that waits, with what it draws on. */
export interface WaitingTicket extends Waiting, TicketKey {
  readonly value: TicketValue;
  /** Null = nobody knows the model, and it waits until somebody does. */
  readonly resolved: Resolved | null;
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

/** What the ticket stands for, as limits see it, and for an inference whom it would ask. */
export interface Resolved {
  readonly work: Work;
  /** Null for a call. */
  readonly candidate: Candidate | null;
}

/** Finds out what a ticket stands for; null = the model that is asked has gone. */
export type ResolveTicket = (key: TicketKey, value: TicketValue) => Resolved | null;

/** Resolves by the models that there are now. */
export function ticketResolver(models: (name: string) => ModelManifest | null, hash: Hash): ResolveTicket {
  return ({ tenant, ref }, value) => {
    const run = runOfTicket(ref);
    const { workflow } = value;
    if (value.kind === 'call') {
      const { capability, limits } = value;
      const nothing = { model: '', endpoint: '', tokens: 0, costMicros: 0 };
      return { work: { ...nothing, tenant, workflow, run, kind: 'call', capability, limits }, candidate: null };
    }
    const { priority, path, attempt, first, pinned, ask } = value;
    const model = models(ask.model);
    const ticket = { tenant, run, workflow, priority, path, attempt, first, pinned, ask };
    const candidate = model === null ? null : candidateOf(ticket, model, hash);
    return candidate === null ? null : { work: inferenceWork(ticket, candidate), candidate };
  };
}

/** An inference as limits see it. */
export function inferenceWork(
  { tenant, workflow, run }: Pick<InferenceTicket, 'tenant' | 'workflow' | 'run'>,
  { model, version, reserved }: Candidate,
): Work {
  const { tokens, costMicros } = reserved;
  const where = { model: model.name, endpoint: version.endpoint, capability: '', limits: model.limits ?? [] };
  return { tenant, workflow, run, kind: 'inference', ...where, tokens, costMicros };
}

/** What a ticket weighs in sharing between tenants: large requests more than small ones. */
function costOf({ tokens }: Work): number {
  return 1 + tokens / tokensPerCost;
}

const tokensPerCost = 1_000;

/** A ticket that waits. Of one that cannot be resolved it is only known that it does. */
export function waitingTicket(
  { tenant, ref }: TicketKey,
  value: TicketValue,
  resolved: Resolved | null,
  demandsOf: (work: Work) => Demand[],
): WaitingTicket {
  const order = `${value.order}/${ref}`;
  const common = { id: ticketId({ tenant, ref }), tenant, ref, order, value, resolved };
  if (resolved === null) return { ...common, demands: [], cost: 1 };
  return { ...common, demands: demandsOf(resolved.work), cost: costOf(resolved.work) };
}
