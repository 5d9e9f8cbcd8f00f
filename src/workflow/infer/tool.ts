/**
 * Tools as values: what a model may ask to be done in the midst of an inference. Each call of one is a step, or a call of a
 * capability, beneath the inference, named by the id that the model has given it.
 */
import type { Duration } from '../../core/duration.js';
import type { JsonSchema } from '../../core/manifest.js';
import type { Effect } from '../../core/run/events.js';
import type { InferOutput, StandardSchema } from '../../core/standard-schema.js';
import type { Capability } from '../capability.js';
import type { StepContext } from '../ctx.js';
import { OptionFaults } from '../options.js';
import type { RetryOptions } from '../retry-options.js';
import { schemaForModel, type AnySchema } from './answer-schema.js';

/** What the function of a tool is given beside its input. */
export interface ToolContext extends StepContext {
  /** The id that the model has given the call. */
  readonly toolCallId: string;
}

/** Options of `tool`, for a function. */
export interface ToolOptions<S extends AnySchema = AnySchema> {
  /** For the model: what it does, and when to use it. */
  readonly description?: string;
  /** What the model has to give; it is told where it gives something else. */
  readonly input: S;
  /** What may happen again after a crash in mid-work. Default `idempotent`: it runs again with the same idempotency key. */
  readonly effect?: Effect;
  /** Default: 4 attempts, and 1 for an external effect. */
  readonly retry?: RetryOptions;
  /** Longest time of one attempt. Default: none. */
  readonly timeout?: Duration;
  // A method, so that a tool of any schema is one of `ToolOptions`.
  run(input: ToolInput<S>, context: ToolContext): unknown;
}

/** What a function gets of an input of this schema. */
export type ToolInput<S> = S extends StandardSchema ? InferOutput<S> : unknown;

/** What a model may ask to be done, with what does it. */
export interface Tool {
  readonly kind: 'tool';
  readonly description: string | null;
  readonly input: AnySchema;
  /** The same for models. */
  readonly parameters: JsonSchema;
  readonly work: ToolWork;
}

/** What does the work of a tool. */
export type ToolWork =
  | { readonly kind: 'call'; readonly capability: Capability }
  | {
      readonly kind: 'step';
      readonly run: (input: unknown, context: ToolContext) => unknown;
      readonly effect: Effect;
      readonly retry: RetryOptions | undefined;
      readonly timeout: Duration | undefined;
    };

/** What may stand under `tools`: a capability is a tool without a description. */
export type AnyTool = Tool | Capability;

/** A tool whose work a capability does, in its own pool. */
export interface CapabilityToolOptions {
  /** For the model: what it does, and when to use it. */
  readonly description?: string;
  readonly call: Capability;
}

/** Defines a tool out of a function or a capability. Fails with OPTIONS_INVALID, naming all faults. */
export function tool<S extends StandardSchema>(options: ToolOptions<S>): Tool;
export function tool(options: CapabilityToolOptions): Tool;
export function tool(options: ToolOptions<JsonSchema>): Tool;
export function tool(options: ToolOptions | CapabilityToolOptions): Tool {
  const faults = new OptionFaults('tool');
  const { description = null } = options;
  if ('call' in options) {
    faults.unknownNames(options, ['description', 'call']);
    faults.throwIfAny();
    return capabilityTool(options.call, description);
  }
  faults.unknownNames(options, ['description', 'input', 'effect', 'retry', 'timeout', 'run']);
  const { input, effect, retry, timeout } = options;
  faults.effect(effect);
  if (typeof options.run !== 'function') faults.add('run must be a function');
  const parameters = parametersOf(input, faults);
  faults.throwIfAny();
  return {
    kind: 'tool',
    description,
    input,
    parameters,
    // What it is given has come through the schema, which is where the types come from.
    work: {
      kind: 'step',
      run: (read, context) => options.run(read, context),
      effect: effect ?? 'idempotent',
      retry,
      timeout,
    },
  };
}

/** The context of a step, with the id of the call that it is for. */
export function toolContext(step: StepContext, toolCallId: string): ToolContext {
  return {
    get signal() {
      return step.signal;
    },
    attempt: step.attempt,
    idempotencyKey: step.idempotencyKey,
    log: step.log,
    stream: (name) => step.stream(name),
    toolCallId,
  };
}

/** What may happen again of the work of a tool after a crash. */
export function effectOfTool({ work }: Tool): Effect {
  return work.kind === 'call' ? work.capability.effect : work.effect;
}

/** The tool that an entry of `tools` stands for. */
export function toolOf(given: AnyTool): Tool {
  return given.kind === 'tool' ? given : capabilityTool(given, null);
}

/** A tool whose work a capability does. `schema`: what the model has to give. Default: what the capability takes. */
export function capabilityTool(capability: Capability, description: string | null, schema?: AnySchema): Tool {
  const faults = new OptionFaults(`tool of capability "${capability.name}"`);
  const input = schema ?? capability.input ?? anything;
  const parameters = parametersOf(input, faults);
  faults.throwIfAny();
  return { kind: 'tool', description, input, parameters, work: { kind: 'call', capability } };
}

const anything: JsonSchema = { type: 'object' };

function parametersOf(input: unknown, faults: OptionFaults): JsonSchema {
  if ((typeof input !== 'object' && typeof input !== 'function') || input === null) {
    faults.add('input must be a schema');
    return anything;
  }
  const parameters = schemaForModel(input as AnySchema);
  if (parameters === null) faults.add('its input cannot be said as JSON Schema; give it as one');
  return parameters ?? anything;
}
