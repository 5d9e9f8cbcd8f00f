/**
 * What `ctx.infer` without limits costs beside `ctx.step`, on the embedded store with server and worker in one process: units
 * one after the other in one run, and many runs side by side. The model answers at once, so that what is left is ours. An
 * inference has two commits, its intent and its answer, as a step with an external effect has.
 *
 *   npm run bench -- infer [units=300] [runs=40] [rounds=5]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSpine, defineApp, model, workflow, type Ctx } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { fakeModel } from 'eventspine/testing';
import { report, spreadOf } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const size = (name: string, standard: number): number => Number(options.get(name) ?? standard);
const [units, runs, rounds] = [size('units', 300), size('runs', 40), size('rounds', 5)];

const oracle = model('oracle', { versions: { v1: { use: fakeModel('yes'), price: { input: 1, output: 1 } } } });
const kinds = {
  step: (ctx: Ctx, i: number) => ctx.step(['unit', i], () => 'yes'),
  external: (ctx: Ctx, i: number) => ctx.step(['unit', i], () => 'yes', { effect: 'external' }),
  infer: (ctx: Ctx, i: number) => ctx.infer(['unit', i], { model: oracle, prompt: 'Is it so?' }),
} as const;
type Kind = keyof typeof kinds;
const names = Object.keys(kinds) as Kind[];

const work = workflow('work', {}, async (ctx, given: unknown) => {
  const { kind, count } = given as { readonly kind: Kind; readonly count: number };
  for (let i = 0; i < count; i++) await kinds[kind](ctx, i);
  return count;
});
const app = defineApp({ models: [oracle], workflows: [work] });

const folder = mkdtempSync(join(tmpdir(), 'eventspine-infer-'));
const spine = createSpine(app, { store: sqlite({ file: join(folder, 'infer.db') }) });

async function timed(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await act();
  return performance.now() - from;
}

const inOne = (kind: Kind) => async (): Promise<unknown> =>
  (await spine.start('work', { kind, count: units })).result();
const sideBySide = (kind: Kind) => async (): Promise<unknown> =>
  Promise.all(Array.from({ length: runs }, async () => (await spine.start('work', { kind, count: 10 })).result()));

try {
  for (const kind of names) await inOne(kind)();
  const alone: Record<Kind, number[]> = { step: [], external: [], infer: [] };
  const many: Record<Kind, number[]> = { step: [], external: [], infer: [] };
  // In turns, so that what the machine does meanwhile falls on all of them.
  for (let round = 0; round < rounds; round++)
    for (const kind of names) {
      alone[kind].push((await timed(inOne(kind))) / units);
      many[kind].push((await timed(sideBySide(kind))) / (runs * 10));
    }
  const ratios = (of: Record<Kind, number[]>, to: Kind): number[] => of.infer.map((ms, i) => ms / (of[to][i] ?? 1));
  report('infer', {
    units,
    msEach: { step: spreadOf(alone.step, 3), external: spreadOf(alone.external, 3), infer: spreadOf(alone.infer, 3) },
    toStep: spreadOf(ratios(alone, 'step'), 2),
    toExternalStep: spreadOf(ratios(alone, 'external'), 2),
    runs,
    sideBySideToStep: spreadOf(ratios(many, 'step'), 2),
    sideBySideToExternalStep: spreadOf(ratios(many, 'external'), 2),
  });
} finally {
  await spine.close();
  rmSync(folder, { recursive: true, force: true });
}
