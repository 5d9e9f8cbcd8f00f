/**
 * Runs the graphs: is told of the commits of their runs, plans what comes next (`core/graph/plan`) and asks for it on the lane
 * of the run. No worker holds such a run, and nothing is replayed. What this server does not get to, because it dies, the
 * timer `:advance` of the run brings to another.
 *
 * Invariant: what is asked for was planned of committed events alone, and is idempotent by path; to plan twice does nothing.
 */
import { encodeValue } from '../../core/codec.js';
import { isSpineError, SpineError } from '../../core/errors.js';
import type { Failure } from '../../core/failure.js';
import { failureOf } from '../../core/failure-of.js';
import type { GraphNode } from '../../core/graph/graph.js';
import { planGraph, wantedRoots, type Given, type GraphPlan, type PlannedCall } from '../../core/graph/plan.js';
import { limits } from '../../core/limits.js';
import type { CapabilityManifest } from '../../core/manifest.js';
import type { Payload } from '../../core/payload.js';
import type { AdvanceCommand, CallOptions } from '../../core/run/commands.js';
import type { RunEvent } from '../../core/run/events.js';
import { isEnded } from '../../core/run/state.js';
import type { TimerRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { runKey, type CommittedChange } from '../runs/committed.js';
import type { JobOutcome, Lanes } from '../runs/lanes.js';
import { RunGraph } from './run-graph.js';

interface Driven {
  readonly graph: RunGraph;
  /** Resolves when nothing is under way for the run; null = nothing is. */
  driving: Promise<JobOutcome> | null;
  /** Something was committed since the plan that is under way. */
  again: boolean;
  /** What of its bytes is in the sum. */
  counted: number;
}

export class Graphs {
  readonly #context: EngineContext;
  readonly #lanes: Lanes;
  readonly #capability: (name: string) => Pick<CapabilityManifest, 'effect'> | null;
  /** The one that was used last is the last. */
  readonly #runs = new Map<string, Driven>();
  #bytes = 0;

  constructor(
    context: EngineContext,
    lanes: Lanes,
    capability: (name: string) => Pick<CapabilityManifest, 'effect'> | null,
  ) {
    this.#context = context;
    this.#lanes = lanes;
    this.#capability = capability;
  }

  /** A commit of any run. */
  committed({ key, tenant, run, state, events, task }: CommittedChange): void {
    if (state.graph === null) return;
    if (isEnded(state.status)) return this.#drop(key);
    const known = this.#runs.get(key);
    const isCause = events.some((event) => isCauseHere(event, task));
    if (known === undefined && !isCause) return;
    const driven = known ?? this.#add(key, tenant, run);
    driven.graph.feed(events);
    if (!isCause) return;
    this.#touch(key, driven);
    if (driven.driving !== null) driven.again = true;
    else this.#driveAlone(key, driven);
  }

  /** The timer of a run is due: nobody has planned for so long. The outcome tells what becomes of the timer. */
  async due({ tenant, run }: TimerRow): Promise<JobOutcome> {
    const key = runKey(tenant, run);
    const driven = this.#runs.get(key) ?? this.#add(key, tenant, run);
    while (driven.driving !== null) await driven.driving.catch(() => {});
    this.#touch(key, driven);
    return this.#drive(key, driven, true);
  }

  async stop(): Promise<void> {
    await Promise.allSettled([...this.#runs.values()].flatMap(({ driving }) => driving ?? []));
  }

  #driveAlone(key: string, driven: Driven): void {
    this.#drive(key, driven, false).then(
      (outcome) => {
        if (outcome.tag === 'error') this.#context.fault('graph', outcome.error);
      },
      (error: unknown) => this.#context.fault('graph', error),
    );
  }

  #drive(key: string, driven: Driven, toEnd: boolean): Promise<JobOutcome> {
    const driving = this.#advance(key, driven, toEnd).finally(() => {
      driven.driving = null;
      this.#count(key, driven);
      if (driven.again && this.#runs.get(key) === driven) this.#driveAlone(key, driven);
    });
    driven.driving = driving;
    return driving;
  }

  /** Plans and asks until there is nothing to be asked for. The outcome is that of all of it. */
  async #advance(key: string, driven: Driven, toEnd: boolean): Promise<JobOutcome> {
    const { graph } = driven;
    const { store } = this.#context;
    let applied = false;
    for (let look = toEnd; ; look = false) {
      driven.again = false;
      await graph.catchUp(store, look);
      const { progress, head } = graph;
      if (progress === null) return { tag: 'refused', reason: head === 0 ? 'not_found' : 'stale' };
      if (graph.ended) {
        this.#drop(key);
        return { tag: 'already', head };
      }
      const { drive } = progress;
      const planned = await this.#plan(graph);
      if (planned === null) {
        if (driven.again) continue;
        return applied ? { tag: 'applied', head } : { tag: 'already', head };
      }
      const outcome = await this.#submit(key, graph, { op: 'advance', drive, ...planned.command });
      if (outcome.tag === 'error' || outcome.tag === 'refused') return outcome;
      applied ||= outcome.tag === 'applied';
      // Somebody else has asked for all of it: what that was is in the store.
      if (outcome.tag === 'already') look = outcome.head > graph.head;
      if (outcome.tag === 'already' && outcome.head <= graph.head && !planned.more && !driven.again) return outcome;
    }
  }

  async #submit(key: string, { tenant, run }: RunGraph, command: AdvanceCommand): Promise<JobOutcome> {
    const job = { key, tenant, run, actor: 'engine', worker: '', lease: null };
    const outcome = await this.#lanes.submit({ ...job, commands: [command] });
    if (outcome.tag !== 'error' || !isSpineError(outcome.error) || outcome.error.kind !== 'invalid') return outcome;
    // What was asked for can never be written, such as a result that its topic does not take.
    const end = { tag: 'failed', failure: { ...failureOf(outcome.error), retryable: false }, path: null } as const;
    return this.#lanes.submit({ ...job, commands: [{ ...nothing, op: 'advance', drive: command.drive, end }] });
  }

  /** What is to be asked for now; null = nothing. */
  async #plan(graph: RunGraph): Promise<{ readonly command: Planned; readonly more: boolean } | null> {
    const { progress } = graph;
    if (progress === null) return null;
    for (;;) {
      const values = await this.#values(graph, wantedRoots(progress));
      if ('failed' in values) return { command: { ...nothing, end: endOf(values.failed) }, more: false };
      const plan = planGraph(progress, values.found);
      if (!isEmpty(plan)) return { command: await this.#commandOf(graph, plan), more: plan.more };
      if (!plan.more) return null;
    }
  }

  async #values(
    graph: RunGraph,
    roots: ReadonlySet<string>,
  ): Promise<{ readonly found: ReadonlyMap<string, unknown> } | { readonly failed: Failure }> {
    try {
      return { found: await graph.values(this.#context.store, roots) };
    } catch (error) {
      // A value that cannot be read will not be there tomorrow either.
      if (isSpineError(error) && (error.code === 'BLOB_NOT_FOUND' || error.code === 'PAYLOAD_UNREADABLE'))
        return { failed: { ...failureOf(error), retryable: false } };
      throw error;
    }
  }

  async #commandOf(graph: RunGraph, plan: GraphPlan): Promise<Planned> {
    const held = graph.isMirror ? plan.calls.find(({ capability }) => this.#mayHaveEffects(capability)) : undefined;
    if (held !== undefined) return { ...nothing, end: endOf(effectWithheld(held.path)) };
    const calls: AdvanceCommand['calls'][number][] = [];
    const fails = [...plan.fails];
    for (const call of plan.calls) {
      const input = await this.#given(graph, call.given, call.node);
      if ('failed' in input) fails.push({ path: call.node.name, failure: input.failed });
      else calls.push(callOf(call, input.payload));
    }
    const end = plan.end?.tag === 'succeeded' ? await this.#success(graph, plan.end.output) : plan.end;
    return { calls, skips: plan.skips, fails, end };
  }

  /** Of a capability that no app declares just now nobody knows. */
  #mayHaveEffects(capability: string): boolean {
    return (this.#capability(capability)?.effect ?? 'external') === 'external';
  }

  async #success(graph: RunGraph, output: Given): Promise<AdvanceCommand['end']> {
    const given = await this.#given(graph, output, null);
    return 'failed' in given ? endOf(given.failed) : { tag: 'succeeded', output: given.payload };
  }

  async #given(
    graph: RunGraph,
    given: Given,
    node: GraphNode | null,
  ): Promise<{ readonly payload: Payload } | { readonly failed: Failure }> {
    const { store } = this.#context;
    switch (given.tag) {
      case 'root':
        return { payload: await graph.payload(store, graph.seqOfRoot(given.root)) };
      case 'inputOf':
        return { payload: await graph.payload(store, graph.seqOfInput(node?.name ?? '', given.path)) };
      case 'value':
        try {
          return { payload: encodeValue(given.value, limits.payloadBytesMax) };
        } catch (error) {
          // Put together it may be larger than any of its parts was.
          return { failed: { ...failureOf(error), retryable: false } };
        }
    }
  }

  #add(key: string, tenant: string, run: string): Driven {
    const driven: Driven = { graph: new RunGraph(tenant, run), driving: null, again: false, counted: 0 };
    this.#runs.set(key, driven);
    return driven;
  }

  #drop(key: string): void {
    const driven = this.#runs.get(key);
    if (driven === undefined) return;
    this.#runs.delete(key);
    this.#bytes -= driven.counted;
  }

  #count(key: string, driven: Driven): void {
    if (this.#runs.get(key) !== driven) return;
    this.#bytes += driven.graph.bytes - driven.counted;
    driven.counted = driven.graph.bytes;
  }

  /** Makes it the youngest; the oldest that are idle make room. */
  #touch(key: string, driven: Driven): void {
    this.#runs.delete(key);
    this.#runs.set(key, driven);
    for (const [other, { driving }] of this.#runs) {
      if (this.#runs.size <= limits.graphCacheRunsMax && this.#bytes <= limits.graphCacheBytesMax) return;
      if (driving === null && other !== key) this.#drop(other);
    }
  }
}

