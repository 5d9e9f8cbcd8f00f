/**
 * How somebody without a clearance sees one run: what stands in the place of its values, of the messages of its failures and
 * of what people have said, by what its app declares of them. Pure; `ShownEngine` says for whom.
 *
 * Invariant: what this file does not know is hidden. A new kind of event shows where the run is and nothing of what it works on.
 */
import type { Failure } from '../../core/failure.js';
import type { Declarations, WorkflowShapes } from '../../core/redaction/declared.js';
import type { Shape } from '../../core/redaction/shape.js';
import { hiddenOf, redacted, redactedText, type Clearance } from '../../core/redaction/tags.js';
import type { RunEventData, RunEventType } from '../../core/run/events.js';
import { mailSignal } from '../../core/run/mail.js';
import type { WaitOn } from '../../core/run/waits.js';
import type { DecisionView, RunEventView, RunFold, WaitView } from '../../protocol/http.js';

/** Words of a failure as views show them. */
interface Told {
  readonly class: string;
  readonly code: string;
  readonly message: string;
}

export class RunLens {
  readonly cleared: Clearance;
  /** Tags that the reader lacks of those of the run's app; empty = everything is shown. */
  readonly hidden: readonly string[];
  readonly shapes: WorkflowShapes;
  readonly declared: Declarations;
  /** Capability of each call, as far as it is known. */
  readonly #calls = new Map<string, string>();

  constructor(declared: Declarations, workflow: string, cleared: Clearance) {
    this.declared = declared;
    this.shapes = declared.workflow(workflow);
    this.cleared = cleared;
    this.hidden = hiddenOf(this.shapes.tags, cleared);
  }

  /** Nothing is hidden from this reader. */
  get isClear(): boolean {
    return this.hidden.length === 0;
  }

  /** Hears of calls, in whose answers capabilities have a say. */
  note({ type, data }: RunEventView): void {
    if (type !== 'call.scheduled') return;
    const { path, capability } = data as RunEventData['call.scheduled'];
    this.noteCall(path, capability);
  }

  noteCall(path: string, capability: string): void {
    this.#calls.set(path, capability);
  }

  knowsCall(path: string): boolean {
    return this.#calls.has(path);
  }

  /** What the call at a path was given, or has answered. */
  callShape(path: string, side: 'input' | 'output'): Shape {
    const capability = this.#calls.get(path);
    return capability === undefined ? this.shapes.unknown : this.declared.capability(capability)[side];
  }

  value(shape: Shape, value: unknown): unknown {
    return shape.shown(value, this.cleared);
  }

  /** A value of which nothing is declared. */
  unknown(value: unknown): unknown {
    return this.value(this.shapes.unknown, value);
  }

  /** A text of which nothing is declared. */
  text<T extends string | null>(text: T): T | string {
    return text === null || this.isClear ? text : redactedText(this.hidden);
  }

  /** A text that is shown where messages of failures are. */
  reason<T extends string | null>(text: T): T | string {
    return this.shapes.shows('failures') ? text : this.text(text);
  }

  failure<T extends Told | null>(failure: T): T {
    return failure === null || this.isClear || this.shapes.shows('failures')
      ? failure
      : { ...failure, message: redactedText(this.hidden) };
  }

  /** What is shown at a path: to everybody where its workflow says so. */
  at(path: string, value: unknown): unknown {
    return this.shapes.showsAt(path) ? value : this.unknown(value);
  }

  textAt(path: string, text: string): string {
    return this.shapes.showsAt(path) ? text : this.text(text);
  }

  progress(value: unknown): unknown {
    return this.shapes.shows('progress') ? value : this.unknown(value);
  }

  /** A view of the run, as it is now or was. */
  fold(view: RunFold): RunFold {
    if (this.isClear) return view;
    return {
      ...view,
      failure: this.failure(view.failure),
      waitingFor: view.waitingFor.map((wait) => this.#wait(wait)),
      progress: view.progress === null ? null : this.progress(view.progress),
    };
  }

  #wait(wait: WaitView): WaitView {
    switch (wait.kind) {
      case 'event':
        return { ...wait, text: `Waits for an event with ${redactedText(this.hidden)}.` };
      case 'approval':
        return { ...wait, text: this.textAt(wait.path ?? '', wait.text) };
      default:
        return wait;
    }
  }

