/** Answers of the test endpoint in the form of the wire: in one piece, and in chunks. */
import type { Turn } from './script.js';

/** An answer before it has a form. */
export interface Wire {
  readonly id: string;
  readonly model: string;
  readonly turn: Turn;
  /** Text of the request; its length stands for its tokens. */
  readonly asked: string;
}

const created = 1_767_225_600;

/** The answer in one piece. */
export function completionOf(answer: Wire): object {
  const { id, model, turn } = answer;
  const message = {
    role: 'assistant',
    content: turn.text ?? null,
    ...(turn.reasoning === undefined ? {} : { reasoning_content: turn.reasoning }),
    ...(turn.refusal === undefined ? {} : { refusal: turn.refusal }),
    ...(turn.tools === undefined ? {} : { tool_calls: toolCalls(answer) }),
  };
  const choices = [{ index: 0, message, finish_reason: finishOf(turn) }];
  return { id, object: 'chat.completion', created, model, choices, usage: usageOf(answer) };
}

/** The answer in chunks: word by word, tool calls in two halves, the usage at the end where it was asked for. */
export function chunksOf(answer: Wire, withUsage: boolean): object[] {
  const { id, model, turn } = answer;
  const chunk = (delta: object, finish: string | null = null): object => ({
    id,
    object: 'chat.completion.chunk',
    created,
    model,
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const chunks = [chunk({ role: 'assistant', content: '' })];
  for (const word of words(turn.reasoning)) chunks.push(chunk({ reasoning_content: word }));
  for (const word of words(turn.text)) chunks.push(chunk({ content: word }));
  for (const word of words(turn.refusal)) chunks.push(chunk({ refusal: word }));
  for (const { index, function: asked, ...call } of toolCalls(answer)) {
    const half = Math.ceil(asked.arguments.length / 2);
    const first = { ...asked, arguments: asked.arguments.slice(0, half) };
    chunks.push(chunk({ tool_calls: [{ index, ...call, function: first }] }));
    chunks.push(chunk({ tool_calls: [{ index, function: { arguments: asked.arguments.slice(half) } }] }));
  }
  chunks.push(chunk({}, finishOf(turn)));
  if (withUsage) chunks.push({ id, created, model, choices: [], usage: usageOf(answer) });
  return chunks;
}

function toolCalls({ id, turn }: Wire) {
  return (turn.tools ?? []).map((tool, index) => ({
    index,
    id: `call_${id}_${index}`,
    type: 'function',
    function: {
      name: tool.name,
      arguments: typeof tool.arguments === 'string' ? tool.arguments : JSON.stringify(tool.arguments),
    },
  }));
}

function finishOf(turn: Turn): string {
  return turn.finish ?? (turn.tools === undefined ? 'stop' : 'tool_calls');
}

/** Four characters are a token, as a rule of thumb has it. */
function usageOf({ asked, turn }: Wire): object {
  const input = Math.ceil(asked.length / 4);
  const output = Math.ceil(JSON.stringify(turn).length / 4);
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

function words(text = ''): string[] {
  return text.match(/\S+\s*/g) ?? [];
}
