/**
 * The chat of examples/ai-sdk-chat, the route that was made durable in ten lines, in a process that is killed while it streams
 * an answer: the page that comes back is given the whole of it, and what was finished is paid for once.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from 'ai';
import { afterEach, expect, it } from 'vitest';
import { startModelEndpoint } from '../support/model-endpoint/endpoint.js';
import { Child, endAll, root } from './support/processes.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  await endAll();
  for (const end of ends.splice(0)) await end();
});

const text = 'In Lima it is nineteen degrees and the sky is grey as it is for most of the winter there.';

it('a chat survives SIGKILL in mid-stream', async () => {
  const endpoint = await startModelEndpoint({
    chunkMs: 60,
    conversations: [
      { match: 'Lima', turns: [{ tools: [{ name: 'weather', arguments: { city: 'Lima' } }] }, { text }] },
    ],
  });
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-chat-'));
  ends.push(
    () => endpoint.close(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const serve = (): Child => {
    const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href;
    const program = join(root, 'examples/ai-sdk-chat/server.ts');
    return new Child(
      process.execPath,
      ['--import', tsx, program],
      { PORT: '0', OPENAI_BASE_URL: endpoint.url },
      folder,
    );
  };
  const transportOf = async (server: Child): Promise<DefaultChatTransport<UIMessage>> =>
    new DefaultChatTransport({
      api: await server.line((line) => line.startsWith('http')),
      headers: { 'x-user': 'ada' },
    });

  const first = serve();
  const question: UIMessage = { id: 'm1', role: 'user', parts: [{ type: 'text', text: 'How is it in Lima?' }] };
  const stream = await (await transportOf(first)).sendMessages({
    chatId: 'c1',
    trigger: 'submit-message',
    messageId: undefined,
    messages: [question],
    abortSignal: undefined,
  });
  const reader = stream.getReader();
  let seen = '';
  while (!seen.includes('nineteen')) {
    const { value } = await reader.read();
    if (value?.type === 'text-delta') seen += value.delta;
  }
  await first.kill('SIGKILL');
  await reader.cancel().catch(() => undefined);

  const again = await (await transportOf(serve())).reconnectToStream({ chatId: 'c1' });
  expect(again).not.toBeNull();
  let last: UIMessage | undefined;
  if (again !== null) {
    for await (const message of readUIMessageStream({ stream: again, terminateOnError: true })) last = message;
  }
  expect(last?.parts.map((part) => ('text' in part ? part.text : part.type))).toEqual([
    'step-start',
    'tool-weather',
    'step-start',
    text,
  ]);
  // The first was answered and recorded; the second was cut off, and asked again by the policy of the model.
  const paid = new Map<string, number>();
  for (const { content } of endpoint.books().inferences) paid.set(content, (paid.get(content) ?? 0) + 1);
  expect([...paid.values()]).toEqual([1, 2]);
});
