/**
 * From corrections to a classifier of one's own, as docs/guides/triage.md describes it: an operator corrects dead letters, a
 * model is trained on that, tried in the shadow, promoted, and taken back.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { classifyFailure, rulesVersion } from '../../src/core/triage/classify.js';
import { installTriage } from '../../src/core/triage/in-force.js';
import type { ModelData } from '../../src/core/triage/model.js';
import { modelData } from '../../src/core/triage/model-data.js';
import type { RunEventView } from '../../src/protocol/http.js';
import { createSpine, defineApp, memory, workflow } from '../../src/spine/index.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-triage-'));
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  // What a process classifies by is of the process.
  installTriage({ inForce: null, shadow: null });
});

const services = ['flux', 'tide', 'amber', 'ember', 'quartz', 'cobalt'];
// Rules speak for two classes. Which of them is in force does not matter here: the operators want the other.
const said = (service: string): string => `Too many requests to ${service}: server overloaded`;
const statusCode = 500;
const today = classifyFailure({ text: said('indigo'), httpStatus: statusCode }).label;
const wanted = today === 'overloaded' ? 'rate_limited' : 'overloaded';
const [shipped, next] = [`${rulesVersion}.${modelData.version}`, `${rulesVersion}.${modelData.version + 1}`];

it('corrections become a model that is tried in the shadow, decides once it is promoted, and can be taken back', async () => {
  const failing = workflow('ask', {}, (ctx, service) =>
    ctx.step(
      'call',
      () => {
        throw Object.assign(new Error(said(String(service))), { statusCode });
      },
      { retry: { attempts: 1 } },
    ),
  );
  await using spine = createSpine(defineApp({ workflows: [failing] }), { store: memory() });
  const { triage, deadLetters, models, topics } = spine;
  const failed = async (service: string): Promise<Record<string, unknown>> => {
    const run = await spine.start('ask', service);
    await expect(run.result()).rejects.toThrow();
    const { items } = await run.history().page();
    const event = items.find(({ type }: RunEventView) => type === 'step.failed');
    const { failure = {} } = (event?.data ?? {}) as { readonly failure?: Record<string, unknown> };
    return failure;
  };

  // What it is called today, and what a person says of it.
  for (const service of services)
    expect(await failed(service)).toMatchObject({ class: today, triage: { version: shipped } });
  const letters = (await deadLetters.list().page()).items;
  expect(letters).toHaveLength(services.length);
  for (const { id } of letters) await deadLetters.correct(id, { label: wanted });
  expect((await triage.report()).corrections).toEqual({
    count: services.length,
    inForceRight: 0,
    shadowRight: null,
    differences: [],
  });

  // Exported and trained, by the commands of the guide.
  const exported = join(folder, 'corrections.jsonl');
  const lines = (await topics.events('eventspine.corrections').page()).items.map(({ event }) => event['data']);
  writeFileSync(exported, lines.map((line) => JSON.stringify(line)).join('\n'));
  const file = join(folder, 'triage.json');
  const command = ['train', '--alone', '--data', exported, '--version', next.split('.')[1] ?? '', '--out', file];
  await promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/triage/main.ts', ...command]);
  const model = JSON.parse(readFileSync(file, 'utf8')) as ModelData;

  // In the shadow it decides nothing; its verdict is recorded beside the other.
  const shadowed = await triage.change({ change: 'shadow', model });
  expect(shadowed).toMatchObject({
    inForce: shipped,
    shadow: next,
    corrections: {
      inForceRight: 0,
      shadowRight: services.length,
      differences: [{ label: wanted, class: today, shadow: wanted, count: services.length }],
    },
  });
  expect(await failed('cerise')).toMatchObject({
    class: today,
    triage: { version: shipped },
    shadow: { label: wanted, against: today, class: wanted, version: next },
  });
  const { verdicts } = await triage.report();
  expect(verdicts).toEqual({
    failures: 1,
    same: 0,
    pairs: [{ class: today, shadow: wanted, count: 1, changes: 1 }],
  });

  // Promoted it decides, and rolled back it does not.
  expect(await triage.change({ change: 'promote' })).toMatchObject({ inForce: next, shadow: null, steps: 1 });
  const promoted = await failed('indigo');
  expect(promoted).toMatchObject({ class: wanted, triage: { version: next } });
  expect(promoted['shadow']).toBeUndefined();
  expect(await triage.change({ change: 'rollback' })).toMatchObject({ inForce: shipped, shadow: null, steps: 0 });
  expect(await failed('violet')).toMatchObject({ class: today, triage: { version: shipped } });

  const told = (await models.events().page()).items.map(({ event }) => event['data']);
  expect(told).toMatchObject([
    { change: 'triage-shadow', inForce: null, shadow: { version: model.version } },
    { change: 'triage-promote', inForce: { version: model.version }, shadow: null },
    { change: 'triage-rollback', inForce: null, shadow: null },
  ]);
  for (const one of told) expect((one as { readonly by: string }).by).not.toBe('');

  await expect(triage.change({ change: 'promote' })).rejects.toThrow(/no model is in the shadow/);
  await expect(triage.change({ change: 'shadow', model: { ...model, version: modelData.version } })).rejects.toThrow(
    /--version/,
  );
  await expect(triage.change({ change: 'shadow', model: { ...model, weights: 'AAAA' } })).rejects.toThrow(/weights/);
}, 60_000);
