/** Fresh seeds over the real worker and the real workflow runtime. */
import { describe } from 'vitest';
import { campaigns, itKeepsEveryProperty } from './fresh-seeds.js';

describe('simulation', () => {
  itKeepsEveryProperty(campaigns.realMemory);
});
