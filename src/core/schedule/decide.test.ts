import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../limits.js';
import type { Hash } from '../ports.js';
import {
  decideTicks,
  dueAtOf,
  newSchedule,
  paused,
  redefined,
  resumed,
  startedByHand,
  withoutRuns,
  type ScheduleState,
} from './decide.js';
import { readSchedule, type ScheduleOptions, type ScheduleSpec } from './spec.js';

const hash: Hash = {
  sha256: (...parts) => parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest('hex'),
};
const day = 24 * 3_600_000;
const at = (text: string): number => Date.parse(text);
const iso = (instants: readonly number[]): string[] => instants.map((one) => new Date(one).toISOString().slice(0, 16));

function spec(options: ScheduleOptions): ScheduleSpec {
  return readSchedule('report', options, (fault) => {
    throw new Error(fault);
  });
}

/** A schedule and the time it lives in; runs go on until they are ended. */
class Life {
  state: ScheduleState;
  dueAt: number | null;
  readonly started: number[] = [];
  readonly cancelled = new Set<string>();
  readonly ended = new Set<string>();
  now: number;
  refused: string | null = null;
  #runs = 0;

  constructor(options: ScheduleOptions, from: string) {
    this.now = at(from);
    this.state = newSchedule(spec(options), null, this.now);
    this.dueAt = dueAtOf(this.state, this.#basis());
  }

  #basis() {
    return { now: this.now, seed: 'default/nightly', hash };
  }

  /** One look, whether something is due or not. */
  look(now: number): void {
    this.now = now;
    const decision = decideTicks(withoutRuns(this.state, this.ended), {
      ...this.#basis(),
      start: (tick) => {
        if (this.refused !== null) return { refused: this.refused };
        this.started.push(tick);
        return { run: `run_${++this.#runs}` };
      },
    });
    this.state = decision.state;
    this.dueAt = decision.dueAt;
    for (const run of decision.cancel) this.cancelled.add(run);
  }

  /** Time goes by with a server there: it looks whenever something is due. */
  until(text: string): void {
    const end = at(text);
    for (let looks = 0; this.dueAt !== null && this.dueAt <= end; looks++) {
      if (looks > 20_000) throw new Error('it never comes to rest');
      this.look(Math.max(this.now, this.dueAt));
    }
    this.now = end;
  }

  endAll(): void {
    for (const run of this.state.running) this.ended.add(run);
  }

  outcomes(): string[] {
    return this.state.recent.map(({ outcome, tick }) => `${outcome} ${iso([tick])[0]}`);
  }
}

const nightly: ScheduleOptions = { cron: '0 3 * * *', timeZone: 'UTC', overlap: 'allow' };

