import { describe, expect, it } from 'vitest';
import { payloadOfJson } from '../../core/codec.js';
import type { JsonSchema, Manifest, TopicManifest } from '../../core/manifest.js';
import { schemaId, schemaUri } from '../../core/schema/schema-id.js';
import { nodePorts } from '../../runtime/index.js';
import { Catalog } from '../intake/catalog.js';
import { Checks } from '../intake/checks.js';
import { TopicSchemas, type Accepted, type Written } from './schemas.js';

const { hash } = nodePorts;
const object = (properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): JsonSchema => ({
  type: 'object',
  properties,
  required,
});
const text: JsonSchema = { type: 'string' };
const v1 = object({ id: text, name: text }, ['id', 'name']);
const v2 = object({ id: text, first: text }, ['id']);

function topicOf(more: Partial<TopicManifest> = {}, name = 'person'): TopicManifest {
  const versions = [
    { version: 1, schema: v1, up: false },
    { version: 2, schema: v2, up: true },
  ];
  return { name, schema: v2, key: null, partitions: 1, versions, unknown: 'refuse', ...more };
}

function accept(topic: TopicManifest, value: unknown, more: Partial<Written> = {}): Accepted {
  const checks = new Checks();
  const schemas = new TopicSchemas(topic, (schema) => checks.compile(schema));
  return schemas.accept({ data: payloadOfJson(value), value, ...more }, hash);
}

const faultsOf = (...given: Parameters<typeof accept>): readonly string[] => {
  try {
    accept(...given);
    return [];
  } catch (error) {
    return (error as { readonly detail: { readonly faults: readonly string[] } }).detail.faults;
  }
};

describe('an event of a topic', () => {
  const [id1, id2] = [schemaId('person', 1, v1, hash), schemaId('person', 2, v2, hash)];

  it('is of the newest version that it fits, and says so', () => {
    expect(accept(topicOf(), { id: 'a', first: 'Ada' }).schema).toBe(id2);
    expect(accept(topicOf(), { id: 'a', name: 'Ada' }).schema).toBe(id1);
    expect(id1).toMatch(/^person\/1@[0-9a-f]{16}$/);
  });

  it('is of the version that it names', () => {
    expect(accept(topicOf(), { id: 'a', name: 'Ada' }, { version: 1 }).schema).toBe(id1);
    expect(faultsOf(topicOf(), { id: 'a', name: 'Ada' }, { version: 2 })).toEqual(['name is not known to the schema']);
    expect(accept(topicOf(), { id: 'a', name: 'Ada' }, { dataschema: schemaUri(id1) }).schema).toBe(id1);
    expect(accept(topicOf(), { id: 'a', first: 'x' }, { dataschema: 'https://example.com/person' }).schema).toBe(id2);
    expect(faultsOf(topicOf(), {}, { version: 3 })).toHaveLength(1);
  });

  it('keeps, loses or may not have fields that the schema does not name', () => {
    const value = { id: 'a', first: 'Ada', age: 36 };
    const { unknown: _, ...open } = topicOf();
    expect(accept(open, value).value).toEqual(value);
    expect(accept(topicOf({ unknown: 'strip' }), value)).toEqual({
      schema: id2,
      value: { id: 'a', first: 'Ada' },
      data: payloadOfJson({ id: 'a', first: 'Ada' }),
    });
    expect(faultsOf(topicOf(), { ...value, id: 1 })).toEqual(['/id must be string', 'age is not known to the schema']);
    // What fits an older version as it is loses nothing.
    expect(accept(topicOf({ unknown: 'strip' }), { id: 'a', name: 'Ada' }).schema).toBe(id1);
  });

  it('has an id of its schema without versions, and none without a schema', () => {
    const plain = { name: 'person', schema: v2, key: null, partitions: 1 };
    expect(accept(plain, { id: 'a' }).schema).toBe(schemaId('person', null, v2, hash));
    expect(accept({ ...plain, schema: null }, 5)).toEqual({ schema: null, value: 5, data: payloadOfJson(5) });
  });
});

describe('topics of several apps', () => {
  const app = (name: string, ...topics: readonly TopicManifest[]): Manifest => ({
    format: 1,
    app: name,
    topics,
    workflows: [],
    capabilities: [],
  });
  const older = topicOf({ schema: v1, versions: [{ version: 1, schema: v1, up: false }] });

  it('have the newest version that one of them knows', () => {
    for (const apps of [
      [app('a', topicOf()), app('b', older)],
      [app('b', older), app('a', topicOf())],
    ]) {
      const catalog = new Catalog();
      for (const one of apps) catalog.set(one, one.app);
      expect(catalog.topic('person')?.manifest.versions).toHaveLength(2);
    }
  });

  it('may not contradict each other, and may be behind', () => {
    const catalog = new Catalog();
    catalog.set(app('a', topicOf()), 'a');
    expect(() => catalog.checkTopics(app('b', older))).not.toThrow();
    const other = topicOf({ schema: v2, versions: [{ version: 1, schema: v2, up: false }] });
    expect(() => catalog.checkTopics(app('b', other))).toThrow('version 1 is registered with another schema');
    expect(() =>
      catalog.checkTopics(
        app(
          'b',
          topicOf(
            {
              versions: [
                { version: 1, schema: v2, up: false },
                { version: 2, schema: v1, up: false },
              ],
            },
            'new',
          ),
        ),
      ),
    ).toThrow('version 2 cannot be shown to read what version 1 wrote');
  });

  it('are refused where their versions do not rise', () => {
    const versions = [
      { version: 2, schema: v2, up: false },
      { version: 1, schema: v1, up: false },
    ];
    expect(() => new Catalog().set(app('a', topicOf({ versions })), 'a')).toThrow('versions of "person" is not valid');
  });
});
