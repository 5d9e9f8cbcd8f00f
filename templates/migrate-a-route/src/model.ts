/**
 * A stand-in for an SDK's `streamText`, so that the project runs without a network and without a key. It knows nothing;
 * it takes its time, which is what matters here. `WORD_MS` is the pause before each word.
 */

/** How long a word takes, ms. */
export const wordMs = Number(process.env['WORD_MS'] ?? 40);

/** Begins an answer; its parts come by `textStream`. */
export function streamText({ prompt, signal }: { readonly prompt: string; readonly signal: AbortSignal }): {
  readonly textStream: AsyncIterable<string>;
} {
  const words = `You said: ${prompt} That is worth a longer answer, which comes word by word, as answers do.`.split(
    ' ',
  );
  return { textStream: spoken(words, signal) };
}

async function* spoken(words: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
  for (const [i, word] of words.entries()) {
    await new Promise((resolve) => setTimeout(resolve, wordMs));
    signal.throwIfAborted();
    yield i === 0 ? word : ` ${word}`;
  }
}
