/**
 * How much two answers to the same question have in common. Pure, and bounded in time: of long texts the first part counts.
 */
import { canonicalJson } from '../canonical-json.js';
import { limits } from '../limits.js';

/** An answer as it is compared. */
export interface ComparedAnswer {
  readonly text: string;
  /** Tools that it wants to be called; the ids of the calls say nothing. */
  readonly toolCalls: readonly { readonly toolName: string; readonly input: unknown }[];
  /** What it says as JSON, where that was asked for; null = it is none. Absent = it was not asked for. */
  readonly json?: { readonly value: unknown } | null;
}

/** What two answers have in common; null = there is nothing of the kind to be compared. */
export interface AnswerComparison {
  /** Same text, same calls of tools. */
  readonly exact: boolean;
  /** The JSON is the same, in whatever order its members are. */
  readonly json: boolean | null;
  /** Of the texts, from 0 to 1: see `textSimilarity`. */
  readonly similarity: number | null;
  /** The same tools would be called with the same input, in whatever order. */
  readonly tools: boolean | null;
}

/** What they have in common; the same in either order. */
export function compareAnswers(a: ComparedAnswer, b: ComparedAnswer): AnswerComparison {
  const callsTools = a.toolCalls.length + b.toolCalls.length > 0;
  const tools = callsTools ? callsOf(a) === callsOf(b) : null;
  const json = a.json === undefined || b.json === undefined ? null : isSameJson(a.json, b.json);
  const similarity = a.text === '' && b.text === '' ? null : textSimilarity(a.text, b.text);
  return { exact: a.text === b.text && tools !== false, json, similarity, tools };
}

function callsOf({ toolCalls }: ComparedAnswer): string {
  return toolCalls
    .map(({ toolName, input }) => canonicalJson([toolName, input]))
    .sort()
    .join('\n');
}

function isSameJson(a: { readonly value: unknown } | null, b: { readonly value: unknown } | null): boolean {
  return a !== null && b !== null && canonicalJson(a.value) === canonicalJson(b.value);
}

/**
 * The coefficient of Dice and Sørensen over pairs of neighbouring characters (L. Dice, 1945; T. Sørensen, 1948): twice what
 * they share, through what they have together. 1 = the same pairs, 0 = none in common. Case and the kind of white space say
 * nothing. It knows no language, so that it holds for all of them, and no meaning: what is said in other words is not alike.
 */
export function textSimilarity(a: string, b: string): number {
  const [x, y] = [plainText(a), plainText(b)];
  if (x === y) return 1;
  const pairs = new Map<string, number>();
  for (const pair of pairsOf(x)) pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  let shared = 0;
  for (const pair of pairsOf(y)) {
    const left = pairs.get(pair) ?? 0;
    if (left === 0) continue;
    pairs.set(pair, left - 1);
    shared += 1;
  }
  const all = Math.max(0, x.length - 1) + Math.max(0, y.length - 1);
  return all === 0 ? 0 : (2 * shared) / all;
}

function plainText(text: string): string {
  return text.slice(0, limits.shadowTextLengthMax).toLowerCase().replace(/\s+/g, ' ').trim();
}

function* pairsOf(text: string): Generator<string> {
  for (let i = 0; i + 1 < text.length; i++) yield text.slice(i, i + 2);
}
