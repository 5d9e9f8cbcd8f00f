/**
 * What a campaign knows from outside of the system under test, and what it can find wrong in it. Pure: no clock, no
 * process, no network, so that a ledger can be tampered with to show that each check notices.
 */
import type { DoctorView, RunEventView, RunView } from '../../../src/protocol/http.js';

/** A start that was answered with 202. */
export interface Acknowledgement {
  readonly key: string;
  readonly run: string;
  readonly value: number;
}

/** One execution of a step or call, as the process that did it wrote it down when it began. */
export interface Execution {
  readonly run: string;
  readonly path: string;
  /** Names this execution; the result that came of it has the same. */
  readonly mark: string;
  /** Wall clock of the machine. */
  readonly at: number;
  readonly pid: number;
}

/** A process that stood still, or that nothing reached. */
export interface Standstill {
  readonly kind: 'server' | 'worker';
  readonly pid: number;
  readonly from: number;
  readonly until: number;
  /** When it has heard, at the latest, what it had missed. */
  readonly awakeAt: number;
}

/** How long a thawed process may take to hear what it has missed. */
export const awakeningMs = 1_000;
/** How long after a server was thawed the message is heard that it was writing when it was stopped. */
const lastWordMs = 25;

/** What a reader of an event stream was sent, over all its connections. */
export interface Reading {
  readonly run: string;
  readonly seqs: readonly number[];
  /** Whether it was told the end. */
  readonly ended: boolean;
  /** Gaps that it was told. */
  readonly gaps: number;
}

export interface Evidence {
  readonly acknowledged: readonly Acknowledgement[];
  /** Answers to the same keys, asked once more in the end. */
  readonly askedAgain: readonly Acknowledgement[];
  /** Ids of all runs that the store lists. */
  readonly stored: readonly string[];
  /** State of each acknowledged run; absent = the system does not know it. */
  readonly views: ReadonlyMap<string, RunView>;
  readonly outputs: ReadonlyMap<string, unknown>;
  readonly histories: ReadonlyMap<string, readonly RunEventView[]>;
  readonly executions: readonly Execution[];
  readonly standstills: readonly Standstill[];
  readonly readings: readonly Reading[];
  readonly doctor: DoctorView | null;
  /** False where the clocks of database and workers were set apart on purpose: then times say nothing. */
  readonly clocksAgree: boolean;
}

export interface Violation {
  readonly property: string;
  readonly detail: string;
}

interface Check {
  readonly property: string;
  /** What holds. */
  readonly says: string;
  readonly find: (evidence: Evidence) => readonly string[];
}

/** Clocks of processes are read before what they date. */
const slackMs = 5;

