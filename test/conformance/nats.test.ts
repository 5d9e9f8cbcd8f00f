/** The contract of buses over NATS JetStream, against a real server where one can be had. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { natsServer } from '../../scripts/nats.mjs';
import type { Bus, BusCaps } from '../../src/bus/index.js';
import { nats } from '../../src/buses/nats/index.js';
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
