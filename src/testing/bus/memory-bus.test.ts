import { describe, it } from 'vitest';
import { nodePorts } from '../../runtime/index.js';
import { exerciseBus, MemoryBroker, memoryBusCaps, type MemoryBus } from './index.js';
import type { Bus } from '../../bus/port.js';

exerciseBus(
  'a bus in memory',
  async () => {
    const broker = new MemoryBroker(nodePorts);
    const clients = new Map<Bus, MemoryBus>();
    const of = (bus: Bus): MemoryBus => {
      const client = clients.get(bus);
      if (client === undefined) throw new Error('Not a client of this broker.');
      return client;
    };
    return {
      prefix: 'memory',
      open: async () => {
        const client = broker.connect();
        clients.set(client, client);
        return client;
      },
      faults: {
        kill: async (bus) => of(bus).kill(),
        freeze: async (bus) => {
          of(bus).freeze();
          return async () => of(bus).thaw();
        },
        refuse: async (bus, ids) => of(bus).refuse(ids),
        loseAnswer: async (bus) => of(bus).loseAnswer(),
        trim: async (topic, partition, below) => broker.trim(topic, partition, below),
        recreate: async (topic) => broker.recreate(topic),
      },
      dispose: async () => undefined,
    };
  },
  { describe, it },
  { caps: memoryBusCaps, faults: ['kill', 'freeze', 'refuse', 'loseAnswer', 'trim', 'recreate'] },
);
