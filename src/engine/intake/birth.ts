/** The first event of a run: made by a start request or by an event that triggers a workflow. */
import { payloadOfGraph } from '../../core/graph/stored-graph.js';
import type { WorkflowManifest } from '../../core/manifest.js';
import type { Payload } from '../../core/payload.js';
import type { AgentIdentity } from '../../core/run/mail.js';
import type { NewRunEvent, ParentLink, RunTrigger } from '../../core/run/events.js';
import type { DeliveryOrder } from '../../core/webhooks/delivery-order.js';
import { emptyState, type ContextBundle, type RunState, type UnreadMail } from '../../core/run/state.js';
import type { EngineContext } from '../context.js';
import type { DedupeWrite, Transition } from '../../store/contract.js';
import { changeRun, emptyChange, writeOf, type RunChange } from '../runs/change.js';

export interface BirthRequest {
  readonly tenant: string;
  readonly run: string;
  readonly input: Payload;
  readonly at: number;
  readonly actor: string;
  readonly cause: string | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
  readonly trigger: RunTrigger | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly idempotencyKey?: string;
  readonly priority?: number;
  readonly parent?: ParentLink;
  /** What the run that caused this one has fetched. */
  readonly contexts?: readonly ContextBundle[];
  /** The run that this one goes on from. */
  readonly continues?: string;
  /** The agent key that it stands for, with the messages that it begins with. */
  readonly agent?: AgentIdentity;
  readonly mail?: readonly UnreadMail[];
  /** Where untrusted text has come from that the run which caused this one had read. */
  readonly taint?: readonly string[];
  /** Not before this instant; one that is past means at once. */
  readonly startAt?: number;
  /** The URL that is told of the end of the run. */
  readonly notify?: string;
  /** The message that it is to deliver. */
  readonly delivery?: DeliveryOrder;
  /** The input is the payload of the triggering event too. */
  readonly sharedInput?: boolean;
}

export interface RunBirth {
  readonly state: RunState;
  readonly change: RunChange;
}

export function birth(context: EngineContext, workflow: WorkflowManifest, request: BirthRequest): RunBirth {
  const state = emptyState(request.tenant, request.run);
  // The envelope of the very first event already carries what the run passes on.
  state.correlation = request.correlation ?? request.run;
  state.traceparent = request.traceparent;
  const change = emptyChange(state);
  changeRun(
    context,
    change,
    state,
    [
      {
        type: 'run.started',
        data: {
          workflow: workflow.name,
          version: workflow.version,
          priority: request.priority ?? workflow.priority,
          timeoutMs: workflow.timeoutMs,
          ...(request.startAt === undefined || request.startAt <= request.at ? {} : { startAt: request.startAt }),
          retainMs: workflow.retainMs,
          completes: workflow.completes,
          activationDeadlineMs: workflow.deadlineMs,
          activationRetry: workflow.retry,
          trigger: request.trigger,
          labels: request.labels ?? null,
          idempotencyKey: request.idempotencyKey ?? null,
          correlation: state.correlation,
          traceparent: request.traceparent,
          ...(request.parent === undefined ? {} : { parent: request.parent }),
          ...(request.continues === undefined ? {} : { continues: request.continues }),
          ...(workflow.graph === undefined ? {} : { graph: true }),
          ...(request.agent === undefined ? {} : { agent: request.agent }),
          ...(request.notify === undefined ? {} : { notify: request.notify }),
          ...(request.delivery === undefined ? {} : { delivery: request.delivery }),
          ...(request.taint === undefined || request.taint.length === 0 ? {} : { taint: request.taint }),
        },
        payload: request.input,
      },
    ],
    request.at,
    { actor: request.actor, event: request.cause, sharedPayload: request.sharedInput === true },
  );
  const { graph } = workflow;
  if (graph !== undefined) {
    const started: NewRunEvent = {
      type: 'graph.started',
      data: { nodes: graph.nodes.length },
      payload: payloadOfGraph(graph),
    };
    changeRun(context, change, state, [started], request.at, { actor: request.actor, event: request.cause });
  }
  if (request.contexts !== undefined && request.contexts.length > 0) {
    const cause = { actor: request.actor, event: request.cause, sharedPayload: true };
    changeRun(context, change, state, request.contexts.map(inherited), request.at, cause);
  }
  if (request.mail !== undefined && request.mail.length > 0) {
    const cause = { actor: request.actor, event: request.cause, sharedPayload: true };
    for (const message of request.mail) changeRun(context, change, state, [receivedMail(message)], request.at, cause);
  }
  return { state, change };
}

function receivedMail({ data, payload }: UnreadMail): NewRunEvent {
  return { type: 'signal.received', data, ...(payload === null ? {} : { payload }) };
}

function inherited({ name, key, version, fetchedAt, value }: ContextBundle): NewRunEvent {
  return { type: 'context.inherited', data: { name, key, version, fetchedAt }, payload: value };
}

/** What writes one new run and nothing else. */
export function birthTransition({ state, change }: RunBirth, dedupe: readonly DedupeWrite[]): Transition {
  const { eventWrites, tasks, timers, entries, blobs } = change;
  return {
    tenant: state.tenant,
    runs: [writeOf(change, state)],
    dedupe,
    events: eventWrites,
    tasks,
    timers,
    ...(entries.length === 0 ? {} : { entries }),
    blobs,
  };
}

/** The transition with what new runs write added to it. */
export function withBirths(transition: Transition, births: readonly RunBirth[]): Transition {
  if (births.length === 0) return transition;
  return {
    ...transition,
    runs: [...(transition.runs ?? []), ...births.map((b) => writeOf(b.change, b.state))],
    events: [...(transition.events ?? []), ...births.flatMap((b) => b.change.eventWrites)],
    tasks: [...(transition.tasks ?? []), ...births.flatMap((b) => b.change.tasks)],
    timers: [...(transition.timers ?? []), ...births.flatMap((b) => b.change.timers)],
    ...withEntries(transition, births),
    blobs: [...(transition.blobs ?? []), ...births.flatMap((b) => b.change.blobs)],
  };
}

function withEntries({ entries = [] }: Transition, births: readonly RunBirth[]): Pick<Transition, 'entries'> {
  const all = [...entries, ...births.flatMap((b) => b.change.entries)];
  return all.length === 0 ? {} : { entries: all };
}
