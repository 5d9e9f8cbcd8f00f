/**
 * The route as it was. The answer lives in the request: a reload, a deployment or a crash ends it, and what was paid for
 * is lost. Kept for comparison; nothing uses it but a test.
 */
import { z } from 'zod';
import { streamText } from './model.ts';
import { eventStream, type ServerEvent } from './server-events.ts';

const Chat = z.object({ prompt: z.string().min(1) });

/** `POST /chat` */
export async function POST(request: Request): Promise<Response> {
  const { prompt } = Chat.parse(await request.json());
  const { textStream } = streamText({ prompt, signal: request.signal });
  return eventStream(events(textStream));
}

async function* events(textStream: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  for await (const text of textStream) yield { event: 'text', data: text };
  yield { event: 'end', data: true };
}
