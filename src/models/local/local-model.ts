/**
 * Models that need no provider, no key and no download: for a first look, for tests, and for machines without a network.
 * They compute in the process that asks them. What they can and cannot do is said where they do it (`local-answer.ts`,
 * `embed.ts`).
 */
import { type Duration } from '../../core/duration.js';
import type { Ports } from '../../core/ports.js';
import { nodePorts } from '../../runtime/node-ports.js';
import { OptionFaults } from '../../workflow/options.js';
import type { EmbeddingModel } from '../embedding-model.js';
import type { CallOptions, Content, FinishReason, LanguageModel, StreamPart, Usage } from '../language-model.js';
import { embed } from './embed.js';
import { answerLocally, type ModelTurn } from './local-answer.js';

/** Options of `localModel`. */
export interface LocalModelOptions {
  /** Pause after each word of a streamed answer. Default: none; it computes in a few milliseconds. */
  readonly wordPause?: Duration;
  /** Default: those of Node. */
  readonly ports?: Pick<Ports, 'timers'>;
}

/** Name under which the built-in language model answers. */
const modelId = 'eventspine-extractive';

/**
 * The built-in language model: it quotes the text of the prompt, calls tools whose words the question has, and fills
 * schemas. The same conversation has the same answer. Fails with OPTIONS_INVALID.
 */
export function localModel(options: LocalModelOptions = {}): LanguageModel {
  const faults = new OptionFaults('localModel()');
  faults.unknownNames(options, ['wordPause', 'ports']);
  const pauseMs = faults.duration('wordPause', options.wordPause, 0);
  faults.throwIfAny();
  const { timers } = options.ports ?? nodePorts;
  const pause = (): Promise<void> =>
    pauseMs === 0 ? Promise.resolve() : new Promise((resolve) => void timers.after(pauseMs, resolve));

  return {
    specificationVersion: 'v3',
    provider: 'eventspine.local',
    modelId,
    supportedUrls: {},
    async doGenerate(call) {
      call.abortSignal?.throwIfAborted();
      const turn = answerLocally(call);
      const content: Content[] = turn.kind === 'tools' ? [...turn.calls] : [{ type: 'text', text: turn.text }];
      return { content, finishReason: finishOf(turn), usage: usageOf(call, turn), response: { modelId }, warnings: [] };
    },
    async doStream(call) {
      call.abortSignal?.throwIfAborted();
      const parts = partsOf(call, answerLocally(call));
      const stream = new ReadableStream<StreamPart>({
        async pull(controller) {
          const next = parts.next();
          if (next.done === true) return controller.close();
          if (next.value.type === 'text-delta') await pause();
          call.abortSignal?.throwIfAborted();
          controller.enqueue(next.value);
        },
      });
      return { stream };
    },
  };
}

/** The built-in embedding model: 256 whole numbers for a text, by its spelling. */
export function localEmbedding(): EmbeddingModel {
  return {
    specificationVersion: 'v3',
    provider: 'eventspine.local',
    modelId: 'eventspine-hashed',
    maxEmbeddingsPerCall: 1_000,
    supportsParallelCalls: true,
    async doEmbed({ values, abortSignal }) {
      abortSignal?.throwIfAborted();
      const tokens = values.reduce((sum, value) => sum + tokensOf(value.length), 0);
      return { embeddings: values.map(embed), usage: { tokens }, warnings: [] };
    },
  };
}

function* partsOf(call: CallOptions, turn: ModelTurn): Generator<StreamPart, void> {
  yield { type: 'stream-start', warnings: [] };
  yield { type: 'response-metadata', modelId };
  if (turn.kind === 'text') {
    yield { type: 'text-start', id: 'txt-0' };
    for (const delta of turn.text.match(/\S+\s*/g) ?? []) yield { type: 'text-delta', id: 'txt-0', delta };
    yield { type: 'text-end', id: 'txt-0' };
  } else {
    for (const toolCall of turn.calls) {
      const { toolCallId: id, toolName, input } = toolCall;
      yield { type: 'tool-input-start', id, toolName };
      yield { type: 'tool-input-delta', id, delta: input };
      yield { type: 'tool-input-end', id };
      yield toolCall;
    }
  }
  yield { type: 'finish', finishReason: finishOf(turn), usage: usageOf(call, turn) };
}

function finishOf(turn: ModelTurn): FinishReason {
  return turn.kind === 'text' ? { unified: 'stop', raw: 'stop' } : { unified: 'tool-calls', raw: 'tool_calls' };
}

/** By the rule of thumb that four characters are a token: it has none, and programs that count should have something. */
function usageOf(call: CallOptions, turn: ModelTurn): Usage {
  const input = tokensOf(JSON.stringify(call.prompt).length);
  const output = tokensOf(turn.kind === 'text' ? turn.text.length : JSON.stringify(turn.calls).length);
  return {
    inputTokens: { total: input, noCache: input, cacheRead: 0, cacheWrite: undefined },
    outputTokens: { total: output, text: output, reasoning: 0 },
  };
}

function tokensOf(characters: number): number {
  return Math.ceil(characters / 4);
}
