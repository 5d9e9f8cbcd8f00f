/**
 * Shadows, with their endpoint as the witness: a call is made after the answer that it goes beside is recorded, one time for each
 * answer, under a ticket that was written before; tickets hold their bounds and end one time, with a word on it; and no run
 * ever gets what a shadow has said.
 */
import { jsonOf } from '../../../core/codec.js';
import { noShadow, type ShadowState, type ShadowTicket } from '../../../core/models/shadow.js';
import { isBlobPayload } from '../../../core/payload.js';
import { shadowSpace } from '../../../engine/models/shadows.js';
import { parseEnvelope } from '../../../engine/events/envelope-writer.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { Transition, Violation } from '../../../store/index.js';
import type { History } from '../history.js';
import { simShadow, shadowAnswer } from '../program-app.js';
import { grouped } from './grouped.js';

/** Every breach. */
export function checkShadows(history: History): Violation[] {
  const violations: Violation[] = [];
  const report = (tenant: string, subject: string, detail: string): void => {
    violations.push({ property: 'shadows', tenant, subject, detail });
  };
  const tickets = ticketsOf(history, (detail) => report('', 'tickets', detail));
  const answered = answersOf(history);
  for (const { tenant, run, path, key, step } of history.shadows)
    if ((tickets.get(key)?.step ?? Infinity) > step) report(tenant, run, `${path} was mirrored without a ticket`);
  for (const [at, ofOne] of grouped([...tickets.values()], ({ of }) => `${of.tenant}/${of.run}/${of.path}`)) {
    const [{ of }] = ofOne as [(typeof ofOne)[number]];
    const steps = answered.get(at) ?? [];
    if (ofOne.length > steps.length)
      report(of.tenant, of.run, `${at} has ${ofOne.length} tickets, with ${steps.length} answers`);
    if (ofOne.some(({ step }, i) => (steps[i] ?? Infinity) > step))
      report(of.tenant, of.run, `${at} was given leave before its answer was recorded`);
  }
  const keys = history.shadows.map(({ key }) => key);
  if (new Set(keys).size < keys.length) report('', 'tickets', 'two calls were made under one ticket');
  for (const [key, rows] of history.final?.histories ?? []) {
    const [tenant = '', run = ''] = key.split('/');
    for (const { type, seq, payload } of rows.map((row) => readRunEvent(row).event)) {
      if (type !== 'inference.completed' || payload === undefined || isBlobPayload(payload)) continue;
      const said = shadowAnswer(`${tenant}/${run}/`);
      if (JSON.stringify(jsonOf(payload)).includes(said))
        report(tenant, run, `event ${seq} has the answer of the shadow`);
    }
  }
  return violations;
}

/** A ticket, with the event of the world by which it was written. */
interface Written extends ShadowTicket {
  readonly step: number;
}

/** Every ticket, in the order in which they were written. */
function ticketsOf(history: History, report: (detail: string) => void): ReadonlyMap<string, Written> {
  let state = noShadow;
  const tickets = new Map<string, Written>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    for (const entry of action.transition.entries ?? []) {
      if (entry.space !== shadowSpace || entry.op !== 'put') continue;
      const next = JSON.parse(entry.value) as ShadowState;
      const before = new Set(state.underWay.map(({ id }) => id));
      const after = new Set(next.underWay.map(({ id }) => id));
      const begun = next.underWay.filter(({ id }) => !before.has(id));
      const ended = state.underWay.filter(({ id }) => !after.has(id));
      for (const ticket of begun) {
        if (tickets.has(ticket.id)) report(`${ticket.id} was written twice`);
        tickets.set(ticket.id, { ...ticket, step: action.step });
      }
      if (begun.length > 0) boundsOf(next, report);
      if (ended.length !== toldIn(action.transition)) report(`${ended.length} tickets ended without a word on them`);
      state = next;
    }
  }
  return tickets;
}

function boundsOf({ underWay, spentMicros }: ShadowState, report: (detail: string) => void): void {
  if (underWay.length > simShadow.concurrency) report(`${underWay.length} calls were under way`);
  const reserved = underWay.reduce((sum, { costMicros }) => sum + costMicros, 0);
  // What was spent the day before does not count; a day of the simulated clock may begin at any time.
  const microsMax = simShadow.perDay * 1_000_000;
  if (reserved > microsMax) report(`${reserved} were set aside of ${microsMax}, with ${spentMicros} spent`);
}

/** How many ends of calls the transition tells of. */
function toldIn({ publishes = [] }: Transition): number {
  return publishes.filter(({ payload }) => payload !== null && 'text' in payload && payload.text.includes(endWord))
    .length;
}

const endWord = '"shadow-answer"';

/** Events of the world by which the answers of each inference were recorded, in order. */
function answersOf(history: History): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    for (const { run, type, envelope } of action.transition.events ?? []) {
      if (type !== 'inference.completed') continue;
      const { path } = parseEnvelope(envelope).data as { readonly path: string };
      const key = `${action.transition.tenant}/${run}/${path}`;
      found.set(key, [...(found.get(key) ?? []), action.step]);
    }
  }
  return found;
}
