/**
 * Workflows as values: a durable function, what starts it, and how long it and its record may live. Making one opens and
 * runs nothing.
 */
import type { Duration } from '../core/duration.js';
import type { Graph } from '../core/graph/graph.js';
import { limits } from '../core/limits.js';
import type { ShownValues } from '../core/manifest.js';
import type { RetryPolicy } from '../core/retry.js';
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import type { Capability, Handler } from './capability.js';
import type { Ctx } from './ctx.js';
import { OptionFaults } from './options.js';
import { readRetry, type RetryOptions } from './retry-options.js';
import type { Signal } from './signal.js';
import type { Topic } from './topic.js';

/** Options that every workflow may have. */
export interface WorkflowOptions<Out = unknown> {
  /**
   * Pins runs to workers that have this version. Default: none; runs move on to new code, which is safe for edits that
   * keep the names of steps.
   */
  readonly version?: string;
  /**
   * Earlier versions of the same workflow, whose runs this build can still finish. One without a version takes the runs
   * from before there were versions; without it they wait for a worker of the old build.
   */
  readonly previous?: readonly AnyWorkflow[];
  /** Topic to which the result of a successful run is published. */
  readonly completes?: Topic<string, Out>;
  /**
   * The signals that its runs wait for. Then the server checks what is sent against their schemas, and refuses other names.
   * Default: any signal is taken, and its data is checked when the run gets it.
   */
  readonly signals?: readonly Signal[];
  /** Which of its values everybody may see, where fields of the app are tagged (`tagged`). Default: none. */
  readonly shows?: ShownValues;
  /** How long an ended run is kept. Default: for ever. */
  readonly retain?: Duration;
  /** Longest time from start to end; then the run fails with class `timeout`. Default: none. */
  readonly timeout?: Duration;
  /** Longest time of one activation under one lease, after which a hung worker loses it. Default 10 min. */
  readonly deadline?: Duration;
  /** Attempts of an activation that ends without progress. Default: 4 attempts, pauses up to 60 s. */
  readonly retry?: RetryOptions;
  /** Higher goes first, -1000 to 1000. Default 0. */
  readonly priority?: number;
}

/** A workflow that is started with an input. */
export interface StartedOptions<S extends StandardSchema, Out = unknown> extends WorkflowOptions<Out> {
  /** Schema of the input. Default: anything. */
  readonly input?: S;
  readonly on?: never;
}

/** A workflow that each event of a topic starts; its input is the data of the event. */
export interface TriggeredOptions<In, Data, Out = unknown> extends WorkflowOptions<Out> {
  readonly on: Topic<string, In, Data>;
  readonly input?: never;
}

/** A workflow. `In` is what a client gives, `Out` what the run results in. */
export interface Workflow<Name extends string = string, In = unknown, Out = unknown> {
  readonly kind: 'workflow';
  readonly name: Name;
  readonly version: string | null;
  readonly previous: readonly AnyWorkflow[];
  readonly input: StandardSchema | null;
  readonly on: Topic | null;
  readonly completes: Topic | null;
  readonly signals: readonly Signal[];
  /** Absent = nothing is said. */
  readonly shows?: ShownValues;
  readonly retainMs: number | null;
  readonly timeoutMs: number | null;
  readonly deadlineMs: number;
  readonly retry: RetryPolicy;
  readonly priority: number;
  /** The user's code; its input has passed the schema. */
  readonly body: (ctx: Ctx, input: unknown) => unknown;
  /** Of a workflow that is a graph (`dag`): the graph, which servers run by themselves, and the work of its nodes. */
  readonly graph?: Graph;
  readonly handlers?: readonly Handler[];
  readonly capabilities?: readonly Capability[];
  /** Types only; never set. */
  readonly types?: { readonly input: In; readonly output: Out };
}

/** A workflow of any name and types. */
export type AnyWorkflow = Workflow;

const optionNames = [
  'input',
  'on',
  'version',
  'previous',
  'completes',
  'signals',
  'shows',
  'retain',
  'timeout',
  'deadline',
  'retry',
  'priority',
] as const;

