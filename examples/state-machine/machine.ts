/**
 * State machines as durable runs: an interpreter for charts in the manner of XState. Events come as signals of the run,
 * actions are steps, what a state invokes is any work of `ctx`, and `after` is a timer that may be months away. Guards and
 * assignments are pure, so a replay takes the same transitions; nothing of the machine is stored but what the run records.
 */
import { type Ctx, type Duration, isStepError, type Signal, type StepContext, Terminal } from 'eventspine';

/** What a machine reacts to. */
export interface MachineEvent {
  readonly type: string;
}

/** Something done to the world; a step, so it is done once. */
export type Action<Context> = (context: Context, step: StepContext) => unknown;

/** A way out of a state, or a reaction inside of it where there is no target. */
export interface Transition<Context, Event> {
  readonly target?: string;
  /** Pure. The first transition whose guard is true is taken. */
  readonly guard?: (context: Context, event: Event) => boolean;
  /** Pure. What changes in the context. */
  readonly assign?: (context: Context, event: Event) => Partial<Context>;
  readonly action?: Action<Context>;
}

/** A state. */
export interface State<Context, Event extends MachineEvent> {
  /** The run ends here. */
  readonly final?: true;
  /** Done each time the state is entered. */
  readonly entry?: Action<Context>;
  /** Work that belongs to the state; events that come meanwhile are kept. */
  readonly invoke?: {
    readonly run: (ctx: Ctx, context: Context) => Promise<Partial<Context>>;
    readonly onDone: string;
    /** Where to go when a step or call has used up its attempts. */
    readonly onError: string;
  };
  readonly on?: {
    readonly [Type in Event['type']]?: readonly Transition<Context, Extract<Event, { readonly type: Type }>>[];
  };
  /** When nothing has led out of the state for so long since it was entered. */
  readonly after?: { readonly delay: number; readonly target: string };
}

/** A machine is data and functions; it holds no state. */
export interface Machine<Context, Event extends MachineEvent> {
  readonly initial: string;
  readonly states: Readonly<Record<string, State<Context, Event>>>;
}

/** Where a machine is. */
export interface Situation<Context> {
  readonly state: string;
  readonly context: Context;
}

/** Options of `runMachine`. */
export interface MachineOptions {
  /** Goes on in a new run when the history is longer than this, for machines without end. Default 10,000 events. */
  readonly historyMax?: number;
}

/** Runs a machine from a situation to a final state. The workflow's input must be such a situation. */
export async function runMachine<Context, Event extends MachineEvent>(
  ctx: Ctx,
  machine: Machine<Context, Event>,
  events: Signal<string, never, Event>,
  from: Situation<Context>,
  { historyMax = 10_000 }: MachineOptions = {},
): Promise<Situation<Context>> {
  let at = from;
  for (let visit = 0; ; visit++) {
    const { state, context } = at;
    ctx.progress({ state });
    if (stateOf(machine, state).final === true) return at;
    // Signals that nobody has read go with it.
    if (ctx.historyLength > historyMax) return ctx.continueAsNew(at);
    at = await ctx.scope(state, visit, (ctx) => visitState(ctx, machine, events, { state, context }));
  }
}

async function visitState<Context, Event extends MachineEvent>(
  ctx: Ctx,
  machine: Machine<Context, Event>,
  events: Signal<string, never, Event>,
  { state, context: found }: Situation<Context>,
): Promise<Situation<Context>> {
  const { entry, invoke, after } = stateOf(machine, state);
  const leaveAt = after === undefined ? null : ctx.now() + after.delay;
  if (entry !== undefined) await ctx.step('entry', found, entry);
  if (invoke !== undefined) return invoked(ctx, invoke, found);
  let context = found;
  for (let n = 0; ; n++) {
    const received = await nextEvent(ctx, events, n, leaveAt);
    if (received === null) return { state: after?.target ?? state, context };
    const taken = transitionFor(stateOf(machine, state), context, received);
    if (taken === null) {
      ctx.log.info('an event is not expected in this state', { state, type: received.type });
      continue;
    }
    context = { ...context, ...taken.assign?.(context, received) };
    if (taken.action !== undefined) await ctx.step(['action', n], context, taken.action);
    if (taken.target !== undefined) return { state: taken.target, context };
  }
}

async function invoked<Context, Event extends MachineEvent>(
  ctx: Ctx,
  { run, onDone, onError }: NonNullable<State<Context, Event>['invoke']>,
  context: Context,
): Promise<Situation<Context>> {
  try {
    return { state: onDone, context: { ...context, ...(await run(ctx, context)) } };
  } catch (error) {
    if (!isStepError(error)) throw error;
    return { state: onError, context };
  }
}

/** The next event, in the order in which they came; null when it is time to leave. */
async function nextEvent<Event extends MachineEvent>(
  ctx: Ctx,
  events: Signal<string, never, Event>,
  n: number,
  leaveAt: number | null,
): Promise<Event | null> {
  const as = ['event', n] as const;
  if (leaveAt === null) return (await ctx.waitFor(events, { as })).data;
  const timeout: Duration = Math.max(1, leaveAt - ctx.now());
  return (await ctx.waitFor(events, { as, timeout }))?.data ?? null;
}

function transitionFor<Context, Event extends MachineEvent>(
  { on }: State<Context, Event>,
  context: Context,
  event: Event,
): Transition<Context, Event> | null {
  // The type of the event is what names its transitions.
  const transitions = (on?.[event.type as Event['type']] ?? []) as readonly Transition<Context, Event>[];
  return transitions.find(({ guard }) => guard === undefined || guard(context, event)) ?? null;
}

function stateOf<Context, Event extends MachineEvent>(
  machine: Machine<Context, Event>,
  name: string,
): State<Context, Event> {
  const state = machine.states[name];
  if (state === undefined) throw new Terminal('STATE_UNKNOWN', { state: name });
  return state;
}
