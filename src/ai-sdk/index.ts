/**
 * `eventspine/ai-sdk`: chats of the AI SDK's pages over durable runs.
 */
export {
  chatHandlers,
  type ChatHandlers,
  type ChatHandlersOptions,
  type ChatHost,
  type ChatWorkflow,
} from './chat-handlers.js';
export { chatInput, type ChatRequest } from './chat-input.js';
