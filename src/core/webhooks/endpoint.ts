/**
 * What a webhook endpoint is: where messages go, which, in what order, and how often each is tried. Read out of what people
 * write, with all faults at once; and when the next attempt is. Pure.
 */
import { durationMs, type Duration } from '../duration.js';
import { limits } from '../limits.js';
import { approvalTopic, runEventsTopic } from '../manifest.js';
import { everyTag, isTag } from '../redaction/tags.js';
import { readSubscription } from '../topics/subscription-options.js';
import type { Filter, Subscription } from '../topics/subscription.js';
import { webhookWorkflow } from './delivery-order.js';

/** Events of runs that an endpoint may ask for, by the type of their message. */
export const runEventTypes = [
  'run.succeeded',
  'run.failed',
  'run.cancelled',
  'run.refused',
  'approval.requested',
] as const;
export type RunEventType = (typeof runEventTypes)[number];

/** How often a delivery is tried. Pauses double from `minMs` to `maxMs`, each at least half of that, the rest by chance. */
export interface DeliveryRetry {
  readonly attempts: number;
  readonly minMs: number;
  readonly maxMs: number;
}

export interface WebhookSpec {
  readonly name: string;
  readonly url: string;
  /** Topics whose events go there. */
  readonly topics: readonly string[];
  /** Events of runs that go there. */
  readonly events: readonly RunEventType[];
  /** Which events of `topics`; null = all. */
  readonly filter: Filter | null;
  /** `key`: an event goes when the earlier ones of its key have arrived, or were given up; `none`: at once. */
  readonly order: 'key' | 'none';
  /** Messages of one partition under way, those that wait for their next attempt among them. */
  readonly windowMax: number;
  /** Longest time of one attempt. */
  readonly timeoutMs: number;
  readonly retry: DeliveryRetry;
  /** Beside `v1`, messages are signed with a key pair (`v1a`). */
  readonly asymmetric: boolean;
  /** Tags of fields that go there in clear. Absent = none. */
  readonly clearances?: readonly string[];
}

/** How an endpoint is described. */
export interface WebhookOptions {
  /** https, to a public address; fixed part of what is sent. */
  readonly url: string;
  /** Default: none. One of `topics` and `events` is needed. */
  readonly topics?: readonly string[];
  /** Default: none. */
  readonly events?: readonly RunEventType[];
  /** Which events of `topics`, as of subscriptions. Default: all. */
  readonly filter?: Filter;
  /** Default `key`. */
  readonly order?: 'key' | 'none';
  /** Messages of one partition under way: 1 to 512, default 32. */
  readonly window?: number;
  /** Longest time of one attempt: up to 60 s, default 15 s. */
  readonly timeout?: Duration;
  /** Default: 100 attempts, 5 s to 1 h apart: some three days. */
  readonly retry?: { readonly attempts?: number; readonly min?: Duration; readonly max?: Duration };
  /** Whether messages are signed with a key pair, too. Default false. */
  readonly asymmetric?: boolean;
  /** Tags of fields that go there in clear, of those that whoever makes the endpoint is shown. Default: none. */
  readonly clearances?: readonly string[];
}

export const webhookOptionNames = [
  'url',
  'topics',
  'events',
  'filter',
  'order',
  'window',
  'timeout',
  'retry',
  'asymmetric',
  'clearances',
] as const;

/** Reads options that may be anything, and hands each fault to `add`; with faults, the result is of no use. */
export function readWebhook(
  name: string,
  given: Readonly<Record<string, unknown>>,
  add: (fault: string) => void,
): WebhookSpec {
  const known: readonly string[] = webhookOptionNames;
  for (const option of Object.keys(given))
    if (!known.includes(option)) add(`${option} is not an option; there are ${known.join(', ')}`);
  const { url, order = 'key', asymmetric = false, filter } = given;
  if (!namePattern.test(name))
    add(`the name must have 1 to ${limits.webhookNameLengthMax} letters, digits, ".", "-" and "_"`);
  if (typeof url !== 'string' || url === '' || url.length > limits.webhookUrlLengthMax)
    add(`url must be a text of 1 to ${limits.webhookUrlLengthMax} characters`);
  const topics = textsOf(given['topics'], 'topics', add);
  const events = textsOf(given['events'], 'events', add);
  for (const type of events)
    if (!isRunEvent(type))
      add(`events has ${JSON.stringify(type.slice(0, 40))}; there are ${runEventTypes.join(', ')}`);
  if (topics.length + events.length === 0) add('topics or events must name what is to be sent');
  if (topics.length > limits.webhookTopicsMax) add(`topics has more than ${limits.webhookTopicsMax}`);
  for (const topic of topics)
    if (subscriptionNameOf(name, topic).length > limits.nameLengthMax)
      add(`the names of the endpoint and of topic ${topic.slice(0, 40)} are too long together`);
  if (order !== 'key' && order !== 'none') add('order must be "key" or "none"');
  const clearances = textsOf(given['clearances'], 'clearances', add);
  if (clearances.length > limits.tokenClearancesMax || !clearances.every((tag) => tag === everyTag || isTag(tag)))
    add(`clearances must be up to ${limits.tokenClearancesMax} tags such as "pii"`);
  if (typeof asymmetric !== 'boolean') add('asymmetric must be true or false');
  const timeoutMs = msOf(given['timeout'], limits.webhookTimeoutMsDefault, 100, limits.webhookTimeoutMsMax);
  if (timeoutMs === null) add(`timeout must be a duration of 100ms to ${limits.webhookTimeoutMsMax / 1_000}s`);
  const { windowMax } = readSubscription(
    name,
    { topic: '', workflow: null, dead: null },
    { window: given['window'] ?? limits.webhookWindowDefault, ...(filter === undefined ? {} : { filter }) },
    add,
  );
  return {
    name,
    url: url as string,
    topics,
    events: events.filter(isRunEvent),
    filter: filter === undefined ? null : (filter as Filter),
    order: order as WebhookSpec['order'],
    windowMax,
    timeoutMs: timeoutMs ?? 0,
    retry: retryOf(given['retry'], add),
    asymmetric: asymmetric as boolean,
    ...(clearances.length === 0 ? {} : { clearances }),
  };
}