/** The checks, by the numbers that `docs/concepts/simulation.md` gives to the invariants. */
export const checks: readonly Check[] = [
  {
    property: 'P1',
    says: 'what was acknowledged is there, with the input that was acknowledged',
    find: ({ acknowledged, views, histories }) =>
      acknowledged.flatMap(({ run, value }) => {
        if (!views.has(run)) return [`${run} is lost`];
        const input = histories.get(run)?.[0]?.payload as { value?: unknown } | undefined;
        return input?.value === value ? [] : [`${run} has the input ${JSON.stringify(input)} instead of ${value}`];
      }),
  },
  {
    property: 'P1-unasked',
    says: 'no run is there that nobody was told of',
    find: ({ acknowledged, stored }) => {
      const known = new Set(acknowledged.map(({ run }) => run));
      return stored.filter((run) => !known.has(run)).map((run) => `${run} was started by nobody`);
    },
  },
  {
    property: 'P2',
    says: 'one key, one run, for ever',
    find: ({ acknowledged, askedAgain }) => {
      const byKey = new Map(acknowledged.map(({ key, run }) => [key, run]));
      const repeated = acknowledged.length - new Set(acknowledged.map(({ run }) => run)).size;
      return [
        ...(repeated === 0 ? [] : [`${repeated} runs answer to several keys`]),
        ...askedAgain
          .filter(({ key, run }) => byKey.get(key) !== run)
          .map(({ key, run }) => `${key} was ${String(byKey.get(key))} and is ${run} now`),
      ];
    },
  },
  {
    property: 'P3',
    says: 'every acknowledged run has ended well, with the result that its input demands',
    find: ({ acknowledged, views, outputs }) =>
      acknowledged.flatMap(({ run, value }) => {
        const view = views.get(run);
        if (view === undefined) return [];
        if (view.state !== 'succeeded')
          return [`${run} is ${view.state}: ${JSON.stringify(view.failure ?? view.waitingFor)}`];
        const output = outputs.get(run) as { total?: unknown } | undefined;
        const expected = (value + 4) * 2 * 6;
        return output?.total === expected ? [] : [`${run} gave ${JSON.stringify(output)} instead of ${expected}`];
      }),
  },
  {
    property: 'P4',
    says: 'a step has one result',
    find: ({ histories }) =>
      [...histories].flatMap(([run, history]) => {
        const paths = completions(history).map(({ path }) => path);
        return paths.filter((path, i) => paths.indexOf(path) !== i).map((path) => `${run} has ${path} twice`);
      }),
  },
  {
    property: 'P4-late',
    says: 'nothing is executed after its result was recorded',
    find: ({ histories, executions, standstills, clocksAgree }) => {
      if (!clocksAgree) return [];
      const byUnit = groupBy(executions, ({ run, path }) => `${run} ${path}`);
      return [...histories].flatMap(([run, history]) =>
        completions(history).flatMap(({ path, at, mark }) =>
          (byUnit.get(`${run} ${path}`) ?? [])
            // The one that was recorded came before its record, whatever their two clocks say.
            .filter(
              (execution) =>
                execution.mark !== mark && execution.at > at + slackMs && !isAwakening(execution, at, standstills),
            )
            .map(
              (execution) =>
                `${run} ${path} was executed ${execution.at - at} ms after its result was recorded; ${around(execution, at, history, byUnit.get(`${run} ${path}`) ?? [], standstills)}`,
            ),
        ),
      );
    },
  },
  {
    property: 'P6',
    says: 'no commit comes under a lease that was lost',
    find: ({ histories, executions, clocksAgree }) => {
      const byMark = new Map(executions.map((execution) => [execution.mark, execution]));
      return [...histories].flatMap(([run, history]) =>
        completions(history).flatMap(({ path, at, seq, mark, isCall }) => {
          const execution = byMark.get(mark);
          if (execution === undefined) return [`${run} ${path} has a result of which nobody knows (${mark})`];
          if (!clocksAgree) return [];
          // What began before the lease was lost must not be recorded after it.
          const lost = history.find(
            (event) =>
              event.seq < seq &&
              (isCall ? event.type === 'call.retrying' : event.type === 'activation.retrying') &&
              Date.parse(event.at) > execution.at + slackMs,
          );
          return lost === undefined
            ? []
            : [`${run} ${path} was begun ${at - execution.at} ms before its commit; its lease was lost at ${lost.seq}`];
        }),
      );
    },
  },
  {
    property: 'P11',
    says: 'a history is numbered without gaps',
    find: ({ histories }) =>
      [...histories]
        .filter(([, history]) => history.some(({ seq }, i) => seq !== i + 1))
        .map(([run, history]) => `${run}: ${history.map(({ seq }) => seq).join(' ')}`),
  },
  {
    property: 'P13',
    says: 'a timer fires once and not before its time, on the clock of the store',
    find: ({ histories, clocksAgree }) =>
      [...histories].flatMap(([run, history]) => {
        const set = history.filter(({ type }) => type === 'timer.set');
        const fired = history.filter(({ type }) => type === 'timer.fired');
        if (fired.length !== set.length) return [`${run} has ${set.length} timers, ${fired.length} fired`];
        if (!clocksAgree) return [];
        return fired.flatMap((event, i) => {
          const earlyMs = Number((set[i]?.data as { fireAt?: unknown } | undefined)?.fireAt) - Date.parse(event.at);
          return earlyMs <= 0 ? [] : [`${run} ${event.seq} fired ${earlyMs} ms before its time`];
        });
      }),
  },
  {
    property: 'P15',
    says: 'over every window of time no more calls are let in than rate and burst allow, whoever lets them in',
    find: ({ histories, clocksAgree }) => {
      if (!clocksAgree) return [];
      const at = [...histories.values()].flatMap((history) =>
        history.flatMap(({ type, data }) =>
          type === 'call.admitted' ? [(data as { reservedAt: number }).reservedAt] : [],
        ),
      );
      return windowFaults(at, paceOfDouble);
    },
  },
  {
    property: 'P16',
    says: 'no more calls are let in at one time than there are slots',
    find: ({ histories, clocksAgree }) => {
      if (!clocksAgree) return [];
      const moves = [...histories.values()].flatMap(slotMoves).sort((a, b) => a.at - b.at || a.by - b.by);
      let used = 0;
      for (const { at, by } of moves) {
        used += by;
        if (used > slotsOfDouble) return [`${used} calls were let in at ${new Date(at).toISOString()}`];
      }
      return [];
    },
  },
  {
    property: 'P19',
    says: 'a reader that moves between servers is sent each event once, in order, and the end',
    find: ({ readings, histories }) =>
      readings.flatMap(({ run, seqs, ended, gaps }) => {
        const history = histories.get(run);
        if (history === undefined) return [];
        const isWhole = ended && gaps === 0 && seqs.length === history.length && seqs.every((seq, i) => seq === i + 1);
        return isWhole ? [] : [`${run}: ${seqs.join(' ')}${ended ? '' : ' no end'}, of ${history.length}`];
      }),
  },
  {
    property: 'doctor',
    says: 'the doctor finds nothing',
    find: ({ doctor }) =>
      doctor === null
        ? ['nobody asked the doctor']
        : doctor.checks
            .filter(({ ok }) => !ok)
            .map(({ property, violations }) => `${property}: ${JSON.stringify(violations.slice(0, 3))}`),
  },
];

