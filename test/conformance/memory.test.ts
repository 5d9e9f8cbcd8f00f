import { describe, it } from 'vitest';
import { createMemoryStore, MemoryData } from '../../src/store/index.js';
import { exerciseStore } from '../../src/testing/conformance/index.js';

exerciseStore(
  'memory',
  async (clock) => {
    const data = new MemoryData();
    return { keeps: true, open: async () => createMemoryStore({ clock, data }), dispose: async () => undefined };
  },
  { describe, it },
  { keeps: true, shared: false },
);

exerciseStore(
  'memory, shared by several servers',
  async (clock) => {
    const data = new MemoryData();
    return {
      keeps: true,
      open: async () => createMemoryStore({ clock, data, shared: true }),
      dispose: async () => undefined,
    };
  },
  { describe, it },
  { keeps: true, shared: true },
);
