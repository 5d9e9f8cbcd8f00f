import { Terminal } from 'eventspine';
import { fake, testSpine } from 'eventspine/testing';
import { describe, expect, it } from 'vitest';
import { app, book, paid, unbook } from './spine.ts';

const order = { trip: 't1', to: 'Porto', excursions: ['boat', 'museum', 'wine'] };
const booked = ({ id }: { readonly id: string }) => ({ booking: `#${id}` });

describe.each([undefined, 'every-await'] as const)('a trip, with crash %s', (crash) => {
  const options = crash === undefined ? {} : { crash };

  it('is booked by child runs, and stands when it is paid for', async () => {
    const books = fake(book, booked);
    await using t = await testSpine(app, { ...options, handlers: [books] });
    const run = await t.start('trip', order);
    await t.advance('1d');
    await t.signal(run, paid, { cents: 90_000 });
    expect(await t.result(run)).toEqual({
      flight: { booking: '#t1/flight to Porto' },
      hotel: { booking: '#t1/hotel in Porto' },
      excursions: [{ booking: '#t1/boat' }, { booking: '#t1/museum' }, { booking: '#t1/wine' }],
      missing: 0,
    });
    expect((await t.runs({ workflow: 'booking' })).map(({ state }) => state)).toEqual(['succeeded', 'succeeded']);
    expect(new Set(books.calls.map(({ input }) => input.id)).size).toBe(5);
  });

  it('does without excursions that cannot be had', async () => {
    const books = fake(book, ({ id }) => {
      if (id === 't1/museum') throw new Terminal('SOLD_OUT');
      return booked({ id });
    });
    await using t = await testSpine(app, { ...options, handlers: [books] });
    const run = await t.start('trip', order);
    await t.signal(run, paid, { cents: 1 });
    expect(await t.result(run)).toMatchObject({
      excursions: [{ booking: '#t1/boat' }, { booking: '#t1/wine' }],
      missing: 1,
    });
  });

  it.each([
    ['late', async () => undefined],
    [
      'cancelled',
      async (t: { publish: (topic: 'trip.cancelled', data: object) => Promise<unknown> }) =>
        await t.publish('trip.cancelled', { trip: 't1', reason: 'rain' }),
    ],
  ] as const)('undoes in reverse order what it has booked when it is %s', async (because, happens) => {
    const undone: string[] = [];
    const unbooks = fake(unbook, ({ booking }) => {
      if (!undone.includes(booking)) undone.push(booking);
      return null;
    });
    await using t = await testSpine(app, { ...options, handlers: [fake(book, booked), unbooks] });
    const run = await t.start('trip', { ...order, excursions: ['boat'] });
    await happens(t as never);
    expect(await t.outcome(run)).toEqual({ state: 'refused', code: 'NOT_PAID', data: { because } });
    expect(undone).toEqual(['#t1/boat', '#t1/hotel in Porto', '#t1/flight to Porto']);
    expect(unbooks.calls).toHaveLength(3);
  });
});
