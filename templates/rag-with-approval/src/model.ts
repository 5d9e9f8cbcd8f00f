/**
 * What writes the answer. This stand-in quotes the passages that it is given, so that the project runs without a network
 * and without a key. Put the call of your provider here: pass on `signal`, and send `idempotencyKey` where it takes one.
 */
import type { Passage } from './search.ts';

/** An answer with the documents that it rests on. */
export interface Draft {
  readonly text: string;
  readonly sources: string[];
}

/** Gives the answer word by word, as a model does. */
export async function* writeAnswer(passages: readonly Passage[], signal: AbortSignal): AsyncGenerator<string> {
  for (const { source, text } of passages.slice(0, 2)) {
    for (const word of `${text} [${source}]`.split(' ')) {
      signal.throwIfAborted();
      yield `${word} `;
    }
  }
}

/** The whole answer; each part is handed to `onPart` as it comes. */
export async function draftOf(
  passages: readonly Passage[],
  signal: AbortSignal,
  onPart: (part: string) => Promise<void>,
): Promise<Draft> {
  let text = '';
  for await (const part of writeAnswer(passages, signal)) {
    text += part;
    await onPart(part);
  }
  return { text: text.trim(), sources: [...new Set(passages.slice(0, 2).map(({ source }) => source))] };
}