  decision(view: DecisionView): DecisionView {
    if (this.isClear || this.shapes.showsAt(view.path)) return { ...view, failure: this.failure(view.failure) };
    const { input, output, alternatives, tools } = view;
    return {
      ...view,
      ...(tools === undefined ? {} : { tools: tools.map((one) => ({ ...one, why: this.text(one.why) })) }),
      // The hash of a short text gives it away.
      input: { ...input, blob: null },
      output: output === null ? null : { ...output, blob: null },
      alternatives: alternatives.map((one) => ({ ...one, text: this.text(one.text) })),
      comment: this.text(view.comment),
      failure: this.failure(view.failure),
    };
  }

  event(event: RunEventView): RunEventView {
    if (this.isClear) return event;
    const rule = ruleOf(event.type);
    const data = event.data as never;
    this.note(event);
    const { payload, blob, ...rest } = event;
    const shownData = rule.data(data, this);
    if (payload === undefined && blob === undefined) return { ...rest, data: shownData };
    const shape = rule.payload(data, this);
    if (shape === null || shape.showsAll(this.cleared)) return { ...event, data: shownData };
    // What lies elsewhere is not fetched to be looked at.
    if (blob !== undefined) return { ...rest, data: shownData, payload: redacted(hiddenOf(shape.tags, this.cleared)) };
    return { ...rest, data: shownData, payload: this.value(shape, payload) };
  }
}

/** What is shown of the events of a type. */
interface EventRule<Data = never> {
  readonly data: (data: Data, lens: RunLens) => unknown;
  /** The shape of the payload; null = everybody is shown it. */
  readonly payload: (data: Data, lens: RunLens) => Shape | null;
}

type Rules = { readonly [T in RunEventType]?: EventRule<RunEventData[T]> };

const asItIs = (data: unknown): unknown => data;
const unknownShape = (_: unknown, lens: RunLens): Shape => lens.shapes.unknown;
const everybody = (): null => null;
const plain: EventRule<object> = { data: asItIs, payload: unknownShape };

/** Its failure is told without its words. */
const failing: EventRule<object> = {
  data: (data, lens) => {
    const { failure } = data as { readonly failure?: Failure | null };
    return failure === undefined || failure === null ? data : { ...data, failure: shownFailure(failure, lens) };
  },
  payload: unknownShape,
};

const reasoned: EventRule<object> = {
  data: (data, lens) => {
    const { reason } = data as { readonly reason?: string | null };
    return reason === undefined ? data : { ...data, reason: lens.reason(reason) };
  },
  payload: unknownShape,
};

/** Its value is that of the step at its path. */
const ofPath: EventRule<{ readonly path: string }> = {
  data: asItIs,
  payload: ({ path }, lens) => (lens.shapes.showsAt(path) ? null : lens.shapes.unknown),
};

