/**
 * The AsyncAPI 3.1 document of what apps publish and react to, made from their manifests: each topic is a channel with a message
 * for each version of its schema, and what publishes, reads, starts and completes is an operation. Served at /asyncapi.json.
 */
import type { JsonSchema, Manifest, TopicManifest, TopicVersion } from '../core/manifest.js';
import { newerTopic } from '../core/schema/newer-topic.js';
import { isRecord } from '../core/schema/schema-text.js';
import { pathOf } from './route-paths.js';

export interface AsyncApiDocument {
  readonly asyncapi: '3.1.0';
  readonly info: Readonly<Record<string, unknown>>;
  readonly defaultContentType: 'application/json';
  readonly servers?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly channels: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly operations: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly messages: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

export interface AsyncApiOptions {
  /** Version of the server, or of the app where it is one that is described. */
  readonly version: string;
  /** Path under which the API is mounted; "" = the root. */
  readonly basePath: string;
  /** Where the API is, as parts of its URL; absent = the document names no server. */
  readonly server?: { readonly protocol: string; readonly host: string };
}

/** Makes the document of the topics that the manifests declare. */
export function asyncApiDocument(manifests: readonly Manifest[], options: AsyncApiOptions): AsyncApiDocument {
  const topics = topicsOf(manifests);
  const keys = keysOf(topics.map(({ name }) => name));
  const messages = Object.fromEntries(topics.flatMap((topic) => messagesOf(topic, keys(topic.name))));
  return {
    asyncapi: '3.1.0',
    info: {
      title: manifests.length === 1 ? (manifests[0]?.app ?? 'Eventspine') : 'Eventspine',
      version: options.version,
      description: 'Topics of Eventspine: events are CloudEvents 1.0, published and read over HTTP.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    ...(options.server === undefined ? {} : { servers: { eventspine: options.server } }),
    channels: Object.fromEntries(
      topics.map((topic) => [keys(topic.name), channelOf(topic, keys(topic.name), options.basePath)]),
    ),
    operations: Object.fromEntries(operationsOf(manifests, topics, keys)),
    components: { schemas: { CloudEventHeaders: headers }, messages },
  };
}

/** One of each name: that with the newest version. */
function topicsOf(manifests: readonly Manifest[]): readonly TopicManifest[] {
  const found = new Map<string, TopicManifest>();
  for (const { topics } of manifests)
    for (const topic of topics) found.set(topic.name, newerTopic(found.get(topic.name), topic));
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Keys of components have few characters; names of topics may have any. */
function keysOf(names: readonly string[]): (name: string) => string {
  const keys = new Map<string, string>();
  const taken = new Set<string>();
  for (const name of names) {
    const plain = name.replace(/[^A-Za-z0-9._-]/g, '_');
    let key = plain;
    for (let n = 2; taken.has(key); n++) key = `${plain}_${n}`;
    taken.add(key);
    keys.set(name, key);
  }
  return (name) => keys.get(name) ?? name;
}

function channelOf(topic: TopicManifest, key: string, basePath: string): Readonly<Record<string, unknown>> {
  const { name, key: field, partitions } = topic;
  const order = field === null ? 'its partition key' : `the field ${field}`;
  return {
    address: basePath + pathOf('publishEvents', { topic: name }),
    title: name,
    description: partitions === 1 ? 'In one order.' : `In ${partitions} partitions, by ${order}; in order within each.`,
    messages: Object.fromEntries(
      versionsOf(topic).map((one) => [messageKey(key, one), { $ref: `#/components/messages/${messageKey(key, one)}` }]),
    ),
  };
}

type AnyVersion = Omit<TopicVersion, 'version'> & { readonly version: number | null };

function versionsOf({ versions, schema }: TopicManifest): readonly AnyVersion[] {
  return versions ?? [{ version: null, schema, up: false }];
}

function messageKey(topicKey: string, { version }: AnyVersion): string {
  return version === null ? topicKey : `${topicKey}.v${version}`;
}

function messagesOf(topic: TopicManifest, key: string): (readonly [string, Readonly<Record<string, unknown>>])[] {
  return versionsOf(topic).map((one) => [
    messageKey(key, one),
    {
      name: topic.name,
      title: one.version === null ? topic.name : `${topic.name}, version ${one.version}`,
      contentType: 'application/json',
      headers: { $ref: '#/components/schemas/CloudEventHeaders' },
      // Keywords of 2020-12 are more than the dialect that AsyncAPI takes for granted.
      payload: {
        schemaFormat: 'application/schema+json;version=draft-2020-12',
        schema: embedded(one.schema, messageKey(key, one)),
      },
    },
  ]);
}

/** The schema as a part of the document: what it refers to in itself is further down now. */
function embedded(schema: JsonSchema | null, message: string): JsonSchema {
  const { $id: _, ...rest } = schema ?? {};
  return referring(rest, `#/components/messages/${message}/payload/schema`) as JsonSchema;
}

function referring(value: unknown, root: string): unknown {
  if (Array.isArray(value)) return value.map((one) => referring(one, root));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key === '$ref' && typeof inner === 'string' && inner.startsWith('#')) return [key, root + inner.slice(1)];
      // Data, in which nothing refers to anything.
      return [key, key === 'const' || key === 'enum' || key === 'default' ? inner : referring(inner, root)];
    }),
  );
}

