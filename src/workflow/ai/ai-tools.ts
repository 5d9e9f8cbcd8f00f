/**
 * Tools of the AI SDK whose calls are steps of the run. A tool is an object with `execute(input, options)`; all else of it is
 * left as it is, so that tools of every kind and version go through. Capabilities, and tools of ours, are put into that form.
 */
import { SpineError } from '../../core/errors.js';
import { isNamed } from '../../core/tools/judge.js';
import type { ToolPolicy } from '../../core/tools/policy.js';
import { defaultRetry } from '../../core/retry.js';
import type { RetryPolicy } from '../../core/retry.js';
import type { Effect } from '../../core/run/events.js';
import type { StepContext } from '../ctx.js';
import type { ModelCall } from '../infer/model-endpoint.js';
import { OptionFaults, suggestion } from '../options.js';
import { readRetry } from '../retry-options.js';
import { checkedBySchema } from '../infer/answer-schema.js';
import { effectOfTool, toolOf, type AnyTool, type Tool } from '../infer/tool.js';
import type { AiTools, AiToolOptions, AiToolsOf } from './ai-options.js';
import { storable } from './sdk-values.js';

/** How the calls of one tool are made. */
export interface AiToolSetting {
  readonly effect: Effect;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number | null;
}

/** One call of a tool. */
export interface AiToolRun {
  readonly name: string;
  readonly toolCallId: string;
  readonly input: unknown;
  readonly work:
    | {
        readonly kind: 'sdk';
        readonly setting: AiToolSetting;
        readonly execute: (step: StepContext) => Promise<unknown>;
      }
    /** A capability, or a function with an effect and retries of its own. */
    | { readonly kind: 'own'; readonly tool: Tool };
}

type Execute = (this: unknown, input: unknown, options: unknown) => unknown;

const effects: readonly Effect[] = ['pure', 'idempotent', 'external'];

/** The tools, whose calls go through `run`; what they do is noted in `effects`. Fails with OPTIONS_INVALID, naming all faults. */
export function durableTools<Tools extends AiTools>(
  tools: Tools,
  options: AiToolOptions & { readonly each?: { readonly [Name in keyof Tools]?: AiToolOptions } },
  run: (call: AiToolRun) => Promise<unknown>,
  effects: Map<string, Effect>,
): AiToolsOf<Tools> {
  const faults = new OptionFaults('ai.tools');
  const { each = {}, ...all } = options;
  for (const name of Object.keys(each))
    if (!Object.hasOwn(tools, name))
      faults.add(`each: there is no tool "${name}"${suggestion(name, Object.keys(tools))}`);
  const made = Object.entries(tools).map(([name, tool]): [string, object] => {
    const own = (each as Readonly<Record<string, AiToolOptions | undefined>>)[name];
    if (isOwn(tool)) {
      if (own !== undefined) faults.add(`${name}: a ${tool.kind} has its effect and its retries by itself`);
      const made = toolOf(tool);
      if (effects.get(name) !== 'external') effects.set(name, effectOfTool(made));
      return [name, ownTool(name, made, run)];
    }
    const setting = settingOf(name, { ...all, ...own }, faults);
    // Of two programs' tools of one name, the graver holds.
    if (effects.get(name) !== 'external') effects.set(name, setting.effect);
    const { execute } = tool as { readonly execute?: unknown };
    // Tools without it are answered by the page or by the provider.
    if (typeof execute !== 'function') return [name, tool];
    return [name, { ...tool, execute: durable(name, tool, execute as Execute, setting, run) }];
  });
  faults.throwIfAny();
  return Object.fromEntries(made) as AiToolsOf<Tools>;
}

function isOwn(tool: object): tool is AnyTool {
  return 'kind' in tool && (tool.kind === 'capability' || tool.kind === 'tool');
}

/** By this the SDK knows its own schemas; it is registered, so that all copies of the SDK have the same. */
const schemaSymbol = Symbol.for('vercel.ai.schema');