describe('ticks', () => {
  it('each start one run at their time, from the making of the schedule on', () => {
    const life = new Life(nightly, '2025-01-01T03:00:00Z');
    expect(life.dueAt).toBe(at('2025-01-02T03:00:00Z'));
    life.until('2025-01-04T12:00:00Z');
    expect(iso(life.started)).toEqual(['2025-01-02T03:00', '2025-01-03T03:00', '2025-01-04T03:00']);
    expect(life.state.counts).toEqual({ started: 3, skipped: 0, missed: 0 });
  });

  it('are decided once, however often one looks and whether or not the clock was set back', () => {
    const life = new Life(nightly, '2025-01-01T00:00:00Z');
    life.until('2025-01-01T04:00:00Z');
    for (const now of ['2025-01-01T04:00:01Z', '2025-01-01T02:00:00Z', '2025-01-01T03:00:00Z', '2025-01-01T05:00:00Z'])
      life.look(at(now));
    expect(iso(life.started)).toEqual(['2025-01-01T03:00']);
  });

  it('in an hour that comes twice and in one that does not come are decided once each', () => {
    const berlin = { ...nightly, cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
    const autumn = new Life(berlin, '2025-10-25T12:00:00Z');
    autumn.until('2025-10-26T12:00:00Z');
    expect(iso(autumn.started)).toEqual(['2025-10-26T00:30']);
    const spring = new Life(berlin, '2025-03-29T12:00:00Z');
    spring.until('2025-03-30T12:00:00Z');
    expect(iso(spring.started)).toEqual(['2025-03-30T01:00']);
  });

  it('whose run cannot be made are told, and the next is tried again', () => {
    const life = new Life(nightly, '2025-01-01T00:00:00Z');
    life.refused = 'INPUT_INVALID: no';
    life.until('2025-01-01T04:00:00Z');
    life.refused = null;
    life.until('2025-01-02T04:00:00Z');
    expect(life.outcomes()).toEqual(['started 2025-01-02T03:00', 'failed 2025-01-01T03:00']);
    expect(life.state.recent[1]?.reason).toBe('INPUT_INVALID: no');
  });
});

describe('after a week without a server', () => {
  const after = '2025-01-08T12:00:00Z';
  const life = (options: ScheduleOptions): Life => {
    const made = new Life({ ...nightly, ...options }, '2025-01-01T12:00:00Z');
    made.look(at(after));
    return made;
  };

  it('the latest tick is made up for', () => {
    const one = life({});
    expect(iso(one.started)).toEqual(['2025-01-08T03:00']);
    expect(one.state.recent.at(-1)).toMatchObject({
      outcome: 'missed',
      tick: at('2025-01-02T03:00:00Z'),
      to: at('2025-01-07T03:00:00Z'),
    });
    expect(one.dueAt).toBe(at('2025-01-09T03:00:00Z'));
  });

  it('none is with `none`, but one that is hardly late', () => {
    const none = life({ catchUp: 'none' });
    expect(none.started).toEqual([]);
    expect(none.state.recent).toMatchObject([
      { outcome: 'missed', tick: at('2025-01-02T03:00:00Z'), to: at('2025-01-08T03:00:00Z') },
    ]);
    const justIn = new Life({ ...nightly, catchUp: 'none' }, '2025-01-01T12:00:00Z');
    justIn.look(at('2025-01-08T03:00:00Z') + limits.scheduleLateMs);
    expect(iso(justIn.started)).toEqual(['2025-01-08T03:00']);
  });

  it('all are with `all`, in their order', () => {
    expect(iso(life({ catchUp: 'all' }).started)).toEqual([2, 3, 4, 5, 6, 7, 8].map((n) => `2025-01-0${n}T03:00`));
  });

  it('the latest are with `all` and a bound', () => {
    const bounded = life({ catchUp: 'all', catchUpMax: 2 });
    expect(iso(bounded.started)).toEqual(['2025-01-07T03:00', '2025-01-08T03:00']);
    expect(bounded.state.counts).toEqual({ started: 2, skipped: 0, missed: 1 });
  });

  it('a great many are started in portions, and none of them twice', () => {
    const many = new Life({ every: '1m', overlap: 'allow', catchUp: 'all', catchUpMax: 1_000 }, '2025-01-01T00:00:00Z');
    many.look(at('2025-01-08T00:00:00Z'));
    expect(many.started).toHaveLength(limits.scheduleStartsMax);
    expect(many.dueAt).toBeLessThanOrEqual(many.now);
    many.until('2025-01-08T00:00:00Z');
    expect(many.started).toHaveLength(1_000);
    expect(new Set(many.started).size).toBe(1_000);
    expect(many.started.at(-1)).toBe(at('2025-01-08T00:00:00Z'));
  });

  it('it costs no more where ticks are a second apart', () => {
    const dense = new Life({ cron: '* * * * * *', overlap: 'allow' }, '2024-01-01T00:00:00Z');
    dense.look(at('2025-01-01T00:00:00.500Z'));
    expect(dense.started).toEqual([at('2025-01-01T00:00:00Z')]);
  });
});

describe('a tick that meets an earlier run', () => {
  const hourly: ScheduleOptions = { every: '1h' };

  it('starts nothing with `skip`', () => {
    const life = new Life(hourly, '2025-01-01T00:30:00Z');
    life.until('2025-01-01T03:30:00Z');
    expect(iso(life.started)).toEqual(['2025-01-01T01:00']);
    life.endAll();
    life.until('2025-01-01T04:30:00Z');
    expect(iso(life.started)).toEqual(['2025-01-01T01:00', '2025-01-01T04:00']);
    expect(life.state.counts).toEqual({ started: 2, skipped: 2, missed: 0 });
  });

  it('starts another with `allow`, of which nothing is kept', () => {
    const life = new Life({ ...hourly, overlap: 'allow' }, '2025-01-01T00:30:00Z');
    life.until('2025-01-01T03:30:00Z');
    expect(life.started).toHaveLength(3);
    expect(life.state.running).toEqual([]);
  });

  it('waits with `queue`, as many as may, the oldest first', () => {
    const life = new Life({ ...hourly, overlap: 'queue', queueMax: 2 }, '2025-01-01T00:30:00Z');
    life.until('2025-01-01T05:30:00Z');
    expect(iso(life.state.waiting)).toEqual(['2025-01-01T02:00', '2025-01-01T03:00']);
    expect(life.state.counts.skipped).toBe(2);
    life.endAll();
    life.look(life.now);
    expect(iso(life.started)).toEqual(['2025-01-01T01:00', '2025-01-01T02:00']);
    life.endAll();
    life.look(life.now);
    expect(iso(life.started)).toEqual(['2025-01-01T01:00', '2025-01-01T02:00', '2025-01-01T03:00']);
    expect(life.state.waitingSince).toBeNull();
  });

  it('looks after what it waits for, often at first and then seldom', () => {
    const life = new Life({ every: '1d', overlap: 'queue' }, '2025-01-01T00:00:00Z');
    life.until('2025-01-03T00:00:00Z');
    expect(life.state.waiting).toHaveLength(1);
    expect((life.dueAt ?? 0) - life.now).toBe(1_000);
    life.look(life.now + 100_000);
    expect((life.dueAt ?? 0) - life.now).toBe(10_000);
    life.look(life.now + 3_600_000);
    expect((life.dueAt ?? 0) - life.now).toBe(30_000);
  });

  it('has it cancelled with `cancel`, and starts when that has ended; a later one takes its place', () => {
    const life = new Life({ ...hourly, overlap: 'cancel' }, '2025-01-01T00:30:00Z');
    life.until('2025-01-01T02:00:00Z');
    expect([...life.cancelled]).toEqual(['run_1']);
    expect(iso(life.started)).toEqual(['2025-01-01T01:00']);
    life.until('2025-01-01T03:00:00Z');
    life.endAll();
    life.look(life.now + 1_000);
    expect(iso(life.started)).toEqual(['2025-01-01T01:00', '2025-01-01T03:00']);
    expect(life.outcomes()).toContain('skipped 2025-01-01T02:00');
  });

  it('counts runs that were started by hand', () => {
    const life = new Life(hourly, '2025-01-01T00:30:00Z');
    life.state = startedByHand(life.state, 'run_hand', life.now);
    life.until('2025-01-01T01:30:00Z');
    expect(life.started).toEqual([]);
    expect(life.outcomes()).toEqual(['skipped 2025-01-01T01:00', 'started 2025-01-01T00:30']);
  });
});

describe('jitter', () => {
  it('is the same for a tick whenever it is asked for, differs between ticks, and is within its bound', () => {
    const life = new Life({ every: '1h', jitter: '10m', overlap: 'allow' }, '2025-01-01T00:30:00Z');
    const delays: number[] = [];
    for (let i = 0; i < 50; i++) {
      const { nextAt } = life.state;
      expect(dueAtOf(life.state, { now: life.now, seed: 'default/nightly', hash })).toBe(life.dueAt);
      delays.push((life.dueAt ?? 0) - (nextAt ?? 0));
      life.look((life.dueAt ?? 0) - 1);
      expect(life.started).toHaveLength(i);
      life.look(life.dueAt ?? 0);
      expect(life.started).toHaveLength(i + 1);
    }
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThanOrEqual(600_000);
    expect(new Set(delays).size).toBeGreaterThan(40);
  });

  it('never brings a tick behind the next', () => {
    const life = new Life({ every: '1m', jitter: '1h', overlap: 'allow' }, '2025-01-01T00:00:00Z');
    life.until('2025-01-01T02:00:00Z');
    expect(life.state.counts.missed).toBe(0);
    expect(life.started.length).toBeGreaterThanOrEqual(119);
  });

  it('differs between schedules', () => {
    const { state, now } = new Life({ every: '1h', jitter: '30m' }, '2025-01-01T00:30:00Z');
    const dues = ['a', 'b', 'c'].map((seed) => dueAtOf(state, { now, seed, hash }));
    expect(new Set(dues).size).toBe(3);
  });
});

describe('a change of the definition', () => {
  it('of the time zone moves the ticks that follow, and repeats none', () => {
    const life = new Life(nightly, '2025-01-01T00:00:00Z');
    life.until('2025-01-01T03:30:00Z');
    // In New York it is 22:30 of the day before: 03:00 is yet to come there, at 08:00 in UTC.
    life.state = redefined(life.state, spec({ ...nightly, timeZone: 'America/New_York' }), null, life.now);
    life.dueAt = life.state.nextAt;
    life.until('2025-01-02T09:00:00Z');
    expect(iso(life.started)).toEqual(['2025-01-01T03:00', '2025-01-01T08:00', '2025-01-02T08:00']);
  });

  it('does not make up for times of the new definition that are past', () => {
    const life = new Life(nightly, '2025-01-01T04:00:00Z');
    life.until('2025-01-01T12:00:00Z');
    life.state = redefined(life.state, spec({ ...nightly, cron: '0 11 * * *' }), null, life.now);
    life.dueAt = life.state.nextAt;
    expect(life.dueAt).toBe(at('2025-01-02T11:00:00Z'));
  });
});

describe('a paused schedule', () => {
  it('starts nothing, and goes on from when it is resumed', () => {
    const life = new Life(nightly, '2025-01-01T00:00:00Z');
    life.until('2025-01-02T00:00:00Z');
    life.state = paused(life.state, 'the source is down', life.now);
    life.look(at('2025-01-05T12:00:00Z'));
    expect(life.dueAt).toBeNull();
    life.state = resumed(life.state, life.now);
    life.dueAt = life.state.nextAt;
    life.until('2025-01-06T12:00:00Z');
    expect(iso(life.started)).toEqual(['2025-01-01T03:00', '2025-01-06T03:00']);
  });

  it('stays so when its definition changes', () => {
    const life = new Life(nightly, '2025-01-01T00:00:00Z');
    const state = redefined(paused(life.state, null, life.now), spec({ every: '1m' }), null, life.now);
    expect([state.pausedAt, state.nextAt]).toEqual([life.now, null]);
  });

  it('gives up what waits', () => {
    const life = new Life({ every: '1h', overlap: 'queue' }, '2025-01-01T00:30:00Z');
    life.until('2025-01-01T02:30:00Z');
    expect(life.state.waiting).toHaveLength(1);
    const state = paused(life.state, null, life.now);
    expect([state.waiting, state.recent[0]?.outcome]).toEqual([[], 'skipped']);
  });
});

describe('whatever happens', () => {
  it('no tick is decided twice or out of order, and without absence none is left out', () => {
    const options = fc.record({
      every: fc.constantFrom('1m', '7m', '1h'),
      overlap: fc.constantFrom('allow', 'skip', 'queue', 'cancel'),
      catchUp: fc.constantFrom('none', 'one', 'all'),
      jitter: fc.constantFrom('0s', '30s', '2h'),
      queueMax: fc.integer({ min: 1, max: 3 }),
    });
    const steps = fc.array(
      fc.oneof(
        fc.record({ op: fc.constant('away' as const), ms: fc.integer({ min: 0, max: day }) }),
        fc.record({ op: fc.constant('there' as const), ms: fc.integer({ min: 0, max: 4 * 3_600_000 }) }),
        fc.record({ op: fc.constant('end' as const) }),
        fc.record({ op: fc.constant('back' as const), ms: fc.integer({ min: 0, max: 3_600_000 }) }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(options, steps, (given, moves) => {
        const life = new Life(given as ScheduleOptions, '2025-01-01T00:00:00Z');
        for (const move of moves) {
          if (move.op === 'end') life.endAll();
          else if (move.op === 'there') life.until(new Date(life.now + move.ms).toISOString());
          else life.look(life.now + (move.op === 'away' ? move.ms : -move.ms));
        }
        const seen = [...life.started, ...life.state.waiting];
        expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
        expect(life.state.recent.length).toBeLessThanOrEqual(limits.scheduleRecentMax);
        expect(life.state.waiting.length).toBeLessThanOrEqual(given.overlap === 'queue' ? given.queueMax : 1);
        if (moves.every(({ op }) => op === 'there')) expect(life.state.counts.missed).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
