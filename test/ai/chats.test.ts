import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { UIMessage } from 'ai';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openaiCompatible } from '../../src/models/index.js';
import { createSpine, defineApp, memory, model, workflow, type StoreFactory } from '../../src/spine/index.js';
import { sqlite } from '../../src/stores/sqlite/index.js';
import { startModelEndpoint, type ModelEndpoint } from '../support/model-endpoint/endpoint.js';
import type { Script } from '../support/model-endpoint/script.js';
import { sdks } from './sdks.js';
import { chatHandlers, chatInput, type ChatHandlers } from '../../src/ai-sdk/index.js';

// What the SDK reports of errors that are meant to be.
vi.spyOn(console, 'error').mockImplementation(() => undefined);

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function endpointOf(script: Script): Promise<ModelEndpoint> {
  const endpoint = await startModelEndpoint(script);
  ends.push(() => endpoint.close());
  return endpoint;
}

function chatOf(version: 6 | 7, { url }: ModelEndpoint, store: StoreFactory, worker = true) {
  const { convertToModelMessages, streamText } = sdks[version];
  const writer = model('writer', {
    versions: { v1: { use: openaiCompatible({ baseUrl: url, model: 'm', supportsIdempotencyKeys: true }) } },
  });
  const chat = workflow('chat', { input: chatInput<UIMessage>() }, async (ctx, { messages }) => {
    const { text } = await ctx.ai('answer', async (ai) =>
      streamText({
        model: ai.model(writer, { retry: { attempts: 2, min: 10, max: 10 } }),
        messages: await convertToModelMessages(messages),
      }),
    );
    return text;
  });
  const spine = createSpine(defineApp({ name: 'chats', workflows: [chat], models: [writer] }), { store, worker });
  ends.push(() => spine.close());
  const user = (request: Request): string | null => request.headers.get('x-user');
  return { spine, handlers: chatHandlers(spine, { workflow: 'chat', stream: 'answer', user }) };
}

/** The transport of the SDK's pages, over handlers in the place of a network. */
function pageOf(version: 6 | 7, handlers: () => ChatHandlers, user = 'ada') {
  const { DefaultChatTransport, readUIMessageStream } = sdks[version];
  const fetch: typeof globalThis.fetch = (url, init) => {
    const request = new Request(new URL(String(url), 'http://app.test'), init);
    request.headers.set('x-user', user);
    return handlers()[request.method === 'GET' ? 'GET' : 'POST'](request);
  };
  const transport = new DefaultChatTransport<UIMessage>({ api: '/api/chat', fetch });
  type Chunks = Exclude<Awaited<ReturnType<typeof transport.reconnectToStream>>, null>;
  return {
    say: (
      chatId: string,
      text: string,
      signal?: AbortSignal,
      trigger: 'submit-message' | 'regenerate-message' = 'submit-message',
    ) =>
      transport.sendMessages({
        trigger,
        chatId,
        messageId: undefined,
        messages: [{ id: 'm1', role: 'user', parts: [{ type: 'text', text }] }],
        abortSignal: signal,
      }),
    comeBack: (chatId: string) => transport.reconnectToStream({ chatId }),
    read: async (stream: Chunks): Promise<string> => {
      let last: UIMessage | undefined;
      for await (const message of readUIMessageStream({ stream, terminateOnError: true })) last = message;
      return (last?.parts ?? []).flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('|');
    },
  };
}

const words = 'one two three four five six seven eight nine ten eleven twelve';
const slow: Script = { chunkMs: 20, honoursKeys: true, conversations: [{ match: 'count', turns: [{ text: words }] }] };

describe.each([6, 7] as const)('chats of version %d of the AI SDK', (version) => {
  it('are answered, and given whole to a page that comes back in the middle', async () => {
    const endpoint = await endpointOf(slow);
    const { handlers } = chatOf(version, endpoint, memory());
    const page = pageOf(version, () => handlers);
    const stream = await page.say('c1', 'count');
    const reader = stream.getReader();
    for (let i = 0; i < 6; i++) await reader.read();
    // The page is closed: its connection breaks off, and the answer goes on.
    await reader.cancel();
    const again = await page.comeBack('c1');
    expect(again).not.toBeNull();
    if (again !== null) expect(await page.read(again)).toBe(words);
    expect(endpoint.books().inferences).toHaveLength(1);
    await expect.poll(() => page.comeBack('c1')).toBeNull();
  });

  it('go on in one message over an answer that broke off', async () => {
    const cut = { fault: { kind: 'cut', afterChunks: 6 } } as const;
    const endpoint = await endpointOf({ ...slow, faults: [cut] });
    const { handlers } = chatOf(version, endpoint, memory());
    const page = pageOf(version, () => handlers);
    expect(await page.read(await page.say('c1', 'count'))).toBe(words);
    expect(endpoint.books().received).toBe(2);
  });

  it('tell the page of a failure, and nothing of what it was', async () => {
    const refused = {
      fault: { kind: 'status', status: 400, body: { error: { message: 'secret' } } },
      times: 9,
    } as const;
    const { handlers } = chatOf(version, await endpointOf({ ...slow, faults: [refused] }), memory());
    const page = pageOf(version, () => handlers);
    const error = await page.read(await page.say('c1', 'count')).then(String, String);
    expect(error).toMatch(/error|failed/i);
    expect(error).not.toContain('secret');
  });
});

