/**
 * Reads server-sent events as endpoints of models write them (WHATWG HTML, section 9.2), and nothing of them but the data.
 *
 * Invariant: bounded. An event larger than `eventBytesMax` and a stream without an end of line fail; nothing grows with
 * what the other end chooses to send.
 */
import { ModelCallError } from '../model-call-error.js';

/** Largest event: far above any chunk of a provider, and one event may hold a whole answer. */
export const eventBytesMax = 4 * 1024 * 1024;

/** Data of the events of a body, one by one; the end of the body ends them. */
export async function* eventData(body: AsyncIterable<Uint8Array>, url: string): AsyncGenerator<string, void> {
  // A byte order mark at the beginning is left out by the decoder, as the format asks for.
  const decoder = new TextDecoder();
  /** The line that has not ended yet, in pieces: joined one time, when its end has come. */
  let open: string[] = [];
  let data: string[] = [];
  let size = 0;
  for await (const bytes of body) {
    const text = decoder.decode(bytes, { stream: true });
    size += text.length;
    if (size > eventBytesMax) throw tooLarge(url);
    open.push(text);
    if (!/[\r\n]/.test(text)) continue;
    const joined = open.join('');
    // A carriage return at the very end may be half of a line end.
    const end = joined.endsWith('\r') ? joined.length - 1 : joined.length;
    const lines = joined.slice(0, end).split(/\r\n|\n|\r/);
    open = [(lines.pop() ?? '') + joined.slice(end)];
    for (const line of lines) {
      const found = dataOf(line);
      if (found !== null) data.push(found);
      if (line !== '') continue;
      if (data.length > 0) yield data.join('\n');
      data = [];
      size = 0;
    }
  }
  // Some endpoints leave the last empty line out; whether the answer is whole is told by its content.
  const last = dataOf((open.join('') + decoder.decode()).replace(/[\r\n]+$/, ''));
  if (last !== null) data.push(last);
  if (data.length > 0) yield data.join('\n');
}

/** What a line adds to the data of its event; null = it is not a line of data. */
function dataOf(line: string): string | null {
  if (!line.startsWith('data')) return null;
  if (line.length === 4) return '';
  if (line[4] !== ':') return null;
  return line.slice(line[5] === ' ' ? 6 : 5);
}

function tooLarge(url: string): ModelCallError {
  return new ModelCallError({
    message: `The endpoint sent an event larger than ${eventBytesMax} bytes.`,
    code: 'MODEL_ANSWER_UNREADABLE',
    class: 'invalid_output',
    url,
    isRetryable: false,
  });
}
