/**
 * An inference from its question to its end: rounds with tools in between, and repairs of answers that do not fit. Each time
 * that the model is asked is an inference of its own in the journal, and each call of a tool a step or call.
 *
 * Invariant: what is asked and done next follows from the question and from recorded answers alone.
 */
import { pathOf, type PathName } from '../../core/paths.js';
import { choiceFor, type RemedyChoice } from '../../core/remedies.js';
import type { InferenceHop, TokenUsage } from '../../core/run/inference.js';
import { isCancelled } from '../cancelled.js';
import type { InferenceTold } from '../replay/infer-work.js';
import { isOwn, markOwn, refusedText } from '../replay/tool-gate.js';
import { isStepError, StepError } from '../step-error.js';
import { checkedBySchema, doesNotFit, readAnswer, type AnswerCheck, type Checked } from './answer-schema.js';
import type { Question } from './ask-inference.js';
import type { Mended } from './mended-inference.js';
import type { InferResult } from './infer-options.js';
import { factsOf, type AnswerFacts, type RecordedAnswer, type ToolCall } from './model-answer.js';
import type { ModelMessage } from './model-endpoint.js';
import type { Tool } from './tool.js';

/** What a conversation asks of the body that it belongs to. */
export interface ConversationHost {
  /** Asks the model, at a path of this conversation, and gives the question that it has answered: it may be another one. */
  ask(path: string, question: Question, check: AnswerCheck | null): Promise<Mended>;
  /** Does the work of a tool, at a path of this conversation. `call` has what the model has written, `input` is what the schema made of it. */
  runTool(path: string, tool: Tool, call: ToolCall, input: unknown): Promise<ToolDone>;
}

/** What the work of a tool came to; `refused`: it was not begun, and why. */
export type ToolDone =
  | { readonly tag: 'done'; readonly value: unknown }
  | { readonly tag: 'refused'; readonly why: string };

/** Has the conversation that begins with a question at `path`; what is said is added to `messages`. Rejects with `StepError`. */
export async function converse(
  path: string,
  question: Question,
  host: ConversationHost,
  messages: ModelMessage[] = [...question.messages],
): Promise<InferResult> {
  const { model, schema } = question;
  let asked = question;
  const spent = new Sum();
  const ids = new Map<string, number>();
  let { rounds, repairs } = question;
  /** The time that it is asked without a look at what was answered before. */
  let distrusts = 0;
  const isRepaired = repairing.has(choiceFor(question.remedies, 'invalid_output'));
  for (let n = 1; ; n++) {
    const at = n === 1 ? path : pathOf(path, ['ask', n]);
    const isLast = repairs === 0;
    const cache = n === distrusts && question.cache !== null ? { ...question.cache, freshMs: null } : question.cache;
    const check = checkOf(question, isLast || !isRepaired);
    const mended = await host.ask(at, { ...asked, messages: [...messages], cache }, check);
    const { told } = mended;
    // What could not be taken is not asked for again in the next round.
    asked = { ...mended.question, chain: question.chain };
    messages.splice(0, messages.length, ...asked.messages);
    const facts = factsOf(told.answer as RecordedAnswer);
    spent.add(told);
    rounds -= 1;
    if (isToBeRun(question, facts) && rounds > 0) {
      const results = await Promise.all(
        facts.toolCalls.map(async (call) => toolResult(call, await runTool(path, call, ids, question, host))),
      );
      messages.push(saidBy(facts), { role: 'tool', content: results });
      continue;
    }
    const read = await objectOf(question, facts);
    // It fitted when it was given: what was asked for says more by now than the model was told. Now the model has its turn.
    if (!read.ok && told.outcome.cached !== undefined && cache?.onlyOf === undefined) {
      distrusts = n + 1;
      rounds += 1;
      continue;
    }
    const isOfAny = cache?.onlyOf !== undefined;
    if (read.ok) return resultOf(model.name, told, facts, spent, read.value, isOfAny);
    if (isLast || schema === null) throw new StepError(at, told.attempt, doesNotFit(model.name, read.faults));
    repairs -= 1;
    messages.push(saidBy(facts), userSays(repairText(read.faults)));
  }
}

const repairing: ReadonlySet<RemedyChoice> = new Set(['auto', 'repair']);

/** Fails what would be left as it is; of what is mended it is known that it did not fit. */
function checkOf(question: Question, isFinal: boolean): AnswerCheck | null {
  if (question.schema === null) return null;
  return async (answer) => {
    const read = await objectOf(question, factsOf(answer));
    return read.ok ? null : { faults: read.faults, isFinal };
  };
}

function isToBeRun({ tools }: Question, { toolCalls }: AnswerFacts): boolean {
  return tools.size > 0 && toolCalls.length > 0;
}

