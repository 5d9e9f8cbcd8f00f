/**
 * Topics under SIGKILL of servers and workers, on both stores, judged from outside; and, on the very evidence of that, a planted
 * wrong for each check. The same in the numbers of a night: the shard `topics` of `main.ts` beside this file.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endAll } from '../process/support/processes.js';
import { describeUnless } from '../skip.js';
import { topicsUnderKills } from './scenarios/topics.js';
import { databaseMissing } from './support/database.js';
import type { Round } from './support/round.js';
import { topicChecks, topicViolations, type TopicEvidence } from './support/topic-ledger.js';

afterAll(endAll);

describe('topics under kills, in a file', () => {
  it('lose, repeat and confuse nothing', async () => {
    const { faults, counts, violations } = await topicsUnderKills({ events: 240, kills: 6, store: 'sqlite' });
    console.log(JSON.stringify({ faults, counts }));
    expect(violations).toEqual([]);
    expect(faults).toEqual({ 'server killed': 4, 'worker killed': 2 });
  });
});

describeUnless(databaseMissing(), 'topics under kills, in PostgreSQL', () => {
  let evidence: TopicEvidence;
  let round: Round;

  beforeAll(async () => {
    round = await topicsUnderKills({ events: 360, kills: 9, store: 'postgres' }, (collected) => {
      evidence = collected;
      return topicViolations(collected);
    });
    console.log(JSON.stringify({ faults: round.faults, counts: round.counts }));
  }, 180_000);

  it('lose, repeat and confuse nothing', () => {
    expect(round.violations).toEqual([]);
  });

  it('were hit while there was something under way', () => {
    expect(round.faults).toEqual({ 'server killed': 6, 'worker killed': 3 });
    expect(round.counts['events']).toBe(360);
    expect(round.counts['fenced']).toBeGreaterThan(0);
    expect(round.counts['unanswered']).toBeGreaterThan(0);
  });

  it.each(topicChecks.map(({ property, says }) => [property, says]))('would show it if not %s: %s', (property) => {
    const tamper = tampered[property];
    if (tamper === undefined) throw new Error(`nobody has shown that ${property} can fail`);
    const found = topicViolations(tamper(evidence)).filter((violation) => violation.property === property);
    expect(found.length).toBeGreaterThan(0);
  });
});

/** For each check one wrong that was never there, done to a ledger that was right. */
const tampered: Readonly<Record<string, (evidence: TopicEvidence) => TopicEvidence>> = {
  P1: (e) => ({ ...e, led: e.led.slice(1) }),
  P10: (e) => ({ ...e, runs: e.runs.map((run) => ({ ...run, endedAt: run.endedAt + 60_000 })) }),
  P11: (e) => ({ ...e, ordered: e.ordered.filter((_, i) => i !== 3) }),
  P19: (e) => ({ ...e, readings: e.readings.map((reading) => [...reading.slice(0, 5), ...reading.slice(4)]) }),
  P20: (e) => ({ ...e, runs: e.runs.slice(1) }),
  P22: (e) => ({ ...e, led: [...e.led.slice(1), ...e.led.slice(0, 1)] }),
};
