/**
 * Makes one UI message stream out of the lives of a program. A program that is begun anew says again what it has said before: of
 * that nothing is sent a second time, and what comes after it goes on where the page stands. A page cannot unsay anything, so
 * where a new life says something else (a model was asked again in the middle of its answer), what stood open is closed, the page
 * is told (`data-eventspine-restart`), and what the new life says is added.
 *
 * Invariant: over any number of restarts, the chunks that are sent are a stream that the SDK's readers take.
 */

/** A chunk of a UI message stream. Only some fields of some types are looked at. */
export type UiChunk = { readonly type: string } & Readonly<Record<string, unknown>>;

/** What was sent: deltas that follow one another are one. */
interface Said {
  readonly key: string;
  /** Of deltas; null = any other chunk. */
  text: string | null;
}

/** See the top of the module. */
export class UiContinuation {
  /** As the present life has said it. */
  #said: Said[] = [];
  /** Where a life that says the same again stands in it; null = it has nothing more to repeat. */
  #at: { item: number; text: number } | null = null;
  /** Names under which the parts of this life go on the page, where others had theirs before. */
  readonly #renamed = new Map<string, string>();
  /** Parts and tools that are not at their end. */
  readonly #open = new Map<string, UiChunk>();
  #restarts = 0;

  /** The program is begun anew. */
  restart(): void {
    this.#at = this.#said.length === 0 ? null : { item: 0, text: 0 };
  }

  /** What the page is to be sent for a chunk. */
  next(chunk: UiChunk): readonly UiChunk[] {
    if (this.#at === null) return [this.#send(chunk)];
    const key = keyOf(chunk);
    const said = this.#said[this.#at.item];
    const text = textOf(chunk);
    if (said === undefined || said.key !== key) return this.#diverge(chunk);
    if (text === null || said.text === null) return this.#repeated();
    const rest = said.text.slice(this.#at.text);
    if (text.length <= rest.length) {
      if (!rest.startsWith(text)) return this.#diverge(chunk);
      this.#at.text += text.length;
      return text.length === rest.length ? this.#repeated() : [];
    }
    const isLast = this.#at.item === this.#said.length - 1;
    if (!isLast || !text.startsWith(rest)) return this.#diverge(chunk);
    this.#at = null;
    return [this.#send(withText(chunk, text.slice(rest.length)))];
  }

  #repeated(): readonly UiChunk[] {
    if (this.#at === null) return [];
    this.#at = this.#at.item === this.#said.length - 1 ? null : { item: this.#at.item + 1, text: 0 };
    return [];
  }

  /** Sends a chunk that says something new. */
  #send(chunk: UiChunk): UiChunk {
    this.#note(chunk);
    const part = partOf(chunk);
    if (part === null) return chunk;
    if (isStart(chunk)) this.#renamed.delete(part);
    if (isEnd(chunk)) this.#open.delete(part);
    else this.#open.set(part, chunk);
    const name = this.#renamed.get(part);
    return name === undefined || typeof chunk['id'] !== 'string' ? chunk : { ...chunk, id: name };
  }

  #note(chunk: UiChunk): void {
    const key = keyOf(chunk);
    const text = textOf(chunk);
    const last = this.#said.at(-1);
    if (text !== null && last?.key === key && last.text !== null) last.text += text;
    else this.#said.push({ key, text });
  }

  /** The new life has left the way of the old one. */
  #diverge(chunk: UiChunk): readonly UiChunk[] {
    const at = this.#at ?? { item: this.#said.length, text: 0 };
    this.#at = null;
    this.#restarts += 1;
    const closing = [...this.#open].map(([part, open]) => closed(open, this.#renamed.get(part)));
    this.#open.clear();
    // Of what was said, what this life has said as well.
    const cut = this.#said[at.item];
    this.#said = this.#said.slice(0, at.item);
    if (cut !== undefined && cut.text !== null && at.text > 0) {
      this.#said.push({ key: cut.key, text: cut.text.slice(0, at.text) });
    }
    const told: UiChunk = { type: 'data-eventspine-restart', data: { restarts: this.#restarts }, transient: true };
    return [...closing, told, ...this.#reopened(chunk), this.#send(chunk)];
  }

  /** A part that had begun in common stands closed on the page: it goes on under another name, from its beginning. */
  #reopened(chunk: UiChunk): readonly UiChunk[] {
    const part = partOf(chunk);
    const kind = kindOf(chunk);
    if (part === null || kind === null || isStart(chunk)) return [];
    const name = `${String(chunk['id'])}~${this.#restarts}`;
    this.#renamed.set(part, name);
    const common = this.#said.at(-1);
    const begun: UiChunk[] = [{ type: `${kind}-start`, id: name }];
    if (common?.key === `${kind}-delta ${String(chunk['id'])}`) {
      begun.push({ type: `${kind}-delta`, id: name, delta: common.text });
    }
    return begun;
  }
}

/** What makes two chunks the same. The id of the message may be another in each life. */
function keyOf(chunk: UiChunk): string {
  if (textOf(chunk) !== null) return `${chunk.type} ${String(chunk['id'] ?? chunk['toolCallId'])}`;
  const { messageId: _, messageMetadata: __, ...rest } = chunk;
  return JSON.stringify(rest);
}

function textOf(chunk: UiChunk): string | null {
  const text = chunk.type === 'tool-input-delta' ? chunk['inputTextDelta'] : chunk['delta'];
  return typeof text === 'string' && chunk.type.endsWith('-delta') ? text : null;
}

function withText(chunk: UiChunk, text: string): UiChunk {
  return chunk.type === 'tool-input-delta' ? { ...chunk, inputTextDelta: text } : { ...chunk, delta: text };
}

/** `text` or `reasoning`; null = the chunk is of no such part. */
function kindOf({ type }: UiChunk): 'text' | 'reasoning' | null {
  const found = /^(text|reasoning)-(?:start|delta|end)$/.exec(type)?.[1];
  return found === 'text' || found === 'reasoning' ? found : null;
}

/** The part or tool that a chunk is about; null = it is about none. */
function partOf(chunk: UiChunk): string | null {
  const kind = kindOf(chunk);
  if (kind !== null) return `${kind} ${String(chunk['id'])}`;
  return chunk.type.startsWith('tool-') && typeof chunk['toolCallId'] === 'string'
    ? `tool ${chunk['toolCallId']}`
    : null;
}

function isStart({ type }: UiChunk): boolean {
  return type === 'text-start' || type === 'reasoning-start' || type === 'tool-input-start';
}

const ends: ReadonlySet<string> = new Set([
  'text-end',
  'reasoning-end',
  'tool-input-error',
  'tool-output-available',
  'tool-output-error',
  'tool-output-denied',
]);

function isEnd({ type }: UiChunk): boolean {
  return ends.has(type);
}

/** What ends a part that will not go on. */
function closed(open: UiChunk, name: string | undefined): UiChunk {
  const kind = kindOf(open);
  if (kind !== null) return { type: `${kind}-end`, id: name ?? open['id'] };
  const { toolCallId, toolName } = open;
  if (open.type === 'tool-input-available') return { type: 'tool-output-error', toolCallId, errorText: left };
  return { type: 'tool-input-error', toolCallId, toolName: toolName ?? '', input: null, errorText: left };
}

const left = 'The model was asked again, and has gone another way.';
