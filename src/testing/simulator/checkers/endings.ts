/**
 * Progress (P3, P9, P23, P30): after everything was healed and there was time, every run has ended, nothing is left of
 * any of them beside the log, every dead run has its dead letter, and nobody had to be freed by a deadline.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import { isEnded } from '../../../core/run/state.js';
import type { Violation } from '../../../store/index.js';
import { keyOfRun, type History } from '../history.js';
import { simAgent } from '../manifest.js';

/** What still waits, hangs or is left over. */
export function checkEndings(history: History): Violation[] {
  const { final } = history;
  if (final === null) return [];
  const violations: Violation[] = [];
  const report = (property: string, of: { readonly tenant: string; readonly run: string }, detail: string): void => {
    violations.push({ property, tenant: of.tenant, subject: of.run, detail });
  };
  for (const row of final.runs) {
    // An agent lives on, and is at rest.
    if (isEnded(row.status) || (row.workflow === simAgent && row.status === 'waiting')) continue;
    const last = final.histories.get(keyOfRun(row))?.at(-1)?.type;
    const tasks = final.tasks
      .filter((task) => task.run === row.run)
      .map((task) => `${task.task} ${task.state} ${task.session ?? ''}`);
    const timers = final.timers.filter((timer) => timer.run === row.run).map((timer) => timer.name);
    report(
      'P3',
      row,
      `is still ${row.status} after ${last}, with tasks [${tasks.join(', ')}] and timers [${timers.join(', ')}]`,
    );
  }
  for (const task of final.tasks) report('P3', task, `task ${task.task} is left over, ${task.state}`);
  for (const timer of final.timers) report('P3', timer, `timer ${timer.name} is left over`);
  const letters = new Set(final.deadLetters.map((letter) => letter.run));
  for (const row of final.runs)
    if ((row.status === 'failed') !== letters.has(row.run))
      report(
        'P9',
        row,
        row.status === 'failed' ? 'failed without a dead letter' : `is ${row.status} and has a dead letter`,
      );
  for (const session of final.sessions)
    if (!final.workerSessions.includes(session.session))
      violations.push({
        property: 'P3',
        tenant: '',
        subject: session.session,
        detail: 'a session of no living worker is left over',
      });
  for (const [key, rows] of final.histories) {
    const [tenant = '', run = ''] = key.split('/');
    for (const row of rows) {
      const { event } = readRunEvent(row);
      // A request to an endpoint has a time of its own, which is short.
      if (!history.pushes && 'failure' in event.data && event.data.failure?.code === 'TASK_TIMEOUT')
        report('P30', { tenant, run }, `something was stuck until its deadline (event ${event.seq})`);
    }
  }
  return [...violations, ...checkCancels(history)];
}

/** Every acknowledged cancel has ended its run within its grace and the time to find a dead worker. */
function checkCancels(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const [key, rows] of history.final?.histories ?? []) {
    const [tenant = '', run = ''] = key.split('/');
    const events = rows.map((row) => readRunEvent(row).event);
    for (const asked of events) {
      if (asked.type !== 'run.cancel_requested') continue;
      const next = events.slice(asked.seq).find((event) => isEndType(event.type));
      if (next === undefined)
        violations.push({ property: 'P23', tenant, subject: run, detail: 'the cancelled run has not ended' });
    }
  }
  return violations;
}

function isEndType(type: string): boolean {
  return ['run.succeeded', 'run.failed', 'run.cancelled', 'run.refused', 'run.continued'].includes(type);
}
