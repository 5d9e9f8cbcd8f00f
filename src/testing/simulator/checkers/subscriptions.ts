/**
 * Subscriptions that start runs: each event that a filter lets pass has one run and no more (P20), runs begin in the order of
 * their key or their partition and only when the one before has ended, and no more are under way than the window allows (P10).
 * Nothing begins while it is paused, and the mirror topic hears of each dead letter once.
 */
import type { RunEventData } from '../../../core/run/events.js';
import { passes } from '../../../core/topics/filter.js';
import type { Subscription } from '../../../core/topics/subscription.js';
import { parseEnvelope } from '../../../engine/events/envelope-writer.js';
import { subscriptionSettingSpace } from '../../../engine/topics/subscriptions.js';
import type { EventRow, Transition, Violation } from '../../../store/index.js';
import type { History } from '../history.js';
import { buriedTopic } from '../manifest.js';
import { grouped } from './grouped.js';

type Report = (property: string, tenant: string, subject: string, detail: string) => void;

/** A run that a subscription has begun. */
interface Delivered {
  readonly tenant: string;
  readonly name: string;
  readonly stream: string;
  readonly offset: number;
  readonly run: string;
  readonly eventId: string;
}

/** An event of a topic as it lies there at the end. */
interface Event {
  readonly id: string;
  readonly key: string;
  readonly row: EventRow;
}

/** Every breach. */
export function checkSubscriptions(history: History): Violation[] {
  const { subscriptions, final } = history;
  if (subscriptions.length === 0 || final === null) return [];
  const violations: Violation[] = [];
  const report: Report = (property, tenant, subject, detail) => violations.push({ property, tenant, subject, detail });
  const events = new Map(final.topicEvents.map((row) => [placeOf(row.tenant, row.stream, row.seq), eventOf(row)]));
  const delivered = watchOrder(history, events, report);
  checkDelivered(subscriptions, delivered, events, report);
  checkBuried(history, delivered, report);
  return violations;
}

/** Goes through all that was written, in order. */
function watchOrder(history: History, events: ReadonlyMap<string, Event>, report: Report): Delivered[] {
  const byName = new Map(history.subscriptions.map((one) => [one.name, one]));
  const delivered: Delivered[] = [];
  const underWay = new Map<string, Delivered>();
  const paused = new Map<string, string>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    const { tenant, events: written = [] } = action.transition;
    for (const born of bornIn(action.transition)) {
      const spec = byName.get(born.name);
      const event = events.get(placeOf(tenant, born.stream, born.offset));
      if (spec === undefined || event === undefined) {
        report(
          'P20',
          tenant,
          born.run,
          `was begun for ${born.name} at ${born.stream} ${born.offset}, which is not there`,
        );
        continue;
      }
      if (paused.has(`${tenant} ${born.name}`))
        report('P20', tenant, born.run, `${born.name} has begun it while paused`);
      const ahead = [...underWay.values()].filter((one) => isOfOneLine(spec, one, born, events));
      for (const one of ahead)
        report('P10', tenant, born.run, `${born.name} has begun it before the end of ${one.run}`);
      const last = delivered.findLast((one) => isOfOneLine(spec, one, born, events));
      if (last !== undefined && last.offset > born.offset)
        report(
          'P10',
          tenant,
          born.run,
          `${born.name} has begun ${last.offset} of ${born.stream} before ${born.offset}`,
        );
      const now = [...underWay.values()].filter((one) => isOfOnePlace(one, born));
      if (now.length >= spec.windowMax)
        report('P10', tenant, born.run, `${born.name} has more than ${spec.windowMax} under way in ${born.stream}`);
      delivered.push(born);
      underWay.set(`${tenant} ${born.run}`, born);
    }
    for (const { run, type } of written) if (endings.has(type)) underWay.delete(`${tenant} ${run}`);
    notePauses(action.transition, paused);
  }
  return delivered;
}

