/**
 * What kept answers serve (property `cache`): an answer that was given in the same tenant to the same question, of the same
 * version of the model, and is not older than both the one who kept it and the one who asks say. That nobody was called for it is
 * what `checkInferences` says: there is no intent.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { RunEvent } from '../../../core/run/events.js';
import { isBlobPayload } from '../../../core/payload.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';

type Completed = Extract<RunEvent, { readonly type: 'inference.completed' }>;
type Requested = Extract<RunEvent, { readonly type: 'inference.requested' }>;

/** Every breach. */
export function checkPredictions({ final }: History): Violation[] {
  const violations: Violation[] = [];
  const histories = new Map(
    [...(final?.histories ?? [])].map(([key, rows]) => [key, rows.map((row) => readRunEvent(row).event)]),
  );
  for (const [key, events] of histories) {
    const [tenant = '', subject = ''] = key.split('/');
    for (const event of events) {
      if (event.type !== 'inference.completed' || event.data.cached === undefined) continue;
      const [run = '', seq = ''] = event.data.cached.event.split('/');
      const source = histories.get(`${tenant}/${run}`) ?? [];
      const detail = faultOf(event, requestOf(events, event), source[Number(seq) - 1], source);
      if (detail !== null)
        violations.push({ property: 'cache', tenant, subject, detail: `${event.data.path} ${detail}` });
    }
  }
  return violations;
}

/** How often an answer that was kept has served. */
export function recallsOf({ final }: History): number {
  const rows = [...(final?.histories.values() ?? [])].flat().filter(({ type }) => type === 'inference.completed');
  return rows.map((row) => readRunEvent(row).event as Completed).filter(({ data }) => data.cached !== undefined).length;
}

function faultOf(
  { at, data, payload }: Completed,
  asked: Requested | null,
  given: RunEvent | undefined,
  source: readonly RunEvent[],
): string | null {
  const { cached } = data;
  if (given?.type !== 'inference.completed' || given.data.cached !== undefined)
    return `has an answer that nobody has given in its tenant: ${cached?.event}`;
  const question = requestOf(source, given);
  if (asked === null || question === null) return 'was never asked, or what its answer is to was not';
  if (asked.data.fingerprint !== question.data.fingerprint) return 'has the answer to another question';
  const version = question.data.grant?.version ?? question.data.version;
  if (asked.data.model !== question.data.model || asked.data.version !== version)
    return `has an answer of ${version}, and asks ${asked.data.version}`;
  const text = payload !== undefined && !isBlobPayload(payload) ? payload.text : null;
  const said = given.payload !== undefined && !isBlobPayload(given.payload) ? given.payload.text : null;
  if (text === null || text !== said) return 'has another answer than was given';
  if (given.at !== cached?.at) return `has an answer of ${given.at}, as one of ${cached?.at}`;
  const ageMs = at - given.at;
  const [freshMs, keepMs] = [asked.data.cache?.freshMs ?? 0, question.data.cache?.keepMs ?? 0];
  return ageMs < freshMs && ageMs < keepMs
    ? null
    : `has an answer that is ${ageMs} ms old, of ${freshMs} and ${keepMs}`;
}

/** The request that an answer is to. */
function requestOf(events: readonly RunEvent[], { seq, data }: Completed): Requested | null {
  const before = events.filter((event): event is Requested => event.type === 'inference.requested');
  return before.findLast((event) => event.seq < seq && event.data.path === data.path) ?? null;
}
