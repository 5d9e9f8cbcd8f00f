/**
 * P21, of bridges: every message that came in is there once, as an event or as a dead event, in the order of its key; positions
 * never stand behind what is not stored, in our store or on the bus; every event that was to go out has gone out at least
 * once, under its id, in the order of its key.
 */
import { bridgeOffsetSpace, type BridgePosition } from '../../../core/topics/bridge.js';
import type { DeadEvent } from '../../../core/topics/dead-event.js';
import { topicStream, type EventRow, type Violation } from '../../../store/index.js';
import type { BridgedHistory, History } from '../history.js';
import { grouped } from './grouped.js';

/** Every breach. */
export function checkBridges(history: History): Violation[] {
  const { bridged, final } = history;
  if (bridged === null || final === null) return [];
  const violations: Violation[] = [];
  const report = (subject: string, detail: string): void => {
    violations.push({ property: 'P21', tenant: bridged.tenant, subject, detail });
  };
  checkIn(bridged, final.topicEvents, report);
  checkPositions(bridged, history, report);
  checkOut(bridged, final.topicEvents, report);
  return violations;
}

type Report = (subject: string, detail: string) => void;

interface Stored {
  readonly id: string;
  readonly source: string;
  readonly key: string;
}

function checkIn(bridged: BridgedHistory, events: readonly EventRow[], report: Report): void {
  const stored = eventsOf(bridged.tenant, bridged.topicIn, events).filter(({ source }) => source === bridged.source);
  const there = new Set(stored.map(({ id }) => id));
  const good = bridged.sent.filter(({ isRubbish }) => !isRubbish);
  for (const { id, ref, offset } of good)
    if (!there.has(id)) report(id, `was sent as ${ref} ${offset} and never came in`);
  for (const id of there) if (!good.some((sent) => sent.id === id)) report(id, 'came in and was never sent');
  for (const [key, sent] of grouped(good, (message) => message.key)) {
    const inOrder = sent.toSorted((a, b) => Number(a.offset - b.offset)).map(({ id }) => id);
    compareOrder(
      key,
      [...new Set(inOrder)],
      stored.filter((event) => event.key === key).map(({ id }) => id),
      report,
    );
  }
  const dead = grouped(
    bridged.dead.map(({ value }) => JSON.parse(value) as DeadEvent),
    ({ position }) => `${position?.topicId}/${position?.partition} ${position?.offset}`,
  );
  for (const { ref, offset, isRubbish } of bridged.sent) {
    const times = dead.get(`${ref} ${offset}`)?.length ?? 0;
    if (times !== (isRubbish ? 1 : 0))
      report(`${ref} ${offset}`, `is a dead event ${times} times, and ${isRubbish ? 'rubbish' : 'well'}`);
  }
}

/** Walks through what was written, in its order, with what the bus was told in between. */
function checkPositions(bridged: BridgedHistory, { actions }: History, report: Report): void {
  const done = new Set<string>();
  const nexts = new Map<string, bigint>();
  let told = 0;
  const hearUpTo = (count: number): void => {
    for (; told < bridged.commits.length; told++) {
      const commit = bridged.commits[told];
      if (commit === undefined || commit.afterActions > count) return;
      const next = nexts.get(commit.ref) ?? 0n;
      if (commit.next > next) report(commit.ref, `the bus was told ${commit.next} while ${next} was stored`);
    }
  };
  actions.forEach((action, i) => {
    hearUpTo(i);
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') return;
    const { tenant, publishes = [], entries = [] } = action.transition;
    if (tenant !== bridged.tenant) return;
    for (const { topic, envelope } of publishes) if (topic === bridged.topicIn) done.add(idOf(envelope));
    for (const { space, ref, ...write } of entries) {
      if (space !== bridgeOffsetSpace || write.op !== 'put') continue;
      const next = BigInt((JSON.parse(write.value) as BridgePosition).next);
      if (next < (nexts.get(ref) ?? 0n)) report(ref, `went back from ${nexts.get(ref)} to ${next}`);
      nexts.set(ref, next);
      for (const message of bridged.sent)
        if (message.ref === ref && message.offset < next && !message.isRubbish && !done.has(message.id))
          report(message.id, `the position is ${next}, and ${ref} ${message.offset} is not stored`);
    }
  });
  hearUpTo(actions.length);
}

function checkOut(bridged: BridgedHistory, events: readonly EventRow[], report: Report): void {
  const ours = eventsOf(bridged.tenant, bridged.topicOut, events);
  const log = bridged.out.flat();
  const nameOf = (source: string, id: string | null): string => `${source} ${id}`;
  const sent = new Set(log.map(({ headers, id }) => nameOf(headers['ce_source'] ?? '', id)));
  for (const { source, id } of ours)
    if (!sent.has(nameOf(source, id))) report(id, 'is in the topic and was never sent');
  const known = new Set(ours.map(({ source, id }) => nameOf(source, id)));
  for (const name of sent) if (!known.has(name)) report(name, 'was sent and is not in the topic');
  for (const [key, of] of grouped(ours, (event) => event.key)) {
    const there = log.filter((delivery) => delivery.key === key);
    const firsts = [...new Set(there.map(({ headers, id }) => nameOf(headers['ce_source'] ?? '', id)))];
    compareOrder(
      key,
      of.map(({ source, id }) => nameOf(source, id)),
      firsts,
      report,
    );
  }
}

/** Of what both have, the order has to be the same. */
function compareOrder(key: string, wanted: readonly string[], found: readonly string[], report: Report): void {
  const both = new Set(found.filter((id) => wanted.includes(id)));
  const expected = wanted.filter((id) => both.has(id)).join(' ');
  const actual = found.filter((id) => both.has(id)).join(' ');
  if (expected !== actual) report(key, `came as ${actual}, and was ${expected}`);
}

/** Events of a topic in the order of each partition, which is the order of each key. */
function eventsOf(tenant: string, topic: string, events: readonly EventRow[]): Stored[] {
  return events
    .filter((row) => row.tenant === tenant && row.stream.startsWith(topicStream(topic, 0).slice(0, -1)))
    .toSorted((a, b) => a.stream.localeCompare(b.stream) || a.seq - b.seq)
    .map((row) => {
      const { id, attributes, data } = JSON.parse(row.envelope) as {
        readonly id: string;
        readonly attributes?: { readonly source?: string };
        readonly data: { readonly key: string };
      };
      return { id, source: attributes?.source ?? '', key: data.key };
    });
}

function idOf(envelope: string): string {
  return (JSON.parse(envelope) as { readonly id: string }).id;
}
