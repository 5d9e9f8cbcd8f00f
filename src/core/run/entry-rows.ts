/**
 * The entries of a run, folded from its log: those that must be there now, and the places where any of its entries can
 * ever have been. What the write path does one event at a time (`effects.ts`) is said here once more and in one piece, so
 * that the two can be compared.
 */
import { childSpace } from './effects.js';
import type { RunEvent } from './events.js';
import { agentSpace, answerKey, answerSpace, type AgentAddress, type AnswerAddress } from './mail.js';
import { isEnded, type RunState } from './state.js';
import { inferenceTicketOf, ticketOf, ticketSpace } from './tickets.js';
import {
  entriesOf,
  everybody,
  inboxSpace,
  orderedText,
  signalSpace,
  waitSpace,
  indexKey,
  type WaitEntry,
} from './waits.js';

/** Where entries of one run lie: those of a key whose `ref` begins with `prefix`. */
export interface EntryPlace {
  readonly space: string;
  readonly key: string;
  readonly prefix: string;
}

/** The entries that stand for the state of a run: its open waits, tickets of its calls and inferences, and children that have not ended. */
export function entryRowsOf(state: RunState): WaitEntry[] {
  if (isEnded(state.status)) return [];
  const rows: WaitEntry[] = [];
  for (const [path, unit] of state.units) {
    const ticket = unit.kind === 'call' ? ticketOf(state, path, unit) : null;
    if (ticket !== null) rows.push(ticket);
    const asked = unit.kind === 'inference' ? inferenceTicketOf(state, path, unit) : null;
    if (asked !== null) rows.push(asked);
    if (unit.kind === 'wait' && unit.status === 'open') rows.push(...entriesOf(state, path, unit));
    if (unit.kind === 'child' && (unit.status === 'started' || unit.status === 'stopping'))
      rows.push({ space: childSpace, key: state.run, ref: unit.run, value: JSON.stringify(path) });
  }
  return rows;
}

/** Every place that an entry of the run may be left in, each once. */
export function entryPlacesOf({ run }: Pick<RunState, 'run'>, events: readonly RunEvent[]): EntryPlace[] {
  const places = new Map<string, EntryPlace>();
  const add = (place: EntryPlace): void => void places.set(JSON.stringify(place), place);
  /** Paths of approvals that are or were open, with the beginning of their refs. */
  const approvals = new Map<string, string>();
  for (const event of events) {
    switch (event.type) {
      case 'call.scheduled':
      case 'inference.requested':
        if (event.type === 'call.scheduled' ? event.data.limits === undefined : event.data.grant !== null) break;
        for (const key of ['waiting', 'granted']) add({ space: ticketSpace, key, prefix: `${run}/` });
        break;
      case 'child.started':
        add({ space: childSpace, key: run, prefix: '' });
        break;
      case 'approval.delegated':
      case 'approval.escalated': {
        const prefix = approvals.get(event.data.path);
        if (prefix !== undefined) for (const key of event.data.to) add({ space: inboxSpace, key, prefix });
        break;
      }
      case 'wait.opened': {
        const { on, path } = event.data;
        if (on.kind === 'signal') add({ space: signalSpace, key: on.name, prefix: `${run}/` });
        if (on.kind === 'event') {
          const [[field, text] = ['', '']] = Object.entries(on.match);
          add({ space: waitSpace(on.topic), key: indexKey(field, text), prefix: `${run}/` });
        }
        if (on.kind !== 'approval') break;
        const prefix = `${orderedText(event.at)}/${run}/`;
        approvals.set(path, prefix);
        for (const key of [...on.to, everybody]) add({ space: inboxSpace, key, prefix });
        break;
      }
      default:
        break;
    }
  }
  return [...places.values()];
}

/** Where the run of an agent is found by its key; null = it is no run of an agent. */
export function agentRowOf({ run, workflow, agent }: RunState): (WaitEntry & { readonly generation: number }) | null {
  if (agent === null) return null;
  const { key, generation } = agent;
  const value: AgentAddress = { run, generation };
  return { space: agentSpace(workflow), key, ref: '', value: JSON.stringify(value), generation };
}

/** Where the answers of an agent to messages from outside are found. */
export function answerRowsOf({ run, workflow, agent }: RunState, events: readonly RunEvent[]): WaitEntry[] {
  if (agent === null) return [];
  return events.flatMap((event) => {
    if (event.type !== 'message.sent' || event.data.to.kind !== 'caller') return [];
    const value: AnswerAddress = { run, seq: event.seq };
    const key = answerKey(workflow, agent.key, event.data.to.id);
    return [{ space: answerSpace, key, ref: '', value: JSON.stringify(value) }];
  });
}
