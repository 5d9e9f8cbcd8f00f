import { describe, it } from 'vitest';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { exerciseStore } from '../../src/testing/conformance/index.js';

exerciseStore(
  'sqlite :memory:',
  async (clock) => ({
    keeps: false,
    open: () => createSqliteMemoryStore({ clock }),
    dispose: async () => undefined,
  }),
  { describe, it },
  { keeps: false, shared: false },
);
