/**
 * What the built-in model reads in a conversation: the question, and the text that it may quote. A prompt of the form
 *
 *     Question: <one line>
 *
 *     Passages:
 *
 *     [1] <source>
 *     <text>
 *
 * is quoted with the numbers of its passages. In any other conversation the last question is the question, and everything
 * else that was said is text.
 */
import type { PromptMessage } from '../language-model.js';
import { splitSentences } from './sentences.js';

/** A passage as the model sees it; `number` is what it cites. */
export interface NumberedPassage {
  readonly number: number;
  readonly source: string;
  readonly text: string;
}

/** The question and its passages. */
export interface Asked {
  readonly question: string;
  readonly passages: readonly NumberedPassage[];
  /** Whether statements are followed by the number of their passage. */
  readonly isNumbered: boolean;
}

/** Reads a conversation. */
export function readPrompt(prompt: readonly PromptMessage[]): Asked {
  const users = prompt.flatMap((message) => (message.role === 'user' ? [textOf(message)] : []));
  for (const text of users.toReversed()) {
    const found = readNumbered(text);
    if (found !== null) return found;
  }
  const last = users.at(-1) ?? '';
  const sentences = splitSentences(last);
  const question = sentences.findLast((sentence) => sentence.endsWith('?')) ?? sentences.at(-1) ?? '';
  const at = prompt.findLastIndex(({ role }) => role === 'user');
  const told = prompt.flatMap((message, i) => (message.role === 'tool' || i === at ? [] : [textOf(message)]));
  const rest = sentences.filter((sentence) => sentence !== question).join('\n');
  const texts = [rest, ...told].filter((text) => text.trim() !== '');
  return { question, isNumbered: false, passages: texts.map((text, i) => ({ number: i + 1, source: '', text })) };
}

/** A text of the form above; null = it is not. */
function readNumbered(content: string): Asked | null {
  const found = /^Question: (.+)\n\nPassages:\n\n?([\s\S]*)$/.exec(content);
  if (found === null) return null;
  const passages = (found[2] ?? '').split(/\n\n(?=\[\d+\] )/).flatMap((block) => {
    const head = /^\[(\d+)\] (.*)\n([\s\S]*)$/.exec(block);
    return head === null ? [] : [{ number: Number(head[1]), source: head[2] ?? '', text: head[3] ?? '' }];
  });
  return { question: found[1] ?? '', passages, isNumbered: true };
}

function textOf(message: PromptMessage): string {
  if (message.role === 'system') return message.content;
  return message.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
}
