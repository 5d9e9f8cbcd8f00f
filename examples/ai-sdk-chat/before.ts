/** A chat as it is without Eventspine: its answer ends with the page, the deployment or the process that it began in. */
import { convertToModelMessages, stepCountIs, streamText, type UIMessage } from 'ai';
import { provider } from './provider.ts';
import { userOf } from './session.ts';
import { tools } from './tools.ts';

export async function POST(request: Request): Promise<Response> {
  if (userOf(request) === null) return new Response(null, { status: 401 });
  const { messages } = (await request.json()) as { messages: UIMessage[] };
  return streamText({
    model: provider,
    messages: await convertToModelMessages(messages),
    tools,
    stopWhen: stepCountIs(5),
  }).toUIMessageStreamResponse();
}
