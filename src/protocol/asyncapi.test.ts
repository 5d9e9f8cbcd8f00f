import { describe, expect, it } from 'vitest';
import type { Manifest, TopicManifest } from '../core/manifest.js';
import { asyncApiDocument } from './asyncapi.js';

const plain: TopicManifest = { name: 'told', schema: null, key: null, partitions: 1 };
const schema = { type: 'object', properties: { next: { $ref: '#' }, word: { const: { $ref: '#/x' } } } };
const versions = [
  { version: 1, schema: {}, up: false },
  { version: 2, schema, up: true },
];
const versioned: TopicManifest = { ...plain, name: 'order placed', schema, versions, partitions: 4, key: 'id' };
const app = (...topics: readonly TopicManifest[]): Manifest => ({
  format: 1,
  app: 'shop',
  topics,
  workflows: [],
  capabilities: [],
});

describe('the AsyncAPI document', () => {
  it('has a channel for each topic, and a message for each version', () => {
    const { channels, components, operations } = asyncApiDocument([app(plain, versioned)], {
      version: '1',
      basePath: '/x',
    });
    expect(Object.keys(channels)).toEqual(['order_placed', 'told']);
    expect(channels['order_placed']).toMatchObject({
      address: '/x/v1/topics/order%20placed/events',
      title: 'order placed',
      description: 'In 4 partitions, by the field id; in order within each.',
    });
    expect(Object.keys(components.messages)).toEqual(['order_placed.v1', 'order_placed.v2', 'told']);
    expect(Object.keys(operations)).toEqual(['publish.order_placed', 'read.order_placed', 'publish.told', 'read.told']);
  });

  it('keeps names apart that would be one key', () => {
    const document = asyncApiDocument([app({ ...plain, name: 'a b' }, { ...plain, name: 'a_b' })], {
      version: '1',
      basePath: '',
    });
    expect(Object.keys(document.channels)).toEqual(['a_b', 'a_b_2']);
  });

  it('has references of schemas lead to where they are now', () => {
    const { components } = asyncApiDocument([app(versioned)], { version: '1', basePath: '' });
    const { payload } = components.messages['order_placed.v2'] as {
      readonly payload: { readonly schema: typeof schema };
    };
    expect(payload.schema.properties).toEqual({
      next: { $ref: '#/components/messages/order_placed.v2/payload/schema' },
      word: { const: { $ref: '#/x' } },
    });
  });

  it('has the newest of what several apps say of one topic', () => {
    const { components } = asyncApiDocument([app(versioned), app({ ...plain, name: 'order placed' })], {
      version: '1',
      basePath: '',
    });
    expect(Object.keys(components.messages)).toEqual(['order_placed.v1', 'order_placed.v2']);
  });
});