describe('handlers of chats', () => {
  const body = (messages: unknown, more: object = {}): string => JSON.stringify({ id: 'c1', messages, ...more });
  const post = (handlers: ChatHandlers, text: string, user = 'ada'): Promise<Response> =>
    handlers.POST(new Request('http://app.test/api/chat', { method: 'POST', body: text, headers: { 'x-user': user } }));
  const message = { id: 'm1', role: 'user', parts: [{ type: 'text', text: 'count' }] };

  async function started() {
    const endpoint = await endpointOf(slow);
    return { endpoint, ...chatOf(6, endpoint, memory()) };
  }

  it('start one run for one message, however often it is sent, and another to make it again', async () => {
    const { spine, handlers } = await started();
    for (const more of [{}, {}, { trigger: 'regenerate-message' }, { trigger: 'regenerate-message' }]) {
      await (await post(handlers, body([message], more))).text();
    }
    const { items } = await spine.runs.list({ workflow: 'chat' }).page();
    expect(items).toHaveLength(3);
  });

  it('find chats for those who have begun them only', async () => {
    const { handlers } = await started();
    const answer = await post(handlers, body([message]));
    expect(answer.headers.get('x-vercel-ai-ui-message-stream')).toBe('v1');
    const url = 'http://app.test/api/chat/c1/stream';
    const back = (user: string): Promise<Response> => handlers.GET(new Request(url, { headers: { 'x-user': user } }));
    expect((await back('bob')).status).toBe(204);
    const own = await back('ada');
    expect(own.status).toBe(200);
    expect(await own.text()).toBe(await answer.text());
    expect((await handlers.GET(new Request(url))).status).toBe(401);
  });

  it('answer a message whose server has gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'chat-'));
    ends.push(() => rm(folder, { recursive: true }));
    const store = sqlite({ file: join(folder, 'spine.db') });
    const endpoint = await endpointOf(slow);
    // It takes the message, and does nothing about it.
    const first = chatOf(6, endpoint, store, false);
    let { handlers } = first;
    const page = pageOf(6, () => handlers);
    const stream = await page.say('c1', 'count');
    await Promise.all([stream.cancel(), first.spine.close()]);
    ({ handlers } = chatOf(6, endpoint, store));
    const again = await page.comeBack('c1');
    expect(again).not.toBeNull();
    if (again !== null) expect(await page.read(again)).toBe(words);
    expect(endpoint.books().inferences).toHaveLength(1);
  });

  it('stop an answer for a page that asks for it', async () => {
    const { spine, handlers } = await started();
    const answer = await post(handlers, body([message]));
    const headers = { 'x-user': 'ada' };
    const request = new Request('http://app.test/api/chat/c1/stream', { method: 'DELETE', headers });
    expect((await handlers.DELETE(request)).status).toBe(204);
    const lines = (await answer.text()).trim().split('\n\n');
    expect(lines.slice(-2)).toEqual(['data: {"type":"abort"}', 'data: [DONE]']);
    const { items } = await spine.runs.list({ workflow: 'chat' }).page();
    expect(items.map(({ state }) => state)).toEqual(['cancelled']);
  });

  it('refuse what is no chat', async () => {
    const { handlers } = await started();
    for (const text of ['', '{}', '[]', body('x'), JSON.stringify({ id: '', messages: [] })]) {
      const answer = await post(handlers, text);
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([400, 'REQUEST_INVALID']);
    }
    expect((await post(handlers, 'x'.repeat(9 * 1024 * 1024))).status).toBe(400);
    const options = { workflow: 'chat', stream: '', usr: () => null } as unknown as Parameters<typeof chatHandlers>[1];
    expect(() => chatHandlers({} as Parameters<typeof chatHandlers>[0], options)).toThrow(/"usr".*stream.*user/s);
  });
});
