import { describe, it } from 'vitest';
import { exerciseStore } from '../../src/testing/conformance/index.js';
import { recycledThreads, sqlitePlace } from './sqlite-places.js';

const host = recycledThreads();

exerciseStore(
  'sqlite in threads',
  (clock) => sqlitePlace(clock, host),
  { describe, it },
  { keeps: true, shared: false },
);
