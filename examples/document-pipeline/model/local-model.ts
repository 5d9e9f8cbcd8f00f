/**
 * The built-in model: extractive and deterministic. It reads the prompt, asks for tools by rules (`tool-planning.ts`) and
 * answers with sentences of the passages, each with its citation, and with what the tools returned. It writes no
 * sentence about the subject of its own, so it can be wrong about what matters but not about what is written.
 */
import type { ChatMessage, WireToolCall } from './chat.ts';
import { readPrompt } from './prompt.ts';
import { type RankedSentence, rankSentences } from './sentence-ranking.ts';
import { planTools } from './tool-planning.ts';

/** Name under which the built-in model answers. */
export const localModelName = 'eventspine-extractive';

/** What a model says: a text, or the tools that it wants first. */
export type ModelTurn =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tools'; readonly calls: readonly WireToolCall[] };

const sentencesMax = 3;
/** A sentence is part of the answer when it weighs at least this much of the best one. */
const scoreShareMin = 0.55;

/** The next turn in a conversation that begins with a prompt of `promptOf`. */
export function answerLocally(messages: readonly ChatMessage[], mayCallTools: boolean): ModelTurn {
  const asked = messages.find((message) => message.role === 'user')?.content;
  const prompt = readPrompt(asked ?? '');
  if (prompt === null) return { kind: 'text', text: 'I answer only questions that come with numbered passages.' };
  const ranked = rankSentences(prompt.question, prompt.passages);
  const results = messages.filter((message) => message.role === 'tool');
  if (mayCallTools && results.length === 0) {
    const calls = planTools(prompt.question, ranked);
    if (calls.length > 0) return { kind: 'tools', calls: calls.map(wireCall) };
  }
  const sentences = [...quoted(ranked), ...results.map(({ content }) => reported(content))].filter((s) => s !== '');
  return { kind: 'text', text: sentences.length === 0 ? 'The documents do not say.' : sentences.join(' ') };
}

function wireCall({ name, arguments: values }: { name: string; arguments: object }, i: number): WireToolCall {
  return { id: `call_${i + 1}`, type: 'function', function: { name, arguments: JSON.stringify(values) } };
}

/** The best sentences in the order in which they were written. */
function quoted(ranked: readonly RankedSentence[]): string[] {
  const least = (ranked[0]?.score ?? 0) * scoreShareMin;
  return ranked
    .filter(({ score }) => score >= least)
    .slice(0, sentencesMax)
    .sort((a, b) => a.place - b.place)
    .map(({ text, passage }) => `${ended(text)} [${passage}]`);
}

/** A tool's result as a sentence. The shapes are those of `tools/tool-results.ts`. */
function reported(content: string): string {
  const result = parse(content);
  if (typeof result['error'] === 'string') return `A tool failed: ${ended(result['error'])}`;
  if (typeof result['value'] === 'number') {
    return `Calculated: ${String(result['expression'])} = ${result['value']} ${String(result['unit'])}.`;
  }
  if (typeof result['days'] === 'number') {
    return `From ${String(result['from'])} to ${String(result['to'])}: ${result['days']} days (${String(result['years'])} years).`;
  }
  if (typeof result['definition'] === 'string') {
    return `${String(result['term'])} means: ${ended(result['definition'])} (${String(result['document'])})`;
  }
  return '';
}

function parse(content: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(content);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function ended(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
