import { afterAll, beforeAll, describe, it } from 'vitest';
import { storeBusCaps } from '../../src/buses/store/index.js';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { nodePorts } from '../../src/runtime/index.js';
import { exerciseBus } from '../../src/testing/bus/index.js';
import { describeUnless } from '../skip.js';
import { storeBusFaults, storeBusPlace } from '../support/store-bus-places.js';
import { noPostgres, ownSchema } from './places.js';

describeUnless(noPostgres, 'topics in a PostgreSQL store, behind two servers', () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;
  const engines: Engine[] = [];

  beforeAll(async () => {
    place = await ownSchema();
    for (let i = 0; i < 2; i++) engines.push(createEngine({ store: await place.open(), ports: nodePorts }));
    for (const engine of engines) await engine.start();
  });

  afterAll(async () => {
    for (const engine of engines) await engine.stop();
    await place.dispose();
  });

  exerciseBus(
    'as a bus',
    async () => storeBusPlace(engines),
    { describe, it },
    {
      caps: storeBusCaps,
      faults: storeBusFaults,
    },
  );
});
