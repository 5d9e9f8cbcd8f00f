/**
 * A parser of server-sent events (WHATWG HTML, section 9.2.6), fed with text in pieces of any size. Browsers have
 * `EventSource`, but that can send no headers and hides the status, so the client reads the stream with `fetch`.
 * Invariant: the same bytes give the same events however they are cut.
 */

/** One event as it stands on the wire. `id` is the last one seen, as the standard wants, and may be null. */
export interface SseEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | null;
}

/** What a parser reports. */
export interface SseHandlers {
  readonly onEvent: (event: SseEvent) => void;
  /** The server asks readers to wait this long before they connect again, ms. */
  readonly onRetry?: (ms: number) => void;
}

/** Longest line that is kept; a server that sends a longer one is not ours. */
const lineLengthMax = 64 * 1024 * 1024;

/** Makes a parser. Give it each piece of decoded text; what is incomplete at the end is dropped, as the standard says. */
export function createSseParser(handlers: SseHandlers): (text: string) => void {
  let rest = '';
  let atStart = true;
  let afterReturn = false;
  let event = '';
  let data: string[] = [];
  let id: string | null = null;

  return (text) => {
    if (text === '') return;
    let piece = text;
    if (atStart && piece.startsWith('\uFEFF')) piece = piece.slice(1);
    atStart = false;
    // A CRLF that was cut in two is one line end, not two.
    if (afterReturn && piece.startsWith('\n')) piece = piece.slice(1);
    afterReturn = text.endsWith('\r');
    const lines = (rest + piece).split(/\r\n|\r|\n/);
    rest = lines.pop() ?? '';
    if (rest.length > lineLengthMax) throw new RangeError('A line of the event stream is too long.');
    for (const line of lines) readLine(line);
  };

  function readLine(line: string): void {
    if (line === '') {
      dispatch();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const raw = colon === -1 ? '' : line.slice(colon + 1);
    const value = raw.startsWith(' ') ? raw.slice(1) : raw;
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id' && !value.includes('\0')) id = value === '' ? null : value;
    else if (field === 'retry' && /^\d+$/.test(value)) handlers.onRetry?.(Number(value));
  }

  function dispatch(): void {
    const lines = data;
    const name = event;
    data = [];
    event = '';
    if (lines.length > 0) handlers.onEvent({ event: name === '' ? 'message' : name, data: lines.join('\n'), id });
  }
}
