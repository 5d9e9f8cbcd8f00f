/**
 * `eventspine/ai-sdk`: chats of the AI SDK's pages over durable runs.
 */
export {
  chatHandlers,
  type ChatHandlers,
  type ChatHandlersOptions,
  type ChatHost,
  type ChatRequest,
  type ChatWorkflow,
} from './chat-handlers.js';
