/**
 * The invariants that `check` looks at, over the tables of the in-memory store. The same properties as the SQL of the
 * other stores, so that a planted fault is reported alike by all.
 */
import { isErrand } from '../core/run/effects.js';
import { isEnded } from '../core/run/state.js';
import type { Violation } from './contract.js';
import { keyOf, type MemoryData } from './memory-data.js';

/** At most `limit` violations; empty = all hold. */
export function checkMemory(data: MemoryData, limit: number): Violation[] {
  const found: Violation[] = [];
  for (const check of [checkCauses, checkOwners, checkLeases, checkStreams, checkTally]) {
    for (const violation of check(data)) {
      if (found.length >= limit) return found;
      found.push(violation);
    }
  }
  return found;
}

/** P3: every unfinished run has something that will move it on. */
function* checkCauses(data: MemoryData): Generator<Violation> {
  for (const [key, { tenant, run, status }] of data.runs) {
    const tasks = [...(data.tasksOfRun.get(key)?.values() ?? [])];
    const timers = data.timersOfRun.get(key)?.size ?? 0;
    if (status === 'active' && !tasks.some((task) => task.kind === 'activation'))
      yield { property: 'P3', tenant, subject: run, detail: 'an active run has no activation task' };
    const isAwaited = timers > 0 || (data.entriesOfRun.get(key)?.size ?? 0) > 0;
    if (status === 'waiting' && !isAwaited && !tasks.some((task) => task.kind === 'call'))
      yield { property: 'P3', tenant, subject: run, detail: 'a waiting run has no timer, no open call and no entry' };
  }
}

/** P3: tasks and timers belong to unfinished runs, and a task's input is there. */
function* checkOwners(data: MemoryData): Generator<Violation> {
  for (const { tenant, run, task, inputSeq } of data.tasks.values()) {
    const owner = data.run(tenant, run);
    if (owner === undefined || isEnded(owner.status))
      yield { property: 'P3', tenant, subject: run, detail: `task ${task} belongs to no unfinished run` };
    else if (data.event(tenant, run, inputSeq) === undefined)
      yield { property: 'P3', tenant, subject: run, detail: `task ${task} has no input event ${inputSeq}` };
  }
  for (const { tenant, run, name } of data.timers) {
    // What is to be done between two runs is looked after whatever has become of them.
    if (isErrand(name)) continue;
    const owner = data.run(tenant, run);
    // What is to be brought to another run outlives the one that it comes from, for a moment.
    if (owner === undefined || (isEnded(owner.status) && !isErrand(name)))
      yield { property: 'P3', tenant, subject: run, detail: `timer ${name} belongs to no unfinished run` };
  }
}

/** P7: a lease names its holder, and a run has at most one activation. A lease may outlive its session for a while. */
function* checkLeases(data: MemoryData): Generator<Violation> {
  for (const { tenant, run, task, token, session, assignment, leasedAt } of data.leased) {
    if (session === null || assignment === null || leasedAt === null || token < 1)
      yield { property: 'P7', tenant, subject: run, detail: `leased task ${task} has no holder` };
  }
  for (const tasks of data.tasksOfRun.values()) {
    const activations = [...tasks.values()].filter((task) => task.kind === 'activation');
    const [first] = activations;
    if (first !== undefined && activations.length > 1)
      yield { property: 'P7', tenant: first.tenant, subject: first.run, detail: 'a run has several activation tasks' };
  }
}

/** P11: the events of a run are 1..head, those of a partition 0..head-1. */
function* checkStreams(data: MemoryData): Generator<Violation> {
  for (const [key, { tenant, run, head }] of data.runs) {
    const events = data.streams.get(key) ?? [];
    if (events.length !== head || events.at(-1)?.seq !== head)
      yield { property: 'P11', tenant, subject: run, detail: `${events.length} events, head ${head}` };
  }
}

/** P16 and P32: the counters are what a count would find. */
function* checkTally(data: MemoryData): Generator<Violation> {
  const counted = new Map<string, number>();
  const add = (...parts: string[]): unknown => counted.set(keyOf(...parts), (counted.get(keyOf(...parts)) ?? 0) + 1);
  for (const { tenant, workflow, status } of data.runs.values()) add(tenant, 'run', workflow, status);
  for (const { tenant, queue, state } of data.tasks.values()) add(tenant, 'task', queue, state);
  for (const { tenant, kind, name, state, count } of data.tally()) {
    const key = keyOf(tenant, kind, name, state);
    const truth = counted.get(key) ?? 0;
    counted.delete(key);
    if (truth !== count)
      yield {
        property: kind === 'run' ? 'P32' : 'P16',
        tenant,
        subject: name,
        detail: `the tally says ${count} ${state}, there are ${truth}`,
      };
  }
  for (const [key, truth] of counted) {
    const [tenant = '', kind, name = '', state = ''] = key.split('\0');
    yield {
      property: kind === 'run' ? 'P32' : 'P16',
      tenant,
      subject: name,
      detail: `the tally says 0 ${state}, there are ${truth}`,
    };
  }
}
