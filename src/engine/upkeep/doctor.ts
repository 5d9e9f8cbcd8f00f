/**
 * The doctor: checks invariants on a live system. The cheap ones are the store's own (`check`); P12 folds the history
 * of the youngest runs anew and compares the result with every row kept beside the log: run, tasks, timers and entries.
 */
import { hasCode } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { versionText } from '../../core/manifest.js';
import { isErrand, isOfWork, openRows } from '../../core/run/effects.js';
import { foldRun, isEnded, rowOf, workflowQueue, type RunRow, type RunState } from '../../core/run/state.js';
import type { DoctorCheck, DoctorView } from '../../protocol/http.js';
import type { Violation } from '../../store/contract.js';
import { checkLimits } from '../admission/limit-check.js';
import type { EngineContext } from '../context.js';
import { sessionInfo } from '../dispatch/session-info.js';
import { readRunEvent } from '../events/rows.js';
import { entryFault } from './entry-check.js';
import { liveVersions } from '../runs/live-versions.js';

const says: Readonly<Record<string, string>> = {
  P3: 'Every unfinished run has a next cause: a task, a timer or a wait.',
  P7: 'A task is leased to one living session at most.',
  P11: 'The events of a run are numbered without gap.',
  P12: 'Rows are what the log folds to.',
  P16: 'No more tasks are leased than are counted.',
  P32: 'Counters equal what they count.',
  limits: 'Slots of limits in use are held by tickets, and tickets belong to runs that are alive.',
  versions: 'Where a workflow has workers, every unfinished run of it has one with its version.',
};
const violationsMax = 50;
const sampledRuns = 200;

export async function diagnose(context: EngineContext, tenants: readonly string[]): Promise<DoctorView> {
  const found = await context.store.check(violationsMax);
  const checks: DoctorCheck[] = [];
  for (const property of Object.keys(says)) {
    if (property === 'P12' || property === 'versions' || property === 'limits') continue;
    checks.push(
      checkOf(
        property,
        found.filter((v) => v.property === property),
        null,
      ),
    );
  }
  const unknown = found.filter((v) => !(v.property in says));
  for (const property of new Set(unknown.map((v) => v.property)))
    checks.push(
      checkOf(
        property,
        unknown.filter((v) => v.property === property),
        null,
      ),
    );
  checks.push(await foldCheck(context, tenants));
  const { checked, violations } = await checkLimits(context.store, tenants);
  checks.push(checkOf('limits', violations.slice(0, violationsMax), checked));
  checks.push(await versionCheck(context));
  return { checkedAt: isoOf(context.store.now()), checks };
}

function checkOf(property: string, violations: readonly Violation[], checked: number | null): DoctorCheck {
  return {
    property,
    says: says[property] ?? property,
    ok: violations.length === 0,
    checked,
    violations: violations.map(({ tenant, subject, detail }) => ({ tenant, subject, detail })),
  };
}

async function foldCheck(context: EngineContext, tenants: readonly string[]): Promise<DoctorCheck> {
  const violations: Violation[] = [];
  let checked = 0;
  for (const tenant of tenants) {
    const page = await context.store.listRuns({ tenant, limit: sampledRuns });
    for (const row of page.items) {
      checked += 1;
      const difference = await compareRun(context, row);
      if (difference !== null) violations.push({ property: 'P12', tenant, subject: row.run, detail: difference });
      if (violations.length >= violationsMax) break;
    }
  }
  return checkOf('P12', violations, checked);
}

/**
 * Runs that nobody could go on with although their workflow is served: their version was retired under them. A workflow
 * without any worker is the business of health, since then it is workers that are missing and not a version.
 */
async function versionCheck({ store }: EngineContext): Promise<DoctorCheck> {
  const queues = new Set((await store.listSessions()).flatMap((row) => sessionInfo(row).queues ?? []));
  const isServed = (workflow: string): boolean => {
    const queue = workflowQueue(workflow, null);
    return [...queues].some((one) => one === queue || one.startsWith(`${queue}@`));
  };
  const { versions } = queues.size === 0 ? { versions: [] } : await liveVersions(store, isServed);
  const lost = versions.filter(({ workflow, version }) => !queues.has(workflowQueue(workflow, version)));
  const violations = lost.map(({ tenant, workflow, version, runs, example }) => ({
    property: 'versions',
    tenant,
    subject: `${workflow} ${versionText(version)}`,
    detail: `${runs} unfinished runs (${example}, ...) and no worker for this version; start one, or migrate them`,
  }));
  return checkOf(
    'versions',
    violations,
    versions.reduce((sum, { runs }) => sum + runs, 0),
  );
}

/** Null where rows and log agree, or where the run moves too fast to be compared. */
export async function compareRun(
  context: Pick<EngineContext, 'store'>,
  listed: Pick<RunRow, 'tenant' | 'run'>,
): Promise<string | null> {
  const { store } = context;
  const { tenant, run } = listed;
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = await store.readRun(tenant, run);
    if (before === null) return null;
    const [histories, tasks, timers] = await Promise.all([
      store.readHistories([{ tenant, run }]),
      store.readTasks(tenant, run),
      store.readTimers(tenant, run),
    ]);
    const after = await store.readRun(tenant, run);
    if (after === null) return null;
    if (after.head !== before.head) continue;
    const events = (histories[0] ?? []).map((row) => readRunEvent(row).event);
    const gap = events.findIndex((event, i) => event.seq !== i + 1);
    if (gap >= 0) return `event ${gap + 1} is missing from the history`;
    let state: RunState;
    try {
      state = foldRun(tenant, run, events);
    } catch (error) {
      if (hasCode(error, 'EVENT_UNKNOWN')) return error.message;
      throw error;
    }
    const expected = canonical(rowOf(state));
    const kept = canonical(before);
    if (expected !== kept) return `the run row is ${kept}, the log says ${expected}`;
    const open = isEnded(state.status) ? nothingOpen : openRows(state);
    const expectedTasks = [...open.tasks, ...(open.activation === null ? [] : [open.activation])];
    const taskFault = differenceOf(
      'tasks',
      expectedTasks,
      tasks.map((task) => task.task),
    );
    const timerFault = differenceOf(
      'timers',
      open.timers,
      timers.map((timer) => timer.name).filter((name) => !isOfWork(name) && !isErrand(name)),
    );
    const fault = taskFault ?? timerFault ?? (await entryFault(store, state, events));
    if (fault === null) return null;
    // Entries were read after the rest: what moved meanwhile is looked at again.
    const last = await store.readRun(tenant, run);
    if (last === null) return null;
    if (last.head === before.head) return fault;
  }
  return null;
}

const nothingOpen = { activation: null, tasks: [], timers: [] } as const;

function differenceOf(what: string, expected: readonly string[], kept: readonly string[]): string | null {
  const a = [...expected].sort().join(' ');
  const b = [...kept].sort().join(' ');
  return a === b ? null : `the ${what} are [${b}], the log says [${a}]`;
}

function canonical(row: RunRow): string {
  const labels = row.labels === null ? null : Object.entries(row.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({ ...row, labels }, [...Object.keys(row).sort()]);
}
