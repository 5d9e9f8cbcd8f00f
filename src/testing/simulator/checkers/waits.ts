/**
 * P24: a signal that was acknowledged is in its run once; a signal and an event are given to one wait each of a run, and a
 * wait has one outcome; no wait ran out of time over something that was there for it when it was opened; and every event
 * of an indexed topic is in the index when all has come to rest.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import { mailSignal } from '../../../core/run/mail.js';
import type { RunEvent } from '../../../core/run/events.js';
import type { EventRow, Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** Every breach. */
export function checkWaits(history: History): Violation[] {
  const { final } = history;
  if (final === null) return [];
  const violations: Violation[] = [];
  const topicEvents = final.topicEvents.filter((row) => row.stream.startsWith('noted/')).map(notedOf);
  for (const [key, rows] of final.histories) {
    const [tenant = '', run = ''] = key.split('/');
    const report: Report = (detail) => violations.push({ property: 'P24', tenant, subject: run, detail });
    const mine = topicEvents.filter((event) => event.tenant === tenant);
    new RunWaits(rows, mine, report).check();
  }
  checkSignals(history, violations);
  const indexed = new Set(final.index.map((entry) => `${entry.tenant} ${Number(entry.ref)}`));
  for (const { tenant, position, name } of topicEvents)
    if (!indexed.has(`${tenant} ${position}`))
      violations.push({ property: 'P24', tenant, subject: name, detail: 'the event never came into the index' });
  for (const { tenant, run, space, key } of final.entries)
    if (key !== mailSignal)
      violations.push({ property: 'P24', tenant, subject: run, detail: `an entry of ${space} is left over` });
  return violations;
}

type Report = (detail: string) => void;

interface Noted {
  readonly tenant: string;
  readonly position: number;
  /** `partition/offset`. */
  readonly name: string;
  readonly n: string;
}

function notedOf(row: EventRow): Noted {
  const { tenant, position, stream, seq, payload } = row;
  const text = payload !== null && 'text' in payload ? payload.text : 'null';
  const { n } = JSON.parse(text) as { readonly n: number };
  return { tenant, position, name: `${stream.slice('noted/'.length)}/${seq}`, n: String(n) };
}

interface Open {
  readonly event: Extract<RunEvent, { readonly type: 'wait.opened' }>;
  /** Place of the opening in the feed. */
  readonly position: number;
}

/** The waits of one run, event by event. */
class RunWaits {
  readonly #rows: readonly EventRow[];
  readonly #noted: readonly Noted[];
  readonly #report: Report;
  readonly #open = new Map<string, Open>();
  /** What each wait has, by path. */
  readonly #has = new Map<string, string>();
  readonly #holders = new Map<string, string>();
  /** Signals received, by `seq`. */
  readonly #signals = new Map<string, string>();

  constructor(rows: readonly EventRow[], noted: readonly Noted[], report: Report) {
    this.#rows = rows;
    this.#noted = noted;
    this.#report = report;
  }

  check(): void {
    for (const row of this.#rows) this.#event(readRunEvent(row).event, row.position);
  }

  #event(event: RunEvent, position: number): void {
    switch (event.type) {
      case 'signal.received':
        this.#signals.set(`signal ${event.seq}`, event.data.name);
        break;
      case 'wait.opened':
        this.#open.set(event.data.path, { event, position });
        break;
      case 'wait.satisfied':
        this.#satisfied(event);
        break;
      case 'wait.expired':
        this.#expired(event);
        break;
      case 'wait.cancelled': {
        const { path, returned } = event.data;
        if (returned) this.#holders.delete(this.#has.get(path) ?? '');
        else this.#close(path, event);
        break;
      }
      case 'run.cancel_requested':
        this.#open.clear();
        break;
      case 'run.redriven':
        for (const path of event.data.paths) this.#open.delete(path);
        break;
      default:
        break;
    }
  }

  #satisfied(event: Extract<RunEvent, { readonly type: 'wait.satisfied' }>): void {
    const { path, by } = event.data;
    this.#close(path, event);
    if (by.kind === 'approval') return;
    const what = by.kind === 'signal' ? `signal ${by.seq}` : `event ${by.event.partition}/${by.event.offset}`;
    const holder = this.#holders.get(what);
    if (holder !== undefined) this.#report(`${what} was given to ${holder} and to ${path}`);
    this.#holders.set(what, path);
    this.#has.set(path, what);
  }

  #close(path: string, event: RunEvent): void {
    if (!this.#open.delete(path)) this.#report(`${event.type} of ${path}, which is not open (event ${event.seq})`);
  }

  #expired(event: Extract<RunEvent, { readonly type: 'wait.expired' }>): void {
    const { path } = event.data;
    const open = this.#open.get(path);
    this.#close(path, event);
    if (open === undefined) return;
    const { on } = open.event.data;
    if (on.kind === 'signal') {
      for (const [what, name] of this.#signals)
        if (name === on.name && !this.#holders.has(what)) this.#report(`${path} ran out of time over ${what}`);
    }
    if (on.kind !== 'event') return;
    const birth = this.#rows[0]?.position ?? 0;
    for (const { position, name, n } of this.#noted) {
      const wasThere = position > birth && position < open.position && n === on.match['n'];
      if (wasThere && !this.#holders.has(`event ${name}`))
        this.#report(`${path} ran out of time over event ${name}, which was there before it`);
    }
  }
}

/** The run, and those in which it goes on. */
function chainOf(key: string, final: History['final']): string[] {
  const chain = [key];
  for (;;) {
    const last = final?.histories.get(chain.at(-1) ?? '')?.at(-1);
    const event = last === undefined ? undefined : readRunEvent(last).event;
    if (event?.type !== 'run.continued') return chain;
    chain.push(`${key.split('/')[0]}/${event.data.next}`);
  }
}

/** What the client was told of its signals. */
function checkSignals({ operations, final }: History, violations: Violation[]): void {
  const received = new Map<string, number>();
  for (const [key, rows] of final?.histories ?? []) {
    for (const row of rows) {
      const { event } = readRunEvent(row);
      if (event.type !== 'signal.received') continue;
      const name = `${key} ${event.data.id}`;
      received.set(name, (received.get(name) ?? 0) + 1);
    }
  }
  for (const [name, count] of received)
    if (count > 1)
      violations.push({ property: 'P24', tenant: '', subject: name, detail: `was received ${count} times` });
  for (const { kind, tenant, key, ackedAtMs } of operations) {
    if (kind !== 'signal' || ackedAtMs === null) continue;
    const [run = '', id = ''] = (key ?? '').split(' ');
    if (chainOf(`${tenant}/${run}`, final).some((one) => received.has(`${one} ${id}`))) continue;
    violations.push({
      property: 'P24',
      tenant,
      subject: key ?? '',
      detail: 'the signal was acknowledged and is not there',
    });
  }
}
