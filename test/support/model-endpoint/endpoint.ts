/**
 * An HTTP endpoint that speaks OpenAI's protocol, plays scripted conversations, fails as scripted, and keeps books of what
 * was paid for. It is used in the process of a test, and as a process of its own (main.ts).
 *
 * Control, beside `/v1`: `GET /books`, `PUT /script` (which also begins the plan of faults anew).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { chunksOf, completionOf, type Wire } from './answers.js';
import { FaultPlan, turnOf, type Fault, type Script, type Turn } from './script.js';
import { type Books, type Inference, Witness } from './witness.js';

/** A running endpoint. */
export interface ModelEndpoint {
  /** Base URL of the protocol, ending in `/v1`. */
  readonly url: string;
  books(): Books;
  setScript(script: Script): void;
  close(): Promise<void>;
}

/** Starts an endpoint on a free port of this machine. */
export async function startModelEndpoint(script: Script = {}, port = 0): Promise<ModelEndpoint> {
  const model = new PlayedModel(script);
  const server = createServer((request, response) => {
    model.handle(request, response).catch(() => response.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    books: () => model.witness.books(),
    setScript: (next) => model.setScript(next),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Asked {
  readonly kind: Inference['kind'];
  readonly key: string | null;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

class PlayedModel {
  readonly witness = new Witness();
  readonly #answers = new Map<string, Wire>();
  #script: Script;
  #faults: FaultPlan;
  #count = 0;

  constructor(script: Script) {
    this.#script = script;
    this.#faults = new FaultPlan(script.faults ?? []);
  }

  setScript(script: Script): void {
    this.#script = script;
    this.#faults = new FaultPlan(script.faults ?? []);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request);
    const path = request.url ?? '';
    if (path === '/books') return sendJson(response, 200, this.witness.books());
    if (path === '/script') {
      this.setScript(JSON.parse(text) as Script);
      return sendJson(response, 200, {});
    }
    const stored = /^\/v1\/chat\/completions\/(.+)$/.exec(path)?.[1];
    if (request.method === 'GET' && stored !== undefined) return this.#fetch(response, stored);
    this.witness.received();
    const kind = path === '/v1/chat/completions' ? 'chat' : path === '/v1/embeddings' ? 'embedding' : null;
    if (kind === null) return sendJson(response, 404, { error: { message: 'There is nothing here.' } });
    const key = request.headers['idempotency-key'];
    const body = JSON.parse(text) as Record<string, unknown>;
    await this.#ask(response, { kind, key: typeof key === 'string' ? key : null, text, body });
  }

  #fetch(response: ServerResponse, id: string): void {
    const found = [...this.#answers.values()].find((answer) => answer.id === id);
    if (found === undefined) return sendJson(response, 404, { error: { message: 'No such completion.' } });
    sendJson(response, 200, completionOf(found));
  }

  async #ask(response: ServerResponse, asked: Asked): Promise<void> {
    const fault = this.#faults.take(asked.text);
    if (fault?.kind === 'status') return this.#refuse(response, fault);
    if (fault?.kind === 'hang' && !fault.begun) return;
    const known = asked.key === null || this.#script.honoursKeys !== true ? undefined : this.#answers.get(asked.key);
    if (known !== undefined) {
      this.witness.repeated();
      return await this.#send(response, asked, known, null);
    }
    const inference = this.witness.paid(asked.kind, asked.key, asked.body);
    if (fault?.kind === 'hang') return;
    if (asked.kind === 'embedding') return this.#embed(response, asked, inference);
    this.#count += 1;
    const turn = fault?.kind === 'says' ? fault.turn : this.#turn(asked);
    const answer: Wire = { id: `chatcmpl-${this.#count}`, model: String(asked.body['model']), turn, asked: asked.text };
    this.#answers.set(asked.key ?? answer.id, answer);
    await this.#send(response, asked, answer, fault);
    inference.answered = response.writableFinished || response.writableEnded;
  }

  #turn({ text, body }: Asked): Turn {
    const messages = body['messages'] as readonly { readonly role: string; readonly content: unknown }[];
    const had = messages.filter(({ role }) => role === 'assistant').length;
    const last = messages.findLast(({ role }) => role === 'user')?.content;
    return turnOf(this.#script, text, had, typeof last === 'string' ? last : JSON.stringify(last));
  }

  #refuse(response: ServerResponse, { status, headers, body }: Extract<Fault, { readonly kind: 'status' }>): void {
    const said = body ?? { error: { message: `Scripted ${status}.`, type: 'scripted' } };
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof said === 'string' ? said : JSON.stringify(said));
  }

  #embed(response: ServerResponse, { body }: Asked, inference: Inference): void {
    const input = Array.isArray(body['input']) ? (body['input'] as string[]) : [String(body['input'])];
    const data = input.map((text, index) => ({ object: 'embedding', index, embedding: [text.length, index, 1] }));
    inference.answered = true;
    sendJson(response, 200, { object: 'list', data: data.reverse(), usage: { prompt_tokens: input.length * 2 } });
  }

  async #send(response: ServerResponse, { body }: Asked, answer: Wire, fault: Fault | null): Promise<void> {
    if (fault?.kind === 'slow') await pause(fault.firstMs);
    const headers = { 'x-ratelimit-remaining-requests': '99', 'x-request-id': answer.id };
    if (body['stream'] !== true) {
      if (fault?.kind === 'cut') return void response.destroy();
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      const shown = fault?.kind === 'error-chunk' ? fault.body : completionOf(answer);
      response.end(fault?.kind === 'garbage' ? '{"choices": [' : JSON.stringify(shown));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', ...headers });
    const options = body['stream_options'] as { readonly include_usage?: boolean } | undefined;
    await this.#stream(response, chunksOf(answer, options?.include_usage === true), fault);
  }

  async #stream(response: ServerResponse, chunks: readonly object[], fault: Fault | null): Promise<void> {
    const chunkMs = (fault?.kind === 'slow' ? fault.chunkMs : undefined) ?? this.#script.chunkMs ?? 0;
    for (const [i, chunk] of chunks.entries()) {
      if (response.destroyed) return;
      if (fault?.kind === 'cut' && i >= fault.afterChunks)
        return void (fault.clean ? response.end() : response.destroy());
      if (fault?.kind === 'garbage' && i === 1) response.write('data: {"choices": [\n\n');
      if (fault?.kind === 'error-chunk' && i === 1) response.write(`data: ${JSON.stringify(fault.body)}\n\n`);
      await written(response, `data: ${JSON.stringify(chunk)}\n\n`);
      if (chunkMs > 0) await pause(chunkMs);
    }
    response.end('data: [DONE]\n\n');
  }
}

/** Resolves when the chunk has left this process, so that a cut comes after it. */
function written(response: ServerResponse, text: string): Promise<void> {
  return new Promise((resolve) => response.write(text, () => resolve()));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
