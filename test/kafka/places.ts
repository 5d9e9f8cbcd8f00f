/** Buses over Kafka for the contract suite: each client tells an id of its own, by which a link knows whom to do harm to. */
import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { kafka, type KafkaOptions } from '../../src/buses/kafka/index.js';
import type { Bus, BusCaps } from '../../src/bus/index.js';
import type { BusPlace } from '../../src/testing/bus/index.js';
import type { UnrulyLink } from '../support/kafka/unruly-link.js';

/** What the adapter says of itself, with default options. */
export const kafkaCaps: BusCaps = {
  order: 'key',
  replay: true,
  offsets: true,
  settle: 'prefix',
  dedupeMs: 0,
  lag: 'exact',
  bytesMax: 1_000_000,
  batchMax: 500,
};

/** Short, so that who is cut off is missed soon; real brokers are told to allow it. */
export const sessionMs = 1500;
/** Attempts of the client itself, the first included, before it calls a send failed. */
const attempts = 5;

export async function loadKafkaClient(): Promise<unknown> {
  const { client } = inject('kafka');
  return import(/* @vite-ignore */ client ?? 'the client is not here');
}

/** A bus with what all tests want. */
export function openKafka(options: Pick<KafkaOptions, 'brokers'> & Partial<KafkaOptions>): Promise<Bus> {
  return kafka({ sessionMs, client: loadKafkaClient, ...options });
}

export interface PlaceOptions {
  readonly brokers: string;
  readonly groupProtocol?: 'classic' | 'consumer';
  /** What stands between; null = nothing does, and its faults are left out. */
  readonly link: UnrulyLink | null;
  /** Resolves when the group has missed a client that is not heard. */
  readonly missed: (clientId: string) => Promise<void>;
  readonly faults: Pick<BusPlace['faults'], 'refuse' | 'trim' | 'recreate'>;
}

export function kafkaPlace({ brokers, groupProtocol, link, missed, faults }: PlaceOptions): BusPlace {
  const ids = new Map<Bus, string>();
  const idOf = (bus: Bus): string => ids.get(bus) ?? 'unknown';
  return {
    prefix: `case-${randomUUID()}`,
    open: async () => {
      const clientId = `client-${randomUUID()}`;
      const bus = await openKafka({
        brokers: [brokers],
        clientId,
        ...(groupProtocol === undefined ? {} : { groupProtocol }),
      });
      ids.set(bus, clientId);
      return bus;
    },
    faults: {
      ...faults,
      ...(link === null
        ? {}
        : {
            kill: async (bus: Bus) => {
              link.cut(idOf(bus));
              // Its handlers never end, so that nobody waits for it.
              void bus.close();
              await missed(idOf(bus));
            },
            freeze: async (bus: Bus) => {
              link.freeze(idOf(bus));
              await missed(idOf(bus));
              return async () => link.thaw(idOf(bus));
            },
            loseAnswer: async (bus: Bus) => link.loseAnswers(idOf(bus), attempts),
          }),
    },
    dispose: async () => undefined,
  };
}
