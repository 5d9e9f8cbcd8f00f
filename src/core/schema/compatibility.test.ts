import { describe, expect, it } from 'vitest';
import type { CompatibilityMode, JsonSchema, TopicManifest } from '../manifest.js';
import { evolutionFaults } from './compatibility.js';

const object = (properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): JsonSchema => ({
  type: 'object',
  properties,
  required,
});
const text: JsonSchema = { type: 'string' };
const v1 = object({ id: text }, ['id']);
/** A field more that need not be there. */
const v2 = object({ id: text, note: text }, ['id']);
/** A field more that has to be there. */
const v3 = object({ id: text, total: { type: 'number' } }, ['id', 'total']);

function topic(
  schemas: readonly JsonSchema[],
  options: Partial<TopicManifest> = {},
  up: readonly number[] = [],
): TopicManifest {
  const versions = schemas.map((schema, i) => ({ version: i + 1, schema, up: up.includes(i + 1) }));
  return {
    name: 'orders',
    schema: schemas.at(-1) ?? null,
    key: null,
    partitions: 1,
    unknown: 'refuse',
    versions,
    ...options,
  };
}

const mode = (name: CompatibilityMode, transitive = false): Partial<TopicManifest> => ({
  compatibility: { mode: name, transitive },
});

describe('the versions of a topic', () => {
  it('are backward compatible unless something else is asked for', () => {
    expect(evolutionFaults(topic([v1, v2]), null)).toEqual([]);
    expect(evolutionFaults(topic([v1, v3]), null)).toEqual([
      'topic "orders": version 2 cannot be shown to read what version 1 wrote: total is required in version 2, and may be missing in version 1',
    ]);
    expect(evolutionFaults(topic([v1, v3], mode('none')), null)).toEqual([]);
  });

  it('are forward compatible where old code can read new events', () => {
    expect(evolutionFaults(topic([v1, v3], mode('forward')), null)).toEqual([]);
    const [fault] = evolutionFaults(topic([v3, v1], mode('forward')), null);
    expect(fault).toContain('version 1 cannot be shown to read what version 2 writes: total is required in version 1');
    expect(evolutionFaults(topic([v1, v2], mode('full')), null)).toEqual([]);
    expect(evolutionFaults(topic([v1, v3], mode('full')), null)).toHaveLength(1);
  });

  it('need no proof where an upcaster stands between them, but for old code', () => {
    expect(evolutionFaults(topic([v1, v3], {}, [2]), null)).toEqual([]);
    expect(evolutionFaults(topic([v3, v1], mode('full'), [2]), null)).toHaveLength(1);
  });

  it('are held against the last one, and against every earlier one where that is asked for', () => {
    const later = [v3, object({ id: text }, ['id']), object({ id: text, total: text }, ['id'])];
    expect(evolutionFaults(topic(later), null)).toEqual([]);
    expect(evolutionFaults(topic(later, mode('backward', true)), null)).toEqual([
      'topic "orders": version 3 cannot be shown to read what version 1 wrote: total may be number in version 1, and version 3 takes string',
    ]);
  });

  it('stay what they were once they are registered', () => {
    expect(evolutionFaults(topic([v1, v2]), topic([v1]))).toEqual([]);
    expect(evolutionFaults(topic([v2]), topic([v1]))).toEqual([
      'topic "orders": version 1 is registered with another schema; a change is a new version',
    ]);
    expect(evolutionFaults(topic([v2], mode('none')), topic([v1]))).toEqual([]);
    // Who has an old version only is behind; nothing is changed by it.
    expect(evolutionFaults(topic([v1]), topic([v1, v2]))).toEqual([]);
  });

  it('read what was registered before there were any', () => {
    const plain: TopicManifest = { name: 'orders', schema: v1, key: null, partitions: 1, unknown: 'refuse' };
    expect(evolutionFaults(topic([v1, v3], {}, [2]), plain)).toEqual([]);
    expect(evolutionFaults(topic([v2]), plain)).toEqual([]);
    // Its events may have fields that nobody has named.
    const { unknown: _, ...open } = plain;
    expect(evolutionFaults(topic([v2]), open)).toHaveLength(1);
    expect(evolutionFaults(topic([v3]), plain)).toHaveLength(1);
    expect(evolutionFaults({ ...plain, schema: v3 }, plain)).toEqual([]);
    expect(evolutionFaults({ ...plain, schema: v3, ...mode('backward') }, plain)).toHaveLength(1);
  });

  it('must be known as JSON Schemas', () => {
    const [fault] = evolutionFaults(
      {
        ...topic([v1, v2]),
        versions: [
          { version: 1, schema: null, up: false },
          { version: 2, schema: v2, up: false },
        ],
      },
      null,
    );
    expect(fault).toContain('version 1 has no JSON Schema');
  });
});
