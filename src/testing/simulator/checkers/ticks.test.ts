/** The ledger of ticks is proven to fail: each test breaks one thing in a history in which everything is right. */
import { describe, expect, it } from 'vitest';
import type { RunRow } from '../../../core/run/state.js';
import type { Transition } from '../../../store/index.js';
import { emptyHistory, type History } from '../history.js';
import { checkTicks } from './ticks.js';

interface Move {
  readonly expected: number;
  readonly decidedTo: number;
  readonly pausedAt?: number;
  readonly outcomes?: readonly { tick: number; to?: number; outcome: string; run: string | null }[];
  readonly runs?: Readonly<Record<string, number>>;
}

function row(run: string, tick: number): RunRow {
  const labels = { schedule: 'beat', tick: new Date(tick).toISOString() };
  return { tenant: 't', run, workflow: 'w', status: 'active', head: 1, labels } as unknown as RunRow;
}

class Story {
  readonly history: History = emptyHistory();
  readonly #rows: RunRow[] = [];
  #version = 0;

  constructor() {
    this.move({ expected: 0, decidedTo: 500 });
    this.move({ expected: 1, decidedTo: 1_000, ...this.start('run_1', 1_000) });
    this.move({ expected: 2, decidedTo: 3_000, ...this.start('run_2', 3_000), missed: [2_000, 2_000] });
  }

  start(run: string, tick: number): Pick<Move, 'outcomes' | 'runs'> {
    return { outcomes: [{ tick, outcome: 'started', run }], runs: { [run]: tick } };
  }

  move(
    given: Move & { readonly missed?: readonly [number, number]; readonly storeMs?: number; readonly lost?: true },
  ): void {
    const { expected, decidedTo, pausedAt = null, outcomes = [], runs = {}, missed } = given;
    const told = missed === undefined ? [] : [{ tick: missed[0], to: missed[1], outcome: 'missed', run: null }];
    const recent = [...outcomes, ...told];
    const body = { spec: { cadence: { everyMs: 1_000 } }, createdAt: 500, pausedAt, decidedTo, recent };
    const born = Object.entries(runs).map(([run, tick]) => row(run, tick));
    if (given.lost !== true) this.#rows.push(...born);
    this.#version = expected + 1;
    const transition: Transition = {
      tenant: 't',
      runs: born.map((one) => ({ expected: 0, row: one })),
      schedules: [
        {
          name: 'beat',
          expected,
          row: { tenant: 't', name: 'beat', version: this.#version, dueAt: null, body: JSON.stringify(body) },
        },
      ],
    };
    const outcome = { tag: 'applied' as const, positions: [], offsets: [] };
    const storeMs = given.storeMs ?? pausedAt ?? decidedTo;
    this.history.actions.push({ kind: 'apply', transition, outcome, step: 0, atMs: 0, storeMs });
  }

  verdict(): string[] {
    const rest = {
      histories: new Map(),
      topicEvents: [],
      tasks: [],
      timers: [],
      deadLetters: [],
      deadEvents: [],
      redrives: [],
      sessions: [],
      entries: [],
      holders: [],
      index: [],
    };
    this.history.final = { runs: this.#rows, ...rest, workerSessions: [] };
    return checkTicks(this.history).map(({ property, detail }) => `${property} ${detail}`);
  }
}

describe('the ledger of ticks', () => {
  it('has nothing to say where every tick is accounted for', () => {
    const story = new Story();
    story.move({ expected: 3, decidedTo: 3_000, pausedAt: 3_900 });
    expect(story.verdict()).toEqual([]);
  });

  it('finds a tick that was left out in silence', () => {
    const story = new Story();
    story.move({ expected: 3, decidedTo: 5_000, ...story.start('run_3', 5_000) });
    expect(story.verdict()).toEqual(['P14 the tick 4000 was left out in silence']);
  });

  it('finds a tick that has started two runs', () => {
    const story = new Story();
    story.move({ expected: 3, decidedTo: 3_000, ...story.start('run_3', 3_000) });
    expect(story.verdict()).toEqual(['P14 the tick 3000 has started run_2 and run_3']);
  });

  it('finds a move from a version that was past', () => {
    const story = new Story();
    story.move({ expected: 2, decidedTo: 3_000 });
    expect(story.verdict()).toEqual(['P14 was moved from version 2 and was at 3']);
  });

  it('finds a run that was noted and is not there, and one of which nothing was noted', () => {
    const story = new Story();
    story.move({ expected: 3, decidedTo: 4_000, ...story.start('run_3', 4_000), lost: true });
    story.move({ expected: 4, decidedTo: 4_000, runs: { run_4: 4_000 } });
    expect(story.verdict()).toEqual([
      'P14 run run_4 was started for 4000, of which nothing is said',
      'P14 the tick 4000 has started run_3, which is not there',
      'P14 run run_4 is of a tick that was never decided',
    ]);
  });

  it('finds a tick that came early, and a schedule that was taken back', () => {
    const story = new Story();
    story.move({ expected: 3, decidedTo: 4_000, ...story.start('run_3', 4_000), storeMs: 3_999 });
    story.move({ expected: 4, decidedTo: 1_000 });
    expect(story.verdict()).toEqual(['P14 the tick 4000 came 1 ms early', 'P14 was taken back from 4000 to 1000']);
  });

  it('finds that nobody sees to ticks any more', () => {
    const story = new Story();
    story.move({ expected: 3, decidedTo: 9_000, pausedAt: 9_000, missed: [4_000, 9_000] });
    expect(story.verdict()).toEqual(['P14 nobody saw to the ticks of the last 5000 ms']);
  });
});
