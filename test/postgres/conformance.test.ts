import { describe, it } from 'vitest';
import { exerciseStore } from '../../src/testing/conformance/index.js';
import { skipSuite } from '../skip.js';
import { noPostgres, postgresPlace } from './places.js';

if (noPostgres !== null) skipSuite(noPostgres, 'postgres');
else exerciseStore('postgres', postgresPlace, { describe, it }, { keeps: true, shared: true });