/** A tool of ours in the form of the SDK. The input goes on as the model has written it: who does the work reads it. */
function ownTool(name: string, tool: Tool, run: (call: AiToolRun) => Promise<unknown>): object {
  const { description, input, parameters } = tool;
  const validate = async (value: unknown): Promise<object> => {
    const read = await checkedBySchema(input, value);
    return read.ok ? { success: true, value } : { success: false, error: new TypeError(read.faults.join('; ')) };
  };
  return {
    ...(description === null ? {} : { description }),
    inputSchema: { [schemaSymbol]: true, jsonSchema: parameters, validate },
    execute: (given: unknown, options: unknown = {}) => {
      const { toolCallId } = options as { readonly toolCallId?: unknown };
      const id = typeof toolCallId === 'string' ? toolCallId : '';
      return run({ name, toolCallId: id, input: given, work: { kind: 'own', tool } });
    },
  };
}

function settingOf(name: string, options: AiToolOptions, faults: OptionFaults): AiToolSetting {
  const known = ['effect', 'retry', 'timeout'];
  for (const option of Object.keys(options))
    if (!known.includes(option)) faults.add(`${name}: "${option}" is not an option${suggestion(option, known)}`);
  const { effect = 'idempotent', retry, timeout } = options;
  if (!effects.includes(effect)) faults.add(`${name}: effect must be one of ${effects.join(', ')}`);
  return {
    effect,
    retry: readRetry(retry, faults, { ...defaultRetry, attempts: 1 }),
    timeoutMs: faults.duration(`${name}: timeout`, timeout, null, 1),
  };
}

function durable(
  name: string,
  tool: object,
  execute: Execute,
  setting: AiToolSetting,
  run: (call: AiToolRun) => Promise<unknown>,
): (input: unknown, options: unknown) => Promise<unknown> {
  return (input, options = {}) => {
    const { toolCallId, abortSignal } = options as { readonly toolCallId?: unknown; readonly abortSignal?: unknown };
    return run({
      name,
      toolCallId: typeof toolCallId === 'string' ? toolCallId : '',
      input,
      work: {
        kind: 'sdk',
        setting,
        async execute({ signal, idempotencyKey }) {
          const signals = abortSignal instanceof AbortSignal ? AbortSignal.any([signal, abortSignal]) : signal;
          const given = { ...(options as object), abortSignal: signals, idempotencyKey };
          return storable(await lastOf(execute.call(tool, input, given)));
        },
      },
    });
  };
}

/** A tool may give what it has so far again and again; what it gives last is its result. */
async function lastOf(result: unknown): Promise<unknown> {
  if (typeof result !== 'object' || result === null || !(Symbol.asyncIterator in result)) return await result;
  let last: unknown;
  for await (const part of result as AsyncIterable<unknown>) last = part;
  return last;
}

/**
 * Refuses a call of a model that offers tools which nobody judges, where the app has a policy of tools: functions that did not
 * go through `ai.tools`, and tools that the provider runs itself, unless a rule without conditions allows them by their name.
 * Fails with TOOL_UNGATED.
 */
export function refuseUngated(
  { tools = [] }: ModelCall,
  effects: ReadonlyMap<string, Effect>,
  { rules }: ToolPolicy,
): void {
  for (const tool of tools) {
    const { type, name } = tool as { readonly type?: unknown; readonly name?: unknown };
    const named = typeof name === 'string' ? name : '';
    if (type === 'function' && effects.has(named)) continue;
    const rule = rules.find((one) => isNamed(one.tools, named));
    const isPlain =
      rule?.verdict === 'allow' && rule.when === undefined && rule.schema === undefined && rule.limits === undefined;
    if (type === 'function' || !isPlain || rule.perRun !== undefined)
      throw new SpineError('TOOL_UNGATED', { name: named });
  }
}
