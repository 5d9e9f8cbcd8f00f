/** Runs of graphs through the real decisions: what is asked twice is done once, and the fold and the progress never part. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { payloadOfJson } from '../codec.js';
import { failure } from '../failure.js';
import { nodeOfPath, standsInFor } from '../graph/graph.js';
import { planGraph, wantedRoots } from '../graph/plan.js';
import { applyGraphEvent, graphProgress, type GraphProgress } from '../graph/progress.js';
import { valueOf, world, type World } from '../graph/world.test.fake.js';
import type { AdvanceCommand, RunCommand } from './commands.js';
import { decide, type Decision, type DecideContext } from './decide.js';
import { effectsOf, openRows, sweeps } from './effects.js';
import type { NewRunEvent, RunEvent } from './events.js';
import { applyEvent, emptyState, foldRun, isEnded } from './state.js';

const retry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };
const down = failure({ class: 'unknown', code: 'DOWN', message: 'down', retryable: false });

class Run {
  readonly world: World;
  readonly state = emptyState('t', 'r');
  progress: GraphProgress;
  readonly events: RunEvent[] = [];
  readonly tasks = new Map<string, string>();
  readonly timers = new Map<string, number>();

  constructor(world: World) {
    this.world = world;
    this.progress = graphProgress(world.graph);
    this.#add({
      type: 'run.started',
      data: {
        workflow: 'g',
        version: null,
        priority: 5,
        timeoutMs: null,
        retainMs: null,
        completes: null,
        activationDeadlineMs: 1,
        activationRetry: retry,
        trigger: null,
        labels: null,
        idempotencyKey: null,
        correlation: null,
        traceparent: null,
        graph: true,
      },
    });
    this.#add({ type: 'graph.started', data: { nodes: 1 }, payload: payloadOfJson(world.graph) });
  }

  #add(fresh: NewRunEvent): void {
    const event = { ...fresh, seq: this.state.head + 1, at: this.state.head * 10 } as RunEvent;
    const before = sweeps(event) ? openRows(this.state) : null;
    const wasOpen = this.state.activation.open;
    applyEvent(this.state, event);
    for (const effect of effectsOf(before, wasOpen, event, this.state)) {
      if (effect.tag === 'openTask') this.tasks.set(effect.task.task, effect.task.queue);
      if (effect.tag === 'closeTask') expect(this.tasks.delete(effect.task)).toBe(true);
      if (effect.tag === 'setTimer') this.timers.set(effect.name, effect.fireAt);
      if (effect.tag === 'clearTimer') this.timers.delete(effect.name);
    }
    this.events.push(event);
    applyGraphEvent(this.progress, event);
  }

  submit(command: RunCommand, task: string | null = null): Decision {
    const context: DecideContext = {
      now: 0,
      random: 0,
      token: 1,
      deadLetterId: 'd',
      worker: 'w',
      task,
      newRunId: 'n',
      hasWorkflow: () => false,
      hasAgent: () => false,
      recall: () => null,
      judge: () => ({ tag: 'allowed', rule: '', counted: {} }),
      admit: () => null,
      agentRunId: () => '',
      unleased: true,
      capability: () => ({ retry, deadlineMs: 1, effect: 'pure' }),
    };
    const decision = decide(this.state, command, context);
    if (decision.tag === 'accepted') for (const event of decision.events) this.#add(event);
    return decision;
  }

  /** Null = there is nothing to be asked for. */
  plan(): AdvanceCommand | null {
    for (let i = 0; i < 10; i++) {
      const values = new Map([...wantedRoots(this.progress)].map((root) => [root, valueOf(this.world.fates, root)]));
      const { calls, skips, fails, end, more } = planGraph(this.progress, values);
      if (calls.length + skips.length + fails.length > 0 || end !== null)
        return {
          op: 'advance',
          drive: this.progress.drive,
          calls: calls.map(({ path, capability }) => ({ path, capability, input: payloadOfJson(path), options: {} })),
          skips,
          fails,
          end: end?.tag === 'succeeded' ? { tag: 'succeeded', output: payloadOfJson(null) } : end,
        };
      if (!more) return null;
    }
    throw new Error('it plans for ever');
  }

  /** The call that ends next does so as it is meant to, or better. */
  endOne(pick: number, healed: boolean): void {
    const tasks = [...this.tasks.keys()];
    const task = tasks[pick % tasks.length];
    if (task === undefined) return;
    const path = this.state.callPaths.get(task) ?? '';
    const base = standsInFor(path);
    const ends = this.world.fates.get(nodeOfPath(base ?? path))?.ends;
    const fails = !healed && (ends === 'fail' || (ends === 'stand' && base === null));
    const result = payloadOfJson(null);
    this.submit(fails ? { op: 'failTask', failure: down } : { op: 'completeTask', result, durationMs: 1 }, task);
  }

  /** The state that is kept, the state of the log, and the progress say the same. */
  agree(): void {
    const { state, progress, events } = this;
    const folded = foldRun('t', 'r', events);
    expect(folded.units).toEqual(state.units);
    expect(state.activation.open).toBe(false);
    expect(state.activation.n).toBe(progress.drive);
    const fresh = graphProgress(this.world.graph);
    for (const event of events) applyGraphEvent(fresh, event);
    const shown = (of: GraphProgress): unknown =>
      [...of.nodes.values()].flatMap((at) => [
        ...[...at.calls].map(([path, { status }]) => [path, status]),
        ...[...at.fallbacks].map(([path, { status }]) => [`${path}/fallback`, status]),
      ]);
    expect(shown(fresh)).toEqual(shown(progress));
    if (isEnded(state.status)) return;
    const units = [...state.units].flatMap(([path, unit]) =>
      unit.kind === 'call' ? [[path, unit.status === 'scheduled' ? 'called' : unit.status]] : [],
    );
    const known = (shown(progress) as [string, string][]).filter(([, status]) => status !== 'forgotten');
    expect(new Map(known as never)).toEqual(new Map(units as never));
    expect([...this.tasks.keys()].sort()).toEqual(openRows(state).tasks.toSorted());
  }
}

