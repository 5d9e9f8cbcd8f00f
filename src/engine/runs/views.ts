/** What people and programs are shown of a run: its state in words, its steps, what it waits for. Pure. */
import { assertNever } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { versionText } from '../../core/manifest.js';
import { pausedFailure, saysShut } from '../../core/run/inference.js';
import { isEnded, isOpenUnit, workflowQueue, type RunRow, type RunState, type Unit } from '../../core/run/state.js';
import type { LimitWait, RunFold, RunSummary, RunViewState, StepView, WaitView } from '../../protocol/http.js';
import type { TaskRow } from '../../store/contract.js';

/**
 * The state that users see, out of the run's row and, for an active run, the state of its activation. `nodes` are the tasks of
 * a graph: nobody holds such a run, and what its nodes do is what it does.
 */
export function viewState(
  row: Pick<RunRow, 'status' | 'cancelRequested' | 'head'>,
  activation: Pick<TaskRow, 'state'> | null,
  retrying: boolean,
  nodes: readonly Pick<TaskRow, 'state'>[] = [],
): RunViewState {
  switch (row.status) {
    case 'succeeded':
    case 'failed':
    case 'cancelled':
    case 'refused':
    case 'continued':
      return row.status;
    case 'waiting':
      if (row.cancelRequested) return 'cancelling';
      if (nodes.some(({ state }) => state === 'leased')) return 'running';
      if (nodes.some(({ state }) => state === 'ready')) return 'queued';
      return retrying ? 'retrying' : 'waiting';
    case 'active':
      if (row.cancelRequested) return 'cancelling';
      if (activation?.state === 'leased') return retrying ? 'retrying' : 'running';
      if (activation?.state !== 'delayed') return 'queued';
      // Nothing has happened yet: it is not tried again, its start was put off.
      return row.head === 1 ? 'waiting' : 'retrying';
    default:
      return assertNever(row.status);
  }
}

export function summaryOf(row: RunRow, state: RunViewState): RunSummary {
  return {
    id: row.run,
    tenant: row.tenant,
    workflow: row.workflow,
    version: row.version,
    state,
    startedAt: isoOf(row.startedAt),
    updatedAt: isoOf(row.updatedAt),
    endedAt: isEnded(row.status) ? isoOf(row.updatedAt) : null,
    events: row.head,
    labels: row.labels ?? {},
    failure:
      row.failureClass === null
        ? null
        : { class: row.failureClass, code: row.failureCode ?? '', message: row.failureMessage ?? '' },
  };
}

/** What is known of a run beside its row and its history. */
export interface RunSurroundings {
  readonly tasks: readonly TaskRow[];
  /** The last report. */
  readonly progress: unknown;
  /** Whether a connected worker has its code; null = it has ended. */
  readonly served: boolean | null;
  /** What units wait for that limits hold back, by path. */
  readonly limits: ReadonlyMap<string, LimitWait>;
  /** Queues of its calls that no connected worker serves. */
  readonly unservedQueues: ReadonlySet<string>;
}

export function runView(row: RunRow, state: RunState, around: RunSurroundings): RunFold {
  const { tasks, progress, served } = around;
  const activation = tasks.find((task) => task.kind === 'activation') ?? null;
  const units = [...state.units];
  const retrying =
    units.some(([, unit]) => 'status' in unit && unit.status === 'retrying') &&
    !units.some(([, unit]) => isUnderWay(unit));
  const shown = viewState(row, activation, retrying, state.graph === null ? [] : tasks);
  const base = `/v1/runs/${row.run}`;
  return {
    ...summaryOf(row, shown),
    steps: units.map(([path, unit]) => stepView(path, unit)),
    waitingFor: isEnded(state.status) ? [] : waits(state, activation, around),
    served,
    retry: {
      possible: state.status === 'failed' || state.status === 'cancelled',
      from: units
        .filter(([, unit]) => 'status' in unit && (unit.status === 'failed' || unit.status === 'cancelled'))
        .map(([path]) => path),
    },
    deadLetter: state.deadLetter,
    parent: state.parent?.run ?? null,
    continuedBy: state.next,
    spend: state.spend,
    context: {
      saved: units.filter(([, unit]) => unit.kind === 'context' && unit.saved).length,
      fetched: units.filter(([, unit]) => unit.kind === 'context' && !unit.saved).length,
      bundles: [...state.contexts.values()].map(({ name, key, version, fetchedAt }) => ({
        name,
        key,
        version,
        fetchedAt: isoOf(fetchedAt),
      })),
    },
    progress,
    links: { self: base, history: `${base}/history`, result: `${base}/result`, stream: `${base}/stream` },
  };
}

