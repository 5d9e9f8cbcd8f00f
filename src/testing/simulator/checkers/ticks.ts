/**
 * P14: the ledger of ticks. Every tick of a schedule, from its making to where it was last decided, is accounted for: it
 * has started one run, or its outcome says why not. None comes early, none twice, and once all is healed somebody sees
 * to them in time. Counted here by the rule itself, without any code of schedules.
 */
import { isRedriveRow } from '../../../engine/deadletters/redrives.js';
import type { Transition, Violation } from '../../../store/index.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { FinalState, History } from '../history.js';

/** What is looked at of a schedule's body. */
interface Body {
  readonly spec: { readonly cadence: { readonly everyMs: number } };
  readonly createdAt: number;
  readonly pausedAt: number | null;
  readonly decidedTo: number;
  readonly recent: readonly {
    readonly tick: number;
    readonly to?: number;
    readonly outcome: string;
    readonly run: string | null;
  }[];
}

interface Ledger {
  readonly tenant: string;
  readonly name: string;
  version: number;
  body: Body | null;
  /** Ticks that an outcome speaks of, and spans of those that were missed. */
  readonly told: Set<number>;
  readonly missed: (readonly [from: number, to: number])[];
  /** Runs by the tick that started them, as the outcomes say. */
  readonly runs: Map<string, number>;
}

/** How late the last ticks before the end may be: the world has been whole for longer. */
const lateMsMax = 4_000;

/** Every breach. */
export function checkTicks(history: History): Violation[] {
  const violations: Violation[] = [];
  const ledgers = new Map<string, Ledger>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    for (const write of action.transition.schedules ?? []) {
      const { tenant } = action.transition;
      const ledger = within(ledgers, tenant, write.name);
      const report = (detail: string): void => {
        violations.push({ property: 'P14', tenant, subject: write.name, detail });
      };
      if (write.expected !== ledger.version)
        report(`was moved from version ${write.expected} and was at ${ledger.version}`);
      ledger.version = write.row?.version ?? 0;
      // Redrives of many move by the same guard and have no ticks.
      if (write.row === null || isRedriveRow(write)) continue;
      const body = JSON.parse(write.row.body) as Body;
      enter(ledger, body, action.transition, action.storeMs, report);
    }
  }
  for (const ledger of ledgers.values()) violations.push(...unaccounted(ledger, history));
  return violations;
}

function enter(
  ledger: Ledger,
  body: Body,
  { runs = [] }: Transition,
  storeMs: number,
  report: (detail: string) => void,
): void {
  const before = ledger.body;
  ledger.body = body;
  for (const { tick, to, outcome, run } of body.recent) {
    if (outcome === 'missed') ledger.missed.push([tick, to ?? tick]);
    else ledger.told.add(tick);
    if (run !== null) ledger.runs.set(run, tick);
  }
  for (const { row } of runs) {
    const tick = Date.parse(row.labels?.['tick'] ?? '');
    if (tick > storeMs) report(`the tick ${tick} came ${tick - storeMs} ms early`);
    if (ledger.runs.get(row.run) !== tick) report(`run ${row.run} was started for ${tick}, of which nothing is said`);
  }
  if (before === null) return;
  if (body.decidedTo < before.decidedTo) report(`was taken back from ${before.decidedTo} to ${body.decidedTo}`);
  const dueAt = before.decidedTo + before.spec.cadence.everyMs;
  if (before.pausedAt === null && body.pausedAt !== null && body.pausedAt - dueAt > lateMsMax)
    report(`nobody saw to the ticks of the last ${body.pausedAt - dueAt} ms`);
}

function unaccounted({ tenant, name, body, told, missed, runs }: Ledger, { final }: History): Violation[] {
  if (body === null || final === null) return [];
  const violations: Violation[] = [];
  const report = (detail: string): void => {
    violations.push({ property: 'P14', tenant, subject: name, detail });
  };
  const { everyMs } = body.spec.cadence;
  for (let tick = (Math.floor(body.createdAt / everyMs) + 1) * everyMs; tick <= body.decidedTo; tick += everyMs)
    if (!told.has(tick) && !missed.some(([from, to]) => from <= tick && tick <= to))
      report(`the tick ${tick} was left out in silence`);
  const there = new Set(final.runs.filter((row) => row.tenant === tenant).map(({ run }) => run));
  const started = new Map<number, string>();
  for (const [run, tick] of runs) {
    if (!there.has(run)) report(`the tick ${tick} has started ${run}, which is not there`);
    const other = started.get(tick);
    if (other !== undefined) report(`the tick ${tick} has started ${other} and ${run}`);
    started.set(tick, run);
  }
  const continued = continuations(final);
  for (const { run, tenant: of, labels } of final.runs)
    if (of === tenant && labels?.['schedule'] === name && !runs.has(run) && !continued.has(run))
      report(`run ${run} is of a tick that was never decided`);
  return violations;
}

/** Runs in which others go on, with the labels of those. */
function continuations({ histories }: FinalState): Set<string> {
  const found = new Set<string>();
  for (const rows of histories.values()) {
    const last = rows.at(-1);
    const event = last === undefined ? undefined : readRunEvent(last).event;
    if (event?.type === 'run.continued') found.add(event.data.next);
  }
  return found;
}

function within(ledgers: Map<string, Ledger>, tenant: string, name: string): Ledger {
  const key = `${tenant}/${name}`;
  const found = ledgers.get(key);
  if (found !== undefined) return found;
  const made: Ledger = {
    tenant,
    name,
    version: 0,
    body: null,
    told: new Set(),
    missed: [],
    runs: new Map(),
  };
  ledgers.set(key, made);
  return made;
}
