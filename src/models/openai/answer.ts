/** Reads an answer that came in one piece. Strict: what is not a chat completion fails, and is never half believed. */
import type { Content, GenerateResult, ToolCall, Warning } from '../language-model.js';
import { AnswerFacts, contentOf, finishOf, metadataOf, reasoningOf, usageOf } from './answer-fields.js';
import { errorOf, isRecord, unreadable } from './transport.js';
import { saidError } from './said-error.js';

/** What an answer is read with. */
export interface AnswerSetting {
  readonly url: string;
  readonly name: string;
  readonly headers: Record<string, string>;
  readonly warnings: Warning[];
  /** For tool calls of endpoints that give none. */
  readonly newId: () => string;
}

/** The result that the text of an answer stands for. */
export function generateResult(text: string, request: unknown, setting: AnswerSetting): GenerateResult {
  const { url, name, headers, warnings } = setting;
  const body = jsonOf(text, url);
  const choices = isRecord(body) ? body['choices'] : undefined;
  if (!isRecord(body) || !Array.isArray(choices)) throw orError(body, text, url, 'it is no chat completion');
  const choice: unknown = choices[0];
  const message = isRecord(choice) ? choice['message'] : undefined;
  if (!isRecord(choice) || !isRecord(message)) throw orError(body, text, url, 'it holds no message');
  const facts = new AnswerFacts();
  facts.read(choice, message);
  const calls = toolCalls(message['tool_calls'], text, setting);
  const finish = finishOf(choice['finish_reason']);
  return {
    content: [...reasoning(message), ...contentOf(message['content']), ...refusal(message), ...calls],
    finishReason: facts.refused ? { unified: 'content-filter', raw: finish.raw } : finish,
    usage: usageOf(body['usage']),
    providerMetadata: facts.under(name, body['usage']),
    request: { body: request },
    response: { ...metadataOf(body), headers, body },
    warnings,
  };
}

/** Parses JSON of an answer. */
export function jsonOf(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable(url, 'it is no JSON', text);
  }
}

/** Some endpoints send their errors with a status of success. */
function orError(body: unknown, text: string, url: string, why: string): Error {
  const said = isRecord(body) && body['error'] !== undefined ? errorOf(body) : null;
  return said === null ? unreadable(url, why, text) : saidError(said, url);
}

function reasoning(message: Readonly<Record<string, unknown>>): Content[] {
  const text = reasoningOf(message);
  return text === '' ? [] : [{ type: 'reasoning', text }];
}

function refusal(message: Readonly<Record<string, unknown>>): Content[] {
  return contentOf(message['refusal']);
}

function toolCalls(calls: unknown, text: string, { url, newId }: AnswerSetting): ToolCall[] {
  if (!Array.isArray(calls)) return [];
  return calls.map((call: unknown): ToolCall => {
    const asked = isRecord(call) ? call['function'] : undefined;
    const id = isRecord(call) ? call['id'] : undefined;
    if (!isRecord(asked) || typeof asked['name'] !== 'string' || typeof asked['arguments'] !== 'string') {
      throw unreadable(url, 'a tool call in it has no name or arguments', text);
    }
    const toolCallId = typeof id === 'string' && id !== '' ? id : newId();
    return { type: 'tool-call', toolCallId, toolName: asked['name'], input: asked['arguments'] };
  });
}
