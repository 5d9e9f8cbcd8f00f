/**
 * What a page of the AI SDK sends with a message, and the schema of it for the input of a workflow. Messages are looked into
 * by the SDK itself (`convertToModelMessages`), whose versions differ in them.
 */
import type { StandardSchema } from '../core/standard-schema.js';

/** What a page sends with a message. */
export interface ChatRequest<Message extends object = object> {
  /** Of the chat, as the page has it. */
  readonly id: string;
  /** The conversation, as `UIMessage`s. */
  readonly messages: Message[];
  /** `submit-message` or `regenerate-message`. */
  readonly trigger?: string;
  /** Of the message that is edited or made again. */
  readonly messageId?: string;
  /** Whatever else the page sends. */
  readonly [name: string]: unknown;
}

/** The input of a workflow that answers chats: `workflow('chat', { input: chatInput<UIMessage>() }, ...)`. */
export function chatInput<Message extends object = object>(): StandardSchema<ChatRequest<Message>> {
  const described = (): Record<string, unknown> => structuredClone(schema);
  return {
    '~standard': {
      version: 1,
      vendor: 'eventspine',
      validate: (value) =>
        isChat(value)
          ? { value: value as ChatRequest<Message> }
          : { issues: [{ message: 'it is not { id, messages }, as useChat sends it' }] },
      jsonSchema: { input: described, output: described },
    },
  };
}

const schema = {
  type: 'object',
  properties: {
    id: { type: 'string', minLength: 1 },
    messages: { type: 'array', items: { type: 'object' } },
    trigger: { type: 'string' },
    messageId: { type: 'string' },
  },
  required: ['id', 'messages'],
};

/** Whether a value is what a page sends. */
export function isChat(value: unknown): value is ChatRequest {
  if (typeof value !== 'object' || value === null || !('id' in value) || !('messages' in value)) return false;
  const { id, messages } = value;
  return typeof id === 'string' && id !== '' && Array.isArray(messages) && messages.every(isObject);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
