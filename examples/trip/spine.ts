/**
 * A trip: child runs for the flight and the hotel, excursions side by side of which some may fail, a payment that is waited
 * for beside the customer's change of mind, and all of it undone in reverse order where the trip does not come about. Start it
 * with `npx eventspine dev examples/trip/spine.ts`, then
 * `npx eventspine runs start trip '{"trip":"t1","to":"Porto","excursions":["boat","museum"]}'`.
 */
import { capability, defineApp, signal, Terminal, topic, workflow } from 'eventspine';
import { z } from 'zod';

/** What the booking systems of others do; `id` makes a repeat harmless. */
export const book = capability('book', {
  input: z.object({ what: z.string(), id: z.string() }),
  output: z.object({ booking: z.string() }),
});
export const unbook = capability('unbook', { input: z.object({ booking: z.string() }), output: z.null() });

export const paid = signal('paid', { schema: z.object({ cents: z.number().int() }) });
export const tripCancelled = topic('trip.cancelled', {
  schema: z.object({ trip: z.string(), reason: z.string() }),
  key: 'trip',
});

/** Books one thing; a run of its own, with its own history and dead letter. */
export const booking = workflow(
  'booking',
  { input: z.object({ what: z.string(), trip: z.string() }) },
  (ctx, { what, trip }) => ctx.call(book, { what, id: `${trip}/${what}` }),
);

const Order = z.object({ trip: z.string(), to: z.string(), excursions: z.array(z.string()) });

export const trip = workflow('trip', { input: Order, signals: [paid] }, (ctx, { trip, to, excursions }) =>
  ctx.saga('trip', async (ctx, undo) => {
    const flight = await ctx.child(booking, { what: `flight to ${to}`, trip }, { as: 'flight' });
    undo('flight', (ctx) => ctx.call(unbook, flight));
    const hotel = await ctx.child(booking, { what: `hotel in ${to}`, trip }, { as: 'hotel' });
    undo('hotel', (ctx) => ctx.call(unbook, hotel));
    const results = await ctx.map(
      'excursions',
      excursions,
      { key: (name) => name, concurrency: 2, onError: 'settle' },
      (what, ctx) => ctx.call(book, { what, id: `${trip}/${what}` }),
    );
    const booked = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    undo('excursions', (ctx) =>
      ctx.map('unbook', booked, { key: (one) => one.booking }, (one, ctx) => ctx.call(unbook, one)),
    );
    const first = await ctx.race('payment', {
      paid: (ctx) => ctx.waitFor(paid),
      cancelled: (ctx) => ctx.waitFor(tripCancelled, { match: { trip } }),
      late: (ctx) => ctx.sleep('3d'),
    });
    if (first.winner !== 'paid') throw new Terminal('NOT_PAID', { because: first.winner });
    return { flight, hotel, excursions: booked, missing: excursions.length - booked.length };
  }),
);

let count = 0;
export const app = defineApp({
  name: 'trip',
  topics: [tripCancelled],
  workflows: [trip, booking],
  handlers: [book.implement(({ id }) => ({ booking: `${id}#${++count}` })), unbook.implement(() => null)],
});
