/**
 * P1, P2 and P32 from outside: what the client was told against what is there. An unanswered request may or may not
 * have been carried out; an acknowledged one was, once, with the very content; a refused one was not.
 */
import type { RunTrigger } from '../../../core/run/events.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { EventRow, Violation } from '../../../store/index.js';
import type { FinalState, History, Operation } from '../history.js';
import { grouped } from './grouped.js';

/** Every breach. */
export function checkRequests(history: History): Violation[] {
  const { final } = history;
  if (final === null) return [];
  const violations: Violation[] = [];
  const report = (property: string, tenant: string, subject: string, detail: string): void => {
    violations.push({ property, tenant, subject, detail });
  };
  checkStarts(history.operations, final, report);
  checkPublished(history.operations, final, report);
  return violations;
}

type Report = (property: string, tenant: string, subject: string, detail: string) => void;

interface Birth {
  readonly tenant: string;
  readonly run: string;
  readonly body: string;
  readonly key: string | null;
  readonly trigger: string | null;
  /** Another run has started it, or goes on in it. */
  readonly ofRun: boolean;
  /** The schedule whose tick it is of. */
  readonly schedule: string | null;
  /** Brought to life by a message. */
  readonly agent: boolean;
}

function birthsOf(final: FinalState): Map<string, Birth> {
  const births = new Map<string, Birth>();
  for (const [key, [first]] of final.histories) {
    if (first === undefined) continue;
    const { event } = readRunEvent(first);
    if (event.type !== 'run.started') continue;
    const { idempotencyKey, trigger, labels, parent, continues } = event.data;
    births.set(key, {
      tenant: first.tenant,
      run: first.stream,
      body: textOf(first),
      key: idempotencyKey,
      // Those of subscriptions are another checker's; here it counts that there are not two.
      trigger: trigger === null ? null : `${placeOf(trigger.subscription)}${trigger.topic} ${trigger.eventId}`,
      ofRun: parent !== undefined || continues !== undefined,
      schedule: labels?.['schedule'] ?? null,
      agent: event.data.agent !== undefined,
    });
  }
  return births;
}

function checkStarts(operations: readonly Operation[], final: FinalState, report: Report): void {
  const births = birthsOf(final);
  const starts = operations.filter((operation) => operation.kind === 'start');
  const rows = new Set(final.runs.map((row) => `${row.tenant}/${row.run}`));
  for (const { tenant, key, body, answers, refusals } of starts) {
    for (const run of answers) {
      const birth = births.get(`${tenant}/${run}`);
      if (birth === undefined || !rows.has(`${tenant}/${run}`))
        report('P1', tenant, run, 'was acknowledged and is not there');
      else if (birth.body !== body) report('P1', tenant, run, 'is there with another input');
    }
    if (new Set(answers).size > 1)
      report('P2', tenant, key ?? '', `one request was answered with ${answers.join(' and ')}`);
    for (const code of refusals)
      if (!known.has(code)) report('P30', tenant, key ?? '', `a request was refused with ${code}`);
  }
  const keyed = grouped(
    [...births.values()].filter((birth) => birth.key !== null),
    (birth) => `${birth.tenant} ${birth.key}`,
  );
  for (const [key, found] of keyed)
    if (found.length > 1)
      report('P2', '', key, `the key has ${found.length} runs: ${found.map((birth) => birth.run).join(' ')}`);
  const asked = [...births.values()].filter(
    (birth) => birth.trigger === null && birth.schedule === null && !birth.ofRun && !birth.agent,
  );
  if (asked.length > starts.length)
    report('P32', '', 'runs', `${asked.length} runs were started by ${starts.length} requests`);
  if (births.size !== final.runs.length) report('P32', '', 'runs', `${final.runs.length} rows, ${births.size} births`);
  for (const [trigger, found] of grouped(
    [...births.values()].filter((birth) => birth.trigger !== null),
    (birth) => `${birth.tenant} ${birth.trigger}`,
  ))
    if (found.length > 1) report('P2', '', trigger, `the event has started ${found.length} runs`);
}

const known: ReadonlySet<string> = new Set([
  'STORE_BUSY',
  'STORE_UNREACHABLE',
  'STORE_CLOSED',
  'SHUTTING_DOWN',
  'RUN_NOT_REDRIVABLE',
]);

/** Events of topics: from outside and from runs, each there once, and each with the run that it triggers. */
function checkPublished(operations: readonly Operation[], final: FinalState, report: Report): void {
  const there = grouped(
    final.topicEvents,
    (row) => `${row.tenant} ${row.stream.split('/')[0]} ${sourceOf(row)} ${idOf(row)}`,
  );
  for (const [key, rows] of there)
    if (rows.length > 1) report('P2', '', key, `the event is there ${rows.length} times`);
  const expected = new Map<string, string | null>();
  for (const operation of operations) {
    if (operation.kind !== 'publish' || operation.ackedAtMs === null) continue;
    expected.set(`${operation.tenant} ${operation.topic ?? 'seen'} client ${operation.key}`, operation.body);
  }
  for (const [key, rows] of final.histories) {
    const [tenant = '', run = ''] = key.split('/');
    for (const row of rows) {
      const { event } = readRunEvent(row);
      if (event.type === 'event.emitted')
        expected.set(`${tenant} ${event.data.topic} run/${run} ${event.data.eventId}`, null);
      const [first] = rows;
      if (event.type !== 'run.succeeded' || first === undefined) continue;
      const born = readRunEvent(first).event;
      const completes = born.type === 'run.started' ? born.data.completes : null;
      if (completes !== null) expected.set(`${tenant} ${completes} run/${run} ${run}/completed`, null);
    }
  }
  for (const [key, body] of expected) {
    const [row] = there.get(key) ?? [];
    if (row === undefined) report('P1', '', key, 'the event was acknowledged or recorded and is not in its topic');
    else if (body !== null && textOf(row) !== body) report('P1', '', key, 'the event is there with other data');
  }
  const triggered = new Set([...birthsOf(final).values()].map((birth) => `${birth.tenant} ${birth.trigger}`));
  for (const row of final.topicEvents)
    if (row.stream.startsWith('seen/') && !triggered.has(`${row.tenant} seen ${idOf(row)}`))
      report('P20', row.tenant, idOf(row), 'the event has started no run');
}

function placeOf(of: RunTrigger['subscription']): string {
  return of === undefined ? '' : `${of.name}/${of.partition}/${of.offset} `;
}

function textOf(row: EventRow): string {
  return row.payload !== null && 'text' in row.payload ? row.payload.text : '';
}

function idOf(row: EventRow): string {
  return (JSON.parse(row.envelope) as { readonly id: string }).id;
}

function sourceOf(row: EventRow): string {
  const { attributes } = JSON.parse(row.envelope) as { readonly attributes?: { readonly source?: string } };
  return attributes?.source ?? '';
}