/** The answer by its schema. A model that asks for tools has not answered yet. */
async function objectOf(question: Question, facts: AnswerFacts): Promise<Checked> {
  const { schema } = question;
  if (schema === null || isToBeRun(question, facts)) return { ok: true, value: undefined };
  return readAnswer(schema, facts.text);
}

function resultOf(
  model: string,
  { grant, outcome }: InferenceTold,
  { text, reasoning, toolCalls, confidence }: AnswerFacts,
  { usage, costMicros, hops }: Sum,
  object: unknown,
  isOfAny: boolean,
): InferResult {
  const { finish, cached } = outcome;
  const result = { text, object, reasoning, toolCalls, usage, costMicros, finish, hops, confidence };
  if (cached === undefined)
    return { ...result, model: { name: model, version: grant?.version ?? '', arm: grant?.arm ?? '' } };
  const { version, at, savedMicros } = cached;
  return {
    ...result,
    model: { name: cached.model, version, arm: isOfAny ? 'cached' : version },
    cached: { at, savedMicros },
  };
}

/** What the model is told of a call of a tool: what came of it, or why nothing did. */
type ToolOutput =
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'json'; readonly value: unknown }
  | { readonly type: 'error-text'; readonly value: string };

async function runTool(
  path: string,
  call: ToolCall,
  ids: Map<string, number>,
  { tools }: Question,
  host: ConversationHost,
): Promise<ToolOutput> {
  const { toolName, toolCallId } = call;
  const tool = tools.get(toolName);
  if (tool === undefined) return fault(`There is no tool "${toolName}".`);
  const read = await checkedBySchema(tool.input, call.input);
  if (!read.ok) return fault(`The input does not fit: ${read.faults.join('; ')}.`);
  // Some models count from the beginning in each round.
  const before = ids.get(toolCallId) ?? 0;
  ids.set(toolCallId, before + 1);
  const key = toolCallId.slice(0, idLengthMax);
  const name: PathName = before === 0 ? [toolName, key] : [toolName, key, before + 1];
  try {
    const done = await host.runTool(pathOf(path, name), tool, call, read.value);
    if (done.tag === 'refused') return fault(refusedText(toolName, done.why));
    const { value } = done;
    return typeof value === 'string' ? { type: 'text', value } : { type: 'json', value: plain(value) };
  } catch (error) {
    // Whether the effect has taken place is for a person to say: a model that is told of a failure would ask for it again.
    if (!isStepError(error) || isCancelled(error) || error.code === 'EFFECT_AMBIGUOUS') throw error;
    return { type: 'error-text', value: error.failure.message };
  }
}

/** Of an id; the rest of a longer one tells nothing apart. */
const idLengthMax = 100;

/** In our own words, which taint nothing. */
function fault(value: string): ToolOutput {
  return markOwn({ type: 'error-text', value });
}

/** Models are told in JSON. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null)) as unknown;
}

function toolResult({ toolCallId, toolName }: ToolCall, output: ToolOutput): object {
  const result = { type: 'tool-result', toolCallId, toolName, output };
  return isOwn(output) ? markOwn(result) : result;
}

/** What the model has said, as a message of the assistant. */
function saidBy({ content, toolCalls }: AnswerFacts): ModelMessage {
  const inputs = new Map(toolCalls.map(({ toolCallId, input }) => [toolCallId, input]));
  const parts = content.flatMap((part): Readonly<Record<string, unknown>>[] => {
    const { type, providerMetadata, toolCallId, toolName, input, text, mediaType, data } = part;
    const options = providerMetadata === undefined ? {} : { providerOptions: providerMetadata };
    if (type === 'text' || type === 'reasoning') return [{ type, text, ...options }];
    if (type === 'file') return [{ type, mediaType, data, ...options }];
    if (type !== 'tool-call') return [];
    return [{ type, toolCallId, toolName, input: inputs.get(String(toolCallId)) ?? input, ...options }];
  });
  return { role: 'assistant', content: parts };
}

function userSays(text: string): ModelMessage {
  return { role: 'user', content: [{ type: 'text', text }] };
}

function repairText(faults: readonly string[]): string {
  return `Your answer does not fit what was asked for: ${faults.join('; ')}. Answer again, with nothing but JSON that fits.`;
}

/** What all rounds have taken together. */
class Sum {
  usage: TokenUsage = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 };
  costMicros = 0;
  readonly hops: InferenceHop[] = [];

  add({ outcome: { usage, costMicros }, hops }: InferenceTold): void {
    this.usage = {
      inputTokens: this.usage.inputTokens + usage.inputTokens,
      cachedInputTokens: this.usage.cachedInputTokens + usage.cachedInputTokens,
      outputTokens: this.usage.outputTokens + usage.outputTokens,
    };
    this.costMicros += costMicros;
    this.hops.push(...hops);
  }
}
