/** Types of schedules: what a workflow takes is what its schedule must give. `tsc` is the judge. */
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../src/client/index.js';
import { defineApp, schedule, workflow, type Schedule } from '../../src/workflow/index.js';

const report = workflow('report', { input: z.object({ days: z.number() }) }, (_, { days }) => days * 2);
const pull = workflow('pull', {}, () => 'done');
const perhaps = workflow('perhaps', { input: z.number().nullable() }, (_, n) => n);
const app = defineApp({ workflows: [report, pull, perhaps] });

/** Never called: what is in here is compiled. */
export async function program(client: Client<typeof app>): Promise<void> {
  expectTypeOf(schedule('nightly', { start: report, input: { days: 1 }, every: '1d' })).toEqualTypeOf<
    Schedule<'nightly'>
  >();
  schedule('a', { start: pull, cron: '@daily' });
  schedule('b', { start: perhaps, cron: '@daily' });
  schedule('c', { start: perhaps, cron: '@daily', input: 7 });
  // @ts-expect-error the workflow takes an input
  schedule('d', { start: report, every: '1d' });
  // @ts-expect-error and not this one
  schedule('e', { start: report, every: '1d', input: { days: 'one' } });
  // @ts-expect-error there is no such policy
  schedule('f', { start: pull, every: '1d', overlap: 'maybe' });
  // @ts-expect-error that is no duration
  schedule('g', { start: pull, every: 'daily' });

  await client.schedules.put('x', { start: 'report', input: { days: 1 }, every: '1d' });
  // @ts-expect-error there is no such workflow
  await client.schedules.put('x', { start: 'nothing', every: '1d' });
  // @ts-expect-error nor does it take this
  await client.schedules.put('x', { start: 'report', input: { days: 'one' }, every: '1d' });
  const run = await client.schedules.trigger<'report'>('x');
  expectTypeOf(await run.result()).toEqualTypeOf<number>();
  await client.start('report', { days: 1 }, { delay: '10m' });
  await client.start('report', { days: 1 }, { startAt: new Date(0) });
}

describe('types of schedules', () => {
  it('compile', () => {
    expectTypeOf(program).toBeFunction();
  });
});
