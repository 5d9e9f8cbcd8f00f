/**
 * Handlers of requests for the chats of the AI SDK's pages (`useChat`): a message starts a run, whose answer is streamed in the
 * protocol of these pages, and a page that comes back is given the same answer from its beginning, by any server.
 *
 * Invariant: the answer is the run's. A request that breaks off, a page that is closed and a server that goes away end nothing.
 */
import type { RunHandle, RunsApi, StartOptions, StreamItem } from '../client/index.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { FrameReader } from '../workflow/ai/ui-frames.js';
import { OptionFaults } from '../workflow/options.js';
import { type ChatRequest, isChat } from './chat-input.js';
import { UiContinuation, type UiChunk } from './ui-continuation.js';

/** What chats need: a spine, or a client. */
export interface ChatHost {
  // Whatever their apps are; which workflows there are is told by the type of the host.
  start(workflow: never, input: never, options?: StartOptions): Promise<RunHandle>;
  run(id: string): RunHandle;
  readonly runs: Pick<RunsApi, 'list'>;
}

/** Names of the workflows of a host. */
export type ChatWorkflow<Host extends ChatHost> = Parameters<Host['start']>[0] & string;

/** Options of `chatHandlers`. */
export interface ChatHandlersOptions<Workflow extends string = string> {
  /** The workflow that answers. */
  readonly workflow: Workflow;
  /** Name of the `ctx.ai` in it whose message the page is shown. */
  readonly stream: string;
  /** Who is asking, by your own session; null = nobody who may. Chats of one user are not found by another. */
  readonly user: (request: Request) => string | null | Promise<string | null>;
  /** Input of the workflow. Default: what the page has sent, a `ChatRequest`. */
  readonly input?: (chat: ChatRequest, user: string) => unknown;
}

/** Handlers of the three requests of a chat, as route handlers of Next and of whatever hands on a `Request`. */
export interface ChatHandlers {
  /** A message: starts a run and streams its answer. */
  readonly POST: (request: Request) => Promise<Response>;
  /** A page that comes back, at `.../<chat id>/stream`: streams the answer that is under way; 204 = there is none. */
  readonly GET: (request: Request) => Promise<Response>;
  /** Stops the answer that is under way. A page that only goes away stops nothing. */
  readonly DELETE: (request: Request) => Promise<Response>;
}

/** Makes the handlers of a chat. Opens nothing. Fails with OPTIONS_INVALID. */
export function chatHandlers<Host extends ChatHost>(
  spine: Host,
  options: ChatHandlersOptions<ChatWorkflow<Host>>,
): ChatHandlers {
  const faults = new OptionFaults('chatHandlers');
  faults.unknownNames(options, ['workflow', 'stream', 'user', 'input']);
  for (const name of ['workflow', 'stream'] as const)
    if (typeof options[name] !== 'string' || options[name] === '') faults.add(`${name} must be a name`);
  if (typeof options.user !== 'function') faults.add('user must be a function that says who is asking');
  faults.throwIfAny();
  const { workflow, stream, user } = options;
  const toInput = options.input ?? ((chat: ChatRequest) => chat);

  const answer = (request: Request, act: (user: string) => Promise<Response>): Promise<Response> =>
    handled(async () => {
      const who = await user(request);
      if (who === null) throw new SpineError('UNAUTHENTICATED', {});
      return await act(who);
    });

  const runOf = async (request: Request, who: string): Promise<RunHandle | null> => {
    const label = `chat:${await labelOf(who, chatIdOf(request))}`;
    const { items } = await spine.runs.list({ label, workflow, limit: 1 }).page();
    const [latest] = items;
    return latest === undefined || ended.has(latest.state) ? null : spine.run(latest.id);
  };

  return {
    POST: (request) =>
      answer(request, async (who) => {
        const text = await bodyOf(request);
        const chat = readChat(text);
        const label = await labelOf(who, chat.id);
        // Made again is asked again; anything else that is sent twice is the same message.
        const again = chat.trigger === 'regenerate-message';
        const run = await spine.start(workflow as never, toInput(chat, who) as never, {
          labels: { chat: label },
          ...(again ? {} : { idempotencyKey: `chat/${label}/${await digest(text)}` }),
        });
        return streamed(run, stream);
      }),
    GET: (request) =>
      answer(request, async (who) => {
        const run = await runOf(request, who);
        return run === null ? new Response(null, { status: 204 }) : streamed(run, stream);
      }),
    DELETE: (request) =>
      answer(request, async (who) => {
        await (await runOf(request, who))?.cancel({ reason: 'The page has stopped it.' });
        return new Response(null, { status: 204 });
      }),
  };
}

