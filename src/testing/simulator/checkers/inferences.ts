/**
 * P4, P8 and P9 for inferences, with the provider as the witness: it is called after an intent is recorded and one time at
 * most for each; intents are accounted for by failures, by declared policies that fired and by redrives, so that none follows an
 * answer; what is done about an ambiguous call is what was declared; and calls that are to be one have one key.
 */
import { parseEnvelope } from '../../../engine/events/envelope-writer.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { RunEvent, RunEventData } from '../../../core/run/events.js';
import type { Violation } from '../../../store/index.js';
import type { Execution, History } from '../history.js';
import { grouped } from './grouped.js';

/** What the log says of one path. */
interface Facts {
  intents: number;
  /** Why there may be another intent than the first. */
  reasons: number;
  forgotten: number;
  policies: readonly string[];
  /** The answer is there, or nobody asks any more. */
  isOver: boolean;
  isGivenUp: boolean;
}

/** Every breach. */
export function checkInferences(history: History): Violation[] {
  const violations: Violation[] = [];
  const calls = grouped(
    history.executions.filter(({ kind }) => kind === 'infer'),
    ({ tenant, run }) => `${tenant}/${run}`,
  );
  const recordedAt = intentsOf(history);
  for (const [key, rows] of history.final?.histories ?? []) {
    const [tenant = '', subject = ''] = key.split('/');
    const report = (property: string, detail: string): void => {
      violations.push({ property, tenant, subject, detail });
    };
    const events = rows.map((row) => readRunEvent(row).event);
    const facts = factsOf(events, report);
    const pathOf = pathsByKey(events);
    for (const [path, found] of facts)
      if (found.intents > 1 + found.reasons)
        report('P4', `${path} was asked for ${found.intents} times, with ${found.reasons} reasons for another`);
    for (const [path, executions] of grouped(calls.get(key) ?? [], (one) => pathOf.get(one.key ?? '') ?? one.path))
      checkCalls(path, executions, facts.get(path), recordedAt.get(`${key}/${path}`) ?? [], report);
  }
  return violations;
}

/** Providers are not told of paths: a program of the AI SDK is known by the key that was granted for its call. */
function pathsByKey(events: readonly RunEvent[]): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const { type, data } of events)
    if (type === 'inference.requested' || type === 'inference.admitted')
      if (data.grant !== null) paths.set(data.grant.idempotencyKey, data.path);
  return paths;
}

type Report = (property: string, detail: string) => void;

function checkCalls(
  path: string,
  executions: readonly Execution[],
  facts: Facts | undefined,
  intents: readonly number[],
  report: Report,
): void {
  const steps = executions.map(({ step }) => step).sort((a, b) => a - b);
  for (const [i, step] of steps.entries()) {
    const recorded = intents[i];
    if (recorded === undefined)
      report('P4', `the provider was called ${steps.length} times for ${path}, with ${intents.length} intents`);
    else if (recorded > step)
      report('P4', `the provider was called for ${path} at step ${step}, before its intent at ${recorded}`);
  }
  if (new Set(executions.map(({ body }) => body)).size > 1) report('P8', `${path} was asked with different content`);
  const keys = new Set(executions.map((execution) => execution.key));
  const keysMax = facts?.policies.includes('retry-with-same-key') === true ? 1 + facts.forgotten : executions.length;
  if (keys.size > keysMax) report('P8', `${path} was asked under ${keys.size} keys, where ${keysMax} were due`);
  if (facts?.policies.join() === 'retry' && keys.size < executions.length)
    report(
      'P8',
      `${path} was asked ${executions.length} times under ${keys.size} keys, where each attempt has its own`,
    );
}

function factsOf(events: readonly RunEvent[], report: Report): Map<string, Facts> {
  const facts = new Map<string, Facts>();
  for (const event of events) {
    if (event.type === 'run.redriven') forget(facts, event.data);
    if (!event.type.startsWith('inference.') || !('path' in event.data)) continue;
    const { path } = event.data as { readonly path: string };
    const known = facts.get(path) ?? {
      intents: 0,
      reasons: 0,
      forgotten: 0,
      policies: [],
      isOver: false,
      isGivenUp: false,
    };
    facts.set(path, known);
    if (known.isOver) report('P4', `${path} has come to its end, and there is another word on it at ${event.seq}`);
    if (known.isGivenUp && event.type !== 'inference.failed')
      report('P4', `${path} was given up as ambiguous, and goes on at ${event.seq}`);
    note(known, path, event, report);
  }
  return facts;
}

function note(known: Facts, path: string, event: RunEvent, report: Report): void {
  switch (event.type) {
    case 'inference.requested':
      known.policies = event.data.policy;
      if (event.data.grant !== null) known.intents += 1;
      break;
    case 'inference.begun':
      known.intents += 1;
      break;
    case 'inference.retrying':
      known.reasons += 1;
      break;
    case 'inference.ambiguous': {
      const { policy } = event.data;
      known.reasons += 1;
      known.isGivenUp = policy === 'dead-letter';
      if (policy !== 'dead-letter' && !known.policies.includes(policy))
        report('P4', `${path} is ambiguous, and ${policy} is done about it, which nobody has declared`);
      if (policy === 'dead-letter') known.reasons -= 1;
      break;
    }
    case 'inference.completed':
    case 'inference.failed':
      known.isOver = true;
      known.isGivenUp = false;
      break;
    default:
  }
}

function forget(facts: Map<string, Facts>, { paths }: RunEventData['run.redriven']): void {
  for (const path of paths) {
    const known = facts.get(path);
    if (known === undefined) continue;
    Object.assign(known, { isOver: false, isGivenUp: false });
    known.reasons += 1;
    known.forgotten += 1;
  }
}

/** Events of the world by which the intents of each path were recorded, in order. */
function intentsOf(history: History): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    for (const { run, type, envelope } of action.transition.events ?? []) {
      if (type !== 'inference.requested' && type !== 'inference.begun') continue;
      const data = parseEnvelope(envelope).data as { readonly path: string; readonly grant?: unknown };
      if (type === 'inference.requested' && data.grant === null) continue;
      const key = `${action.transition.tenant}/${run}/${data.path}`;
      found.set(key, [...(found.get(key) ?? []), action.step]);
    }
  }
  return found;
}