describe('a run of a graph', () => {
  it('asks for nothing twice, whatever is planned twice, cancelled and sent back to work, and ends', () => {
    fc.assert(
      fc.property(world, fc.array(fc.nat({ max: 9 }), { minLength: 5, maxLength: 30 }), (given, dice) => {
        const run = new Run(given);
        let stale: AdvanceCommand | null = null;
        let redrives = 0;
        for (let i = 0; i < 400 && (!isEnded(run.state.status) || redrives < 2); i++) {
          run.agree();
          if (isEnded(run.state.status)) {
            expect([run.tasks.size, run.timers.size]).toEqual([0, 0]);
            if (run.state.status === 'succeeded') break;
            const done = completed(run);
            run.submit({ op: 'redrive', by: 'a' });
            redrives += 1;
            expect(completed(run)).toEqual(done);
            // What was planned before means nothing now.
            if (stale !== null) expect(run.submit(stale).tag).toBe('refused');
            continue;
          }
          // Nothing is forgotten by all: a timer or a task stands for what is to come.
          expect(run.timers.has(':advance') || run.tasks.size > 0).toBe(true);
          const plan = run.plan();
          if (plan !== null) {
            stale = plan;
            run.submit(plan);
            const again = run.submit(plan);
            expect(again.tag).not.toBe('accepted');
          } else if (dice[i % dice.length] === 0 && i > 3) {
            run.submit({ op: 'cancel', reason: null, by: 'a', graceMs: 1 });
            expect(run.state.status).toBe('cancelled');
          } else {
            expect(run.tasks.size).toBeGreaterThan(0);
            run.endOne(dice[i % dice.length] ?? 0, redrives === 2);
          }
        }
        expect(isEnded(run.state.status)).toBe(true);
        const asked = run.events.filter((event) => event.type === 'call.completed').map(({ data }) => data);
        const paths = asked.map((data) => ('path' in data ? data.path : ''));
        expect(new Set(paths).size).toBe(paths.length);
      }),
      { numRuns: 250 },
    );
  });
});

function completed({ state }: Run): string[] {
  return [...state.units].flatMap(([path, unit]) =>
    unit.kind === 'call' && unit.status === 'completed' ? [path] : [],
  );
}
