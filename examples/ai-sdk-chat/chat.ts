/**
 * A page without a browser: `node --import tsx examples/ai-sdk-chat/chat.ts "What is the weather in Lima?"` asks, and without a
 * question it comes back to the answer that is under way. It is built of what `useChat` is built of.
 */
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from 'ai';

const api = process.env['CHAT_URL'] ?? 'http://127.0.0.1:8788/api/chat';
const question = process.argv.slice(2).join(' ');
const chatId = 'terminal';
const transport = new DefaultChatTransport<UIMessage>({ api, headers: { 'x-user': 'ada' } });

const asked: UIMessage = { id: crypto.randomUUID(), role: 'user', parts: [{ type: 'text', text: question }] };
const stream =
  question === ''
    ? await transport.reconnectToStream({ chatId })
    : await transport.sendMessages({
        chatId,
        trigger: 'submit-message',
        messageId: undefined,
        messages: [asked],
        abortSignal: undefined,
      });

if (stream === null) console.log('No answer is under way.');
else {
  let shown = '';
  for await (const { parts } of readUIMessageStream({ stream })) {
    const text = parts.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join(' ');
    process.stdout.write(text.startsWith(shown) ? text.slice(shown.length) : `\n${text}`);
    shown = text;
  }
  process.stdout.write('\n');
}
