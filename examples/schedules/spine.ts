/**
 * A report each night in Berlin, and a pull of news every quarter of an hour. Start it with
 * `npx eventspine dev examples/schedules/spine.ts`, then `npx eventspine schedules list`.
 */
import { defineApp, schedule, workflow } from 'eventspine';
import { z } from 'zod';

export const report = workflow('report', { input: z.object({ days: z.number() }) }, (ctx, { days }) =>
  ctx.step('write', () => `what the last ${days} days have brought`),
);

export const pull = workflow('pull', {}, (ctx) => ctx.step('fetch', () => 'nothing new'));

const nightly = schedule('nightly', {
  start: report,
  input: { days: 1 },
  cron: '0 3 * * *',
  timeZone: 'Europe/Berlin',
  catchUp: 'all',
  overlap: 'queue',
});

const news = schedule('news', { start: pull, every: '15m', jitter: '1m' });

export const app = defineApp({ name: 'schedules', workflows: [report, pull], schedules: [nightly, news] });
