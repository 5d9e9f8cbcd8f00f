/**
 * Prompts: from what a body writes to what is recorded, and from there to what an endpoint takes.
 *
 * Invariant: a recorded request holds values of the codec only; what differs between endpoints is made when one is called.
 */
import { SpineError } from '../../core/errors.js';
import type { PromptMessage, PromptPart } from './infer-options.js';
import type { ModelEndpoint, ModelMessage } from './model-endpoint.js';

type Shape = Readonly<Record<string, unknown>>;

/** What is asked, as messages. Fails with OPTIONS_INVALID where there is nothing, or not one thing. */
export function messagesOf(
  what: string,
  {
    prompt,
    messages,
    system,
  }: {
    readonly prompt?: string | readonly PromptPart[] | undefined;
    readonly messages?: readonly PromptMessage[] | undefined;
    readonly system?: string | undefined;
  },
): ModelMessage[] {
  if ((prompt === undefined) === (messages === undefined))
    throw new SpineError('OPTIONS_INVALID', { what, faults: ['give prompt or messages, and not both'] });
  const asked: readonly PromptMessage[] = messages ?? [{ role: 'user', content: prompt ?? '' }];
  const first: ModelMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  return [...first, ...asked.map(storedMessage)];
}

function storedMessage({ role, content }: PromptMessage): ModelMessage {
  if (role === 'system') return { role, content };
  const parts = typeof content === 'string' ? [{ type: 'text', text: content } as const] : content;
  return { role, content: parts.map(storedPart) };
}

/** Images are files of the specification. An address is kept as text: it is no value of the codec. */
function storedPart(part: PromptPart): Shape {
  if (part.type === 'text') return part;
  const data = part.type === 'image' ? part.image : part.data;
  const mediaType = part.mediaType ?? 'image/*';
  const name = part.type === 'file' && part.filename !== undefined ? { filename: part.filename } : {};
  const isAddress = data instanceof URL || (typeof data === 'string' && address.test(data));
  return { type: 'file', mediaType, ...name, ...(isAddress ? { url: String(data) } : { data }) };
}

const address = /^(https?|data):/;

/** The messages in the form that an endpoint takes. */
export function promptFor({ specificationVersion }: ModelEndpoint, messages: readonly ModelMessage[]): ModelMessage[] {
  const isTagged = specificationVersion === 'v4';
  return messages.map((message) =>
    Array.isArray(message.content)
      ? { ...message, content: (message.content as readonly Shape[]).map((part) => givenPart(part, isTagged)) }
      : message,
  );
}

function givenPart(part: Shape, isTagged: boolean): Shape {
  if (part['type'] !== 'file') return part;
  const { url, data, ...rest } = part;
  if (typeof url === 'string') {
    const target = new URL(url);
    return { ...rest, data: isTagged ? { type: 'url', url: target } : target };
  }
  return { ...rest, data: isTagged ? { type: 'data', data } : data };
}

/** Tokens of a request, by rule of thumb: four characters of text for one, and as much for a picture as most models take. */
export function estimatedInputTokens(messages: readonly ModelMessage[], extra = ''): number {
  let characters = extra.length;
  let files = 0;
  const count = (value: unknown): void => {
    if (typeof value === 'string') characters += value.length;
    else if (Array.isArray(value)) value.forEach(count);
    else if (typeof value === 'object' && value !== null) {
      const part = value as Shape;
      if (part['type'] === 'file') files += 1;
      else Object.values(part).forEach(count);
    }
  };
  for (const { content } of messages) count(content);
  return Math.ceil(characters / charactersPerToken) + files * tokensPerFile;
}

const charactersPerToken = 4;
const tokensPerFile = 1_000;
