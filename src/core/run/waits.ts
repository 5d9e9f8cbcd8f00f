/**
 * Waits for what comes from outside of a run: an event of a topic, a signal to the run, the decision of a person. What a
 * wait is for, what may satisfy it, and the entries by which it is found while it is open.
 *
 * Invariant: within a run, an event or a signal satisfies at most one wait, the one that was opened first.
 */
import { limits } from '../limits.js';
import type { DecidesFor } from './inference.js';
import type { RunState, Unit } from './state.js';

/** What is waited for. */
export type WaitOn =
  /** An event of a topic, since the birth of the run, whose indexed fields have these values. */
  | { readonly kind: 'event'; readonly topic: string; readonly match: Readonly<Record<string, string>> }
  /** A signal to this run, the first of its name that no other wait has. */
  | { readonly kind: 'signal'; readonly name: string }
  /** A person's word. `to`: those who may give it, each `user:<name>` or `role:<name>`. */
  | {
      readonly kind: 'approval';
      readonly title: string;
      readonly to: readonly string[];
      readonly escalations: readonly Escalation[];
      /** The person answers in the place of a model. */
      readonly decides?: DecidesFor;
      /** The call of a tool that is to be agreed to: hash of tool and arguments, which is all that the word is for. */
      readonly call?: string;
    };

/** Who is asked as well when an approval has been open for so long. */
export interface Escalation {
  readonly afterMs: number;
  readonly to: readonly string[];
}

/** What satisfied a wait. */
export type Satisfaction =
  | { readonly kind: 'event'; readonly event: TopicEventRef }
  /** `seq` of the `signal.received` that has the payload. */
  | { readonly kind: 'signal'; readonly seq: number }
  | { readonly kind: 'approval'; readonly outcome: 'approved' | 'rejected'; readonly by: string };

/** An event of a topic. */
export interface TopicEventRef {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly id: string;
  /** When it was published, epoch ms. */
  readonly at: number;
  /** Id of the schema that it was written under. Absent = none, or the schema has no versions. */
  readonly schema?: string;
}

/** Whoever is asked: everybody in a role, or one person. */
export type Address = `role:${string}` | `user:${string}`;

/** True for `role:<name>` and `user:<name>` with a name of 1 to 128 characters that can be stored. */
export function isAddress(value: unknown): value is Address {
  if (typeof value !== 'string' || !/^(?:role|user):./su.test(value)) return false;
  return value.length <= limits.nameLengthMax + 'role:'.length && !unstorable.test(value);
}

/** Somebody who decides. `roles` null = nobody checks who is who here: everything is allowed. */
export interface Person {
  /** As written into the record: `user:ann`, `cli`. */
  readonly name: string;
  readonly roles: readonly string[] | null;
}

export type WaitUnit = Extract<Unit, { readonly kind: 'wait' }>;

/** True where one of the addresses is the person, or a role of the person. */
export function isAddressed(to: readonly string[], { name, roles }: Person): boolean {
  return (
    roles === null ||
    to.some(
      (address) => address === name || (roles.includes(address.slice('role:'.length)) && address.startsWith('role:')),
    )
  );
}

/** The name of a topic event within the log: what is taken by one wait of a run is not given to another. */
export function eventKey({ topic, partition, offset }: Omit<TopicEventRef, 'id' | 'at'>): string {
  return `${topic}/${partition}/${offset}`;
}

/** An entry of a secondary index, as the store keeps it; see `EntryRow` of the store contract. */
export interface WaitEntry {
  readonly space: string;
  readonly key: string;
  readonly ref: string;
  readonly value: string;
}

/** Space of the open waits of a topic; key = `indexKey` of one field of the match. */
export function waitSpace(topic: string): string {
  return `wait:${topic}`;
}

/** Space of the index of a topic; key = `indexKey` of a field. */
export function indexSpace(topic: string): string {
  return `index:${topic}`;
}

/** Open waits for signals, by name of the signal. */
export const signalSpace = 'signal';
/** Open approvals, by address. */
export const inboxSpace = 'inbox';

/** What an entry of the inbox holds: what a list shows. */
export interface InboxValue extends WaitEntryValue {
  readonly workflow: string;
  readonly title: string;
  readonly to: readonly string[];
  readonly openedAt: number;
  readonly expiresAt: number | null;
}

/** What an entry of an open wait holds: which wait of its run it is. */
export interface WaitEntryValue {
  readonly path: string;
  readonly opened: number;
}

/** The text under which a value of an indexed field is found; null = it is not one that can be waited for. */
export function indexText(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean' && typeof value !== 'bigint')
    return null;
  const text = String(value);
  return text.length <= limits.indexValueLengthMax && !unstorable.test(text) ? text : null;
}

