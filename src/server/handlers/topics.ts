/** Topics beside publishing to them: their streams, their writers, their sources. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { TopicPartitionView } from '../../protocol/http.js';
import { headerNames } from '../../protocol/routes.js';
import { json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { eventStream } from '../streams/event-sink.js';
import { offsetsOfTopicCursor } from '../streams/topic-cursor.js';
import type { HandlerContext, Handlers } from './context.js';

type TopicRoutes = 'streamTopic' | 'readTopicWriter' | 'takeOverTopic' | 'listSources';

export function topicHandlers(context: HandlerContext): Handlers<TopicRoutes> {
  const { engine } = context;
  return {
    streamTopic: (request) => streamTopic(context, request),
    readTopicWriter: async (request) =>
      json(200, await engine.readTopicWriter(request.tenant, request.segment('topic'))),
    takeOverTopic: async (request) => json(201, await engine.takeOverTopic(request.origin(), request.segment('topic'))),
    listSources: async (request) => {
      const cursor = request.query.text('cursor');
      const query = { ...(cursor === undefined ? {} : { cursor }), limit: request.query.limit() };
      return json(200, await engine.listSources(request.tenant, request.segment('topic'), query));
    },
  };
}

async function streamTopic({ engine, streams }: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { tenant, query, grant } = request;
  const topic = request.segment('topic');
  const key = keyOf(request);
  const found = (await engine.listTopics(tenant)).find((one) => one.topic === topic);
  const wanted = chosen(found?.partitions ?? [], query.texts('partition'));
  const partitions = wanted.map(({ partition }) => partition);
  const cursor = request.header(headerNames.lastEventId) || query.text('cursor');
  const next =
    cursor === undefined || cursor === ''
      ? await beginning(engine, request, topic, wanted)
      : offsetsOfTopicCursor(tenant, topic, partitions, cursor);
  await checkFarBack(engine, request, topic, wanted, next);
  const since = grant.tag === 'topicToken' ? grant.since : null;
  const first =
    since === null
      ? next
      : await Promise.all(partitions.map((partition) => engine.offsetAt(tenant, topic, partition, since)));
  return eventStream((sink) =>
    streams.openTopic({
      tenant,
      topic,
      partitions,
      next,
      first,
      key,
      sink,
      reference: request.requestId,
      forMs: grant.tag === 'topicToken' ? grant.expiresAt - engine.now() : null,
    }),
  );
}

/**
 * Whoever only subscribes may resume what it has followed, a while back. Cursors say where, and are no secret: further back is
 * a replay. @throws PERMISSION_MISSING
 */
async function checkFarBack(
  engine: HandlerContext['engine'],
  { tenant, permit }: ApiRequest,
  topic: string,
  wanted: readonly TopicPartitionView[],
  next: readonly number[],
): Promise<void> {
  if (permit.allows('replay', 'topic', topic)) return;
  const since = engine.now() - limits.subscribeBackMs;
  for (const [place, { partition, head }] of wanted.entries()) {
    const from = next[place] ?? 0;
    if (from < head && from < (await engine.offsetAt(tenant, topic, partition, since)))
      permit.require('replay', 'topic', topic);
  }
}

/** The only key whose events are wanted; null = those of all. @throws OUT_OF_SCOPE */
function keyOf({ query, grant }: ApiRequest): string | null {
  const asked = query.text('key') ?? null;
  const granted = grant.tag === 'topicToken' ? grant.key : null;
  if (granted !== null && asked !== null && asked !== granted)
    throw new SpineError('OUT_OF_SCOPE', { what: 'events of another key' });
  return granted ?? asked;
}

/** The partitions that are named, or all. */
function chosen(all: readonly TopicPartitionView[], names: readonly string[]): readonly TopicPartitionView[] {
  const numbers = names.map(Number);
  if (!numbers.every((number) => Number.isInteger(number) && number >= 0 && number < limits.topicPartitionsMax))
    throw invalid('partition is not the number of one');
  const wanted =
    names.length === 0
      ? all.length === 0
        ? [absent(0)]
        : all
      : [...new Set(numbers)]
          .sort((a, b) => a - b)
          .map((number) => all.find(({ partition }) => partition === number) ?? absent(number));
  if (wanted.length <= limits.streamPartitionsMax) return wanted;
  throw invalid(`name at most ${limits.streamPartitionsMax} partitions: the topic has ${all.length}`);
}

function absent(partition: number): TopicPartitionView {
  return { partition, head: 0, low: 0 };
}

async function beginning(
  engine: HandlerContext['engine'],
  { tenant, query }: ApiRequest,
  topic: string,
  wanted: readonly TopicPartitionView[],
): Promise<number[]> {
  const at = query.instant('at');
  const from = query.text('from') ?? 'newest';
  if (from !== 'newest' && from !== 'oldest') throw invalid('from is neither newest nor oldest');
  if (at !== undefined)
    return Promise.all(wanted.map(({ partition }) => engine.offsetAt(tenant, topic, partition, at)));
  return wanted.map(({ head, low }) => (from === 'oldest' ? low : head));
}
