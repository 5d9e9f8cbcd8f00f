/** Publishing events and reading topics. Events come as CloudEvents or, for plain clients, as JSON data. */
import { accessActions } from '../../core/access/permission.js';
import { payloadOfJson } from '../../core/codec.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { writerEpochAttribute } from '../../core/topics/writer.js';
import type { PublishOutcome, PublishRequest } from '../../engine/api.js';
import { checkedKey, publishRequestOf, writerEpochOf } from '../../engine/intake/event-request.js';
import {
  cloudEventMode,
  decodeHttpBatch,
  decodeHttpEvent,
  type DecodedEvent,
  type HttpMessage,
} from '../../protocol/cloudevents.js';
import type { PageView, PublishAnswer, PublishItemAnswer, TopicEventPage, TopicView } from '../../protocol/http.js';
import { headerNames } from '../../protocol/routes.js';
import { nodePorts } from '../../runtime/index.js';
import { json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { readIdempotencyKey } from '../transports/request-headers.js';
import { shownOf, type HandlerContext, type Handlers } from './context.js';

export function eventHandlers(context: HandlerContext): Handlers<'publishEvents' | 'listTopics' | 'readTopic'> {
  return {
    publishEvents: (request) => publishEvents(context, request),
    listTopics: async (request) => {
      const items = await context.engine.listTopics(request.tenant);
      const page: PageView<TopicView> = { items: [...items], next: null };
      return json(
        200,
        shownOf(request, page, accessActions.topic, 'topic', ({ topic }) => topic),
      );
    },
    readTopic: (request) => readTopic(context, request),
  };
}

async function publishEvents(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const topic = request.segment('topic');
  const message: HttpMessage = { headers: request.head.headers(), body: request.body };
  const mode = cloudEventMode(message.headers);
  if (mode === 'batch') return publishBatch(context, request, topic, decodeHttpBatch(message));
  const event = mode === null ? plainRequestOf(request, topic) : publishRequestOf(topic, decodeHttpEvent(message));
  const [outcome] = await context.engine.publish(request.origin(), [event]);
  if (outcome === undefined) throw new Error('The engine gave no outcome for an event');
  if (outcome.tag === 'error') throw outcome.error;
  const answer: PublishAnswer = { items: [publishedAnswer(topic, outcome)] };
  return json(202, answer);
}

async function publishBatch(
  context: HandlerContext,
  request: ApiRequest,
  topic: string,
  decoded: readonly DecodedEvent[],
): Promise<Answer> {
  const items: PublishItemAnswer[] = new Array<PublishItemAnswer>(decoded.length);
  const requests: PublishRequest[] = [];
  const places: number[] = [];
  const refuse = (place: number, error: unknown): void => {
    items[place] = { error: context.problemOf(error, request.requestId) };
  };
  decoded.forEach((item, place) => {
    try {
      if (!item.ok) throw item.error;
      requests.push(publishRequestOf(topic, item.event));
      places.push(place);
    } catch (error) {
      refuse(place, error);
    }
  });
  const outcomes = requests.length === 0 ? [] : await context.engine.publish(request.origin(), requests);
  places.forEach((place, i) => {
    const outcome = outcomes[i];
    if (outcome === undefined) throw new Error('The engine gave fewer outcomes than it was asked for');
    if (outcome.tag === 'error') refuse(place, outcome.error);
    else items[place] = publishedAnswer(topic, outcome);
  });
  const answer: PublishAnswer = { items };
  return json(items.some((item) => 'error' in item) ? 207 : 202, answer);
}

/** What became of an event, in the words of the API. */
export function publishedAnswer(
  topic: string,
  outcome: Exclude<PublishOutcome, { readonly tag: 'error' }>,
): PublishItemAnswer {
  const { id } = outcome;
  switch (outcome.tag) {
    case 'duplicate':
      return { id, topic, duplicate: true, runs: [] };
    case 'late':
      return { id, topic, duplicate: false, runs: [], late: outcome.became };
    case 'published':
      return {
        id,
        topic,
        duplicate: false,
        runs: outcome.runs,
        ...(outcome.late === undefined ? {} : { late: 'accepted' }),
        ...(outcome.gap === undefined ? {} : { gap: outcome.gap }),
      };
  }
}

function plainRequestOf(request: ApiRequest, topic: string): PublishRequest {
  const key = request.query.text('key');
  const type = request.query.text('type') ?? topic;
  if (type === '' || type.length > limits.nameLengthMax)
    throw invalid(`type has not 1 to ${limits.nameLengthMax} characters`);
  const value = request.json();
  const writerEpoch = writerEpochOf(request.query.text('writerEpoch'));
  const version = request.query.integer('version', { min: 1, max: limits.topicVersionsMax });
  return {
    topic,
    id: readIdempotencyKey(request.header(headerNames.idempotencyKey)) ?? newId('event', nodePorts),
    source: `eventspine:client:${encodeURIComponent(request.principal.user)}`,
    type,
    ...(key === undefined ? {} : { key: checkedKey(key) }),
    ...(writerEpoch === undefined ? {} : { writerEpoch, attributes: { [writerEpochAttribute]: writerEpoch } }),
    ...(version === undefined ? {} : { version }),
    data: value === undefined ? null : payloadOfJson(value),
  };
}

async function readTopic(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { query } = request;
  const offsets = { min: -1, max: Number.MAX_SAFE_INTEGER };
  const limit = query.limit();
  const { tenant } = request;
  const topic = request.segment('topic');
  const partition = query.integer('partition', { min: 0, max: 65_535 }) ?? 0;
  const cursor = query.integer('cursor', offsets) ?? query.integer('after', offsets);
  const at = query.instant('at');
  if (at !== undefined && query.text('after') !== undefined) throw invalid('give either after or at');
  const after = cursor ?? (at === undefined ? -1 : (await context.engine.offsetAt(tenant, topic, partition, at)) - 1);
  const { items, gap } = await context.engine.readTopic(tenant, topic, { partition, after, limit });
  const last = items.at(-1);
  const next = last === undefined || items.length < limit ? null : String(last.offset);
  // Who says no offset wants what there is.
  const page: TopicEventPage = { items, next, gap: cursor === undefined ? null : gap };
  return json(200, page);
}
