/** Random graphs and outcomes: what is planned, against what anybody would say of the graph by hand. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failure } from '../failure.js';
import type { NewRunEvent, RunEvent } from '../run/events.js';
import { fallbackPath, nodeOfPath, standsInFor, type GraphNode } from './graph.js';
import { graphFaults } from './graph-faults.js';
import { planGraph, wantedRoots } from './plan.js';
import { applyGraphEvent, graphProgress, type GraphProgress } from './progress.js';
import { valueOf, world, type World } from './world.test.fake.js';

const down = failure({ class: 'unknown', code: 'DOWN', message: 'down', retryable: false });

class Play {
  readonly world: World;
  progress: GraphProgress;
  readonly events: RunEvent[] = [];
  readonly open: string[] = [];
  readonly asked: string[] = [];
  end: 'succeeded' | 'failed' | null = null;

  constructor(world: World) {
    this.world = world;
    this.progress = graphProgress(world.graph);
  }

  add(event: NewRunEvent): void {
    const dated = { ...event, seq: this.events.length + 3, at: 0 } as RunEvent;
    this.events.push(dated);
    applyGraphEvent(this.progress, dated);
  }

  /** As an engine that has just come to the run: of events alone. */
  forget(): void {
    this.progress = graphProgress(this.world.graph);
    for (const event of this.events) applyGraphEvent(this.progress, event);
  }

  plan(): void {
    for (let i = 0; i < 50; i++) {
      const values = new Map<string, unknown>();
      for (const root of wantedRoots(this.progress)) values.set(root, valueOf(this.world.fates, root));
      const plan = planGraph(this.progress, values);
      for (const { path, reason } of plan.skips) this.add({ type: 'node.skipped', data: { path, reason } });
      for (const { path, failure: cause } of plan.fails)
        this.add({ type: 'node.failed', data: { path, failure: cause } });
      for (const { path, node, capability } of plan.calls) {
        expect(this.asked, 'asked twice').not.toContain(path);
        this.mayBegin(node, path);
        this.asked.push(path);
        this.open.push(path);
        this.add(scheduled(path, capability));
      }
      if (plan.end !== null) return void (this.end = plan.end.tag);
      if (plan.calls.length + plan.skips.length + plan.fails.length === 0 && !plan.more) return;
    }
    throw new Error('it plans for ever');
  }

  /** What is known of the nodes before it must allow for the call. */
  mayBegin(node: GraphNode, path: string): void {
    if (standsInFor(path) !== null) return;
    expect(this.world.fates.get(node.name)?.when).toBe(true);
    if (node.map !== undefined) {
      const under = this.open.filter((other) => nodeOfPath(other) === node.name && standsInFor(other) === null);
      expect(under.length).toBeLessThan(node.map.concurrency);
    }
    const ended = node.after.map((name) => outcomeOf(this.world, name));
    const begun = node.after.map((name) => this.progress.nodes.get(name)?.status);
    if (node.join === undefined) expect(begun.every((status) => status === 'succeeded')).toBe(true);
    if (node.join === 'any' && node.after.length > 0) expect(begun).toContain('succeeded');
    if (node.join === 'settled') expect(begun.every((s) => s !== 'waiting' && s !== 'started')).toBe(true);
    for (const [i, status] of begun.entries()) if (status === 'succeeded') expect(ended[i]).toBe('succeeded');
  }

  step(pick: number): void {
    const [path] = this.open.splice(pick % this.open.length, 1);
    if (path === undefined) return;
    const base = standsInFor(path) ?? path;
    const ends = this.world.fates.get(nodeOfPath(base))?.ends ?? 'ok';
    if (ends === 'ok' || (ends === 'stand' && path !== base))
      this.add({ type: 'call.completed', data: { path, attempt: 1, worker: 'w', durationMs: 1 } });
    else this.add({ type: 'call.failed', data: { path, attempt: 1, failure: down } });
  }
}

function scheduled(path: string, capability: string): NewRunEvent {
  const retry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };
  return {
    type: 'call.scheduled',
    data: { path, capability, queue: 'q', deadlineMs: 1, retry, effect: 'pure', priority: 5 },
  };
}

type Outcome = 'succeeded' | 'failed' | 'skipped';

