/**
 * Redrives: a dead letter is sent back at most one time, whoever does it and however often; a redrive of many comes to its
 * end and has counted what it did.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** Every letter that was sent back twice, and every redrive that lost count. */
export function checkRedrives({ final, operations }: History): Violation[] {
  if (final === null) return [];
  const violations: Violation[] = [];
  const ofBulk = new Map<string, number>();
  const hasBurials = new Set<string>();
  for (const rows of final.histories.values()) {
    const seen = new Set<string>();
    for (const row of rows) {
      if (row.type === 'message.buried') hasBurials.add(row.tenant);
      if (row.type !== 'run.redriven') continue;
      const { event } = readRunEvent(row);
      if (event.type !== 'run.redriven') continue;
      const { deadLetter, bulk } = event.data;
      const breach = (detail: string): Violation => ({ property, tenant: row.tenant, subject: row.stream, detail });
      if (deadLetter !== '' && seen.has(deadLetter)) violations.push(breach(`${deadLetter} was sent back twice`));
      seen.add(deadLetter);
      if (bulk !== undefined) ofBulk.set(bulk, (ofBulk.get(bulk) ?? 0) + 1);
    }
  }
  const ids = new Set<string>();
  for (const { tenant, name, body } of final.redrives) {
    const id = name.slice(name.indexOf('/') + 1);
    ids.add(id);
    const job = JSON.parse(body) as { readonly state: string; readonly redriven: number };
    const breach = (detail: string): Violation => ({ property, tenant, subject: id, detail });
    if (job.state !== 'done') violations.push(breach(`is ${job.state} in a world at rest`));
    const done = ofBulk.get(id) ?? 0;
    // A message to an agent is sent back by another message, which does not say on whose behalf.
    if (job.redriven < done || (job.redriven > done && !hasBurials.has(tenant)))
      violations.push(breach(`has counted ${job.redriven} letters and sent ${done} runs back`));
  }
  for (const { kind, tenant, answers } of operations)
    if (kind === 'sweep')
      for (const id of answers)
        if (!ids.has(id))
          violations.push({ property, tenant, subject: id, detail: 'was acknowledged and is not there' });
  return violations;
}

const property = 'redrives';
