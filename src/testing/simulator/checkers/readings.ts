/**
 * P11 and P19 from outside: what each reader and each body was handed is the log, in order, without gap or repetition.
 * A reader of a run that has ended has been told so.
 */
import type { Violation } from '../../../store/index.js';
import { isEnded } from '../../../core/run/state.js';
import { journalEntry } from '../../../core/run/journal.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import { keyOfRun, type History } from '../history.js';

const endTypes: ReadonlySet<string> = new Set([
  'run.succeeded',
  'run.failed',
  'run.cancelled',
  'run.refused',
  'run.continued',
]);

/** Every gap, repetition and missing end. */
export function checkReadings(history: History): Violation[] {
  const { final } = history;
  const violations: Violation[] = [];
  const ended = new Set((final?.runs ?? []).filter((row) => isEnded(row.status)).map(keyOfRun));
  for (const reading of history.readings) {
    const { tenant, run, after, seqs, types } = reading;
    const report = (property: string, detail: string): void => {
      violations.push({ property, tenant, subject: run, detail });
    };
    const wrong = seqs.findIndex((seq, i) => seq !== after + 1 + i);
    if (wrong >= 0) report('P19', `a reader was handed ${seqs[wrong]} where ${after + 1 + wrong} is due`);
    if (types.includes('not found')) report('P1', 'a reader was told that the run is not there');
    const rows = final?.histories.get(keyOfRun(reading)) ?? [];
    const differs = types.findIndex((type, i) => type !== 'not found' && rows[after + i]?.type !== type);
    if (differs >= 0 && wrong < 0) report('P19', `a reader was handed ${types[differs]} at ${after + 1 + differs}`);
    const lastType = types.at(-1);
    if (reading.ended && lastType !== undefined && !endTypes.has(lastType))
      report('P19', `a reader was told of the end after ${lastType} at ${seqs.at(-1)}`);
    if (ended.has(keyOfRun(reading)) && !reading.ended)
      report('P19', `a reader was never told of the end; it saw ${seqs.length} of ${rows.length} events`);
  }
  for (const feed of history.bodies) {
    const rows = final?.histories.get(keyOfRun(feed)) ?? [];
    const last = feed.seqs.at(-1) ?? feed.head;
    const due = rows
      .filter((row) => row.seq > feed.head && row.seq <= last && journalEntry(readRunEvent(row).event, false) !== null)
      .map((row) => row.seq);
    if (due.join() !== feed.seqs.join())
      violations.push({
        property: 'P19',
        tenant: feed.tenant,
        subject: feed.run,
        detail: `the body of assignment ${feed.assignment} was handed [${feed.seqs.join()}] where [${due.join()}] is due`,
      });
  }
  return violations;
}