/** The limits of the app under test (`app.mjs`). */
const slotsOfDouble = 10;
const paceOfDouble = { amount: 200, perMs: 1_000, burst: 40 };

/** The sweep of P15: the worst window that begins with each of the instants. */
function windowFaults(instants: readonly number[], { amount, perMs, burst }: typeof paceOfDouble): string[] {
  const at = [...instants].sort((a, b) => a - b);
  // A sum over a window is above its bound where this falls by more than the burst from some instant on.
  let least = Number.POSITIVE_INFINITY;
  let worst = { over: 0, at: 0 };
  for (const [i, instant] of at.entries()) {
    const before = i - (amount * instant) / perMs;
    least = Math.min(least, before);
    const over = before + 1 - least - burst;
    if (over > worst.over) worst = { over, at: instant };
  }
  return worst.over <= 1e-3 ? [] : [`${worst.over.toFixed(1)} too many up to ${new Date(worst.at).toISOString()}`];
}

/** When a slot was taken and freed, as far as one history says so; servers date events by clocks that differ a little. */
function slotMoves(history: readonly RunEventView[]): { readonly at: number; readonly by: number }[] {
  const moves: { readonly at: number; readonly by: number }[] = [];
  let held = false;
  for (const { type, at } of history) {
    const ends = type === 'call.completed' || type === 'call.retrying' || type === 'call.failed';
    if (type === 'call.admitted') moves.push({ at: Date.parse(at) + slackMs, by: 1 });
    if (ends && held) moves.push({ at: Date.parse(at) - slackMs, by: -1 });
    held = type === 'call.admitted' || (held && !ends);
  }
  return moves;
}

/** Everything that is wrong. Empty = nothing is. */
export function violationsIn(evidence: Evidence): Violation[] {
  return checks.flatMap(({ property, find }) => find(evidence).map((detail) => ({ property, detail })));
}

/**
 * Executions whose result was never recorded: work that was lost with a process or with its lease, and done again.
 * Proves that faults hit work under way.
 */
export function unrecorded({ histories, executions }: Evidence): Execution[] {
  const recorded = new Set([...histories.values()].flatMap((history) => completions(history).map(({ mark }) => mark)));
  return executions.filter(({ mark }) => !recorded.has(mark));
}

interface Completion {
  /** As the app under test writes it down. */
  readonly path: string;
  readonly seq: number;
  readonly at: number;
  readonly mark: string;
  readonly isCall: boolean;
}

function completions(history: readonly RunEventView[]): Completion[] {
  return history.flatMap(({ type, data, payload, seq, at }) => {
    if (type !== 'step.completed' && type !== 'call.completed') return [];
    const { path } = data as { path: string };
    const { mark } = payload as { mark: string };
    return [{ path: pathOf(path), seq, at: Date.parse(at), mark, isCall: type === 'call.completed' }];
  });
}

/** The name that the app under test writes down, out of the path in the history. */
export function pathOf(path: string): string {
  const add = /add\W+(\d+)/.exec(path);
  if (add !== null) return `add:${add[1]}`;
  const part = /parts\W+(\d+)/.exec(path);
  return part !== null ? `parts:${part[1]}` : 'double';
}

/**
 * A worker that stood still, or that was not reached, while another did its work and recorded the result cannot know that
 * when it hears again: it may begin what it was about to begin, or what was on the way to it. Its commit is refused, which
 * P6 watches. So with the message that a server was about to write when it was stopped, between its look at the clock and the
 * wire: it goes out the moment the server is let on. All that comes after it is held back by the server, so only that moment
 * is excused.
 */
export function isAwakening(
  execution: Pick<Execution, 'pid' | 'at'>,
  recordedAt: number,
  standstills: readonly Standstill[],
): boolean {
  return standstills.some(
    ({ kind, pid, from, until, awakeAt }) =>
      recordedAt >= from &&
      recordedAt <= awakeAt &&
      execution.at >= until &&
      (pid === execution.pid
        ? execution.at <= awakeAt
        : kind === 'server' && execution.at <= until + lastWordMs && recordedAt <= until),
  );
}

/** What a reader of the report wants to see beside an execution that came too late: times in ms after the record. */
function around(
  { pid }: Execution,
  recordedAt: number,
  history: readonly RunEventView[],
  others: readonly Execution[],
  standstills: readonly Standstill[],
): string {
  const executed = others.map((other) => `${other.pid} at ${other.at - recordedAt}`).join(', ');
  const events = history.map(({ type, at, actor }) => `${type} ${Date.parse(at) - recordedAt} ${actor}`).join(', ');
  const stood = standstills
    .filter(({ until }) => Math.abs(until - recordedAt) < 20_000)
    .map((still) => `${still.kind} ${still.pid} ${still.from - recordedAt}..${still.until - recordedAt}`)
    .join(', ');
  return `by ${pid}; executions: ${executed}; standstills: ${stood}; history: ${events}`;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
