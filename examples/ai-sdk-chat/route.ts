/** The chat of `before.ts`, durable: as a route of Next it would be `app/api/chat/[[...path]]/route.ts`. */
import { convertToModelMessages, stepCountIs, streamText, type UIMessage } from 'ai';
import { createSpine, defineApp, model, workflow } from 'eventspine';
import { chatHandlers, chatInput } from 'eventspine/ai-sdk';
import { sqlite } from 'eventspine/sqlite';
import { provider } from './provider.ts';
import { userOf } from './session.ts';
import { tools } from './tools.ts';

const writer = model('writer', { versions: { v1: { use: provider } } });
const chat = workflow('chat', { input: chatInput<UIMessage>() }, (ctx, { messages }) =>
  ctx.ai('answer', async (ai) => {
    return streamText({
      model: ai.model(writer),
      messages: await convertToModelMessages(messages),
      tools: ai.tools(tools),
      stopWhen: stepCountIs(5),
    });
  }),
);
const spine = createSpine(defineApp({ workflows: [chat], models: [writer] }), { store: sqlite({ file: 'chat.db' }) });
export const { POST, GET, DELETE } = chatHandlers(spine, { workflow: 'chat', stream: 'answer', user: userOf });
