/**
 * Events that are pulled (P10, P20): each is settled once, by the word of whoever had it last, or is a dead event; of a key
 * none is handed out before what came before it is settled, unless both go together; and none is left behind.
 */
import { deadEventSpace, type DeadEvent } from '../../../core/topics/dead-event.js';
import { stateOf, type PullCursor, type PullState } from '../../../core/topics/pull-cursor.js';
import { subscriptionCursorSpace } from '../../../core/topics/subscription.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';
import { pulledGroup, pulledTopic } from '../pullers.js';

/** Every breach. */
export function checkPulls(history: History): Violation[] {
  const violations: Violation[] = [];
  const report = (property: string, subject: string, detail: string): void => {
    violations.push({ property, tenant: '', subject, detail });
  };
  if (history.pulls.length === 0) return violations;
  const keys = keysOf(history);
  const words = new Map<string, Set<string>>();
  for (const { what, partition, offset, token } of history.pulls) {
    const at = `${pulledTopic}/${partition} ${offset}`;
    words.set(`${what} ${at}`, (words.get(`${what} ${at}`) ?? new Set()).add(token));
  }
  const states = new Map<string, PullState>();
  /** How each event has ended, with the token under which it was settled. */
  const ended = new Map<string, string>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    const { entries = [] } = action.transition;
    const dead = new Set<string>();
    for (const entry of entries) {
      if (entry.op !== 'put' || entry.space !== deadEventSpace) continue;
      const { position } = JSON.parse(entry.value) as DeadEvent;
      if (position?.topic === pulledTopic) dead.add(`${position.topic}/${position.partition} ${position.offset}`);
    }
    for (const entry of entries) {
      if (entry.op !== 'put' || entry.space !== subscriptionCursorSpace || entry.key !== pulledGroup) continue;
      const before = states.get(entry.ref) ?? { read: 0, open: [], lease: null, seeks: 0 };
      const after = stateOf(JSON.parse(entry.value) as PullCursor);
      states.set(entry.ref, after);
      const open = new Map(after.open.map((one) => [one.offset, one]));
      const wasOpen = new Map(before.open.map((one) => [one.offset, one]));
      for (let offset = Math.min(before.read, before.open[0]?.offset ?? before.read); offset < after.read; offset++) {
        const at = `${entry.ref} ${offset}`;
        const known = keys.get(at);
        if (open.has(offset) || known === undefined || known.isNoise) continue;
        const one = wasOpen.get(offset);
        if (one === undefined && offset < before.read) continue;
        const token = one?.out?.token ?? '';
        if (ended.has(at)) report('P20', at, `ended a second time, after ${ended.get(at)}`);
        if (!dead.has(at) && words.get(`acks ${at}`)?.has(token) !== true)
          report('P20', at, `was settled without a word of whoever had it (${token === '' ? 'nobody' : token})`);
        ended.set(at, dead.has(at) ? 'a death' : token);
      }
      for (const [offset, one] of open) {
        const { out } = one;
        if (out === undefined || wasOpen.get(offset)?.out?.token === out.token) continue;
        const at = `${entry.ref} ${offset}`;
        if (ended.has(at)) report('P20', at, 'was handed out after it had ended');
        // By what was published, and not by what the cursor makes of it.
        for (const earlier of after.open) {
          const isBefore = earlier.offset < offset && earlier.out?.token !== out.token;
          if (isBefore && keys.get(`${entry.ref} ${earlier.offset}`)?.key === keys.get(at)?.key)
            report('P10', at, `was handed out before ${earlier.offset} of its key was settled`);
        }
      }
    }
  }
  const kept = new Set(
    (history.final?.deadEvents ?? []).map(({ value }) => {
      const { position } = JSON.parse(value) as DeadEvent;
      return position === null ? '' : `${position.topic}/${position.partition} ${position.offset}`;
    }),
  );
  for (const [at, how] of ended)
    if (how === 'a death' && !kept.has(at)) report('P20', at, 'died, and is not in the list of dead events');
  for (const [at, known] of keys)
    if (!known.isNoise && !ended.has(at)) report('P20', at, 'was never settled and is no dead event');
  // What consumers were told has to be what is stored: no two were told that they have settled the same event.
  for (const [what, tokens] of words) {
    if (!what.startsWith('acked ')) continue;
    const at = what.slice('acked '.length);
    if (tokens.size > 1) report('P20', at, `${tokens.size} deliveries were told that they have settled it`);
    const [token = ''] = tokens;
    if (ended.get(at) !== token)
      report('P20', at, `${token} was told that it has settled it, and ${ended.get(at)} did`);
  }
  return violations;
}

interface Published {
  readonly key: string;
  /** The filter leaves it out. */
  readonly isNoise: boolean;
}

/** Every event of the topic by its place. */
function keysOf(history: History): ReadonlyMap<string, Published> {
  const found = new Map<string, Published>();
  for (const row of history.final?.topicEvents ?? []) {
    if (!row.stream.startsWith(`${pulledTopic}/`)) continue;
    const { payload } = row;
    const text = payload !== null && 'text' in payload ? payload.text : '{}';
    const { key, kind } = JSON.parse(text) as { readonly key: string; readonly kind: string };
    found.set(`${row.stream} ${row.seq}`, { key, isNoise: kind === 'noise' });
  }
  return found;
}
