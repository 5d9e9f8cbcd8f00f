/**
 * A model that needs no key: rules in the form that any provider has for Eventspine, `doGenerate` and `doStream`. It knows
 * nothing beyond its rules. In earnest a model of the AI SDK stands in its place, e.g. `openai('gpt-5')`.
 */
import type { ModelCallNow, ModelEndpoint } from 'eventspine';

interface Content {
  readonly type: string;
  readonly text?: string;
  readonly toolCallId?: string;
  readonly toolName?: string;
  readonly input?: string;
}

/** Words of the conversation so far, by who has said them. */
function said(call: ModelCallNow, role: string): string {
  return call.prompt
    .filter((message) => message.role === role)
    .map((message) => JSON.stringify(message.content))
    .join('\n');
}

function answer(call: ModelCallNow): Content {
  const asked = said(call, 'user');
  if (call.responseFormat !== undefined) {
    const topic = /refund|money back/i.test(asked) ? 'refund' : /where|late/i.test(asked) ? 'delivery' : 'other';
    const order = /\b[A-Z]\d{3}\b/.exec(asked)?.[0] ?? null;
    return { type: 'text', text: JSON.stringify({ topic, order }) };
  }
  const order = /\b[A-Z]\d{3}\b/.exec(asked)?.[0];
  const found = said(call, 'tool');
  if (order !== undefined && found === '')
    return { type: 'tool-call', toolCallId: 'look-1', toolName: 'lookUpOrder', input: JSON.stringify({ order }) };
  const status = /shipped|waiting/.exec(found)?.[0] ?? 'unknown to us';
  return { type: 'text', text: `Dear customer, your order ${order ?? ''} is ${status}. We are on it.` };
}

function end(call: ModelCallNow, { type, text = '' }: Content) {
  const inputTokens = Math.ceil(JSON.stringify(call.prompt).length / 4);
  return {
    finishReason: type === 'tool-call' ? 'tool-calls' : 'stop',
    usage: { inputTokens, outputTokens: Math.ceil(text.length / 4) },
  };
}

/** See the top of the file. */
export const deskModel: ModelEndpoint = {
  specificationVersion: 'v2',
  provider: 'desk',
  modelId: 'rules',
  doGenerate: (call) => {
    const content = answer(call);
    return Promise.resolve({ content: [content], warnings: [], ...end(call, content) });
  },
  doStream: (call) => {
    const content = answer(call);
    const parts = async function* () {
      if (content.text === undefined) yield content;
      for (const delta of content.text?.split(/(?<= )/) ?? []) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield { type: 'text-delta', id: '0', delta };
      }
      yield { type: 'finish', ...end(call, content) };
    };
    return Promise.resolve({ stream: parts() });
  },
};
