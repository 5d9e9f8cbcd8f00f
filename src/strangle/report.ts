/**
 * What a strangled route has done: counts, durations and where answers differ. A process keeps one for itself; the parts that it
 * publishes add up over processes and time, and the command line adds them.
 */
import { limits } from '../core/limits.js';
import type { Difference } from './compare.js';
import { Durations, type DurationCounts, type DurationView } from './durations.js';

/** What is counted. */
export const tallyNames = [
  'requests',
  'old',
  'event',
  'answered',
  'accepted',
  'repeated',
  'failed',
  'refused',
  'fellBack',
  'paused',
  'unreadable',
  'faults',
  'mirrored',
  'same',
  'different',
  'mirrorFailed',
  'mirrorWithheld',
  'mirrorLate',
  'mirrorSkipped',
  'incomparable',
] as const;
/** A counter of a report. */
export type TallyName = (typeof tallyNames)[number];

/** What is timed. */
export const timedNames = ['old', 'event', 'run', 'mirror'] as const;
/** A duration of a report. */
export type TimedName = (typeof timedNames)[number];

/** The part of a report that one event of the topic carries: what has happened since the one before it. */
export interface ReportPart {
  readonly name: string;
  readonly tallies: Readonly<Partial<Record<TallyName, number>>>;
  readonly durations: Readonly<Partial<Record<TimedName, DurationCounts>>>;
  /** Places at which answers differed, most frequent first. */
  readonly differences: readonly DifferenceCount[];
}

/** How often answers differed in one way. */
export interface DifferenceCount extends Difference {
  readonly count: number;
  /** A run whose answer differed so. */
  readonly run: string;
}

/** What a route has done. Requests go the old way or the event way, never both. */
export interface StrangleReport {
  readonly name: string;
  readonly requests: number;
  /** Answered by the old handler. */
  readonly old: number;
  /** Taken by a run. */
  readonly event: {
    readonly total: number;
    /** With the result, in time. */
    readonly answered: number;
    /** With 202. */
    readonly accepted: number;
    /** For which there was a run already, by the idempotency key. */
    readonly repeated: number;
    /** Whose run failed while the caller waited. */
    readonly failed: number;
  };
  /** What the event way did not take. */
  readonly fallback: {
    /** Answered by the old handler instead. */
    readonly fellBack: number;
    /** Answered with a problem instead. */
    readonly refused: number;
    /** Not tried, since it had failed several times just before; counted above as well. */
    readonly paused: number;
    /** Whose body could not be read, or was too large. */
    readonly unreadable: number;
    /** At which a function of the options threw. */
    readonly faults: number;
  };
  readonly mirror: {
    readonly total: number;
    readonly same: number;
    readonly different: number;
    /** Whose run failed where the old handler did not. */
    readonly failed: number;
    /** Whose run came to an external effect, which mirrored runs have none of. */
    readonly withheld: number;
    /** Whose run took too long. */
    readonly late: number;
    /** Left out, since too many were under way. */
    readonly skipped: number;
    /** Whose old answer can be compared with nothing: a stream, compressed, too large, given up. */
    readonly incomparable: number;
  };
  readonly durations: {
    /** Answers of the old handler, as far as they were mirrored. */
    readonly old: DurationView;
    /** Answers of the event way, 202 and results alike. */
    readonly event: DurationView;
    /** Runs, from the start to the answer that had the result, at once or later. */
    readonly run: DurationView;
    /** Mirrored runs. */
    readonly mirror: DurationView;
  };
  readonly differences: readonly DifferenceCount[];
}

/** Of the differences that are kept apart, how many an event carries. */
const differencesPerPart = 20;

/** Counts what happens. */
export class Tally {
  readonly #name: string;
  readonly #tallies = new Map<TallyName, number>();
  readonly #durations = new Map<TimedName, Durations>();
  readonly #differences = new Map<string, DifferenceCount>();

  constructor(name: string) {
    this.#name = name;
  }

  count(name: TallyName, by = 1): void {
    this.#tallies.set(name, (this.#tallies.get(name) ?? 0) + by);
  }

  time(name: TimedName, ms: number): void {
    this.durations(name).add(ms);
  }

  durations(name: TimedName): Durations {
    let found = this.#durations.get(name);
    if (found === undefined) this.#durations.set(name, (found = new Durations()));
    return found;
  }

  differ(difference: Difference, run: string, by = 1): void {
    const key = `${difference.kind} ${difference.path.replace(/\.\d+(?=\.|$)/g, '.*')}`;
    const known = this.#differences.get(key);
    if (known === undefined && this.#differences.size >= limits.strangleDifferenceKindsMax) return;
    const first = known ?? { ...difference, path: key.slice(key.indexOf(' ') + 1), run, count: 0 };
    this.#differences.set(key, { ...first, count: first.count + by });
  }

  /** Takes in a part that was published. */
  merge(part: ReportPart): void {
    for (const name of tallyNames) this.count(name, part.tallies[name] ?? 0);
    for (const name of timedNames) this.durations(name).merge(part.durations[name] ?? []);
    for (const { count, run, ...difference } of part.differences) this.differ(difference, run, count);
  }

  part(): ReportPart {
    return {
      name: this.#name,
      tallies: Object.fromEntries(this.#tallies),
      durations: Object.fromEntries([...this.#durations].map(([name, found]) => [name, found.counts()])),
      differences: this.#ranked().slice(0, differencesPerPart),
    };
  }

  get isEmpty(): boolean {
    return this.#tallies.size === 0;
  }

  report(): StrangleReport {
    const n = (name: TallyName): number => this.#tallies.get(name) ?? 0;
    return {
      name: this.#name,
      requests: n('requests'),
      old: n('old'),
      event: {
        total: n('event'),
        answered: n('answered'),
        accepted: n('accepted'),
        repeated: n('repeated'),
        failed: n('failed'),
      },
      fallback: {
        fellBack: n('fellBack'),
        refused: n('refused'),
        paused: n('paused'),
        unreadable: n('unreadable'),
        faults: n('faults'),
      },
      mirror: {
        total: n('mirrored'),
        same: n('same'),
        different: n('different'),
        failed: n('mirrorFailed'),
        withheld: n('mirrorWithheld'),
        late: n('mirrorLate'),
        skipped: n('mirrorSkipped'),
        incomparable: n('incomparable'),
      },
      durations: {
        old: this.durations('old').view(),
        event: this.durations('event').view(),
        run: this.durations('run').view(),
        mirror: this.durations('mirror').view(),
      },
      differences: this.#ranked(),
    };
  }

  #ranked(): readonly DifferenceCount[] {
    return [...this.#differences.values()].sort((a, b) => b.count - a.count);
  }
}
