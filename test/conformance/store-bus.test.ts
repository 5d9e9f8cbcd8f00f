import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { storeBusCaps } from '../../src/buses/store/index.js';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { nodePorts } from '../../src/runtime/index.js';
import { openSqliteStore } from '../../src/stores/sqlite/index.js';
import { exerciseBus } from '../../src/testing/bus/index.js';
import { storeBusFaults, storeBusPlace } from '../support/store-bus-places.js';

describe('topics in a SQLite store', () => {
  let folder: string;
  let engine: Engine;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'eventspine-bus-'));
    engine = createEngine({ store: await openSqliteStore({ file: join(folder, 'spine.db') }), ports: nodePorts });
    await engine.start();
  });

  afterAll(async () => {
    await engine.stop();
    await rm(folder, { recursive: true, force: true });
  });

  exerciseBus(
    'as a bus',
    async () => storeBusPlace([engine]),
    { describe, it },
    {
      caps: storeBusCaps,
      faults: storeBusFaults,
    },
  );
});