/** Attributes as headers of the binary mode of CloudEvents over HTTP. */
const headers: JsonSchema = {
  type: 'object',
  required: ['ce-specversion', 'ce-id', 'ce-source', 'ce-type'],
  properties: {
    'ce-specversion': { type: 'string', const: '1.0' },
    'ce-id': { type: 'string', description: 'With ce-source it is what an event is recorded once by.' },
    'ce-source': { type: 'string' },
    'ce-type': { type: 'string' },
    'ce-subject': { type: 'string' },
    'ce-time': { type: 'string' },
    'ce-partitionkey': { type: 'string', description: 'Events of one key keep their order.' },
    'ce-dataschema': { type: 'string', description: 'urn:eventspine:schema:... names the version of the schema.' },
  },
};

type Operation = readonly [string, Readonly<Record<string, unknown>>];

function operationsOf(
  manifests: readonly Manifest[],
  topics: readonly TopicManifest[],
  keys: (name: string) => string,
): readonly Operation[] {
  const known = new Map(topics.map((topic) => [topic.name, topic]));
  const operation = (id: string, action: 'send' | 'receive', name: string, summary: string): Operation[] => {
    const topic = known.get(name);
    if (topic === undefined) return [];
    const channel = `#/channels/${keys(name)}`;
    const used = versionsOf(topic).map((one) => ({ $ref: `${channel}/messages/${messageKey(keys(name), one)}` }));
    return [[id, { action, channel: { $ref: channel }, summary, messages: used }]];
  };
  const started = manifests.flatMap(({ workflows, subscriptions = [] }) => [
    ...workflows.flatMap(({ name, on }) => (on === null ? [] : [{ name, topic: on }])),
    ...subscriptions.flatMap(({ topic, workflow }) => (workflow === null ? [] : [{ name: workflow, topic }])),
  ]);
  const completed = manifests.flatMap(({ workflows }) => workflows.filter(({ completes }) => completes !== null));
  const key = (name: string): string => name.replace(/[^A-Za-z0-9._-]/g, '_');
  return [
    ...topics.flatMap(({ name }) => [
      ...operation(`publish.${keys(name)}`, 'receive', name, 'Events are published by anybody who may, with POST.'),
      ...operation(`read.${keys(name)}`, 'send', name, 'Events are read in pages, as a stream, or by a subscription.'),
    ]),
    ...started.flatMap(({ name, topic }) =>
      operation(`start.${keys(topic)}.${key(name)}`, 'receive', topic, `Each event starts a run of ${name}.`),
    ),
    ...completed.flatMap(({ name, completes }) =>
      operation(`complete.${key(name)}`, 'send', completes ?? '', `Told of what runs of ${name} result in.`),
    ),
  ];
}
