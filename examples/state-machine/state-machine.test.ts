import { defineApp, signal, workflow } from 'eventspine';
import { fake, testSpine } from 'eventspine/testing';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Machine, runMachine, type Situation } from './machine.ts';
import { app, event, pack } from './spine.ts';

const placed = { state: 'placed', context: { cents: 500, paid: 0, parcel: null } };

describe.each([undefined, 'every-await'] as const)('an order as a state machine, with crash %s', (crash) => {
  const options = crash === undefined ? {} : { crash };

  it('goes from state to state by its events, and leaves those aside that do not fit', async () => {
    await using t = await testSpine(app, options);
    const run = await t.start('order', placed);
    await t.signal(run, event, { type: 'SHIP', parcel: 'too early' });
    await t.signal(run, event, { type: 'PAY', cents: 200 });
    await t.advance('13d');
    expect((await t.view(run)).state).toBe('waiting');
    await t.signal(run, event, { type: 'PAY', cents: 300 });
    await t.signal(run, event, { type: 'SHIP', parcel: 'p7' });
    expect(await t.result(run)).toEqual({ state: 'shipped', context: { cents: 500, paid: 500, parcel: 'p7' } });
    const reserved = (await t.history(run)).filter(({ type }) => type === 'step.completed');
    expect(reserved).toHaveLength(2);
  });

  it('leaves a state after its time, whatever came in between', async () => {
    await using t = await testSpine(app, options);
    const run = await t.start('order', placed);
    await t.advance('13d');
    await t.signal(run, event, { type: 'PAY', cents: 1 });
    await t.advance('1d');
    expect(await t.result(run)).toMatchObject({ state: 'expired', context: { paid: 1 } });
  });

  it('keeps events that come while a state is at work', async () => {
    const slow = fake(pack, { box: 'small' }, { takes: '1m' });
    await using t = await testSpine(app, { ...options, handlers: [slow] });
    const run = await t.start('order', placed);
    await t.signal(run, event, { type: 'PAY', cents: 500 });
    await t.signal(run, event, { type: 'SHIP', parcel: 'p8' });
    expect(await t.result(run)).toMatchObject({ state: 'shipped', context: { parcel: 'p8' } });
  });

  it('takes the way for errors when work has failed for good', async () => {
    const broken = fake(pack, () => {
      throw new Error('no boxes');
    });
    await using t = await testSpine(app, { ...options, handlers: [broken] });
    const run = await t.start('order', placed);
    await t.signal(run, event, { type: 'PAY', cents: 500 });
    await t.advance('1d');
    await t.signal(run, event, { type: 'CANCEL' });
    expect(await t.result(run)).toMatchObject({ state: 'cancelled' });
  });
});

describe('a machine without end', () => {
  const Tick = z.object({ type: z.literal('TICK') });
  const tick = signal('tick', { schema: Tick });
  const light: Machine<{ readonly count: number }, z.infer<typeof Tick>> = {
    initial: 'red',
    states: {
      red: { on: { TICK: [{ assign: ({ count }) => ({ count: count + 1 }), target: 'green' }] } },
      green: {
        on: {
          TICK: [
            { guard: ({ count }) => count >= 5, target: 'off' },
            { assign: ({ count }) => ({ count: count + 1 }), target: 'red' },
          ],
        },
      },
      off: { final: true },
    },
  };
  const lights = workflow('lights', { signals: [tick] }, (ctx, from) =>
    runMachine(ctx, light, tick, from as Situation<{ readonly count: number }>, { historyMax: 12 }),
  );

  it('goes on in new runs, with the events that nobody has read', async () => {
    const runner = defineApp({ workflows: [lights] });
    await using t = await testSpine(runner);
    const run = await t.start('lights', { state: 'red', context: { count: 0 } });
    for (let i = 0; i < 6; i++) {
      const [newest] = await t.runs();
      await t.signal(newest?.id ?? run, tick, { type: 'TICK' });
    }
    const [last, ...before] = await t.runs();
    expect(before.length).toBeGreaterThan(0);
    expect(await t.result(last?.id ?? run)).toEqual({ state: 'off', context: { count: 5 } });
  });
});