function isUnderWay(unit: Unit): boolean {
  return (
    (unit.kind === 'call' && unit.status === 'scheduled') ||
    (unit.kind === 'inference' && unit.status === 'begun') ||
    (unit.kind === 'timer' && unit.status === 'set') ||
    (unit.kind === 'wait' && unit.status === 'open')
  );
}

function stepView(path: string, unit: Unit): StepView {
  switch (unit.kind) {
    case 'step':
      return { path, kind: 'step', status: unit.status, attempt: unit.attempt };
    case 'call':
      return { path, kind: 'call', status: unit.status, attempt: unit.attempt, capability: unit.call.capability };
    case 'inference':
      return { path, kind: 'inference', status: unit.status, attempt: unit.attempt, model: unit.ask.model };
    case 'timer':
      return { path, kind: 'timer', status: unit.status, attempt: 1 };
    case 'emit':
      return { path, kind: 'emit', status: 'completed', attempt: 1 };
    case 'child':
      return { path, kind: 'child', status: unit.status, attempt: 1, run: unit.run };
    case 'context':
      return { path, kind: 'context', status: unit.saved ? 'saved' : 'fetched', attempt: 1 };
    case 'send':
      return { path, kind: 'message', status: 'completed', attempt: 1 };
    case 'burial':
      return { path, kind: 'message', status: 'failed', attempt: 1 };
    case 'gate':
      return { path, kind: 'gate', status: unit.verdict, attempt: 1 };
    case 'race':
      return { path, kind: 'race', status: 'completed', attempt: 1 };
    case 'node':
      return { path, kind: 'node', status: unit.status, attempt: 1 };
    case 'wait':
      return { path, kind: unit.on.kind === 'approval' ? 'approval' : 'wait', status: unit.status, attempt: 1 };
    default:
      return assertNever(unit);
  }
}

function waits(state: RunState, activation: TaskRow | null, around: RunSurroundings): WaitView[] {
  const served = around.served !== false;
  const found: WaitView[] = [];
  const queue = workflowQueue(state.workflow, state.version);
  // A lease is held by somebody who has the code, connected or not.
  if (!served && activation?.state !== 'leased')
    found.push({ kind: 'worker', path: null, queue, text: unservedText(state.workflow, state.version) });
  if (activation !== null && activation.state !== 'leased' && (served || activation.state !== 'ready')) {
    found.push(
      activation.state === 'delayed' && state.head === 1
        ? {
            kind: 'timer',
            path: null,
            queue,
            until: iso(activation.dueAt),
            text: `Begins at ${iso(activation.dueAt)}.`,
          }
        : activation.state === 'delayed'
          ? {
              kind: 'retry',
              path: null,
              queue,
              until: iso(activation.dueAt),
              text: `The body is tried again at ${iso(activation.dueAt)}.`,
            }
          : activation.state === 'held'
            ? { kind: 'limit', path: null, queue, text: `Held back by the limit ${activation.limitKey ?? ''}.` }
            : {
                kind: 'worker',
                path: null,
                queue,
                text: `Ready; waits for a free slot of a worker that serves ${queue}.`,
              },
    );
  }
  for (const [path, unit] of state.units) {
    if (!isOpenUnit(unit)) continue;
    if (unit.kind === 'call' && unit.hold?.phase === 'waiting') {
      found.push(limitWait(path, `Capability ${unit.call.capability}`, around.limits.get(path), unit.hold.notBefore));
    } else if (unit.kind === 'call') {
      const retrying = unit.status === 'retrying';
      found.push({
        kind: retrying ? 'retry' : 'call',
        path,
        queue: unit.call.queue,
        text: retrying
          ? `Capability ${unit.call.capability} failed; attempt ${unit.attempt} follows.`
          : around.unservedQueues.has(unit.call.queue)
            ? `No connected worker has capability ${unit.call.capability}.`
            : `Capability ${unit.call.capability} is at work or queued in ${unit.call.queue}.`,
      });
    } else if (unit.kind === 'timer') {
      found.push({ kind: 'timer', path, until: iso(unit.fireAt), text: `Sleeps until ${iso(unit.fireAt)}.` });
    } else if (unit.kind === 'child') {
      found.push({ kind: 'child', path, run: unit.run, text: `Run ${unit.run} of ${unit.workflow} is at work.` });
    } else if (unit.kind === 'wait') {
      found.push(waitView(path, unit));
    } else if (unit.kind === 'inference' && unit.status === 'held') {
      found.push(limitWait(path, `Model ${unit.ask.model}`, around.limits.get(path), null));
    } else if (unit.kind === 'inference') {
      found.push(inferenceWait(path, unit));
    } else if (unit.kind === 'step') {
      found.push({
        kind: 'retry',
        path,
        text: `Step ${path} failed; attempt ${unit.attempt + 1} follows after a pause.`,
      });
    }
  }
  return found;
}

