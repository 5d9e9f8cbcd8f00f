/** The contract of buses over NATS JetStream, against a real server where one can be had. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { natsServer } from '../../scripts/nats.mjs';
import type { Bus, BusCaps, BusSubscription } from '../../src/bus/index.js';
import { nats } from '../../src/buses/nats/index.js';
import type { Bridge } from '../../src/core/topics/bridge.js';
import { createEngine } from '../../src/engine/index.js';
import { encodeEventMessage } from '../../src/protocol/cloudevents-messages.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createMemoryStore } from '../../src/store/index.js';
import { exerciseBus } from '../../src/testing/bus/index.js';
import { ClientLink } from '../support/nats/client-link.js';
import { NatsServer } from '../support/nats/nats-server.js';
import { describeUnless } from '../skip.js';

const found = natsServer();
const ackWaitMs = 400;
const publishMs = 500;

const caps: BusCaps = {
  order: 'none',
  replay: true,
  offsets: false,
  settle: 'each',
  dedupeMs: 120_000,
  lag: 'exact',
  bytesMax: 1024 * 1024 - 32 * 1024,
  batchMax: 500,
};

describeUnless(found.program === null ? found.reason : null, 'NATS JetStream', () => {
  let server: NatsServer | null = null;
  beforeAll(async () => {
    if (found.program !== null) server = await NatsServer.start(found);
  });
  afterAll(() => server?.stop());

  const open = (port: number): Promise<Bus> =>
    nats({
      servers: [`127.0.0.1:${port}`],
      storage: 'memory',
      ackWaitMs,
      publishMs,
      client: async () => {
        if (found.program === null) throw new Error(found.reason);
        const { transport, jetstream } = found.client;
        return {
          transport: await import(/* @vite-ignore */ transport),
          jetstream: await import(/* @vite-ignore */ jetstream),
        };
      },
    });

  exerciseBus(
    found.program === null ? 'NATS' : found.source,
    async () => {
      const links = new Map<Bus, ClientLink>();
      const of = (bus: Bus): ClientLink => {
        const link = links.get(bus);
        if (link === undefined) throw new Error('Not a client of this place.');
        return link;
      };
      const missed = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2 * ackWaitMs));
      return {
        prefix: `case-${randomUUID()}`,
        open: async () => {
          const link = await ClientLink.start(server?.port ?? 0);
          const bus = await open(link.port);
          links.set(bus, link);
          return bus;
        },
        faults: {
          kill: async (bus) => {
            of(bus).cut();
            await missed();
          },
          freeze: async (bus) => {
            of(bus).freeze();
            await missed();
            return async () => of(bus).thaw();
          },
          loseAnswer: async (bus) => of(bus).loseAnswer(publishMs / 2),
        },
        dispose: async () => {
          for (const link of links.values()) await link.close();
        },
      };
    },
    { describe, it },
    { caps, faults: ['kill', 'freeze', 'loseAnswer'] },
  );

  it('is bridged to, in and out: once in, whatever is sent twice, and out with nothing lost', async () => {
    const port = server?.port ?? 0;
    const base = { bus: 'main', tenant: 'default', batchMax: 20, from: 'oldest' } as const;
    const inbound: Bridge = {
      ...base,
      direction: 'in',
      name: 'in',
      topic: 'orders',
      outside: 'bridged.in',
      group: 'g',
      accepts: 'cloudevents',
    };
    const outbound: Bridge = {
      ...base,
      direction: 'out',
      name: 'out',
      topic: 'orders',
      outside: 'bridged.out',
      mode: 'binary',
      partitions: 1,
    };
    const outside = await open(port);
    await outside.ensure([{ name: 'bridged.in' }]);
    const engine = createEngine({
      store: createMemoryStore({ clock: nodePorts.clock }),
      ports: nodePorts,
      bridges: [inbound, outbound].map((bridge) => ({ bridge, open: () => open(port) })),
    });
    await engine.start();
    try {
      const topics = [{ name: 'orders', schema: null, key: null, partitions: 1 }];
      await engine.register({ format: 1, app: 'test', topics, workflows: [], capabilities: [] });
      const ids = Array.from({ length: 100 }, (_, i) => `order ${i}`);
      const messages = ids.map((id, i) => {
        const event = { id, source: '/shop', type: 'order', extensions: { partitionkey: `k${i % 5}` } };
        const data = { kind: 'json', value: { i } } as const;
        return {
          id,
          topic: 'bridged.in',
          ...encodeEventMessage({ ...event, data }, i % 2 === 0 ? 'binary' : 'structured'),
        };
      });
      await outside.publish(messages);
      await outside.publish(messages.slice(0, 30));
      const seen = new Set<string | null>();
      const subscribe = (): Promise<BusSubscription> =>
        outside.subscribe(
          {
            topics: ['bridged.out'],
            group: 'readers',
            from: 'oldest',
            batchMax: 50,
            waitMs: 5,
            onFailed: () => undefined,
          },
          async (batch) => {
            for (const delivery of batch) seen.add(delivery.id);
            return batch.map(() => ({ tag: 'ack' }));
          },
        );
      // The stream is made by the bridge.
      await vi.waitFor(subscribe, { timeout: 10_000 });
      await vi.waitFor(() => expect([...seen].sort()).toEqual([...ids].sort()), { timeout: 10_000 });
      const stored = await engine.readTopic('default', 'orders', { partition: 0, after: -1, limit: 500 });
      expect(stored.items).toHaveLength(100);
    } finally {
      await engine.stop();
      await outside.close();
    }
  });

  it('tells all faults of its options at once', async () => {
    await expect(nats({ servers: [], replicas: 9, storage: 'file' })).rejects.toMatchObject({
      code: 'BUS_OPTIONS_INVALID',
      detail: {
        bus: 'nats',
        faults: ['servers is not a list of host:port', 'replicas is not a whole number between 1 and 5'],
      },
    });
  });
});
