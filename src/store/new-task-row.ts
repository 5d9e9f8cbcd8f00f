/** A task as it is in its queue when it is opened or put back, the same in every store. */
import type { NewTask, TaskRow } from './contract.js';

/** `now` on the store's clock; a task that was there before keeps its `token`. */
export function newTaskRow(tenant: string, run: string, task: NewTask, token: number, now: number): TaskRow {
  const state = task.dueAt !== null ? 'delayed' : task.limitKey !== null ? 'held' : 'ready';
  return {
    tenant,
    run,
    task: task.task,
    kind: task.kind,
    queue: task.queue,
    rank: task.rank,
    state,
    attempt: task.attempt,
    token,
    deadlineMs: task.deadlineMs,
    inputSeq: task.inputSeq,
    dueAt: task.dueAt,
    limitKey: task.limitKey,
    session: null,
    assignment: null,
    leasedAt: null,
    readyAt: now,
  };
}