/** The subscriptions that an endpoint consists of: one for each topic that it is told of. */
export function subscriptionsOf(spec: WebhookSpec): Subscription[] {
  const base = {
    from: 'newest',
    order: spec.order,
    windowMax: spec.windowMax,
    lagMax: null,
    dead: null,
    workflow: webhookWorkflow.name,
  } as const;
  const made = spec.topics.map(
    (topic): Subscription => ({ ...base, name: subscriptionNameOf(spec.name, topic), topic, filter: spec.filter }),
  );
  const ends = spec.events.filter((type) => type !== 'approval.requested');
  if (ends.length > 0 && !spec.topics.includes(runEventsTopic.name))
    made.push({
      ...base,
      name: subscriptionNameOf(spec.name, runEventsTopic.name),
      topic: runEventsTopic.name,
      filter: { any: ends.map((type) => ({ exact: { type } })) },
    });
  if (spec.events.includes('approval.requested') && !spec.topics.includes(approvalTopic.name))
    made.push({
      ...base,
      name: subscriptionNameOf(spec.name, approvalTopic.name),
      topic: approvalTopic.name,
      filter: null,
    });
  return made;
}

/** What comes after a failed attempt, counted from 1; null = nothing. `random` is in [0, 1). */
export function pauseAfter(
  { attempts, minMs, maxMs }: DeliveryRetry,
  attempt: number,
  askedMs: number | null,
  random: number,
): number | null {
  if (attempt >= attempts) return null;
  const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 40));
  const pauseMs = Math.floor(ceilingMs * (0.5 + random / 2));
  return Math.max(pauseMs, Math.min(askedMs ?? 0, limits.webhookRetryAfterMsMax));
}

function subscriptionNameOf(endpoint: string, topic: string): string {
  return `webhook:${endpoint}:${topic}`;
}

function retryOf(given: unknown, add: (fault: string) => void): DeliveryRetry {
  const usual: DeliveryRetry = {
    attempts: limits.webhookAttemptsDefault,
    minMs: limits.webhookPauseMsMin,
    maxMs: limits.webhookPauseMsMax,
  };
  if (given === undefined) return usual;
  const { attempts = usual.attempts, min, max, ...others } = isRecord(given) ? given : { others: given };
  const minMs = msOf(min, usual.minMs, 1, limits.webhookRetryAfterMsMax);
  const maxMs = msOf(max, Math.max(usual.maxMs, minMs ?? 0), 1, limits.webhookRetryAfterMsMax);
  const isCount =
    typeof attempts === 'number' &&
    Number.isInteger(attempts) &&
    attempts >= 1 &&
    attempts <= limits.webhookAttemptsMax;
  if (isCount && minMs !== null && maxMs !== null && minMs <= maxMs && Object.keys(others).length === 0)
    return { attempts, minMs, maxMs };
  add(
    `retry must be an object with attempts (1 to ${limits.webhookAttemptsMax}), min and max (durations of up to a day, min the smaller)`,
  );
  return usual;
}

function msOf(given: unknown, usual: number, min: number, max: number): number | null {
  if (given === undefined) return usual;
  const ms = durationMs(given);
  return ms === null || ms < min || ms > max ? null : ms;
}

function textsOf(given: unknown, option: string, add: (fault: string) => void): readonly string[] {
  if (given === undefined) return [];
  if (Array.isArray(given) && given.every((one) => typeof one === 'string' && one !== '')) {
    const texts = given as readonly string[];
    if (new Set(texts).size < texts.length) add(`${option} names something twice`);
    return texts;
  }
  add(`${option} must be a list of texts`);
  return [];
}

function isRunEvent(type: string): type is RunEventType {
  return (runEventTypes as readonly string[]).includes(type);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
