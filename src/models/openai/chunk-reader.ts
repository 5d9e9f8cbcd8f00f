/**
 * Turns the chunks of a streamed answer into parts, in the order and form of the SDK's own client.
 *
 * Invariant: `finish` with another reason than `error` is sent only where the endpoint has said why the model stopped. A
 * stream that just ends was cut, and half an answer must not be taken for one.
 */
import type { FinishReason, StreamPart, Warning } from '../language-model.js';
import { ModelCallError } from '../model-call-error.js';
import { AnswerFacts, contentOf, finishOf, metadataOf, reasoningOf, usageOf } from './answer-fields.js';
import { saidError } from './said-error.js';
import { errorOf, isRecord, unreadable } from './transport.js';

/** What chunks are read with. */
export interface ChunkSetting {
  readonly url: string;
  readonly name: string;
  readonly warnings: Warning[];
  readonly includeRaw: boolean;
  /** For tool calls of endpoints that give none. */
  readonly newId: () => string;
}

/** A tool call that is being written. */
interface OpenCall {
  readonly index: number;
  id: string;
  name: string;
  input: string;
  started: boolean;
}

/** See the top of the module. */
export class ChunkReader {
  readonly #setting: ChunkSetting;
  readonly #send: (part: StreamPart) => void;
  readonly #facts = new AnswerFacts();
  readonly #calls: OpenCall[] = [];
  #open: 'text' | 'reasoning' | null = null;
  #first = true;
  #finish: FinishReason | null = null;
  #usage: unknown = null;

  constructor(setting: ChunkSetting, send: (part: StreamPart) => void) {
    this.#setting = setting;
    this.#send = send;
    send({ type: 'stream-start', warnings: setting.warnings });
  }

  /** The data of one event. */
  read(data: string): void {
    const { url, includeRaw } = this.#setting;
    const chunk = parsed(data);
    if (includeRaw) this.#send({ type: 'raw', rawValue: chunk ?? data });
    if (!isRecord(chunk)) return this.#fail(unreadable(url, 'a chunk of it is no JSON object', data));
    const said = chunk['error'] === undefined || chunk['error'] === null ? null : errorOf(chunk);
    if (said !== null) return this.#fail(saidError(said, url));
    if (!Array.isArray(chunk['choices'])) return this.#fail(unreadable(url, 'a chunk of it has no choices', data));
    if (this.#first) this.#send({ type: 'response-metadata', ...metadataOf(chunk) });
    this.#first = false;
    if (isRecord(chunk['usage'])) this.#usage = chunk['usage'];
    const choice: unknown = chunk['choices'][0];
    if (isRecord(choice)) this.#choice(choice);
  }

  /** The stream has come to its end. */
  end(): void {
    this.#close();
    for (const call of this.#calls.sort((a, b) => a.index - b.index)) this.#endCall(call);
    if (this.#finish === null) {
      const { url } = this.#setting;
      const message = "The endpoint's answer broke off before the model had finished.";
      this.#fail(new ModelCallError({ message, code: 'MODEL_STREAM_CUT', class: 'network', url, isRetryable: true }));
    }
    this.#send({
      type: 'finish',
      finishReason: this.#finish ?? { unified: 'error', raw: undefined },
      usage: usageOf(this.#usage),
      providerMetadata: this.#facts.under(this.#setting.name, this.#usage),
    });
  }

  #choice(choice: Readonly<Record<string, unknown>>): void {
    const { delta, finish_reason: finish } = choice;
    this.#facts.read(choice, delta);
    if (isRecord(delta)) this.#delta(delta);
    if (typeof finish !== 'string' || this.#finish?.unified === 'error') return;
    const told = finishOf(finish);
    this.#finish = this.#facts.refused ? { unified: 'content-filter', raw: told.raw } : told;
  }

  #delta(delta: Readonly<Record<string, unknown>>): void {
    const reasoning = reasoningOf(delta);
    if (reasoning !== '') this.#piece('reasoning', reasoning);
    for (const part of [...contentOf(delta['content']), ...contentOf(delta['refusal'])]) {
      if (part.type !== 'tool-call') this.#piece(part.type, part.text);
    }
    if (!Array.isArray(delta['tool_calls']) || delta['tool_calls'].length === 0) return;
    if (this.#open === 'reasoning') this.#close();
    for (const call of delta['tool_calls'] as readonly unknown[]) if (isRecord(call)) this.#callDelta(call);
  }

  #piece(kind: 'text' | 'reasoning', delta: string): void {
    if (this.#open !== kind) {
      this.#close();
      this.#send({ type: `${kind}-start`, id: ids[kind] });
      this.#open = kind;
    }
    this.#send({ type: `${kind}-delta`, id: ids[kind], delta });
  }

  #close(): void {
    if (this.#open !== null) this.#send({ type: `${this.#open}-end`, id: ids[this.#open] });
    this.#open = null;
  }

  #callDelta(delta: Readonly<Record<string, unknown>>): void {
    const call = this.#callOf(delta);
    const asked = isRecord(delta['function']) ? delta['function'] : {};
    const more = typeof asked['arguments'] === 'string' ? asked['arguments'] : '';
    call.input += more;
    if (call.name === '' && typeof asked['name'] === 'string') call.name = asked['name'];
    if (call.name === '') return;
    const delta_ = call.started ? more : call.input;
    this.#startCall(call);
    if (delta_ !== '') this.#send({ type: 'tool-input-delta', id: call.id, delta: delta_ });
  }

  /** The call that a delta belongs to: by its index; without one, a new id begins a new call. */
  #callOf(delta: Readonly<Record<string, unknown>>): OpenCall {
    const id = typeof delta['id'] === 'string' ? delta['id'] : '';
    const last = this.#calls.at(-1);
    const given = delta['index'];
    const isNext = last === undefined || (id !== '' && id !== last.id);
    const index = typeof given === 'number' ? given : isNext ? this.#calls.length : last.index;
    const known = this.#calls.find((call) => call.index === index);
    if (known !== undefined) {
      if (!known.started && known.id === '') known.id = id;
      return known;
    }
    const call: OpenCall = { index, id, name: '', input: '', started: false };
    this.#calls.push(call);
    return call;
  }

  #startCall(call: OpenCall): void {
    if (call.started) return;
    call.started = true;
    if (call.id === '') call.id = this.#setting.newId();
    this.#send({ type: 'tool-input-start', id: call.id, toolName: call.name });
  }

  #endCall(call: OpenCall): void {
    if (!call.started) return this.#fail(unreadable(this.#setting.url, 'a tool call in it has no name'));
    this.#send({ type: 'tool-input-end', id: call.id });
    this.#send({ type: 'tool-call', toolCallId: call.id, toolName: call.name, input: call.input });
  }

  #fail(error: ModelCallError): void {
    this.#finish = { unified: 'error', raw: undefined };
    this.#send({ type: 'error', error });
  }
}

const ids = { text: 'txt-0', reasoning: 'reasoning-0' } as const;

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
