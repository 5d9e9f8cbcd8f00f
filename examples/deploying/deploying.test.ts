/** The example as a whole on a clock that jumps: a wait of two days, three deployments, and one run that is migrated. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { payloadOfJson } from '../../src/core/codec.js';
import type { Ports } from '../../src/core/ports.js';
import { createEngine, type Engine, type Origin } from '../../src/engine/index.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createMemoryStore } from '../../src/store/index.js';
import {
  createInProcessTransport,
  createWorker,
  replayHistory,
  type ReplayReport,
  type Worker,
} from '../../src/worker/index.js';
import type { AnyApp } from '../../src/workflow/index.js';
import { app as build1 } from './build-1.ts';
import { app as build2 } from './build-2.ts';
import { app as build3 } from './build-3.ts';
import { app as build4 } from './build-4.ts';
import { requests } from './press.ts';

const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const hourMs = 3_600_000;

/** A clock that jumps: what is due after a jump comes once, late. */
class Jumps {
  nowMs = Date.parse('2026-03-02T09:00:00Z');
  #timers: { readonly at: number; readonly fn: () => void }[] = [];
  readonly ports: Ports = {
    clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs },
    random: nodePorts.random,
    hash: nodePorts.hash,
    timers: {
      after: (ms, fn) => {
        const timer = { at: this.nowMs + ms, fn };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer);
        };
      },
      turn: (fn) => nodePorts.timers.turn(fn),
    },
  };

  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => nodePorts.timers.turn(resolve));
  }

  async jump(ms: number): Promise<void> {
    this.nowMs += ms;
    const due = this.#timers.filter(({ at }) => at <= this.nowMs);
    this.#timers = this.#timers.filter(({ at }) => at > this.nowMs);
    for (const { fn } of due) fn();
    await this.settle();
  }

  /** A while of its own length, for what comes in small pauses: beats, duties, parking. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) await this.jump(500);
  }
}

it('is what the guide shows', () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  const shown = /```ts\n\/\/ examples\/deploying\/build-3\.ts\n([\s\S]*?)```/.exec(
    read('../../docs/guides/deploying.md'),
  );
  expect(shown?.[1]).toBe(read('build-3.ts').replace(/^\/\*\*[\s\S]*?\*\/\n/, ''));
});

describe('an approval that is pending for two days across three deployments', () => {
  let time: Jumps;
  let engine: Engine;
  let worker: Worker | null;
  const warnings: unknown[] = [];

  beforeEach(async () => {
    requests.length = 0;
    warnings.length = 0;
    worker = null;
    time = new Jumps();
    engine = createEngine({ store: createMemoryStore({ clock: time.ports.clock }), ports: time.ports });
    await engine.start();
  });

  afterEach(async () => {
    await engine.stop();
  });

  /** Registers the build, starts its worker, and sends the old one home, as a rollout does. */
  async function deploy(app: AnyApp): Promise<void> {
    await engine.deploy(app.manifest);
    const old = worker;
    worker = createWorker({
      app,
      connect: createInProcessTransport(engine),
      ports: time.ports,
      parkAfterMs: 1_000,
      log: (record) => record.level === 'warn' && warnings.push(record),
    });
    void worker.start();
    await time.settle();
    void old?.drain();
    await time.pass(5_000);
  }

  async function start(topic: string): Promise<string> {
    const [outcome] = await engine.startRuns(origin, [{ workflow: 'article', input: payloadOfJson({ topic }) }]);
    if (outcome?.tag !== 'started') throw new Error(JSON.stringify(outcome));
    await time.pass(3_000);
    return outcome.run;
  }

  /** What `eventspine check` says of the run. */
  async function check(app: AnyApp, run: string): Promise<ReplayReport> {
    const history = await engine.exportHistory('default', run);
    if (history === null) throw new Error('there is no such run');
    return replayHistory(app, history);
  }

  it('ends on the code that fits each run, and nothing is done twice', async () => {
    await deploy(build1);
    const monday = await start('bees');
    expect(requests).toEqual(['draft bees', 'spellcheck a draft on bees']);
    expect(await engine.readRun('default', monday)).toMatchObject({ state: 'waiting', version: null, served: true });

    // Compatible: what is recorded and no longer asked for is left aside.
    const report = await check(build2, monday);
    expect(report).toMatchObject({ verdict: 'compatible' });
    expect(report.changes.map(({ kind, path }) => `${kind} ${path}`)).toEqual(['removed spellcheck']);
    await time.jump(12 * hourMs);
    await deploy(build2);

    // Not compatible, and deployed without the old body it would leave the run without code.
    const alone = { ...build3.manifest, workflows: build3.manifest.workflows.map((one) => ({ ...one, previous: [] })) };
    await expect(engine.deploy(alone)).rejects.toMatchObject({ code: 'DEPLOY_REFUSED' });
    await time.jump(12 * hourMs);
    await deploy(build3);
    expect(await check(build3, monday)).toMatchObject({ verdict: 'compatible' });
    const wednesday = await start('wasps');
    expect(await engine.readRun('default', wednesday)).toMatchObject({ state: 'waiting', version: '2' });

    await time.jump(12 * hourMs);
    await deploy(build4);
    const moved = await start('ants');
    expect(await engine.readRun('default', moved)).toMatchObject({ state: 'succeeded', version: '3' });
    requests.length = 0;

    // The editor of the run of Wednesday is not asked any more: it moves to version 3.
    expect(await engine.migrate(origin, wednesday, '3')).toEqual({ tag: 'done' });
    await time.pass(3_000);
    expect(await engine.readRun('default', wednesday)).toMatchObject({ state: 'succeeded', version: '3' });
    expect(requests).toEqual(['draft outline of wasps', 'publish a draft on outline of wasps']);
    await time.jump(12 * hourMs);
    await time.pass(10_000);
    expect(await engine.readResult('default', monday)).toMatchObject({
      state: 'succeeded',
      output: { text: '"published: a draft on bees, with a picture"' },
    });
    expect(requests.slice(2)).toEqual(['illustrate a draft on bees', 'publish a draft on bees, with a picture']);
    // Told, and never fatal: what was recorded and is no longer asked for.
    expect(warnings).toMatchObject([
      { fields: { run: wednesday, paths: ['approval'] } },
      { fields: { run: monday, paths: ['spellcheck'] } },
    ]);
  });
});
