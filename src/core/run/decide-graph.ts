/**
 * Decisions over runs of graphs. What comes next was planned outside, of what was committed by then; here it is seen to that
 * each node is asked one time, whoever plans and however often.
 */
import { failure } from '../failure.js';
import { nodeOfPath, type Graph } from '../graph/graph.js';
import { limits } from '../limits.js';
import type { AdvanceCommand } from './commands.js';
import { accept, already, refused, type Decision } from './decision.js';
import type { RemedyPolicy } from '../remedies.js';
import type { RetryPolicy } from '../retry.js';
import type { Effect, NewRunEvent } from './events.js';
import { declaredRemedies } from './remedied.js';
import { capabilityQueue, isEnded, type RunState } from './state.js';

/** What of a `DecideContext` is needed here. */
interface GraphContext {
  readonly deadLetterId: string;
  capability(name: string): {
    readonly retry: RetryPolicy;
    readonly deadlineMs: number;
    readonly effect: Effect;
    readonly limits?: readonly string[];
    readonly remedies?: RemedyPolicy;
  } | null;
}

export function decideAdvance(state: RunState, command: AdvanceCommand, context: GraphContext): Decision {
  if (isEnded(state.status)) return refused('ended');
  // Planned before the run was sent back to work: what had failed by then is asked anew.
  if (state.graph === null || command.drive !== state.activation.n) return refused('stale');
  const { units } = state;
  const events: NewRunEvent[] = [];
  for (const { path, reason } of command.skips)
    if (!units.has(path)) events.push({ type: 'node.skipped', data: { path, reason } });
  for (const { path, failure: cause } of command.fails)
    if (!units.has(path)) events.push({ type: 'node.failed', data: { path, failure: cause } });
  for (const call of command.calls) if (!units.has(call.path)) events.push(scheduled(state, call, context));
  const { end } = command;
  // Room is left for what has to be said of those that are under way.
  if (end === null && state.head + 2 * events.length > limits.historyEventsMax) return accept(tooLong(context));
  if (end?.tag === 'succeeded') events.push({ type: 'run.succeeded', data: {}, payload: end.output });
  if (end?.tag === 'failed') {
    const { failure: cause, path } = end;
    events.push({ type: 'run.failed', data: { failure: cause, path, deadLetter: context.deadLetterId } });
  }
  return events.length === 0 ? already : accept(...events);
}

function scheduled(state: RunState, call: AdvanceCommand['calls'][number], context: GraphContext): NewRunEvent {
  const { path, options, capability: name } = call;
  const input = state.edits.get(path) ?? call.input;
  const capability = context.capability(name);
  // No app has it any more. Once one has it again, the run can be sent back to work.
  if (capability === null) {
    const message = `No app has the capability ${name}.`;
    const cause = failure({ class: 'dependency', code: 'CAPABILITY_UNKNOWN', message, retryable: false });
    return { type: 'node.failed', data: { path: nodeOfPath(path), failure: cause } };
  }
  return {
    type: 'call.scheduled',
    data: {
      path,
      capability: name,
      queue: capabilityQueue(name),
      deadlineMs: options.deadlineMs ?? capability.deadlineMs,
      retry: options.retry ?? capability.retry,
      effect: capability.effect,
      priority: options.priority ?? state.priority,
      ...(capability.limits === undefined || capability.limits.length === 0 ? {} : { limits: capability.limits }),
      ...declaredRemedies(capability.remedies, options.remedies),
    },
    payload: input,
  };
}

function tooLong(context: GraphContext): NewRunEvent {
  const cause = failure({
    class: 'invalid_request',
    code: 'HISTORY_FULL',
    message: `The run has come to the bound of ${limits.historyEventsMax} events.`,
    retryable: false,
  });
  return { type: 'run.failed', data: { failure: cause, path: null, deadLetter: context.deadLetterId } };
}

/**
 * Nodes that are asked anew when the run is sent back to work: all that have not come to a result, but for those that others
 * have done without and have gone on.
 */
export function nodesToRedo({ units }: RunState, graph: Graph): string[] {
  const withResult = new Set<string>();
  const withoutResult = new Set<string>();
  const underWay = new Set<string>();
  for (const [path, unit] of units) {
    const name = nodeOfPath(path);
    if (unit.kind !== 'call' && unit.kind !== 'node') continue;
    if (unit.status === 'completed') withResult.add(name);
    else withoutResult.add(name);
    if (unit.status !== 'completed' && unit.status !== 'failed' && unit.status !== 'skipped') underWay.add(name);
  }
  return graph.nodes
    .map(({ name }) => name)
    .filter((name) => {
      if (underWay.has(name) || !withoutResult.has(name)) return underWay.has(name);
      const dependents = graph.nodes.filter(({ after }) => after.includes(name));
      return dependents.length === 0 || !dependents.every((other) => withResult.has(other.name));
    });
}