const unstorable = /[\0\p{Surrogate}]/u;

export function indexKey(field: string, text: string): string {
  return `${field}=${text}`;
}

/** A number as text whose order is that of the numbers. */
export function orderedText(value: number): string {
  return String(value).padStart(orderedDigits, '0');
}

const orderedDigits = 16;

/** The entries by which an open wait is found. Each has the run and the event that opened it in its `ref`. */
export function entriesOf(
  { run, workflow }: Pick<RunState, 'run' | 'workflow'>,
  path: string,
  unit: WaitUnit,
): WaitEntry[] {
  const { on, opened, openedAt, expiresAt, to } = unit;
  const wait: WaitEntryValue = { path, opened };
  const value = JSON.stringify(wait);
  const ref = `${run}/${orderedText(opened)}`;
  switch (on.kind) {
    case 'event': {
      const [[field, text] = ['', '']] = Object.entries(on.match);
      return [{ space: waitSpace(on.topic), key: indexKey(field, text), ref, value }];
    }
    case 'signal':
      return [{ space: signalSpace, key: on.name, ref, value }];
    case 'approval': {
      const shown = JSON.stringify({
        ...wait,
        workflow,
        title: on.title,
        to,
        openedAt,
        expiresAt,
      } satisfies InboxValue);
      // Oldest first, whoever asks; under the last key lie the requests to everybody.
      return [...to, everybody].map((key) => ({
        space: inboxSpace,
        key,
        ref: `${orderedText(openedAt)}/${ref}`,
        value: shown,
      }));
    }
  }
}

/** Key of the inbox under which every open approval lies. */
export const everybody = '*';

const lookPrefix = ':look:';
const escalatePrefix = ':escalate:';
const expirePrefix = ':expire:';

/**
 * The timer by which a wait that was opened looks back for what came before it. What is to be done is in the table of
 * timers, not in the log: it goes when it is done, and nothing is recorded of it. Each look has a name of its own, so that
 * the end of one never takes away another.
 */
export function lookTimer({ opened, look }: Pick<WaitUnit, 'opened' | 'look'>): string {
  return `${lookPrefix}${opened}:${look}`;
}

/** `seq` of the `wait.opened` that the timer belongs to; null = it is another timer. */
export function openedOfLookTimer(name: string): number | null {
  return name.startsWith(lookPrefix) ? Number(name.slice(lookPrefix.length).split(':')[0]) : null;
}

/** Timers that stand for work to be done and not for anything in the state of the run. */
export function isWorkTimer(name: string): boolean {
  return name.startsWith(lookPrefix);
}

/** The timer that ends a wait. That of an event looks first, so its name says which wait it is. */
export function expiryTimer(path: string, { on, opened }: Pick<WaitUnit, 'on' | 'opened'>): string {
  return on.kind === 'event' ? `${expirePrefix}${opened}:${path}` : path;
}

/** Path and `seq` of the `wait.opened` of the wait for an event that the timer ends; null = it is another timer. */
export function waitOfExpiryTimer(name: string): { readonly path: string; readonly opened: number } | null {
  if (!name.startsWith(expirePrefix)) return null;
  const [opened = '', ...path] = name.slice(expirePrefix.length).split(':');
  return { path: path.join(':'), opened: Number(opened) };
}

/** The timer that asks others as well. */
export function escalationTimer(path: string): string {
  return escalatePrefix + path;
}

export function pathOfEscalationTimer(name: string): string | null {
  return name.startsWith(escalatePrefix) ? name.slice(escalatePrefix.length) : null;
}

/** When the next escalation of an approval is due; null = there is none. */
export function nextEscalation(unit: WaitUnit): (Escalation & { readonly at: number }) | null {
  if (unit.on.kind !== 'approval') return null;
  const next = unit.on.escalations[unit.level];
  return next === undefined ? null : { ...next, at: unit.openedAt + next.afterMs };
}

/** Names of the timers that an open wait has in the state of its run. */
export function timersOf(path: string, unit: WaitUnit): string[] {
  const timers = unit.expiresAt === null ? [] : [expiryTimer(path, unit)];
  if (nextEscalation(unit) !== null) timers.push(escalationTimer(path));
  return timers;
}

/** The open wait for a signal of this name that was opened first; null = nobody waits for it. */
export function signalWait(state: RunState, name: string): string | null {
  let found: { readonly path: string; readonly opened: number } | null = null;
  for (const [path, unit] of state.units) {
    if (unit.kind !== 'wait' || unit.status !== 'open' || unit.on.kind !== 'signal' || unit.on.name !== name) continue;
    if (found === null || unit.opened < found.opened) found = { path, opened: unit.opened };
  }
  return found?.path ?? null;
}
