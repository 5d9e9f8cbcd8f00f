/** How somebody without a clearance sees events of topics. Pure; `ShownEngine` says for whom. */
import {
  approvalTopic,
  deadEventsTopic,
  fleetTopic,
  limitsTopic,
  modelsTopic,
  subscriptionsTopic,
  webhooksTopic,
} from '../../core/manifest.js';
import { isOwnTopic, type Declarations } from '../../core/redaction/declared.js';
import { hiddenOf, redacted, redactedText, type Clearance } from '../../core/redaction/tags.js';
import { isRecord } from '../../core/schema/schema-text.js';
import type { PulledEvent, TopicEventView } from '../../protocol/http.js';
import { RunLens } from './run-lens.js';

/** An event in the JSON format of CloudEvents. */
type CloudEventJson = Readonly<Record<string, unknown>>;

/** Own topics whose events are about the installation and hold nothing of a user's. */
const ofTheInstallation: ReadonlySet<string> = new Set(
  [modelsTopic, limitsTopic, fleetTopic, subscriptionsTopic, webhooksTopic]
    .map(({ name }) => name)
    .concat('eventspine.access'),
);

/** Members of what own topics tell that are names, numbers and instants. */
const ownMembers: ReadonlySet<string> = new Set([
  'id',
  'run',
  'workflow',
  'version',
  'path',
  'state',
  'status',
  'class',
  'code',
  'label',
  'said',
  'to',
  'by',
  'at',
  'attempts',
  'deadLetter',
  'startedAt',
  'endedAt',
  'expiresAt',
]);

/** An event of a topic as the reader is shown it; the same object where nothing is hidden. */
export function shownTopicEvent(view: TopicEventView, declared: Declarations, cleared: Clearance): TopicEventView {
  const event = shownCloudEvent(view.topic, view.event, declared, cleared);
  const key = hiddenKeyTags(view.topic, view.event, declared, cleared);
  if (event === view.event && key.length === 0) return view;
  return { ...view, event, ...(key.length === 0 ? {} : { key: redactedText(key) }) };
}

/** The same for what a consumer was handed. */
export function shownPulledEvent(pulled: PulledEvent, declared: Declarations, cleared: Clearance): PulledEvent {
  const event = shownCloudEvent(pulled.topic, pulled.event, declared, cleared);
  const key = hiddenKeyTags(pulled.topic, pulled.event, declared, cleared);
  return { ...pulled, event, ...(key.length === 0 ? {} : { key: redactedText(key) }) };
}

/** Tags that hide what an event is kept in order by. That of a dead event is the one it had in its own topic. */
function hiddenKeyTags(
  topic: string,
  event: CloudEventJson,
  declared: Declarations,
  cleared: Clearance,
): readonly string[] {
  const isDeath = event['deadclass'] !== undefined;
  return hiddenOf(isDeath ? declared.tags : declared.tagsOfKey(topic), cleared);
}

export function shownCloudEvent(
  topic: string,
  event: CloudEventJson,
  declared: Declarations,
  cleared: Clearance,
): CloudEventJson {
  const all = hiddenOf(declared.tags, cleared);
  if (all.length === 0 || ofTheInstallation.has(topic)) return event;
  const shown: Record<string, unknown> = { ...event };
  // Attributes of dead events, whatever topic they were sent to.
  if (event['deadmessage'] !== undefined) shown['deadmessage'] = redactedText(all);
  const key = hiddenKeyTags(topic, event, declared, cleared);
  if (key.length > 0 && event['partitionkey'] !== undefined) shown['partitionkey'] = redactedText(key);
  if (topic === deadEventsTopic.name && event['type'] === topic)
    // With the data as it came, of whatever topic.
    return withData(shown, event['data'] === undefined ? undefined : redacted(all), all);
  if (isOwnTopic(topic)) return withData(shown, ownData(topic, event['data'], all, declared, cleared), all);
  const shape = declared.topic(topic);
  if (shape.showsAll(cleared)) return shown;
  return withData(shown, shape.shown(event['data'], cleared), hiddenOf(shape.tags, cleared));
}

/** Data that came as bytes, or lies elsewhere, is not looked at. */
function withData(event: Record<string, unknown>, data: unknown, hidden: readonly string[]): CloudEventJson {
  const { data_base64: bytes, dataref: elsewhere, ...rest } = event;
  if (bytes !== undefined || elsewhere !== undefined) return { ...rest, data: redacted(hidden) };
  return data === undefined ? rest : { ...rest, data };
}

/** What engines say themselves of runs and events: who and where, but not the words. */
function ownData(
  topic: string,
  data: unknown,
  hidden: readonly string[],
  declared: Declarations,
  cleared: Clearance,
): unknown {
  if (data === undefined) return undefined;
  if (!isRecord(data)) return redacted(hidden);
  const { workflow, path, title } = data;
  if (typeof workflow === 'string') {
    const lens = new RunLens(declared, workflow, cleared);
    if (lens.isClear) return data;
    if (topic === approvalTopic.name && typeof path === 'string' && typeof title === 'string')
      return { ...data, title: lens.textAt(path, title) };
  }
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => [name, ownMembers.has(name) ? value : redacted(hidden)]),
  );
}