/** The plain model: what becomes of a node where nothing ends the run before. */
function outcomeOf(world: World, name: string, known = new Map<string, Outcome>()): Outcome {
  const found = known.get(name);
  if (found !== undefined) return found;
  const node = world.graph.nodes.find((one) => one.name === name);
  const fate = world.fates.get(name);
  if (node === undefined || fate === undefined) throw new Error('no such node');
  const before = node.after.map((other) => outcomeOf(world, other, known));
  const outcome = ((): Outcome => {
    const ok = before.filter((one) => one === 'succeeded').length;
    const { join = 'all' } = node;
    const needed =
      join === 'all'
        ? before.length
        : join === 'any'
          ? Math.min(1, before.length)
          : join === 'settled'
            ? 0
            : join.atLeast;
    if (ok < needed) return before.includes('failed') ? 'failed' : 'skipped';
    if (!fate.when) return 'skipped';
    if (fate.ends !== 'fail') return 'succeeded';
    if (node.map === undefined) return 'failed';
    const length = Number(node.map.over.split('.').at(-1));
    return length === 0 || node.map.onError === 'settle' ? 'succeeded' : 'failed';
  })();
  known.set(name, outcome);
  return outcome;
}

function runOutcome(world: World): 'succeeded' | 'failed' {
  const known = new Map<string, Outcome>();
  const isFatal = ({ name }: GraphNode): boolean => {
    const dependents = world.graph.nodes.filter(({ after }) => after.includes(name));
    return (
      outcomeOf(world, name, known) === 'failed' &&
      (dependents.length === 0 || dependents.some(({ join = 'all' }) => join === 'all'))
    );
  };
  return world.graph.nodes.some(isFatal) ? 'failed' : 'succeeded';
}

function play(world: World, forgets: boolean): Play {
  const run = new Play(world);
  run.plan();
  for (let i = 0; run.end === null && run.open.length > 0; i++) {
    run.step(world.picks[i % world.picks.length] ?? 0);
    if (forgets) run.forget();
    run.plan();
  }
  return run;
}

describe('a plan', () => {
  it('asks for each call one time, after what it needs, and comes to the end that the graph means', () => {
    fc.assert(
      fc.property(world, (given) => {
        expect(graphFaults(given.graph)).toEqual([]);
        const run = play(given, false);
        expect(run.end).toBe(runOutcome(given));
        if (run.end !== 'succeeded') return;
        for (const [name, { status }] of run.progress.nodes)
          expect([name, status]).toEqual([name, outcomeOf(given, name)]);
      }),
      { numRuns: 300 },
    );
  });

  it('is the same for whoever knows the events alone', () => {
    fc.assert(
      fc.property(world, (given) => {
        const kept = play(given, false);
        const fresh = play(given, true);
        expect(fresh.asked).toEqual(kept.asked);
        expect(fresh.end).toBe(kept.end);
      }),
      { numRuns: 300 },
    );
  });

  it('after a redrive asks only for what has no result, and comes to its end', () => {
    fc.assert(
      fc.property(world, (given) => {
        const run = play(given, false);
        if (run.end !== 'failed') return;
        const done = new Set(run.events.flatMap((event) => (event.type === 'call.completed' ? [event.data.path] : [])));
        const redo = given.graph.nodes.map(({ name }) => name);
        run.add({ type: 'run.redriven', data: { by: 'a', paths: redo, deadLetter: '' } });
        run.end = null;
        run.open.length = 0;
        const before = run.asked.splice(0);
        const healed = new Map([...given.fates].map(([name, fate]) => [name, { ...fate, ends: 'ok' as const }]));
        Object.assign(run, { world: { ...given, fates: healed } });
        run.forget();
        run.plan();
        for (let i = 0; run.end === null && run.open.length > 0; i++) {
          run.step(given.picks[i % given.picks.length] ?? 0);
          run.plan();
        }
        expect(run.asked.filter((path) => done.has(path) || done.has(fallbackPath(path)))).toEqual([]);
        expect(before.length).toBeGreaterThan(0);
        expect(run.end).toBe('succeeded');
      }),
      { numRuns: 300 },
    );
  });
});

describe('a graph', () => {
  const node = (name: string, after: readonly string[], more: Partial<GraphNode> = {}): GraphNode => ({
    name,
    capability: 'work',
    after,
    ...more,
  });

  it('is refused with all that is wrong with it', () => {
    const nodes = [
      node('a', ['c', 'd']),
      node('b', ['a'], { input: 'nobody.x' }),
      node('c', ['b'], { join: { atLeast: 2 } }),
      node('item', [], { when: { path: 'a..b', exists: true } }),
    ];
    expect(graphFaults({ nodes, output: { x: 'item.y', z: 'e' } })).toEqual([
      'node "a": after names "d", which is no node; there are "a", "b", "c", "item"',
      'node "b": "nobody.x" begins with "nobody", which is no node; there are "input", "a", "b", "c", "item"',
      'node "c": join wants 2 of 1 nodes',
      'node "item": "item" means something else in paths; call it otherwise',
      'node "item": "a..b" is not a path such as "input.id"',
      'output: "e" begins with "e", which is no node; there are "input", "a", "b", "c", "item"',
      'the nodes wait for each other in a circle: a -> b -> c -> a',
    ]);
  });
});
