/**
 * Two servers and two workers over a PostgreSQL of their own, killed, frozen and restarted under load, with acknowledged
 * work and executions counted outside of the system; and, on the very evidence of that, a planted wrong for each check. The
 * same scenarios in the numbers of a night: `main.ts` beside this file.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunEventView } from '../../src/protocol/http.js';
import { powerLossMissing } from '../process/support/power.js';
import { endAll } from '../process/support/processes.js';
import { describeUnless } from '../skip.js';
import { mixedKills } from './scenarios/kills.js';
import { powerCuts } from './scenarios/power.js';
import { databaseMissing } from './support/database.js';
import { checks, violationsIn, type Evidence } from './support/evidence.js';
import type { Round } from './support/round.js';

afterAll(endAll);

describeUnless(databaseMissing(), 'several servers under faults', () => {
  let evidence: Evidence;
  let round: Round;

  beforeAll(async () => {
    round = await mixedKills(
      { kills: 14, zombies: 4, restarts: 2 },
      {
        judge: (collected) => {
          evidence = collected;
          return violationsIn(collected);
        },
      },
    );
    console.log(JSON.stringify({ faults: round.faults, counts: round.counts, longestMs: round.longestMs }));
  }, 290_000);

  it('lose nothing that was acknowledged, repeat nothing that is finished, and show each event once', () => {
    expect(round.violations).toEqual([]);
  });

  it('were hit by every fault, and by work that was under way', () => {
    for (const kind of [
      'server killed',
      'worker killed',
      'backend ended',
      'postmaster killed',
      'worker frozen',
      'server frozen',
      'server restarted',
    ])
      expect(round.faults[kind], kind).toBeGreaterThan(0);
    expect(round.counts['redone']).toBeGreaterThan(0);
    expect(round.counts['acknowledged']).toBeGreaterThan(100);
    expect(round.counts['streamConnections']).toBeGreaterThan(round.counts['streams'] ?? 0);
    // Most of what was asked for was answered at once.
    expect(round.counts['unanswered']).toBeLessThan(round.counts['acknowledged'] ?? 0);
  });

  it.each(checks.map(({ property, says }) => [property, says]))('would show it if not %s: %s', (property) => {
    const tamper = tampered[property];
    if (tamper === undefined) throw new Error(`nobody has shown that ${property} can fail`);
    const found = violationsIn(tamper(evidence)).filter((violation) => violation.property === property);
    expect(found.length).toBeGreaterThan(0);
  });
});

describeUnless(databaseMissing() ?? powerLossMissing(), 'power loss under PostgreSQL', () => {
  it('loses no acknowledged run', async () => {
    const { counts, violations } = await powerCuts(2);
    expect(violations).toEqual([]);
    expect(counts['acknowledged']).toBeGreaterThan(20);
  });

  it('would be noticed: a database with fsync=off loses acknowledged runs', async () => {
    const { violations } = await powerCuts(1, 'fsync=off');
    expect(violations.filter(({ property }) => property === 'P1').length).toBeGreaterThan(0);
  });
});

/** For each check one wrong that was never there, done to a ledger that was right. */
const tampered: Readonly<Record<string, (evidence: Evidence) => Evidence>> = {
  P1: (e) => ({ ...e, views: new Map([...e.views].slice(1)) }),
  'P1-unasked': (e) => ({ ...e, stored: [...e.stored, 'run_of_nobody'] }),
  P2: (e) => ({ ...e, askedAgain: e.askedAgain.map((asked, i) => (i === 0 ? { ...asked, run: 'run_other' } : asked)) }),
  P3: (e) => ({
    ...e,
    outputs: new Map([...e.outputs].map(([run, output], i) => [run, i === 0 ? { total: 1 } : output])),
  }),
  P4: (e) => withHistory(e, (events) => [...events, ...events.filter(({ type }) => type === 'step.completed')]),
  'P4-late': (e) => ({
    ...e,
    standstills: [],
    executions: [
      ...e.executions,
      ...e.executions.map((done) => ({ ...done, mark: `${done.mark} again`, at: done.at + 60_000 })),
    ],
  }),
  P6: (e) =>
    withHistory(e, (events) =>
      events.flatMap((event) =>
        event.type === 'step.completed'
          ? [
              {
                ...event,
                type: 'activation.retrying',
                at: new Date(Date.parse(event.at) + 1_000).toISOString(),
                seq: 0,
              },
              event,
            ]
          : [event],
      ),
    ),
  P11: (e) => withHistory(e, (events) => events.filter((_, i) => i !== 2)),
  P13: (e) =>
    withHistory(e, (events) => [...events, ...events.slice(0, 1).map((event) => ({ ...event, type: 'timer.fired' }))]),
  P15: (e) =>
    withHistory(e, (events) => [
      ...events,
      ...events
        .filter(({ type }) => type === 'call.admitted')
        .flatMap((event) => Array.from({ length: 200 }, () => event)),
    ]),
  P16: (e) => ({
    ...e,
    histories: new Map(
      [...e.histories].map(([run, events]) => [run, events.filter(({ type }) => type !== 'call.completed')]),
    ),
  }),
  P19: (e) => ({
    ...e,
    readings: e.readings.map((read) => ({ ...read, seqs: [...read.seqs, read.seqs.at(-1) ?? 0] })),
  }),
  doctor: (e) => ({ ...e, doctor: null }),
};

function withHistory(
  evidence: Evidence,
  change: (events: readonly RunEventView[]) => readonly RunEventView[],
): Evidence {
  return {
    ...evidence,
    histories: new Map([...evidence.histories].map(([run, events], i) => [run, i === 0 ? change(events) : events])),
  };
}
