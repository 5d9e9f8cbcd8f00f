/**
 * P4, P8 and P9: what user code was made to do, against what was recorded. The first recorded result of a path stays;
 * nothing starts under a claim that came after its result; starts are accounted for by failures and by lost or
 * returned leases; an effect is always asked for with the same content; attempts, crashes included, are bounded.
 */
import { nodeOfPath } from '../../../core/graph/graph.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { RunEvent } from '../../../core/run/events.js';
import type { Violation } from '../../../store/index.js';
import type { Execution, History } from '../history.js';
import { grouped } from './grouped.js';

function timesOf<K>(keys: readonly K[]): ReadonlyMap<K, number> {
  const times = new Map<K, number>();
  for (const key of keys) times.set(key, (times.get(key) ?? 0) + 1);
  return times;
}

function timesByRequest(executions: readonly Execution[]): ReadonlyMap<string, number> {
  return timesOf(
    executions.flatMap(({ request, attempt }) => (request === undefined ? [] : `${request}, attempt ${attempt}`)),
  );
}

function isExternal(execution: Execution | undefined): boolean {
  return execution?.kind === 'step' && execution.body.includes('"external":true');
}

interface PathFacts {
  /** `seq` of the result; null = none, or forgotten by a redrive. */
  resultSeq: number | null;
  failures: number;
  failuresInARow: number;
  /** The result is one that is kept. */
  isDone: boolean;
}

/** Every breach. */
export function checkEffects(history: History): Violation[] {
  const violations: Violation[] = [];
  const claims = claimsOf(history);
  const own = history.executions.filter(({ kind }) => kind !== 'infer');
  const byRun = grouped(own, (execution) => `${execution.tenant}/${execution.run}`);
  for (const [key, rows] of history.final?.histories ?? []) {
    const [tenant = '', run = ''] = key.split('/');
    const report = (property: string, detail: string): void => {
      violations.push({ property, tenant, subject: run, detail });
    };
    const events = rows.map((row) => readRunEvent(row).event);
    const facts = factsOf(events, history.attemptsMax, key, report);
    // A migration takes the body from whoever has it, and begins it anew with a fresh count.
    const redrives = events.filter((event) => event.type === 'run.redriven' || event.type === 'run.migrated').length;
    const reclaims = claims.reclaims.get(key) ?? 0;
    for (const [path, executions] of grouped(byRun.get(key) ?? [], (execution) => execution.path)) {
      const found = facts.get(path);
      const failures = found?.failures ?? 0;
      // A turn of an endpoint that is over before a step is leaves that step to the next one, under the same claim.
      const requests = new Set(executions.flatMap(({ request }) => request ?? [])).size;
      const turns = executions[0]?.kind === 'step' ? Math.max(0, requests - 1) : 0;
      if (executions.length > 1 + failures + reclaims + redrives + turns)
        report(
          'P4',
          `${path} was started ${executions.length} times, with ${failures} failures, ${reclaims} lost leases, ${redrives} redrives and migrations`,
        );
      for (const [request, count] of timesByRequest(executions))
        if (count > 1) report('P4', `${path} was started ${count} times in one request (${request})`);
      if (isExternal(executions[0]))
        for (const [attempt, count] of timesOf(executions.map((execution) => execution.attempt)))
          if (count > 1 + redrives)
            report('P4', `${path} is external, and attempt ${attempt} of it was started ${count} times`);
      if (new Set(executions.map((execution) => execution.body)).size > 1)
        report('P8', `${path} was asked for with different content`);
      const crashes = executions.filter((execution) => execution.crashed).length;
      const attemptsMax = (history.attemptsMax.get(`${key}/${path}`) ?? activationAttemptsMax) * (1 + redrives);
      // Progress of anything else in the body earns its activation a fresh count of attempts.
      const counts = 1 + redrives + events.filter((event) => event.type === 'run.parked' || isFreshCount(event)).length;
      // A claim counts when the server knows that it was received.
      const bound =
        history.blindSpots +
        (executions[0]?.kind === 'call' ? attemptsMax : attemptsMax + activationAttemptsMax * counts);
      if (crashes > bound) report('P9', `${path} took down ${crashes} workers; ${bound} attempts were allowed`);
      for (const execution of executions) checkStart(execution, events, claims.heads, report);
    }
  }
  return violations;
}

