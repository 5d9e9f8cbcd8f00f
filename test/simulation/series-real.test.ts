/** A series of seeds over the real worker and the real workflow runtime. */
import { describe } from 'vitest';
import { campaigns, itKeepsEveryProperty } from './series.js';

describe('simulation', () => {
  itKeepsEveryProperty(campaigns.realMemory);
});
