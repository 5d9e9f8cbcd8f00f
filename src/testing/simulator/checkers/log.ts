/**
 * P11 and the second half of P6: the log at the end holds exactly what the applied changes wrote, each run numbered
 * from 1 without gap, each partition from 0; a refused change has left nothing behind, and an applied one is whole.
 */
import type { Violation } from '../../../store/index.js';
import { keyOfRun, type History } from '../history.js';

/** Every difference between what was applied and what is there. */
export function checkLog(history: History): Violation[] {
  const { final } = history;
  if (final === null) return [];
  const violations: Violation[] = [];
  const written = new Map<string, string[]>();
  const published = new Map<string, number>();
  /** Offsets that were trimmed, by stream. */
  const trimmed = new Map<string, Set<number>>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    const { tenant, events = [], publishes = [], trims = [] } = action.transition;
    for (const { topic, partition, offsets } of trims) {
      const gone = trimmed.get(`${tenant}/${topic}/${partition}`) ?? new Set();
      for (const offset of offsets) gone.add(offset);
      trimmed.set(`${tenant}/${topic}/${partition}`, gone);
    }
    for (const event of events) push(written, `${tenant}/${event.run}`, `${event.seq} ${event.type}`);
    publishes.forEach((event, i) => {
      const stream = `${tenant}/${event.topic}/${event.partition}`;
      const offset = action.outcome.tag === 'applied' ? action.outcome.offsets[i] : undefined;
      const expected = published.get(stream) ?? 0;
      if (offset !== expected)
        violations.push({
          property: 'P11',
          tenant,
          subject: stream,
          detail: `offset ${offset} follows ${expected - 1}`,
        });
      published.set(stream, expected + 1);
    });
  }
  const keys = new Set([...written.keys(), ...final.histories.keys()]);
  for (const key of keys) {
    const rows = final.histories.get(key) ?? [];
    const kept = rows.map((row) => `${row.seq} ${row.type}`).join(', ');
    const applied = (written.get(key) ?? []).join(', ');
    const [tenant = '', run = ''] = key.split('/');
    if (kept !== applied)
      violations.push({
        property: 'P6',
        tenant,
        subject: run,
        detail: `the log says [${kept}], applied was [${applied}]`,
      });
    if (rows.some((row, i) => row.seq !== i + 1))
      violations.push({ property: 'P11', tenant, subject: run, detail: `the events are numbered [${kept}]` });
  }
  const topicRows = new Map<string, number>();
  for (const row of final.topicEvents) {
    const stream = `${row.tenant}/${row.stream}`;
    const expected = nextKept(topicRows.get(stream) ?? 0, trimmed.get(stream));
    if (row.seq !== expected)
      violations.push({
        property: 'P11',
        tenant: row.tenant,
        subject: row.stream,
        detail: `offset ${row.seq} where ${expected} is due`,
      });
    topicRows.set(stream, expected + 1);
  }
  for (const [stream, count] of published)
    if (nextKept(topicRows.get(stream) ?? 0, trimmed.get(stream)) !== count)
      violations.push({
        property: 'P1',
        tenant: '',
        subject: stream,
        detail: `${count} events were published, ${topicRows.get(stream) ?? 0} are there`,
      });
  for (const row of final.runs)
    if (row.head !== (final.histories.get(keyOfRun(row))?.length ?? 0))
      violations.push({
        property: 'P12',
        tenant: row.tenant,
        subject: row.run,
        detail: `the row says head ${row.head}`,
      });
  return violations;
}

/** The first offset from here on that was not trimmed. */
function nextKept(offset: number, trimmed: ReadonlySet<number> | undefined): number {
  let next = offset;
  while (trimmed?.has(next) === true) next += 1;
  return next;
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const found = map.get(key);
  if (found === undefined) map.set(key, [value]);
  else found.push(value);
}
