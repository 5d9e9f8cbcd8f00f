/**
 * P25: what sagas did and undid, by the log of their run: nothing is undone before it is recorded that the saga has
 * failed; then exactly what was said by then is undone, in reverse order, each once; and a saga that was begun and has not
 * succeeded is undone before its run ends in good order.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { RunEvent } from '../../../core/run/events.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';
import type { SagaNode } from '../program.js';

/** Every breach. */
export function checkSagas(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const [key, rows] of history.final?.histories ?? []) {
    const sagas = (history.programs.get(key)?.nodes ?? []).filter((node) => node.op === 'saga');
    if (sagas.length === 0) continue;
    const [tenant = '', subject = ''] = key.split('/');
    const events = rows.map((row) => readRunEvent(row).event);
    const executed = new Set(
      history.executions.filter(({ tenant: of, run }) => `${of}/${run}` === key).map(({ path }) => path),
    );
    for (const saga of sagas)
      for (const detail of faultsOf(saga, events, executed))
        violations.push({ property: 'P25', tenant, subject, detail: `${saga.name} ${detail}` });
  }
  return violations;
}

function* faultsOf(saga: SagaNode, events: readonly RunEvent[], executed: ReadonlySet<string>): Generator<string> {
  const { name, items, fails } = saga;
  const decision = events.find((event) => event.type === 'race.decided' && event.data.path === name);
  const done = new Set<string>();
  const begun = new Set<string>();
  for (const event of events) {
    if (!('path' in event.data) || event.data.path === null) continue;
    const { path } = event.data;
    // A call that was given up may come to its end after that.
    if (event.seq > (decision?.seq ?? Infinity)) break;
    begun.add(path);
    if (event.type === 'step.completed' || event.type === 'call.completed') done.add(path);
  }
  const undoOf = new Map(items.map(({ undo }, i) => [undo.name, i]));
  const said = saidBy(saga, done);
  const undone = new Set<number>();
  let last = Number.POSITIVE_INFINITY;
  for (const event of events) {
    // What could not be undone is tried again.
    if (event.type === 'run.redriven') last = Number.POSITIVE_INFINITY;
    if (!('path' in event.data)) continue;
    const i = undoOf.get(event.data.path ?? '');
    if (i === undefined) continue;
    if (decision === undefined || event.seq < decision.seq) yield `undoes ${i} before it has failed`;
    if (!said.has(i)) yield `undoes ${i}, which it has not done`;
    if (event.type !== 'step.completed' && event.type !== 'step.failed') continue;
    undone.add(i);
    if (i >= last) yield `undoes ${i} after ${last}`;
    last = i;
  }
  for (const [path, i] of undoOf)
    if (executed.has(path) && !said.has(i)) yield `has begun to undo ${i}, which it has not done`;
  if (!isOrderly(events.at(-1))) return;
  const isBegun = items.some(({ act }) => begun.has(act.name));
  const isWhole = !fails && items.every(({ act }) => done.has(act.name));
  if (decision !== undefined) for (const i of said) if (!undone.has(i)) yield `has left ${i} as it is`;
  if (decision === undefined && isBegun && !isWhole && said.size > 0) yield 'has failed and undone nothing';
}

/** What was said to be undone: of what has succeeded, and of what comes next where that is said before it is done. */
function saidBy({ items }: SagaNode, done: ReadonlySet<string>): Set<number> {
  const said = new Set<number>();
  for (const [i, { act, early }] of items.entries()) {
    const isDone = done.has(act.name);
    if (isDone || early) said.add(i);
    if (!isDone) break;
  }
  return said;
}

/** The body has come to its end itself, and not its worker or its time. */
function isOrderly(last: RunEvent | undefined): boolean {
  switch (last?.type) {
    case 'run.succeeded':
    case 'run.refused':
    case 'run.continued':
      return true;
    case 'run.cancelled':
      return !last.data.forced;
    case 'run.failed':
      return last.data.path !== null || last.data.failure.code === 'PROGRAM_FAILED';
    default:
      return false;
  }
}