/** Defines a workflow that each event of a topic starts. Fails with OPTIONS_INVALID, naming all faults. */
export function workflow<const Name extends string, In, Data, Out>(
  name: Name,
  options: TriggeredOptions<In, Data, NoInfer<Out>>,
  body: (ctx: Ctx, input: Data) => Out | Promise<Out>,
): Workflow<Name, In, Out>;
/** Defines a workflow that is started with an input. Fails with OPTIONS_INVALID, naming all faults. */
export function workflow<const Name extends string, Out, S extends StandardSchema = StandardSchema>(
  name: Name,
  options: StartedOptions<S, NoInfer<Out>>,
  body: (ctx: Ctx, input: InferOutput<S>) => Out | Promise<Out>,
): Workflow<Name, InferInput<S>, Out>;
export function workflow(
  name: string,
  options: WorkflowOptions & { readonly input?: StandardSchema; readonly on?: Topic },
  body: (ctx: Ctx, input: never) => unknown,
): Workflow {
  const faults = new OptionFaults(`workflow "${name}"`);
  const { input, on, version, completes, signals = [], retain, timeout, deadline, priority } = options;
  const previous = earlierVersions(options.previous ?? []);
  faults.name(name);
  faults.unknownNames(options, optionNames);
  faults.schema('input', input);
  if (on !== undefined && on.kind !== 'topic') faults.add('on must be a topic');
  if (completes !== undefined && completes.kind !== 'topic') faults.add('completes must be a topic');
  checkSignals(faults, signals);
  checkShows(faults, options.shows);
  if (on !== undefined && input !== undefined) faults.add('give input or on, not both: the topic has the schema');
  if (typeof body !== 'function') faults.add('the body must be a function');
  faults.integer('priority', priority, { min: 0, max: limits.priorityMax });
  checkVersions(faults, name, version, previous);
  const defined: Workflow = {
    kind: 'workflow',
    name,
    version: version ?? null,
    previous,
    input: input ?? on?.schema ?? null,
    on: on ?? null,
    completes: completes ?? null,
    signals,
    ...(options.shows === undefined ? {} : { shows: options.shows }),
    retainMs: faults.duration('retain', retain, null),
    timeoutMs: faults.duration('timeout', timeout, null, 1),
    deadlineMs: faults.duration('deadline', deadline, limits.activationDeadlineMs, 1),
    retry: readRetry(options.retry, faults),
    priority: priority ?? limits.priorityDefault,
    // The runtime hands over what came through the schema, which is where the type comes from.
    body: body as Workflow['body'],
  };
  faults.throwIfAny();
  return defined;
}

function checkSignals(faults: OptionFaults, signals: unknown): void {
  const list: readonly unknown[] | null = Array.isArray(signals) ? signals : null;
  if (list?.every((one) => (one as Partial<Signal> | null)?.kind === 'signal') !== true)
    return faults.add('signals must be a list of signals');
  const names = list.map((one) => (one as Signal).name);
  for (const name of new Set(names.filter((one, i) => names.indexOf(one) !== i)))
    faults.add(`signal "${name}" is there twice`);
}

const shownNames = ['output', 'progress', 'streams', 'failures', 'steps'];

/** What is written by mistake here would show what was meant to be hidden, or hide what was meant to be shown. */
export function checkShows(faults: OptionFaults, shows: unknown): void {
  if (shows === undefined) return;
  if (typeof shows !== 'object' || shows === null)
    return faults.add('shows is not an object such as { progress: true }');
  for (const [name, said] of Object.entries(shows)) {
    if (!shownNames.includes(name)) faults.add(`shows.${name} is none of ${shownNames.join(', ')}`);
    else if (name === 'steps') {
      if (!Array.isArray(said) || said.length > limits.shownStepsMax || !said.every((one) => typeof one === 'string'))
        faults.add(`shows.steps is not a list of up to ${limits.shownStepsMax} names of steps`);
    } else if (said !== true) faults.add(`shows.${name} is not true; leave it out to hide it`);
  }
}

/** With the earlier ones of the earlier ones: an old body that is kept as it was names its own. */
function earlierVersions(given: readonly AnyWorkflow[]): readonly AnyWorkflow[] {
  return [...new Set(given.flatMap((one) => [one, ...(one.kind === 'workflow' ? one.previous : [])]))];
}

function checkVersions(
  faults: OptionFaults,
  name: string,
  version: string | undefined,
  previous: readonly AnyWorkflow[],
): void {
  if (version !== undefined && (typeof version !== 'string' || !/^[\w.-]{1,64}$/.test(version))) {
    faults.add('version must be 1 to 64 letters, digits, ".", "-" or "_"');
  }
  if (previous.length > 0 && version === undefined) faults.add('previous needs a version of its own beside it');
  const seen = new Set<string | null>([version ?? null]);
  for (const earlier of previous) {
    if (earlier.kind !== 'workflow') faults.add('previous must hold workflows');
    else if (earlier.name !== name) faults.add(`previous holds "${earlier.name}", which is another workflow`);
    else if (seen.has(earlier.version)) faults.add(`version ${quoted(earlier.version)} is there twice`);
    seen.add(earlier.version);
  }
}

function quoted(version: string | null): string {
  return version === null ? '(none)' : `"${version}"`;
}
