import { exerciseSeams } from '../conformance/seams.js';
import { skipSuite } from '../skip.js';
import { noPostgres, ownSchema } from './places.js';

if (noPostgres !== null) skipSuite(noPostgres, 'seams on postgres');
else
  exerciseSeams('postgres', async () => {
    const { open, dispose } = await ownSchema();
    return { store: await open(), dispose };
  });