function notePauses({ tenant, entries = [] }: Transition, paused: Map<string, string>): void {
  for (const entry of entries) {
    if (entry.space !== subscriptionSettingSpace) continue;
    if (entry.op === 'put') paused.set(`${tenant} ${entry.key}`, entry.value);
    else paused.delete(`${tenant} ${entry.key}`);
  }
}

function bornIn({ tenant, events = [] }: Transition): Delivered[] {
  return events.flatMap(({ run, type, envelope }) => {
    if (type !== 'run.started') return [];
    const { trigger } = parseEnvelope(envelope).data as RunEventData['run.started'];
    if (trigger?.subscription === undefined) return [];
    const { name, partition, offset } = trigger.subscription;
    return [{ tenant, name, stream: `${trigger.topic}/${partition}`, offset, run, eventId: trigger.eventId }];
  });
}

function isOfOnePlace(one: Delivered, other: Delivered): boolean {
  return one.tenant === other.tenant && one.name === other.name && one.stream === other.stream;
}

/** Whether the order of the subscription is between the two. */
function isOfOneLine(
  spec: Subscription,
  one: Delivered,
  other: Delivered,
  events: ReadonlyMap<string, Event>,
): boolean {
  if (spec.order === 'none' || !isOfOnePlace(one, other)) return false;
  const keyOf = ({ tenant, stream, offset }: Delivered): string | undefined =>
    events.get(placeOf(tenant, stream, offset))?.key;
  return spec.order === 'partition' || keyOf(one) === keyOf(other);
}

function checkDelivered(
  subscriptions: readonly Subscription[],
  delivered: readonly Delivered[],
  events: ReadonlyMap<string, Event>,
  report: Report,
): void {
  const runs = grouped(delivered, ({ tenant, name, stream, offset }) => `${name} ${placeOf(tenant, stream, offset)}`);
  for (const [place, { id, row }] of events)
    for (const { name, filter } of subscriptions.filter(({ topic }) => row.stream.startsWith(`${topic}/`))) {
      const found = runs.get(`${name} ${place}`) ?? [];
      const wanted = passes(filter, subjectOf(row)) ? 1 : 0;
      if (found.length !== wanted)
        report('P20', row.tenant, `${name} ${place}`, `the event has ${found.length} runs, of ${wanted}`);
      for (const { run, eventId } of found)
        if (eventId !== id) report('P20', row.tenant, run, `is for ${eventId}, where ${id} is`);
    }
}

/** Each run that has become a dead letter is in the mirror topic, as often as it has. */
function checkBuried({ final }: History, delivered: readonly Delivered[], report: Report): void {
  const told = new Map<string, number>();
  for (const row of final?.topicEvents ?? []) {
    if (!row.stream.startsWith(`${buriedTopic}/`)) continue;
    const key = `${row.tenant} ${String(parseEnvelope(row.envelope).attributes?.['deadrun'])}`;
    told.set(key, (told.get(key) ?? 0) + 1);
  }
  for (const { tenant, run } of delivered) {
    const rows = final?.histories.get(`${tenant}/${run}`) ?? [];
    const failed = rows.filter(({ type }) => type === 'run.failed').length;
    const heard = told.get(`${tenant} ${run}`) ?? 0;
    if (failed !== heard)
      report('P20', tenant, run, `became a dead letter ${failed} times, of which ${heard} were told`);
  }
}

function eventOf(row: EventRow): Event {
  const envelope = parseEnvelope(row.envelope);
  return { id: envelope.id, key: (envelope.data as { readonly key: string }).key, row };
}

function subjectOf({ envelope, payload }: EventRow): Parameters<typeof passes>[1] {
  const { id, type, attributes } = parseEnvelope(envelope);
  const text = payload !== null && 'text' in payload ? payload.text : 'null';
  return { attributes: { ...attributes, id, type }, data: () => JSON.parse(text) as unknown };
}

function placeOf(tenant: string, stream: string, offset: number): string {
  return `${tenant} ${stream} ${offset}`;
}

/** After these a run is no longer under way; one that is redriven is again, and nobody waits for it any more. */
const endings: ReadonlySet<string> = new Set(['run.succeeded', 'run.failed', 'run.cancelled', 'run.refused']);