type Planned = Pick<AdvanceCommand, 'calls' | 'skips' | 'fails' | 'end'>;

const nothing: Planned = { calls: [], skips: [], fails: [], end: null };

function endOf(failure: Failure): AdvanceCommand['end'] {
  return { tag: 'failed', failure, path: null };
}

function effectWithheld(path: string): Failure {
  return { ...failureOf(new SpineError('EFFECT_WITHHELD', { path })), retryable: false };
}

function isEmpty({ calls, skips, fails, end }: GraphPlan): boolean {
  return calls.length === 0 && skips.length === 0 && fails.length === 0 && end === null;
}

function callOf({ path, node, capability, given }: PlannedCall, input: Payload): AdvanceCommand['calls'][number] {
  // What stands in is another capability, with retries and a deadline of its own.
  const own: CallOptions =
    given.tag === 'inputOf'
      ? {}
      : {
          ...(node.retry === undefined ? {} : { retry: node.retry }),
          ...(node.deadlineMs === undefined ? {} : { deadlineMs: node.deadlineMs }),
          ...(node.remedies === undefined ? {} : { remedies: node.remedies }),
        };
  return {
    path,
    capability,
    input,
    options: { ...own, ...(node.priority === undefined ? {} : { priority: node.priority }) },
  };
}

/** True for what this server has to plan for: what it has committed itself. Its neighbours see to what they have. */
function isCauseHere(event: RunEvent, task: string | null): boolean {
  switch (event.type) {
    case 'graph.started':
    case 'run.redriven':
    case 'call.failed':
      return true;
    case 'call.completed':
      return task !== null;
    default:
      return false;
  }
}
