/**
 * Topics that do not keep or take everything, out of what was applied, one action after the other:
 * P22: an event of a topic with a single writer carries the newest epoch there is at its commit.
 * Sources: the state of a source is what its events make of it, in the order of their commits.
 * Retention: what goes is a prefix, never of the newest events that the topic keeps; compaction leaves the newest of each key.
 * P19: what a reader was handed is a slice of the log; what is missing was trimmed, and told where retention took it.
 */
import { topicLowOf, topicLowSpace } from '../../../core/topics/retention.js';
import { newSource, stepSource, topicSourceSpace, type SourceState } from '../../../core/topics/source-state.js';
import { topicWriterSpace, type TopicWriter } from '../../../core/topics/writer.js';
import { isTombstone } from '../../../engine/topics/compaction.js';
import { parseEnvelope } from '../../../engine/events/envelope-writer.js';
import type { TopicEventWrite, Transition, Violation } from '../../../store/index.js';
import type { History } from '../history.js';
import { logTopics, recentEvents } from '../topic-logs.js';

/** Of a key: where its newest event is, and whether that says that the key is gone. */
interface Newest {
  readonly offset: number;
  readonly isRemoval: boolean;
}

/** What the actions so far have made of the topics of one tenant. */
interface Seen {
  epoch: number;
  source: SourceState;
  readonly heads: Map<string, number>;
  readonly trimmed: Map<string, Set<number>>;
  readonly lows: Map<string, number>;
  readonly newest: Map<string, Newest>;
}

type Report = (property: string, subject: string, detail: string) => void;

/** Every breach. */
export function checkTopicLogs(history: History): Violation[] {
  const violations: Violation[] = [];
  const tenants = new Map<string, Seen>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    const { tenant } = action.transition;
    const seen = tenants.get(tenant) ?? nothing();
    tenants.set(tenant, seen);
    const report: Report = (property, subject, detail) => {
      violations.push({ property, tenant, subject, detail: `${detail} (step ${action.step})` });
    };
    lookAtWriters(seen, action.transition, report);
    lookAtSources(seen, action.transition, report);
    lookAtEvents(seen, action.transition, action.outcome.offsets, report);
  }
  for (const { tenant, topic, partition, items } of history.topicReadings) {
    const stream = `${topic}/${partition}`;
    const report = (detail: string): void => {
      violations.push({ property: 'P19', tenant, subject: stream, detail });
    };
    const gone = tenants.get(tenant)?.trimmed.get(stream) ?? new Set();
    let next = 0;
    for (const item of items) {
      const [from, to] = item.kind === 'event' ? [item.offset, item.offset] : [item.from, item.to];
      if (from < next) report(`${from} comes after ${next - 1}`);
      for (let offset = next; offset < from; offset++) {
        if (!gone.has(offset)) report(`${offset} was skipped, though it is there`);
        else if (topic === logTopics.retained) report(`${offset} was trimmed, and nobody said so`);
      }
      if (item.kind === 'gap')
        for (let offset = from; offset <= to; offset++)
          if (!gone.has(offset)) report(`a gap of ${from} to ${to} was told, though ${offset} is there`);
      next = to + 1;
    }
  }
  return violations;
}

function nothing(): Seen {
  return {
    epoch: 0,
    source: newSource('meter'),
    heads: new Map(),
    trimmed: new Map(),
    lows: new Map(),
    newest: new Map(),
  };
}

function lookAtWriters(seen: Seen, { entries = [], publishes = [] }: Transition, report: Report): void {
  for (const entry of entries) {
    if (entry.op !== 'put' || entry.space !== topicWriterSpace) continue;
    const { epoch } = JSON.parse(entry.value) as TopicWriter;
    if (epoch < seen.epoch) report('P22', entry.key, `epoch ${epoch} after ${seen.epoch}`);
    seen.epoch = epoch;
  }
  for (const event of publishes) {
    if (event.topic !== logTopics.single) continue;
    const epoch = attributeOf(event, 'writerepoch');
    if (epoch !== seen.epoch) report('P22', event.topic, `an event of epoch ${String(epoch)} in epoch ${seen.epoch}`);
  }
}

function lookAtSources(seen: Seen, { entries = [], publishes = [] }: Transition, report: Report): void {
  for (const event of publishes) {
    if (event.topic !== logTopics.sourced) continue;
    const mark = { sequence: Number(attributeOf(event, 'sequence')), time: null };
    seen.source = stepSource(seen.source, mark, { late: 'accept', afterMs: null }).state;
    const entry = entries.find(({ space }) => space === topicSourceSpace);
    const said = entry?.op === 'put' ? entry.value : 'nothing';
    if (said !== JSON.stringify(seen.source))
      report('sources', event.topic, `the state is ${said}, and should be ${JSON.stringify(seen.source)}`);
  }
}

function lookAtEvents(seen: Seen, transition: Transition, offsets: readonly number[], report: Report): void {
  const { entries = [], publishes = [], trims = [] } = transition;
  publishes.forEach((event, i) => {
    const stream = `${event.topic}/${event.partition}`;
    const offset = offsets[i] ?? 0;
    seen.heads.set(stream, offset + 1);
    if (event.topic !== logTopics.compacted) return;
    const { key } = parseEnvelope(event.envelope).data as { readonly key: string };
    seen.newest.set(key, { offset, isRemoval: isTombstone(event.payload) });
  });
  for (const entry of entries)
    if (entry.op === 'put' && entry.space === topicLowSpace) seen.lows.set(entry.key, topicLowOf(entry.value).low);
  for (const { topic, partition, offsets: gone } of trims) {
    const stream = `${topic}/${partition}`;
    const trimmed = seen.trimmed.get(stream) ?? new Set<number>();
    seen.trimmed.set(stream, trimmed);
    for (const offset of gone) {
      trimmed.add(offset);
      if (topic === logTopics.retained) lookAtRetained(seen, stream, offset, report);
      else if (topic === logTopics.compacted) lookAtCompacted(seen, offset, report);
      else report('P1', stream, `${offset} was trimmed, though the topic keeps everything`);
    }
  }
}

function lookAtRetained(seen: Seen, stream: string, offset: number, report: Report): void {
  const head = seen.heads.get(stream) ?? 0;
  if (offset >= head - recentEvents) report('P1', stream, `${offset} was trimmed at head ${head}`);
  const low = seen.lows.get(stream) ?? 0;
  if (offset >= low) report('P19', stream, `${offset} was trimmed, and the low water is ${low}`);
}

function lookAtCompacted(seen: Seen, offset: number, report: Report): void {
  for (const [key, newest] of seen.newest)
    if (newest.offset === offset && !newest.isRemoval)
      report('P1', logTopics.compacted, `${offset} was trimmed, the newest event of "${key}"`);
}

function attributeOf({ envelope }: TopicEventWrite, name: string): unknown {
  return parseEnvelope(envelope).attributes?.[name];
}