function inferenceWait(
  path: string,
  { status, attempt, ask, hops, shutUntil }: Extract<Unit, { kind: 'inference' }>,
): WaitView {
  const last = hops.at(-1);
  if (status === 'retrying' && last !== undefined && saysShut(last)) {
    const until = shutUntil === null ? {} : { until: iso(shutUntil) };
    const when = shutUntil === null ? 'when it may be called again' : `at ${iso(shutUntil)}`;
    const why =
      last.code === pausedFailure.code
        ? `Rate paused: endpoint ${last.endpoint} has asked for a pause`
        : `The breaker of endpoint ${last.endpoint} is open`;
    return { kind: 'retry', path, ...until, text: `${why}; model ${ask.model} is asked again ${when}.` };
  }
  return { kind: 'retry', path, text: `Model ${ask.model} failed; attempt ${attempt + 1} follows after a pause.` };
}

/** Why a call or an inference is not let in. */
function limitWait(path: string, what: string, limit: LimitWait | undefined, notBefore: number | null): WaitView {
  const pause = notBefore === null ? '' : `, not before ${iso(notBefore)}`;
  if (limit === undefined) return { kind: 'limit', path, text: `${what} waits to be admitted${pause}.` };
  const { key, used, max, before, expectedAt, paused } = limit;
  const others = before === 0 ? '' : `, ${before} before it`;
  const when = expectedAt === null ? '' : `; its turn is expected at ${expectedAt}`;
  const text =
    paused === undefined
      ? `${what} waits for room under ${key}: ${used} of ${max} in use${others}${pause}${when}.`
      : `${what} is rate paused: ${paused} has asked for a pause${others}${pause}${when}.`;
  return { kind: 'limit', path, ...(expectedAt === null ? {} : { until: expectedAt }), limit, text };
}

function waitView(path: string, unit: Extract<Unit, { readonly kind: 'wait' }>): WaitView {
  const until = unit.expiresAt === null ? {} : { until: iso(unit.expiresAt) };
  const { on } = unit;
  switch (on.kind) {
    case 'event': {
      const match = Object.entries(on.match).map(([field, text]) => `${field} = ${text}`);
      return { kind: 'event', path, ...until, text: `Waits for an event of ${on.topic} with ${match.join(', ')}.` };
    }
    case 'signal':
      return { kind: 'signal', path, ...until, text: `Waits for the signal ${on.name}.` };
    case 'approval':
      return { kind: 'approval', path, ...until, text: `${on.title}: waits for the word of ${unit.to.join(' or ')}.` };
  }
}
/** That nobody who is connected can go on with runs of this version. */
export function unservedText(workflow: string, version: string | null): string {
  return `No connected worker has workflow ${workflow} for runs ${version === null ? '' : 'of '}${versionText(version)}.`;
}

function iso(at: number | null): string {
  return isoOf(at ?? 0);
}
