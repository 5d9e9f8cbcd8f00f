/**
 * P3 and P23 between runs: what a parent was told of a child is what that child came to, once for each time that it waits
 * for it; a child that is not detached is told to end soon after its parent has ended or was told to; and a run that goes
 * on as new does so in one run, which stands in its place.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { RunEvent } from '../../../core/run/events.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** How long an errand may take in a world that is whole: the death of a server is found and its duties pass on. */
const errandMsMax = 8_000;

/** Every breach. */
export function checkFamily(history: History): Violation[] {
  const { final } = history;
  if (final === null) return [];
  const family = new Family(history);
  for (const [key, rows] of final.histories) {
    const events = rows.map((row) => readRunEvent(row).event);
    family.add(key, events);
  }
  return family.check();
}

interface Link {
  readonly run: string;
  readonly attached: boolean;
  open: boolean;
}

/** All runs and what they say of each other, by `tenant/run`. */
class Family {
  readonly #history: History;
  readonly #runs = new Map<string, readonly RunEvent[]>();
  /** The run that one goes on from. */
  readonly #before = new Map<string, string>();
  readonly #next = new Map<string, string>();
  readonly #violations: Violation[] = [];

  constructor(history: History) {
    this.#history = history;
  }

  add(key: string, events: readonly RunEvent[]): void {
    this.#runs.set(key, events);
    const [tenant = ''] = key.split('/');
    for (const event of events) {
      if (event.type !== 'run.continued') continue;
      const next = `${tenant}/${event.data.next}`;
      if (this.#before.has(next)) this.#report('P2', key, `goes on in ${next}, as ${this.#before.get(next)} does`);
      this.#before.set(next, key);
      this.#next.set(key, next);
    }
  }

  check(): Violation[] {
    const times = this.#times();
    for (const [key, events] of this.#runs) {
      this.#checkBirth(key, events);
      this.#checkParent(key, events, times);
    }
    return this.#violations;
  }

  #report(property: string, key: string, detail: string): void {
    const [tenant = '', subject = ''] = key.split('/');
    this.#violations.push({ property, tenant, subject, detail });
  }

  #checkBirth(key: string, [born]: readonly RunEvent[]): void {
    if (born?.type !== 'run.started') return;
    const [tenant = ''] = key.split('/');
    const { continues, parent } = born.data;
    const before = this.#before.get(key);
    if (before !== (continues === undefined ? undefined : `${tenant}/${continues}`))
      this.#report('P2', key, `says that it goes on from ${continues}, and ${before} goes on in it`);
    const [first] = (before === undefined ? undefined : this.#runs.get(before)) ?? [];
    if (first?.type === 'run.started' && first.data.parent?.run !== parent?.run)
      this.#report('P2', key, 'has not the parent of the run that it goes on from');
    if (parent === undefined || before !== undefined) return;
    const starts = (this.#runs.get(`${tenant}/${parent.run}`) ?? []).filter(
      (event) => event.type === 'child.started' && `${tenant}/${event.data.run}` === key,
    );
    if (starts.length !== 1) this.#report('P2', key, `was started ${starts.length} times by the run that it is of`);
  }

  #checkParent(key: string, events: readonly RunEvent[], times: ReadonlyMap<string, number>): void {
    const [tenant = ''] = key.split('/');
    const links = new Map<string, Link>();
    for (const event of events) {
      switch (event.type) {
        case 'child.started': {
          const { path, run, attached } = event.data;
          if (!this.#runs.has(`${tenant}/${run}`)) this.#report('P1', key, `has started ${run}, which is not there`);
          links.set(path, { run, attached, open: true });
          break;
        }
        case 'child.ended':
          this.#checkTold(key, links.get(event.data.path), event);
          break;
        case 'child.cancel_requested': {
          const link = links.get(event.data.path);
          if (link !== undefined) this.#checkObeyed(key, event.seq, link, events, times);
          break;
        }
        case 'run.redriven':
          for (const path of event.data.paths) links.delete(path);
          for (const path of event.data.children ?? []) {
            const link = links.get(path);
            if (link !== undefined) link.open = true;
          }
          break;
        default:
          if (event.type !== 'run.cancel_requested' && !isEnd(event)) break;
          for (const link of links.values()) {
            if (link.open && link.attached) this.#checkObeyed(key, event.seq, link, events, times);
            link.open = false;
          }
      }
    }
  }

  #checkTold(key: string, link: Link | undefined, event: Extract<RunEvent, { readonly type: 'child.ended' }>): void {
    const [tenant = ''] = key.split('/');
    const { path, run, status } = event.data;
    if (link?.open !== true)
      return this.#report('P3', key, `was told of the end of ${path} again, or without waiting for it (${event.seq})`);
    link.open = false;
    const first = this.#firstOf(`${tenant}/${run}`);
    if (first !== `${tenant}/${link.run}`)
      return this.#report('P3', key, `was told of the end of ${run} where it waits for ${link.run}`);
    const type = `run.${status}`;
    const ends = (this.#runs.get(`${tenant}/${run}`) ?? []).filter((end) => end.type === type);
    const isSame = (end: RunEvent): boolean => JSON.stringify(end.payload) === JSON.stringify(event.payload);
    if (run === '' || (ends.length === 0 && event.data.failure?.code !== 'CHILD_GONE'))
      this.#report('P3', key, `was told that ${run} has ${status}, which it has not`);
    else if (status === 'succeeded' && !ends.some(isSame))
      this.#report('P3', key, `was told another output of ${run} than it has`);
  }

  /** The run that the chain of this one began with. */
  #firstOf(key: string): string {
    let first = key;
    for (let before = this.#before.get(first); before !== undefined; before = this.#before.get(first)) first = before;
    return first;
  }

  /** From event `seq` of the parent on, the child is no longer wanted: soon it has ended, or was told to. */
  #checkObeyed(
    key: string,
    seq: number,
    { run }: Link,
    events: readonly RunEvent[],
    times: ReadonlyMap<string, number>,
  ): void {
    // Sent back to work, it may want the child again.
    if (events.slice(seq).some((event) => event.type === 'run.redriven')) return;
    const [tenant = ''] = key.split('/');
    const from = times.get(`${key} ${seq}`) ?? 0;
    const until = Math.max(from, this.#history.healedAtMs) + errandMsMax;
    let last = `${tenant}/${run}`;
    for (let next = this.#next.get(last); next !== undefined; next = this.#next.get(last)) last = next;
    const heard = (this.#runs.get(last) ?? []).some(
      (event) =>
        (event.type === 'run.cancel_requested' || isEnd(event)) && (times.get(`${last} ${event.seq}`) ?? 0) <= until,
    );
    if (!heard) this.#report('P23', last, `went on although ${key} had left it by its event ${seq}`);
  }

  /** World time of each event. */
  #times(): Map<string, number> {
    const times = new Map<string, number>();
    for (const action of this.#history.actions) {
      if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
      const { tenant, events = [] } = action.transition;
      for (const { run, seq } of events) times.set(`${tenant}/${run} ${seq}`, action.atMs);
    }
    return times;
  }
}

function isEnd({ type }: RunEvent): boolean {
  return ends.has(type);
}

const ends: ReadonlySet<string> = new Set([
  'run.succeeded',
  'run.failed',
  'run.cancelled',
  'run.refused',
  'run.continued',
]);
