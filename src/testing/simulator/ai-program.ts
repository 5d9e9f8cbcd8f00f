/**
 * Programs as code of the AI SDK would be: the model and the tools are those of `ctx.ai`, asked and called side by side at a pace
 * that is not that of the body, and what the tools have come to is told to the model in whatever order they ended.
 */
import type { Ai, Ctx, ModelCallNow, ModelEndpoint } from '../../workflow/index.js';
import { programModel, toolOf, type AiNode, type AiTool, type InferNode } from './program.js';
import type { PerformEffect } from './program-app.js';
import { retryOf } from './scripted-body.js';

/** What is asked of the model, as the first message says it. */
export interface Asked {
  /** Tenant, run, and name of the ask. */
  readonly at: string;
  readonly node: InferNode;
  /** Tools that the answer is to call. */
  readonly calls: readonly { readonly id: string; readonly name: string }[];
  /** It is too long for the small versions. */
  readonly pad?: string;
}

/** The text that asks for an answer. */
export function askFor(at: string, node: InferNode, tools: readonly AiTool[] = [], pad?: string): string {
  const calls = tools.map(({ id, step }) => ({ id, name: toolOf(step.external) }));
  return JSON.stringify({ at, node, calls, ...(pad === undefined ? {} : { pad }) } satisfies Asked);
}

/** What a text asks for. */
export function askedBy(text: string): Asked {
  return JSON.parse(text) as Asked;
}

type Message = ModelCallNow['prompt'][number];

/** Runs the node, and comes to what was said in it: each answer by what it was asked for, each tool by its outcome. */
export async function runAi(ctx: Ctx, node: AiNode, perform: PerformEffect): Promise<void> {
  const home = `${ctx.run.tenant}/${ctx.run.id}`;
  await ctx.ai(node.name, async (ai) => {
    const tools = toolsOf(ai, node, perform);
    const said: string[] = [];
    const before: Message[] = [];
    for (const { asks, tools: wanted } of node.rounds) {
      const answers = await Promise.all(
        asks.map((ask, i) => {
          const text = askFor(`${home}/${ask.name}`, ask, i === 0 ? wanted : []);
          const prompt = [{ role: 'user', content: [{ type: 'text', text }] }, ...before];
          return answered(modelOf(ai, node, ask), { prompt }, ask.streamed);
        }),
      );
      said.push(...answers.map(textOf));
      const calls = answers[0]?.filter(({ type }) => type === 'tool-call') ?? [];
      const results: object[] = [];
      // In the order of their ends.
      const outcomes = await Promise.all(
        calls.map(async ({ toolCallId = '', toolName = '' }) => {
          const outcome = await tools[toolName === 'send' ? 'send' : 'look'].execute({}, { toolCallId }).catch(failed);
          results.push({ type: 'tool-result', toolCallId, toolName, output: { type: 'text', value: outcome } });
          return `${toolCallId} ${outcome}`;
        }),
      );
      said.push(...outcomes);
      const [first = []] = answers;
      const told = node.fickle ? first : [{ type: 'text', text: textOf(first) }, ...calls];
      before.push({ role: 'assistant', content: told }, { role: 'tool', content: results });
    }
    return said;
  });
}

/** What the node must have come to. `isDone`: whether the tool at this path has a result. */
export function saidBy(home: string, { rounds }: AiNode, isDone: (path: string) => boolean): string[] {
  return rounds.flatMap(({ asks, tools }) => [
    ...asks.map(({ name }) => `${home}/${name}`),
    ...tools.map(({ id, step: { name } }) => `${id} ${isDone(name) ? `${home}/${name}` : failed()}`),
  ]);
}

function failed(): string {
  return 'it has failed';
}

interface Tool {
  execute(input: object, options: { readonly toolCallId: string }): Promise<string>;
}

function toolsOf(ai: Ai, { rounds }: AiNode, perform: PerformEffect): Readonly<Record<'send' | 'look', Tool>> {
  const steps = new Map(rounds.flatMap(({ tools }) => tools.map(({ id, step }) => [id, step])));
  const execute = async (
    _: object,
    options: { readonly toolCallId: string; readonly idempotencyKey?: string },
  ): Promise<string> => {
    const { toolCallId, idempotencyKey = '' } = options;
    const step = steps.get(toolCallId);
    if (step === undefined) throw new Error(`Invariant broken: nobody has called ${toolCallId}`);
    await perform(step, { kind: 'step', idempotencyKey, attempt: 1, write: () => Promise.resolve() });
    return idempotencyKey;
  };
  return ai.tools({ look: { execute }, send: { execute } }, { each: { send: { effect: 'external' } } });
}

function modelOf(ai: Ai, { policy }: AiNode, ask: InferNode): ModelEndpoint {
  const { attempts, minMs, maxMs, factor } = retryOf(ask.attempts);
  return ai.model(programModel, { policy, retry: { attempts, min: minMs, max: maxMs, factor } });
}

interface Part {
  readonly type: string;
  readonly text?: string;
  readonly delta?: string;
  readonly toolCallId?: string;
  readonly toolName?: string;
}

/** The parts of an answer, however they come. */
async function answered(model: ModelEndpoint, call: ModelCallNow, streamed: boolean): Promise<readonly Part[]> {
  if (!streamed) return ((await model.doGenerate(call)) as { readonly content: readonly Part[] }).content;
  const parts: Part[] = [];
  const { stream } = await model.doStream(call);
  for await (const part of stream as AsyncIterable<Part>) parts.push(part);
  return parts;
}

/** Some models say it whole, others bit by bit. */
function textOf(parts: readonly Part[]): string {
  return parts.map(({ text, delta }) => text ?? delta ?? '').join('');
}