/** Attempts of an activation that makes no progress, as the simulated manifest has it. */
const activationAttemptsMax = 3;

function factsOf(
  events: readonly RunEvent[],
  attemptsMax: ReadonlyMap<string, number>,
  key: string,
  report: (property: string, detail: string) => void,
): Map<string, PathFacts> {
  const facts = new Map<string, PathFacts>();
  for (const event of events) {
    if (event.type === 'run.redriven') {
      for (const [path, known] of facts)
        if (isForgotten(event, path, known)) Object.assign(known, { resultSeq: null, failuresInARow: 0 });
      continue;
    }
    if (!isResult(event) && event.type !== 'step.retrying' && event.type !== 'call.retrying') continue;
    const { path } = event.data;
    const known = of(facts, path);
    if (known.resultSeq !== null)
      report('P4', `${path} has a result at ${known.resultSeq} and another word on it at ${event.seq}`);
    if (isResult(event)) known.resultSeq = event.seq;
    known.isDone = event.type === 'step.completed' || event.type === 'call.completed';
    if (known.isDone) continue;
    known.failures += 1;
    known.failuresInARow += 1;
    const max = attemptsMax.get(`${key}/${path}`);
    if (max !== undefined && known.failuresInARow > max)
      report('P9', `${path} failed ${known.failuresInARow} times of ${max}`);
  }
  return facts;
}

function of(facts: Map<string, PathFacts>, path: string): PathFacts {
  const found = facts.get(path) ?? { resultSeq: null, failures: 0, failuresInARow: 0, isDone: false };
  facts.set(path, found);
  return found;
}

/** A redrive of a graph names nodes, whose results are kept. */
function isForgotten(
  { data: { paths } }: Extract<RunEvent, { type: 'run.redriven' }>,
  path: string,
  { isDone }: Pick<PathFacts, 'isDone'>,
): boolean {
  return paths.includes(path) || (!isDone && paths.includes(nodeOfPath(path)));
}

function isFreshCount(event: RunEvent): boolean {
  return event.type === 'activation.retrying' && event.data.progressed;
}

type ResultEvent = Extract<RunEvent, { type: 'step.completed' | 'step.failed' | 'call.completed' | 'call.failed' }>;

function isResult(event: RunEvent): event is ResultEvent {
  return ['step.completed', 'step.failed', 'call.completed', 'call.failed'].includes(event.type);
}

/** What the holder of a claim knew when it began: everything up to the head at the claim. */
function checkStart(
  execution: Execution,
  events: readonly RunEvent[],
  heads: ReadonlyMap<string, number>,
  report: (property: string, detail: string) => void,
): void {
  const { path, session, assignment, step } = execution;
  const head = heads.get(`${session} ${assignment}`);
  if (head === undefined)
    return report('P7', `${path} was started under assignment ${assignment}, which was never claimed`);
  let recorded = false;
  let isDone = false;
  for (const event of events) {
    if (event.seq > head) break;
    if (event.type === 'run.redriven' && isForgotten(event, path, { isDone })) recorded = false;
    else if (isResult(event) && event.data.path === path) {
      recorded = true;
      isDone = event.type === 'step.completed' || event.type === 'call.completed';
    }
  }
  if (recorded) report('P4', `${path} was started at step ${step} although its result was there at the claim`);
}

/** The head of the run at each claim, and how often tasks of a run were claimed again, by run. */
function claimsOf(history: History): { heads: Map<string, number>; reclaims: Map<string, number> } {
  const heads = new Map<string, number>();
  const reclaims = new Map<string, number>();
  for (const action of history.actions) {
    if (action.kind !== 'claim') continue;
    for (const { task, head } of action.claimed) {
      heads.set(`${task.session} ${task.assignment}`, head);
      const key = `${task.tenant}/${task.run}`;
      // Tokens count claims: every one above the first says that an earlier lease was lost or given back.
      if (task.token > 1) reclaims.set(key, (reclaims.get(key) ?? 0) + 1);
    }
  }
  return { heads, reclaims };
}