const rules: Rules = {
  'run.started': { data: asItIs, payload: (_, lens) => lens.shapes.input },
  'graph.started': { data: asItIs, payload: everybody },
  'node.skipped': plain,
  'node.failed': failing,
  'step.started': plain,
  'step.completed': ofPath,
  'step.retrying': failing,
  'step.due': plain,
  'step.failed': failing,
  'call.scheduled': { data: asItIs, payload: ({ path }, lens) => ofCall(path, 'input', lens) },
  'call.admitted': plain,
  'call.retrying': failing,
  'call.completed': { data: asItIs, payload: ({ path }, lens) => ofCall(path, 'output', lens) },
  'call.failed': failing,
  'inference.requested': ofPath,
  'inference.admitted': plain,
  'inference.begun': plain,
  'inference.identified': plain,
  'inference.ambiguous': plain,
  'inference.completed': ofPath,
  'inference.retrying': failing,
  'inference.due': plain,
  'inference.failed': failing,
  'decision.recorded': {
    data: (data, lens) => {
      if (lens.shapes.showsAt(data.path)) return data;
      const alternatives = data.alternatives.map((one) => ({ ...one, text: lens.text(one.text) }));
      return { ...data, alternatives, ...(data.comment === undefined ? {} : { comment: lens.text(data.comment) }) };
    },
    payload: unknownShape,
  },
  'tool.judged': {
    data: (data, lens) => {
      if (lens.shapes.showsAt(data.of)) return data;
      // What was counted are arguments, and the hash of a few gives them away.
      const { hash: _hash, counted: _counted, why, ...rest } = data;
      return why === undefined ? rest : { ...rest, why: lens.text(why) };
    },
    payload: ({ of }, lens) => ofPath.payload({ path: of }, lens),
  },
  'timer.set': plain,
  'timer.fired': plain,
  'event.emitted': plain,
  'progress.reported': {
    data: asItIs,
    payload: (_, lens) => (lens.shapes.shows('progress') ? null : lens.shapes.unknown),
  },
  'child.started': plain,
  'child.cancel_requested': reasoned,
  'child.ended': { data: failing.data, payload: ofPath.payload },
  'stream.appended': {
    data: asItIs,
    payload: (data, lens) => (lens.shapes.shows('streams') ? null : ofPath.payload(data, lens)),
  },
  'context.put': ofPath,
  'context.used': plain,
  'context.inherited': plain,
  'race.decided': plain,
  'signal.received': {
    data: failing.data,
    payload: ({ name, mail }, lens) =>
      mail !== undefined && name === mailSignal ? lens.shapes.message(mail.type) : lens.shapes.signal(name),
  },
  'message.sent': {
    data: (data, lens) => {
      const { to } = data;
      const failure = to.kind === 'agent' ? null : to.failure;
      return failure === null ? data : { ...data, to: { ...to, failure: shownFailure(failure, lens) } };
    },
    payload: ofPath.payload,
  },
  'message.buried': failing,
  'wait.opened': {
    data: (data, lens) => ({ ...data, on: shownWait(data.on, data.path, lens) }),
    payload: ofPath.payload,
  },
  'wait.satisfied': {
    data: asItIs,
    payload: ({ path, by }, lens) =>
      by.kind === 'event' ? lens.declared.topic(by.event.topic) : ofPath.payload({ path }, lens),
  },
  'wait.expired': plain,
  'wait.cancelled': plain,
  'approval.delegated': plain,
  'approval.escalated': plain,
  'approval.commented': ofPath,
  'run.parked': plain,
  'activation.retrying': failing,
  'run.cancel_requested': reasoned,
  'run.succeeded': { data: asItIs, payload: (_, lens) => lens.shapes.output },
  'run.failed': failing,
  'run.cancelled': reasoned,
  'run.continued': plain,
  'run.refused': { data: asItIs, payload: (_, lens) => lens.shapes.refusal },
  'run.migrated': plain,
  'run.redriven': reasoned,
  'input.edited': {
    data: reasoned.data,
    payload: ({ path }, lens) => (path === null ? lens.shapes.input : ofCall(path, 'input', lens)),
  },
};

/** Fields of `data` that say where a run is, of whatever event. */
const placing: ReadonlySet<string> = new Set(['path', 'attempt', 'index', 'offset', 'count', 'fireAt', 'retryAt']);

const unheardOf: EventRule<object> = {
  data: (data) => Object.fromEntries(Object.entries(data ?? {}).filter(([name]) => placing.has(name))),
  payload: unknownShape,
};

function ruleOf(type: string): EventRule {
  const known: Readonly<Record<string, EventRule | undefined>> = rules;
  return Object.hasOwn(known, type) ? (known[type] ?? unheardOf) : unheardOf;
}

function ofCall(path: string, side: 'input' | 'output', lens: RunLens): Shape | null {
  return lens.shapes.showsAt(path) ? null : lens.callShape(path, side);
}

/** A failure as it is recorded: what it says in words, and what was made of these words, may quote what it failed with. */
function shownFailure(failure: Failure, lens: RunLens): Failure {
  if (lens.shapes.shows('failures')) return failure;
  const { stack: _stack, triage, ...rest } = failure;
  const shown = { ...rest, message: redactedText(lens.hidden) };
  return triage === undefined ? shown : { ...shown, triage: { ...triage, reason: redactedText(lens.hidden) } };
}

function shownWait(on: WaitOn, path: string, lens: RunLens): WaitOn {
  switch (on.kind) {
    case 'event': {
      const names = Object.keys(on.match);
      return { ...on, match: Object.fromEntries(names.map((name) => [name, lens.text('')])) };
    }
    case 'approval': {
      if (lens.shapes.showsAt(path)) return on;
      const { call: _call, ...rest } = on;
      return { ...rest, title: lens.text(on.title) };
    }
    case 'signal':
      return on;
  }
}
