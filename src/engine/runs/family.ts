/**
 * Errands between a run and the runs that it has started. Each is a timer that was set in the transition that made it
 * necessary; seeing to it ends in a command on the lane of the run that it is about, so that doing it twice does nothing.
 */
import { SpineError } from '../../core/errors.js';
import type { RunCommand } from '../../core/run/commands.js';
import { limits } from '../../core/limits.js';
import { childOfErrand, errands } from '../../core/run/effects.js';
import { isEnded, type RunRow } from '../../core/run/state.js';
import { failure, type Failure } from '../../core/failure.js';
import type { TimerRow, TimerWrite } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { runKey } from './committed.js';
import type { JobOutcome, Lanes } from './lanes.js';
import type { Reads } from './reads.js';

type ChildEnd = Extract<RunCommand, { op: 'endChild' }>;
type EndedChild = NonNullable<ReturnType<typeof childOfErrand>>;

export class Family {
  readonly #context: EngineContext;
  readonly #lanes: Lanes;
  readonly #reads: Reads;

  constructor(context: EngineContext, lanes: Lanes, reads: Reads) {
    this.#context = context;
    this.#lanes = lanes;
    this.#reads = reads;
  }

  /** Sees to the errand. Afterwards its timer is cleared, or may be. Rejects where nothing is known of what became of it. */
  async see({ tenant, run, name }: TimerRow): Promise<JobOutcome> {
    const ended = childOfErrand(name);
    if (ended !== null) return this.#endChild(tenant, run, ended, name);
    return this.#obeyParent(tenant, run, name === errands.cancelChild ? 'cancel' : 'redrive');
  }

  async #endChild(
    tenant: string,
    parent: string,
    { child, first, path }: EndedChild,
    name: string,
  ): Promise<JobOutcome> {
    const row = await this.#context.store.readRun(tenant, child);
    // Gone with its retention, before its parent asked: there is nothing to tell any more.
    if (row === null) return this.#submit(tenant, parent, [goneChild(child, first, path)]);
    const command = await this.#endOf(row, first, path);
    if (command !== null) return this.#submit(tenant, parent, [command]);
    // It is at work again; its next end sets the timer anew, which must not be taken for this one.
    return this.#replace(tenant, row, [{ op: 'clear', run: parent, name }]);
  }

  /** Changes timers, unless the run has moved on since it was read. */
  async #replace(tenant: string, row: RunRow, timers: readonly TimerWrite[]): Promise<JobOutcome> {
    const [outcome] = await this.#context.store.apply([{ tenant, runs: [{ expected: row.head, row }], timers }]);
    if (outcome?.tag === 'applied' || outcome?.tag === 'conflict') return { tag: 'applied', head: row.head };
    return { tag: 'error', error: new SpineError('STORE_BUSY', {}) };
  }

  /** What the parent is told of its child; null = it has not ended. */
  async #endOf(row: RunRow, first: string, path: string): Promise<ChildEnd | null> {
    if (!isEnded(row.status) || row.status === 'continued') return null;
    const event = await this.#reads.event(row.tenant, row.run, row.head);
    if (event === null) return null;
    const { run } = row;
    const end = { op: 'endChild', path, run, first } as const;
    switch (event.type) {
      case 'run.succeeded':
        return { ...end, status: 'succeeded', output: event.payload ?? nothing, failure: null, ...taintOf(event.data) };
      case 'run.failed':
        return { ...end, status: 'failed', output: null, failure: event.data.failure };
      case 'run.refused':
        return {
          ...end,
          status: 'refused',
          output: event.payload ?? null,
          failure: refusedChild(run, event.data.code),
          ...taintOf(event.data),
        };
      case 'run.cancelled':
        return { ...end, status: 'cancelled', output: null, failure: cancelledChild(run, event.data.reason) };
      default:
        return null;
    }
  }

  async #obeyParent(tenant: string, child: string, word: 'cancel' | 'redrive'): Promise<JobOutcome> {
    const row = await this.#reads.latest(tenant, child);
    if (row === null) return this.#submit(tenant, child, []);
    // The timer goes where the child has gone on: only an event of its own run clears it with what it stands for.
    if (row.run !== child) {
      const name = word === 'cancel' ? errands.cancelChild : errands.redriveChild;
      const fireAt = this.#context.store.now();
      return this.#replace(tenant, row, [
        { op: 'clear', run: child, name },
        { op: 'set', run: row.run, name, fireAt },
      ]);
    }
    const by = 'parent';
    const isDead = row.status === 'failed' || row.status === 'cancelled';
    if (word === 'redrive' && isDead) return this.#submit(tenant, child, [{ op: 'redrive', by }]);
    if (isEnded(row.status)) return this.#tellParent(row);
    if (word === 'redrive') return this.#submit(tenant, child, []);
    const reason = 'The run that started it has ended.';
    return this.#submit(tenant, child, [{ op: 'cancel', reason, by, graceMs: limits.cancelGraceMs }]);
  }

  /** The child has ended while its parent did not listen, which may wait for it now. */
  async #tellParent(row: RunRow): Promise<JobOutcome> {
    const { tenant, run } = row;
    const born = await this.#reads.event(tenant, run, 1);
    const link = born?.type === 'run.started' ? born.data.parent : undefined;
    const command = link === undefined ? null : await this.#endOf(row, link.first ?? run, link.path);
    if (link !== undefined && command !== null) {
      const outcome = await this.#submit(tenant, link.run, [command]);
      if (outcome.tag === 'error') return outcome;
    }
    return this.#submit(tenant, run, []);
  }

  #submit(tenant: string, run: string, commands: readonly RunCommand[]): Promise<JobOutcome> {
    return this.#lanes.submit({
      key: runKey(tenant, run),
      tenant,
      run,
      commands,
      actor: 'engine',
      worker: '',
      lease: null,
    });
  }
}

function taintOf({ taint }: { readonly taint?: readonly string[] }): { readonly taint?: readonly string[] } {
  return taint === undefined ? {} : { taint };
}

const nothing = { codec: 'json/1', text: 'null' } as const;

function cancelledChild(run: string, reason: string | null): Failure {
  const why = reason === null ? '' : ` ${reason}`;
  return failure({
    class: 'cancelled',
    code: 'CHILD_CANCELLED',
    message: `Run ${run} was cancelled.${why}`,
    retryable: false,
  });
}

function refusedChild(run: string, code: string): Failure {
  return failure({ class: 'invalid_request', code, message: `Run ${run} ended as refused.`, retryable: false });
}

function goneChild(run: string, first: string, path: string): ChildEnd {
  const cause = failure({
    class: 'unknown',
    code: 'CHILD_GONE',
    message: `Run ${run} is no longer kept.`,
    retryable: false,
  });
  return { op: 'endChild', path, run, first, status: 'failed', output: null, failure: cause };
}
