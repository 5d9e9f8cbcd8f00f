/**
 * An order as a state machine: placed, paid, packed, shipped; or expired, or cancelled. Start it with
 * `npx eventspine dev examples/state-machine/spine.ts`, then
 * `npx eventspine run order '{"state":"placed","context":{"cents":500,"paid":0,"parcel":null}}'` and
 * `npx eventspine runs signal <run> event '{"type":"PAY","cents":500}'`.
 */
import { capability, defineApp, signal, workflow } from 'eventspine';
import { z } from 'zod';
import { type Machine, runMachine } from './machine.ts';

const Context = z.object({ cents: z.number(), paid: z.number(), parcel: z.string().nullable() });
type Context = z.infer<typeof Context>;

const Event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('PAY'), cents: z.number() }),
  z.object({ type: z.literal('SHIP'), parcel: z.string() }),
  z.object({ type: z.literal('CANCEL') }),
]);
type Event = z.infer<typeof Event>;

/** Events come to the run as signals, each with an id of its sender, so a repeated one is the same event. */
export const event = signal('event', { schema: Event });

/** Work of another pool, which the state `packing` invokes. */
export const pack = capability('pack', {
  input: z.object({ cents: z.number() }),
  output: z.object({ box: z.string() }),
});

const day = 86_400_000;

export const machine: Machine<Context, Event> = {
  initial: 'placed',
  states: {
    placed: {
      entry: (_, { log }) => log.info('stock is reserved'),
      on: {
        PAY: [
          { guard: ({ cents, paid }, more) => paid + more.cents >= cents, assign: add, target: 'packing' },
          { assign: add, action: ({ cents, paid }, { log }) => log.info(`${cents - paid} cents are missing`) },
        ],
        CANCEL: [{ target: 'cancelled', action: (_, { log }) => log.info('stock is released') }],
      },
      after: { delay: 14 * day, target: 'expired' },
    },
    packing: {
      invoke: {
        run: async (ctx, { cents }) => ({ parcel: (await ctx.call(pack, { cents })).box }),
        onDone: 'packed',
        onError: 'placed',
      },
    },
    packed: { on: { SHIP: [{ assign: (_, { parcel }) => ({ parcel }), target: 'shipped' }] } },
    shipped: { final: true },
    cancelled: { final: true },
    expired: { final: true },
  },
};

function add({ paid }: Context, { cents }: { readonly cents: number }): Partial<Context> {
  return { paid: paid + cents };
}

export const order = workflow(
  'order',
  { input: z.object({ state: z.string(), context: Context }), signals: [event] },
  (ctx, from) => runMachine(ctx, machine, event, from),
);

export const app = defineApp({
  name: 'orders',
  workflows: [order],
  handlers: [pack.implement(({ cents }) => ({ box: cents > 1_000 ? 'large' : 'small' }))],
});
