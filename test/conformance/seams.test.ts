import { nodePorts } from '../../src/runtime/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { exerciseSeams } from './seams.js';

exerciseSeams('sqlite', async () => ({
  store: await createSqliteMemoryStore({ clock: nodePorts.clock }),
  dispose: async () => undefined,
}));
