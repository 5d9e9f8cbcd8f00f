/**
 * The model endpoint: an HTTP server that stands where a provider would stand and counts the calls it receives, by
 * their idempotency keys. The counter is outside of workers and engine, so it can prove that finished steps were not
 * paid for twice. Embeddings are always computed here; chat is answered by the built-in model, or passed on to an
 * OpenAI-compatible provider, whose key never reaches a worker.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { localEmbedding, localModel } from 'eventspine/models';
import { answered, type ChatRequest } from './wire.ts';

/** A provider that speaks the OpenAI protocol. */
export interface Provider {
  /** Such as `https://api.openai.com/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string | null;
  readonly model: string;
}

/** How the endpoint answers. */
export interface ModelEndpointOptions {
  /** Where chat is passed on to; null = the built-in model. */
  readonly provider: Provider | null;
  /** Pause between two words of the built-in model; 0 = as fast as it computes. */
  readonly wordPauseMs: number;
  /** Pause before an embedding is answered, as a network and a real model would take. */
  readonly embeddingPauseMs: number;
}

/** One key of the counter. */
export interface CountedCall {
  readonly kind: 'chat' | 'embedding';
  /** Calls received. */
  readonly received: number;
  /** Calls whose answer was sent to its end. */
  readonly answered: number;
}

/** A running endpoint. */
export interface ModelEndpoint {
  /** Base URL for the workers, ending in `/v1`. */
  readonly url: string;
  /** The counter as it stands, by idempotency key. */
  readonly calls: () => ReadonlyMap<string, CountedCall>;
  close(): Promise<void>;
}

const bodyBytesMax = 1024 * 1024;

/** Starts the endpoint on a free port of this machine. */
export async function startModelEndpoint(options: ModelEndpointOptions): Promise<ModelEndpoint> {
  const calls = new Map<string, CountedCall>();
  const server = createServer((request, response) => {
    handle(request, response, options, calls).catch((error: unknown) => fail(response, error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    calls: () => new Map(calls),
    close: () => closeServer(server),
  };
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  options: ModelEndpointOptions,
  calls: Map<string, CountedCall>,
): Promise<void> {
  const kind = request.url === '/v1/chat/completions' ? 'chat' : request.url === '/v1/embeddings' ? 'embedding' : null;
  if (request.url === '/v1/calls') return sendJson(response, 200, Object.fromEntries(calls));
  if (kind === null || request.method !== 'POST') {
    return sendJson(response, 404, { error: { message: 'There is nothing here.' } });
  }
  const key = headerOf(request, 'idempotency-key') ?? 'without a key';
  count(calls, key, kind, 'received');
  const body = await readBody(request);
  if (kind === 'embedding') await answerEmbedding(response, body, options);
  else if (options.provider === null) await answerChat(response, body as ChatRequest, options);
  else await passOn(response, body as ChatRequest, options.provider);
  count(calls, key, kind, 'answered');
}

function count(
  calls: Map<string, CountedCall>,
  key: string,
  kind: CountedCall['kind'],
  what: 'received' | 'answered',
): void {
  const before = calls.get(key) ?? { kind, received: 0, answered: 0 };
  calls.set(key, { ...before, [what]: before[what] + 1 });
}

async function answerEmbedding(response: ServerResponse, body: unknown, options: ModelEndpointOptions): Promise<void> {
  const input = typeof body === 'object' && body !== null && 'input' in body ? body.input : undefined;
  if (!Array.isArray(input) || !input.every((one) => typeof one === 'string')) {
    return sendJson(response, 400, { error: { message: '`input` must be a list of texts.' } });
  }
  if (options.embeddingPauseMs > 0) await pause(options.embeddingPauseMs);
  const { embeddings } = await localEmbedding().doEmbed({ values: input });
  const data = embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding }));
  sendJson(response, 200, { object: 'list', data });
}

async function answerChat(
  response: ServerResponse,
  request: ChatRequest,
  { wordPauseMs }: ModelEndpointOptions,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  for await (const chunk of answered(localModel({ wordPause: wordPauseMs }), request)) {
    if (response.destroyed) throw new Error('The caller has gone.');
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  }
  response.end('data: [DONE]\n\n');
}

/** Sends the request on with the provider's key and model, and streams the answer back as it comes. */
async function passOn(response: ServerResponse, request: ChatRequest, provider: Provider): Promise<void> {
  const stopped = new AbortController();
  response.once('close', () => stopped.abort());
  const answer = await fetch(`${provider.baseUrl.replace(/\/+$/, '')}/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(provider.apiKey === null ? {} : { authorization: `Bearer ${provider.apiKey}` }),
    },
    body: JSON.stringify({ ...request, model: provider.model }),
    signal: stopped.signal,
  });
  const retryAfter = answer.headers.get('retry-after');
  response.writeHead(answer.status, {
    'content-type': answer.headers.get('content-type') ?? 'application/json',
    ...(retryAfter === null ? {} : { 'retry-after': retryAfter }),
  });
  for await (const bytes of answer.body ?? []) response.write(bytes);
  response.end();
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > bodyBytesMax) throw new RangeError('The body is too large.');
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function fail(response: ServerResponse, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (response.headersSent) response.destroy();
  else sendJson(response, 502, { error: { message } });
}
