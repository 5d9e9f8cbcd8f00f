/**
 * Activations whose bodies are watched for what a replay would not repeat: use of clock, chance, timers and network
 * outside of steps, promises that are not of `ctx`, `ctx` used inside of a step, and inputs that a step changes.
 * For development and tests; production is plain Node.
 */
import { encodeValue } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import type { Ports } from '../../core/ports.js';
import type {
  ActivationHost,
  ActivationOnlooker,
  BeginActivation,
  StepCall,
} from '../../workflow/activation-contract.js';
import type { AnyWorkflow } from '../../workflow/workflow.js';
import { place, type Place } from './global-traps.js';

/** Something that a body did and should not have. Thrown into the body where the trap is one that fails. */
export type TrapFault = SpineError<'BODY_NOT_DETERMINISTIC'>;

/** What is done about it: thrown into the body, or only reported. */
export interface TrapOptions {
  readonly throws: boolean;
  readonly report: (fault: TrapFault) => void;
}

/** Whether the body may run at this moment: in the turns in which results are handed to it, and their micro-tasks. */
interface Window {
  open: boolean;
}

const engine: Place = { in: 'engine' };

/** `begin` with traps. The traps on globals must be held by the caller (`holdGlobalTraps`). */
export function trappedActivation(begin: BeginActivation, options: TrapOptions): BeginActivation {
  const window: Window = { open: false };
  const portsOf = portsInside(window);
  return (definition, input, host) => {
    const { workflow, run } = input;
    const spring = (what: string, use: string): void => {
      const fault = new SpineError('BODY_NOT_DETERMINISTIC', { workflow, run, what, use });
      options.report(fault);
      if (options.throws) throw fault;
    };
    const body: Place = { in: 'body', spring };
    return begin(watched(definition as AnyWorkflow, body), input, {
      ...outside(host),
      ports: portsOf(host.ports),
      // Read each time, as the worker may change it.
      get parkAfterMs() {
        return host.parkAfterMs;
      },
      onlooker: onlooker(host.onlooker, window, spring),
    });
  };
}

function watched(workflow: AnyWorkflow, here: Place): AnyWorkflow {
  return { ...workflow, body: (ctx, input) => place.run(here, () => workflow.body(ctx, input)) };
}

/** What the activation asks of its worker does not run in the body, though the body has set it off. */
function outside(host: ActivationHost): Omit<ActivationHost, 'ports' | 'parkAfterMs' | 'onlooker'> {
  const out = <T>(act: () => T): T => place.run(engine, act);
  const { valueBytesMax } = host;
  return {
    ...(valueBytesMax === undefined ? {} : { valueBytesMax }),
    submit: (commands) => out(() => host.submit(commands)),
    store: (payload) => out(() => host.store(payload)),
    load: (payload) => out(() => host.load(payload)),
    log: (record) => out(() => host.log(record)),
    model: (name) => host.model?.(name) ?? null,
    topic: (name) => host.topic?.(name) ?? null,
    mirror: (inference) => out(() => host.mirror?.(inference)),
    remedies: host.remedies ?? {},
    ...(host.tools === undefined ? {} : { tools: host.tools }),
    judges: () => host.judges?.() ?? true,
  };
}

/** Ports under which a turn opens the window, and the end of its micro-tasks closes it. One set for each worker. */
function portsInside(window: Window): (ports: Ports) => Ports {
  const made = new WeakMap<Ports, Ports>();
  return (ports) => {
    let found = made.get(ports);
    if (found === undefined) made.set(ports, (found = watchedPorts(ports, window)));
    return found;
  };
}

function watchedPorts({ clock, timers, random, hash }: Ports, window: Window): Ports {
  const out = <T>(act: () => T): T => place.run(engine, act);
  return {
    clock: { now: () => out(() => clock.now()), monotonicMs: () => out(() => clock.monotonicMs()) },
    timers: {
      after: (ms, fn) => out(() => timers.after(ms, fn)),
      turn(fn) {
        out(() => {
          timers.turn(() => {
            window.open = true;
            fn();
          });
          // In the same round of turns, so that nothing of the outside comes in between.
          timers.turn(() => {
            window.open = false;
          });
        });
      },
    },
    random,
    hash,
  };
}

const foreignUse =
  'Await only what ctx gives you (and Promise.all and the like over that); put other work into ctx.step.';
const stepUse = 'Use ctx in the body only; a step gets what it needs as its input, and gives back its result.';
const inputUse = 'Let the step give back what it has found, and change objects in the body.';

function onlooker(
  next: ActivationOnlooker | undefined,
  window: Window,
  spring: (what: string, use: string) => void,
): ActivationOnlooker {
  return {
    ...(next?.looksOnly === undefined ? {} : { looksOnly: next.looksOnly }),
    asked(unit) {
      const here = place.getStore();
      // A program of the AI SDK asks when it likes.
      if (unit.apart === true) return next?.asked?.(unit);
      if (here?.in === 'step') spring(`uses ctx inside of step "${here.path}" (for "${unit.path}")`, stepUse);
      else if (!window.open) spring(`came to "${unit.path}" after awaiting a promise that is not of ctx`, foreignUse);
      next?.asked?.(unit);
    },
    over: (path) => next?.over?.(path),
    busy: (path) => next?.busy?.(path) ?? (() => undefined),
    step: (step) => place.run({ in: 'step', path: step.path }, () => watchedStep(step, next, spring)),
  };
}

/** Runs a step and looks whether it has left its input alone: a replay gets the input as it was before. */
function watchedStep(
  step: StepCall,
  next: ActivationOnlooker | undefined,
  spring: (what: string, use: string) => void,
): unknown {
  const { path, input } = step;
  const before = typeof input === 'object' && input !== null ? encodeValue(input).text : null;
  const result = next?.step === undefined ? step.run() : next.step(step);
  if (before === null) return result;
  const check = <T>(value: T): T => {
    if (encodeValue(input).text !== before) spring(`has a step "${path}" that changes its input`, inputUse);
    return value;
  };
  return isThenable(result) ? result.then(check) : check(result);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
