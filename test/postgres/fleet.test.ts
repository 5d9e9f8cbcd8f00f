/** Views of the fleet over PostgreSQL, where events get their positions after the commit. */
import { expect, it } from 'vitest';
import { checkFleet } from '../support/fleet.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema } from './places.js';

describeUnless(noPostgres, 'a view of the fleet over PostgreSQL', () => {
  it('is what the rows say at rest, and the same at any later time', async () => {
    const { open, dispose } = await ownSchema();
    try {
      await checkFleet(
        await open(),
        Array.from({ length: 60 }, (_, i) => (i * 7_919) % 10_007),
      );
    } finally {
      await dispose();
    }
    expect.hasAssertions();
  });
});
