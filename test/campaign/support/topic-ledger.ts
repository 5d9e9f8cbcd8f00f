/**
 * What is known from outside of topics under faults, and what can be found wrong in it. Pure, so that a ledger can be tampered
 * with to show that each check notices.
 */
import type { Violation } from './evidence.js';

/** An event of a topic as it lies there. */
export interface LoggedEvent {
  readonly partition: number;
  readonly offset: number;
  readonly id: string;
  readonly key: string;
  /** Of the writer, where its topic has one. */
  readonly epoch: number;
}

/** What a writer was told of one event. */
export interface WriterWord {
  readonly id: string;
  readonly epoch: number;
  /** `unknown`: a request for it had no answer, so that it may be there. */
  readonly outcome: 'acknowledged' | 'fenced' | 'unknown';
}

/** A run of an event, with when it was started and when it ended, epoch ms on the clock of the store. */
export interface HandledEvent {
  readonly run: string;
  readonly id: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly state: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** A step, as the worker that did it wrote it down. */
export interface HandledStep {
  readonly run: string;
  /** Wall clock of the machine, which is that of the store. */
  readonly at: number;
}

export interface TopicEvidence {
  /** Ids of events of the ordered topic that were acknowledged. */
  readonly published: readonly string[];
  readonly ordered: readonly LoggedEvent[];
  readonly led: readonly LoggedEvent[];
  readonly words: readonly WriterWord[];
  readonly runs: readonly HandledEvent[];
  readonly steps: readonly HandledStep[];
  /** What each reader was shown of the ordered topic, from its beginning and over all lost connections. */
  readonly readings: readonly (readonly Pick<LoggedEvent, 'partition' | 'offset'>[])[];
}

interface Check {
  readonly property: string;
  readonly says: string;
  readonly find: (evidence: TopicEvidence) => string[];
}

export const topicChecks: readonly Check[] = [
  {
    property: 'P1',
    says: 'what was acknowledged is in its topic, once',
    find: ({ published, ordered, led, words }) => [
      ...notOnce(published, ordered),
      ...notOnce(
        words.filter(({ outcome }) => outcome === 'acknowledged').map(({ id }) => id),
        led,
      ),
    ],
  },
  {
    property: 'P10',
    says: 'an event of a key is begun when the one before has ended',
    find: ({ runs, steps }) => [...overlaps(runs), ...earlySteps(runs, steps)],
  },
  {
    property: 'P11',
    says: 'offsets of a partition are dense',
    find: ({ ordered, led }) => [...holes(ordered), ...holes(led)],
  },
  {
    property: 'P19',
    says: 'a reader is shown a whole slice of each partition, over all connections',
    find: ({ ordered, readings }) =>
      readings.flatMap((reading, i) => {
        const shown = holes(reading);
        const missing = reading.length === ordered.length ? [] : [`${reading.length} of ${ordered.length} events`];
        return [...shown, ...missing].map((detail) => `reader ${i}: ${detail}`);
      }),
  },
  {
    property: 'P20',
    says: 'each event has one run, which has ended well',
    find: ({ ordered, runs }) => [
      ...notOnce(
        ordered.map(({ id }) => id),
        runs,
      ),
      ...runs.filter(({ state }) => state !== 'succeeded').map(({ id, state }) => `the run of ${id} is ${state}`),
    ],
  },
  {
    property: 'P22',
    says: 'of a topic with a single writer only events of the newest epoch are taken',
    find: ({ led, words }) => {
      const late = led.filter(({ epoch }, i) => epoch < (led[i - 1]?.epoch ?? 0));
      const there = new Set(led.map(({ id }) => id));
      const fenced = words.filter(({ id, outcome }) => outcome === 'fenced' && there.has(id));
      return [
        ...late.map(({ id, epoch }) => `${id} of epoch ${epoch} is behind one of a later epoch`),
        ...fenced.map(({ id }) => `${id} was refused and is there`),
      ];
    },
  },
];

export function topicViolations(evidence: TopicEvidence): Violation[] {
  return topicChecks.flatMap(({ property, find }) => find(evidence).map((detail) => ({ property, detail })));
}

function notOnce(wanted: readonly string[], there: readonly { readonly id: string }[]): string[] {
  const times = new Map<string, number>();
  for (const { id } of there) times.set(id, (times.get(id) ?? 0) + 1);
  return wanted.filter((id) => times.get(id) !== 1).map((id) => `${id} is there ${times.get(id) ?? 0} times`);
}

function holes(events: readonly Pick<LoggedEvent, 'partition' | 'offset'>[]): string[] {
  const next = new Map<number, number>();
  const faults: string[] = [];
  for (const { partition, offset } of events) {
    const wanted = next.get(partition) ?? 0;
    if (offset !== wanted) faults.push(`${partition}/${offset} came where ${wanted} was to come`);
    next.set(partition, offset + 1);
  }
  return faults;
}

function overlaps(runs: readonly HandledEvent[]): string[] {
  return successors(runs)
    .filter(([before, { startedAt }]) => startedAt < before.endedAt)
    .map(([before, { id }]) => `${id} was begun before ${before.id} had ended`);
}

function earlySteps(runs: readonly HandledEvent[], steps: readonly HandledStep[]): string[] {
  const began = new Map<string, number>();
  for (const { run, at } of steps) began.set(run, Math.min(at, began.get(run) ?? Infinity));
  return successors(runs)
    .filter(([before, { run }]) => (began.get(run) ?? Infinity) < before.endedAt - clockGrainMs)
    .map(([before, { id }]) => `a step for ${id} was done before ${before.id} had ended`);
}

/** Runs of one key, each with the one before it. */
function successors(runs: readonly HandledEvent[]): (readonly [HandledEvent, HandledEvent])[] {
  const last = new Map<string, HandledEvent>();
  const pairs: (readonly [HandledEvent, HandledEvent])[] = [];
  for (const run of [...runs].sort((a, b) => a.partition - b.partition || a.offset - b.offset)) {
    const before = last.get(run.key);
    if (before !== undefined) pairs.push([before, run]);
    last.set(run.key, run);
  }
  return pairs;
}

/** Two clocks that are read one after the other. */
const clockGrainMs = 20;
