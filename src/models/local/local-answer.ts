/**
 * The built-in model: extractive and deterministic. It reads the conversation, asks for tools by rules (`tool-planning.ts`)
 * and answers with sentences of the text it was given and with what tools returned. It writes no sentence about the subject
 * of its own, so it can be wrong about what matters but not about what is written.
 */
import type { CallOptions, FunctionTool, PromptMessage, ToolCall, ToolOutput } from '../language-model.js';
import { isRecord } from '../openai/transport.js';
import { type Asked, readPrompt } from './passages.js';
import { quantitiesOf } from './quantities.js';
import { type Quotable, valueOf } from './schema-value.js';
import { type RankedSentence, rankSentences } from './sentence-ranking.js';
import { planTools, type PlannedCall } from './tool-planning.js';

/** What the model says: a text, or the tools that it wants first. */
export type ModelTurn =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tools'; readonly calls: readonly ToolCall[] };

const sentencesMax = 3;
/** A sentence is part of the answer when it weighs at least this much of the best one. */
const scoreShareMin = 0.55;

/** The next turn of a conversation. */
export function answerLocally(options: CallOptions): ModelTurn {
  const asked = readPrompt(options.prompt);
  const ranked = rankSentences(asked.question, asked.passages);
  const results = resultsOf(options.prompt);
  const offered = options.tools?.filter((tool) => tool.type === 'function') ?? [];
  const calls = results.length > 0 ? [] : wantedCalls(options, offered, asked, ranked);
  if (calls.length > 0) {
    const before = options.prompt.reduce((count, message) => count + callsIn(message), 0);
    return { kind: 'tools', calls: calls.map((call, i) => toolCall(call, before + i + 1)) };
  }
  const told = results.map(reported);
  const sentences = [...quoted(asked, ranked), ...told].filter((sentence) => sentence !== '');
  if (options.responseFormat?.type === 'json') {
    const from = quotable(sentences, asked);
    return { kind: 'text', text: JSON.stringify(valueOf(options.responseFormat.schema ?? {}, from) ?? {}) };
  }
  return { kind: 'text', text: sentences.length === 0 ? nothingFound(asked) : sentences.join(' ') };
}

/** How many tools the assistant has called in a message: ids go on from there, so that none comes twice. */
function callsIn(message: PromptMessage): number {
  return message.role === 'assistant' ? message.content.filter(({ type }) => type === 'tool-call').length : 0;
}

/** What tools have returned since the user has spoken. */
function resultsOf(prompt: readonly PromptMessage[]) {
  const last = prompt.findLastIndex(({ role }) => role === 'user');
  return prompt
    .slice(last + 1)
    .flatMap((message) =>
      message.role === 'tool' ? message.content.filter((part) => part.type === 'tool-result') : [],
    );
}

function wantedCalls(
  { toolChoice }: CallOptions,
  offered: readonly FunctionTool[],
  { question, passages }: Asked,
  ranked: readonly RankedSentence[],
): readonly PlannedCall[] {
  if (toolChoice?.type === 'none' || offered.length === 0) return [];
  const planned = planTools(question, ranked, offered);
  const [only] = toolChoice?.type === 'tool' ? offered.filter(({ name }) => name === toolChoice.toolName) : offered;
  const isForced = toolChoice?.type === 'tool' || toolChoice?.type === 'required';
  const fitting = toolChoice?.type === 'tool' ? planned.filter(({ name }) => name === only?.name) : planned;
  if (fitting.length > 0 || !isForced || only === undefined) return fitting;
  const from = quotable([question, ...passages.map(({ text }) => text)], { question, passages, isNumbered: false });
  const values = valueOf(only.inputSchema, from);
  return [{ name: only.name, arguments: isRecord(values) ? values : {} }];
}

function toolCall({ name, arguments: values }: PlannedCall, number: number): ToolCall {
  return { type: 'tool-call', toolCallId: `call_${number}`, toolName: name, input: JSON.stringify(values) };
}

/** The best sentences in the order in which they were written. */
function quoted({ isNumbered }: Asked, ranked: readonly RankedSentence[]): string[] {
  const least = (ranked[0]?.score ?? 0) * scoreShareMin;
  return ranked
    .filter(({ score }) => score >= least)
    .slice(0, sentencesMax)
    .sort((a, b) => a.place - b.place)
    .map(({ text, passage }) => (isNumbered ? `${ended(text)} [${passage}]` : ended(text)));
}

function quotable(sentences: readonly string[], { question, passages }: Asked): Quotable {
  const text = [question, ...passages.map((passage) => passage.text)].join('\n');
  const found = sentences.length === 0 ? [question] : sentences;
  return { sentences: found, numbers: quantitiesOf(text).map(({ value }) => value), text };
}

function nothingFound({ isNumbered, passages }: Asked): string {
  if (isNumbered || passages.length > 0) return 'The documents do not say.';
  return 'I am the built-in model: I quote the text that I am given, and here is none that answers this.';
}

/** A tool's result as a sentence. */
function reported({ toolName, output }: { readonly toolName: string; readonly output: ToolOutput }): string {
  const content = output.type === 'execution-denied' ? { error: output.reason ?? 'it was denied' } : output.value;
  const result = typeof content === 'string' ? (parsed(content) ?? content) : content;
  if (!isRecord(result)) return ended(`${toolName} says: ${shown(result)}`);
  if (typeof result['error'] === 'string') return `A tool failed: ${ended(result['error'])}`;
  if (typeof result['value'] === 'number' && typeof result['expression'] === 'string') {
    return `Calculated: ${result['expression']} = ${result['value']} ${String(result['unit'])}.`;
  }
  if (typeof result['days'] === 'number' && 'from' in result) {
    return `From ${String(result['from'])} to ${String(result['to'])}: ${result['days']} days (${String(result['years'])} years).`;
  }
  if (typeof result['term'] === 'string') {
    if (typeof result['definition'] !== 'string') return '';
    return `${result['term']} means: ${ended(result['definition'])} (${String(result['document'])})`;
  }
  const facts = Object.entries(result).map(([name, value]) => `${name} ${shown(value)}`);
  return ended(`${toolName} says: ${facts.join(', ')}`);
}

/** Longer results are for a model that can read. */
const shownMax = 300;

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text === undefined ? 'nothing' : text.slice(0, shownMax);
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return null;
  }
}

function ended(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