const ended: ReadonlySet<string> = new Set(['succeeded', 'failed', 'refused', 'cancelled', 'continued']);

/** How long a stream may be silent, ms: proxies give up on one that is silent for longer. */
const silenceMs = 15_000;

function streamed(run: Pick<RunHandle, 'chunks' | 'status'>, path: string): Response {
  const stop = new AbortController();
  const encoder = new TextEncoder();
  const lines = linesOf(run, path, stop.signal);
  let timer: ReturnType<typeof setInterval> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const breathe = (): void => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': \n\n'));
      };
      timer = setInterval(breathe, silenceMs);
      timer.unref();
    },
    async pull(controller) {
      try {
        const { done, value } = await lines.next();
        if (done !== true) return controller.enqueue(encoder.encode(value));
        clearInterval(timer);
        controller.close();
      } catch (error) {
        // The page asks again, and is given the answer from its beginning.
        clearInterval(timer);
        controller.error(error);
      }
    },
    cancel() {
      clearInterval(timer);
      stop.abort();
    },
  });
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
      'x-vercel-ai-ui-message-stream': 'v1',
    },
  });
}

async function* linesOf(
  run: Pick<RunHandle, 'chunks' | 'status'>,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  for await (const chunk of chunksOf(run, path, signal)) yield `data: ${JSON.stringify(chunk)}\n\n`;
  yield 'data: [DONE]\n\n';
}

async function* chunksOf(
  run: Pick<RunHandle, 'chunks' | 'status'>,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<UiChunk, void> {
  const frames = new FrameReader();
  const page = new UiContinuation();
  let isTold = false;
  for await (const item of run.chunks(path, { signal })) {
    switch (item.event) {
      case 'restart':
        frames.reset();
        page.restart();
        break;
      case 'chunk':
        for (const chunk of read(frames, page, item)) {
          isTold ||= chunk.type === 'error' || chunk.type === 'abort';
          yield chunk;
        }
        break;
      case 'end':
        if (!item.ok && !isTold) yield await failureOf(run);
        return;
    }
  }
}

function read(
  frames: FrameReader,
  page: UiContinuation,
  { value }: Extract<StreamItem, { readonly event: 'chunk' }>,
): readonly UiChunk[] {
  const chunk = frames.read(value);
  return isChunk(chunk) ? page.next(chunk) : [];
}

/** What the page is told where the program has not told it itself. Why it has failed is no business of a page. */
async function failureOf(run: Pick<RunHandle, 'status'>): Promise<UiChunk> {
  const { state } = await run.status();
  return state === 'cancelled' ? { type: 'abort' } : { type: 'error', errorText: 'The answer has failed.' };
}

function isChunk(value: unknown): value is UiChunk {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

// ---------------------------------------------------------------- requests

async function bodyOf(request: Request): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  const reader = request.body?.getReader();
  for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
    size += next.value.length;
    if (size > limits.payloadBytesMax) {
      await reader?.cancel();
      throw new SpineError('REQUEST_INVALID', { faults: [`the body is larger than ${limits.payloadBytesMax} bytes`] });
    }
    text += decoder.decode(next.value, { stream: true });
  }
  return text + decoder.decode();
}

function readChat(text: string): ChatRequest {
  const chat = parsed(text);
  if (isChat(chat)) return chat;
  throw new SpineError('REQUEST_INVALID', { faults: ['the body is not { id, messages }, as useChat sends it'] });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `/api/chat/<id>/stream`, as `useChat` asks for it, or `?id=`. */
function chatIdOf(request: Request): string {
  const url = new URL(request.url);
  const found = /\/([^/]+)\/stream\/?$/.exec(url.pathname)?.[1];
  return url.searchParams.get('id') ?? decodeURIComponent(found ?? '');
}

/** By which the runs of a chat are found. Of user and chat together, and none of them can be read from it. */
async function labelOf(user: string, chat: string): Promise<string> {
  return await digest(JSON.stringify([user, chat]));
}

async function digest(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return Array.from(bytes.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function handled(act: () => Promise<Response>): Promise<Response> {
  try {
    return await act();
  } catch (error) {
    const { status, code, message } = (error ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof status !== 'number' || typeof code !== 'string') throw error;
    return problem(status, code, String(message));
  }
}

function problem(status: number, code: string, detail: string): Response {
  const headers = { 'content-type': 'application/problem+json' };
  return new Response(JSON.stringify({ status, code, detail }), { status, headers });
}
