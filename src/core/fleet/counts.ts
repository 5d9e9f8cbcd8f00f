/**
 * What a fleet is at a position of the feed, as sums: runs by workflow and status, open tasks by queue, tickets by limit and
 * by model, open waits, agents with their mail. Each run adds its part to the sums, a part that only its own state decides.
 *
 * Invariant: the sums at a position are the parts of all runs as they are there, added up. So they move by what one run
 * adds after an event less what it added before, and any order of runs comes to the same.
 */
import { isEnded, unreadMail, workflowQueue, type RunState, type RunStatus, type Unit } from '../run/state.js';
import { inferenceTicketOf, ticketOf } from '../run/tickets.js';

/** What is counted: of a tenant, by a name, in a state. */
export interface FleetCounter {
  readonly kind: FleetKind;
  readonly tenant: string;
  /** Workflow, queue, limit, model, kind of wait, agent. */
  readonly name: string;
  readonly state: string;
}

/**
 * `run`: state is a `RunStatus`. `task`: `open` (ready, delayed or leased: which of them is no event) or `held`. `limit`,
 * `model`: tickets, `waiting` or `granted`. `wait`: `open`. `agent`: `keys` with an unfinished run, and `unread` messages.
 */
export type FleetKind = 'run' | 'task' | 'limit' | 'model' | 'wait' | 'agent';

/** Counts by `counterKey`. What is zero is not there. */
export type FleetCounts = Map<string, number>;

/** A control character, which no name has. */
export const separator = '\u001f';

export function counterKey(kind: FleetKind, tenant: string, name: string, state: string): string {
  return `${kind}${separator}${tenant}${separator}${name}${separator}${state}`;
}

export function counterOf(key: string): FleetCounter {
  const [kind = '', tenant = '', name = '', state = ''] = key.split(separator);
  return { kind: kind as FleetKind, tenant, name, state };
}

export function addCount(counts: FleetCounts, key: string, amount: number): void {
  const sum = (counts.get(key) ?? 0) + amount;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}

/** Adds what a run is part of, or takes it away again (`sign` -1). Of a run that has ended only its status is left. */
export function addRun(counts: FleetCounts, state: RunState, sign: 1 | -1): void {
  const { tenant, workflow, version, status, activation } = state;
  const add = (kind: FleetKind, name: string, what: string, amount = 1): void =>
    addCount(counts, counterKey(kind, tenant, name, what), sign * amount);
  add('run', workflow, status);
  if (isEnded(status)) return;
  if (activation.open) add('task', workflowQueue(workflow, version), 'open');
  if (state.agent !== null) {
    add('agent', workflow, 'keys');
    add('agent', workflow, 'unread', unreadMail(state));
  }
  for (const [path, unit] of state.units) addUnit(add, state, path, unit);
}

/** The same of a run that has begun and ended: all that can be said of it without its history. */
export function addEnded(counts: FleetCounts, tenant: string, workflow: string, status: RunStatus): void {
  addCount(counts, counterKey('run', tenant, workflow, status), 1);
}

type Add = (kind: FleetKind, name: string, what: string) => void;

function addUnit(add: Add, state: RunState, path: string, unit: Unit): void {
  switch (unit.kind) {
    case 'call': {
      if (unit.status !== 'scheduled' && unit.status !== 'retrying') return;
      const isHeld = unit.hold?.phase === 'waiting' && unit.call.limits.length > 0;
      add('task', unit.call.queue, isHeld ? 'held' : 'open');
      const ticket = ticketOf(state, path, unit);
      if (ticket !== null) for (const limit of unit.call.limits) add('limit', limit, ticket.key);
      return;
    }
    case 'inference': {
      const ticket = inferenceTicketOf(state, path, unit);
      if (ticket !== null) add('model', unit.ask.model, ticket.key);
      return;
    }
    case 'wait':
      if (unit.status === 'open') add('wait', unit.on.kind, 'open');
      return;
    default:
      return;
  }
}

/** Name of what is beyond the bound of names; no workflow, queue, limit, model or agent can be called so. */
export const othersName = '(others)';

/**
 * At most `max` counters: those of further names are added up under `othersName`, and so is a count below zero, which is what
 * became of a name that was added up there before. Sums by kind and state stay what they are.
 */
export function boundedCounts(counts: FleetCounts, max: number): FleetCounts {
  const keys = [...counts.keys()].sort();
  const bounded: FleetCounts = new Map();
  for (const key of keys) {
    const { kind, state, name } = counterOf(key);
    const count = counts.get(key) ?? 0;
    const isOwn = name !== othersName && count > 0 && bounded.size < max;
    addCount(bounded, isOwn ? key : counterKey(kind, '', othersName, state), count);
  }
  return bounded;
}
