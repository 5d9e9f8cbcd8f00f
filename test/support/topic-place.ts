/** A store with a topic in it, and a clock that stands still until a test moves it. */
import type { Manifest, TopicManifest } from '../../src/core/manifest.js';
import { payloadOfJson } from '../../src/core/codec.js';
import { nodePorts } from '../../src/runtime/index.js';
import type { EventRow, Store, Transition } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory.js';
import { MemoryData } from '../../src/store/memory-data.js';
import type { EngineContext, EngineSettings } from '../../src/engine/context.js';
import { EnvelopeWriter } from '../../src/engine/events/envelope-writer.js';
import { Catalog } from '../../src/engine/intake/catalog.js';
import { preparePublication, type TopicEvent } from '../../src/engine/topics/publication.js';

export const tenant = 'default';

export interface TopicPlace {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly store: Store;
  readonly clock: { now: () => number; monotonicMs: () => number; advance: (ms: number) => void };
  /** Another server on the same data. */
  beside(): EngineContext;
  /** Publishes events as they are, one transition each. */
  publish(...events: readonly Partial<TopicEvent>[]): Promise<void>;
  read(partition?: number): Promise<EventRow[]>;
  offsets(partition?: number): Promise<number[]>;
}

/** `declared`: what the topic `noted` says of itself, beside a schema for anything, no key and one partition. */
export function topicPlace(declared: Partial<TopicManifest>): TopicPlace {
  let nowMs = 1_750_000_000_000;
  const clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
  const data = new MemoryData();
  const ports = { ...nodePorts, clock };
  const contextOf = (): EngineContext => {
    const store = createMemoryStore({ clock, data, shared: true });
    const settings = { region: 'local', valueBytesMax: 1 << 20, upkeepEveryMs: 10_000, dedupeTtlMs: 1 << 30 };
    return {
      store,
      ports,
      settings: settings as EngineSettings,
      envelopes: new EnvelopeWriter(ports, settings, store.epoch),
      log: () => undefined,
      fault: (what, error) => {
        throw new Error(`${what} failed`, { cause: error });
      },
    };
  };
  const context = contextOf();
  const { store } = context;
  const catalog = new Catalog();
  const topic: TopicManifest = { name: 'noted', schema: null, key: null, partitions: 1, ...declared };
  const manifest: Manifest = { format: 1, app: 'test', topics: [topic], workflows: [], capabilities: [] };
  catalog.set(manifest, 'h');
  let count = 0;
  const transitionOf = (event: Partial<TopicEvent>): Transition => {
    count += 1;
    const value = 'value' in event ? event.value : { n: count };
    const given = { topic: 'noted', id: `e${count}`, source: 'test', type: 'noted', value };
    const data = value === null ? null : payloadOfJson(value);
    const cause = { tenant, actor: 'test', cause: null, correlation: null, traceparent: null };
    const made = preparePublication(context, catalog, { ...given, data, ...event }, cause, store.now());
    return { tenant, publishes: [made.write], blobs: made.blobs };
  };
  const read = (partition = 0): Promise<EventRow[]> =>
    store.readEvents({ tenant, stream: `noted/${partition}`, after: -1, limit: 10_000 });
  return {
    context,
    catalog,
    store,
    clock,
    beside: contextOf,
    publish: async (...events) => {
      for (const outcome of await store.apply(events.map(transitionOf)))
        if (outcome.tag !== 'applied') throw new Error(JSON.stringify(outcome));
    },
    read,
    offsets: async (partition) => (await read(partition)).map(({ seq }) => seq),
  };
}
