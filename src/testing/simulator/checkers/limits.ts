/**
 * P15: over every window of time, no more of a limited capability is let in than the rate and the burst of its limit allow.
 * P16: no more attempts are let in at one time than there are slots, nothing that limits concern is claimed that was not let
 * in, and when all has come to rest nobody holds a share and no ticket is left.
 */
import { limitOfKey } from '../../../core/admission/limit.js';
import type { Share } from '../../../core/admission/ledger.js';
import type { RunEventData } from '../../../core/run/events.js';
import { ticketSpace } from '../../../core/run/tickets.js';
import { holderSpace } from '../../../engine/admission/counter-rows.js';
import type { EventWrite, TaskRow, Violation } from '../../../store/index.js';
import type { History, StoreAction } from '../history.js';
import { simLimits, simModelLimit } from '../manifest.js';

/** Every breach, in the order of its happening. */
export function checkLimits(history: History): Violation[] {
  const model = new LimitModel();
  for (const action of history.actions) model.look(action);
  // What was given to a run that did not take it any more is given back as if it had never been.
  for (const [key, given] of model.given)
    checkWindows(
      key,
      given.filter(({ ticket }) => model.taken.has(ticket)),
      model.violations,
    );
  for (const { key, ref } of history.final?.holders ?? [])
    model.violations.push({ property: 'P16', tenant: key, subject: ref, detail: 'a share of a limit was never freed' });
  return model.violations;
}

/** What was given of a counter, and when on the store's clock. */
interface Given {
  readonly ticket: string;
  readonly at: number;
  readonly amount: number;
}

type Applied = Extract<StoreAction, { readonly kind: 'apply' }>;

class LimitModel {
  readonly violations: Violation[] = [];
  readonly given = new Map<string, Given[]>();
  /** Tickets that were given something and were let in. */
  readonly taken = new Set<string>();
  /** Counters that attempts were let in under, by tenant, run and path. */
  readonly #admitted = new Map<string, readonly string[]>();
  /** Paths of calls that limits concern, by task. */
  readonly #limited = new Map<string, string>();
  readonly #used = new Map<string, number>();
  /** Inferences that were let in and have begun. */
  readonly #begun = new Set<string>();

  look(action: StoreAction): void {
    if (action.kind === 'claim') for (const { task } of action.claimed) this.#claim(task);
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') return;
    const { tenant, events = [] } = action.transition;
    this.#note(action);
    for (const event of events) this.#event(tenant, event);
  }

  #note({ transition: { tenant, entries = [] } }: Applied): void {
    for (const write of entries) {
      if (write.space === ticketSpace && write.key === 'granted' && write.op === 'put')
        this.taken.add(`${tenant}/${write.ref}`);
      if (write.space !== holderSpace || write.op === 'drop') continue;
      const { shares, at } = JSON.parse(write.value) as { readonly shares: readonly Share[]; readonly at: number };
      for (const { key, amount } of shares) {
        const ticket = `${write.key}/${write.ref}`;
        const list = (this.given.get(key) ?? []).filter((earlier) => earlier.ticket !== ticket);
        list.push({ ticket, at, amount });
        this.given.set(key, list);
      }
    }
  }

  #event(tenant: string, { run, seq, type, envelope }: EventWrite): void {
    const data = (): unknown => (JSON.parse(envelope) as { readonly data: unknown }).data;
    switch (type) {
      case 'call.scheduled': {
        const { path, limits } = data() as RunEventData['call.scheduled'];
        if (limits !== undefined) this.#limited.set(`${tenant}/${run}/c${seq}`, `${tenant}/${run}/${path}`);
        break;
      }
      case 'call.admitted': {
        const { path, limits } = data() as RunEventData['call.admitted'];
        this.#admit(tenant, run, path, limits);
        break;
      }
      case 'inference.admitted': {
        const { path, grant } = data() as RunEventData['inference.admitted'];
        this.#admit(tenant, run, path, grant.limits);
        break;
      }
      case 'inference.begun':
        this.#begun.add(`${tenant}/${run}/${(data() as { readonly path: string }).path}`);
        break;
      case 'activation.retrying':
        for (const path of [...this.#begun]) if (path.startsWith(`${tenant}/${run}/`)) this.#free(path);
        break;
      case 'inference.ambiguous':
      case 'inference.completed':
      case 'inference.retrying':
      case 'inference.failed':
      case 'call.retrying':
      case 'call.completed':
      case 'call.failed':
        this.#free(`${tenant}/${run}/${(data() as { readonly path: string }).path}`);
        break;
      case 'run.cancel_requested':
        for (const path of [...this.#admitted.keys()])
          if (path.startsWith(`${tenant}/${run}/`) && !this.#isOfInference(path)) this.#free(path);
        break;
      case 'run.succeeded':
      case 'run.failed':
      case 'run.cancelled':
      case 'run.refused':
      case 'run.continued':
        for (const path of [...this.#admitted.keys()]) if (path.startsWith(`${tenant}/${run}/`)) this.#free(path);
        break;
      default:
        break;
    }
  }

  #admit(tenant: string, run: string, path: string, keys: readonly string[]): void {
    this.#admitted.set(`${tenant}/${run}/${path}`, keys);
    for (const key of keys) {
      const used = (this.#used.get(key) ?? 0) + 1;
      this.#used.set(key, used);
      const rule = ruleOf(key);
      if (rule?.kind === 'concurrency' && used > rule.max)
        this.violations.push({ property: 'P16', tenant, subject: run, detail: `${used} at one time under ${key}` });
    }
  }

  #free(path: string): void {
    for (const key of this.#admitted.get(path) ?? []) this.#used.set(key, (this.#used.get(key) ?? 1) - 1);
    this.#admitted.delete(path);
    this.#begun.delete(path);
  }

  /** The body lives on to clean up, and may still be asking. */
  #isOfInference(path: string): boolean {
    return this.#admitted.get(path)?.some((key) => limitOfKey(key) === simModelLimit.name) === true;
  }

  #claim({ tenant, run, task }: TaskRow): void {
    const path = this.#limited.get(`${tenant}/${run}/${task}`);
    if (path !== undefined && !this.#admitted.has(path))
      this.violations.push({ property: 'P16', tenant, subject: run, detail: `task ${task} was claimed unadmitted` });
  }
}

function ruleOf(key: string): (typeof simLimits)[number]['rule'] | null {
  return [...simLimits, simModelLimit].find(({ name }) => name === limitOfKey(key))?.rule ?? null;
}

/** Where the store's clock was set back by much, a new count begins: some of its time comes a second time. */
function checkWindows(key: string, given: readonly Given[], violations: Violation[]): void {
  const rule = ruleOf(key);
  if (rule?.kind !== 'rate') return;
  for (let from = 0; from < given.length; from++) {
    const first = given[from];
    let sum = 0;
    let latest = first?.at ?? 0;
    for (let i = from; first !== undefined && i < given.length; i++) {
      const one = given[i];
      if (one === undefined || one.at < latest - setBackMs) break;
      latest = Math.max(latest, one.at);
      sum += one.amount;
      const most = rule.burst + (rule.amount * (latest - first.at)) / rule.perMs;
      if (sum <= most + 1e-9) continue;
      const detail = `${sum} within ${latest - first.at} ms under ${key}`;
      violations.push({ property: 'P15', tenant: '', subject: key, detail });
      return;
    }
  }
}

/** What is less is taken for two servers that read the clock differently, and gains nothing. */
const setBackMs = 5_000;
