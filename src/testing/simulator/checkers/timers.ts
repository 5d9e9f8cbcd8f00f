/** P13: nothing that waits for an instant happens before the store's clock has reached it. */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** Every timer, pause and delayed task that came early. */
export function checkTimers(history: History): Violation[] {
  const violations: Violation[] = [];
  const due = new Map<string, number>();
  /** Runs whose last event is that an activation of theirs was lost. */
  const lost = new Set<string>();
  const early = (tenant: string, run: string, what: string, dueAt: number | undefined, storeMs: number): void => {
    if (dueAt !== undefined && storeMs < dueAt)
      violations.push({
        property: 'P13',
        tenant,
        subject: run,
        detail: `${what} came ${Math.ceil(dueAt - storeMs)} ms early`,
      });
  };
  for (const action of history.actions) {
    if (action.kind === 'claim') {
      for (const { task } of action.claimed)
        early(
          task.tenant,
          task.run,
          `task ${task.task}`,
          due.get(`${task.tenant}/${task.run} task ${task.task}`),
          action.storeMs,
        );
      continue;
    }
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    const { tenant, timers = [], tasks = [], events = [] } = action.transition;
    for (const write of events) {
      const key = `${tenant}/${write.run}`;
      const { event } = readRunEvent({ ...write, position: 0, tenant, stream: write.run });
      if (event.type === 'timer.fired')
        early(tenant, write.run, `timer ${event.data.path}`, due.get(`${key} ${event.data.path}`), action.storeMs);
      if (event.type === 'step.due')
        early(
          tenant,
          write.run,
          `the next attempt of ${event.data.path}`,
          due.get(`${key} :retry:${event.data.path}`),
          action.storeMs,
        );
      // A cancelled run that takes down one worker after the other is ended when its attempts are used up.
      if (event.type === 'run.cancelled' && event.data.forced && !lost.has(key))
        early(tenant, write.run, 'the end of the grace', due.get(`${key} :cancel-grace`), action.storeMs);
      if (event.type === 'activation.retrying') lost.add(key);
      else lost.delete(key);
    }
    for (const write of timers) if (write.op === 'set') due.set(`${tenant}/${write.run} ${write.name}`, write.fireAt);
    for (const write of tasks)
      if (write.op !== 'close' && write.task.dueAt !== null)
        due.set(`${tenant}/${write.run} task ${write.task.task}`, write.task.dueAt);
  }
  return violations;
}
