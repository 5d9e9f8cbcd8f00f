/** Agents: messages to them, their answers, and what they are at. */
import { jsonOf, payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { AgentAnswer } from '../../engine/api.js';
import type { AgentReply, MessageAnswer } from '../../protocol/http.js';
import { headerNames } from '../../protocol/routes.js';
import { nodePorts } from '../../runtime/index.js';
import { json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { readIdempotencyKey, readPreferWait } from '../transports/request-headers.js';
import type { HandlerContext, Handlers } from './context.js';

type AgentRoutes = 'listAgents' | 'readAgent' | 'tellAgent' | 'readAnswer';

export function agentHandlers(context: HandlerContext): Handlers<AgentRoutes> {
  const { engine } = context;
  return {
    listAgents: async (request) => {
      const cursor = request.query.text('cursor');
      const query = { limit: request.query.limit(), ...(cursor === undefined ? {} : { cursor }) };
      return json(200, await engine.listAgents(request.tenant, request.segment('agent'), query));
    },
    readAgent: async (request) => {
      const { agent, key } = addressOf(request);
      const view = await engine.readAgent(request.tenant, agent, key);
      if (view === null) throw new SpineError('AGENT_NOT_FOUND', { agent, key });
      return json(200, view);
    },
    tellAgent: async (request) => {
      const value = request.json();
      const id = readIdempotencyKey(request.header(headerNames.idempotencyKey)) ?? newId('event', nodePorts);
      const outcome = await engine.tellAgent(request.origin(), {
        ...addressOf(request),
        type: request.segment('type'),
        id,
        data: payloadOfJson(value ?? null),
        reply: request.query.choice('reply', ['true', 'false']) === 'true',
      });
      if (outcome.tag === 'error') throw outcome.error;
      const answer: MessageAnswer = { id, outcome: outcome.tag === 'already' ? 'already' : 'accepted' };
      return json(outcome.tag === 'already' ? 200 : 202, answer);
    },
    readAnswer: (request) => readAnswer(context, request),
  };
}

async function readAnswer({ engine, settings }: HandlerContext, request: ApiRequest): Promise<Answer> {
  const waitMs = readPreferWait(request.header(headerNames.prefer), settings.limits.preferWaitMsMax);
  const message = { ...addressOf(request), id: request.segment('id') };
  const found = await engine.readAnswer(request.tenant, message, waitMs ?? 0);
  const answer = json(200, await replyOf(found, (hash) => engine.readBlob(request.tenant, hash)));
  if (waitMs !== null) answer.headers[headerNames.preferenceApplied] = `wait=${waitMs / 1_000}`;
  return answer;
}

async function replyOf(answer: AgentAnswer, blob: (hash: string) => Promise<Uint8Array | null>): Promise<AgentReply> {
  switch (answer.tag) {
    case 'pending':
      return { state: 'pending' };
    case 'failed': {
      const { class: kind, code, message } = answer.failure;
      return { state: 'failed', error: { class: kind, code, message } };
    }
    case 'answered':
      return { state: 'answered', value: await plain(answer.data, blob) };
  }
}

async function plain(payload: Payload, blob: (hash: string) => Promise<Uint8Array | null>): Promise<unknown> {
  if (!isBlobPayload(payload)) return jsonOf(payload);
  const bytes = await blob(payload.blob);
  return bytes === null ? null : jsonOf({ codec: payload.codec, text: new TextDecoder().decode(bytes) });
}

/** @throws REQUEST_INVALID */
function addressOf(request: ApiRequest): { readonly agent: string; readonly key: string } {
  const key = request.segment('key');
  if (key === '' || key.length > limits.keyLengthMax || unstorable.test(key))
    throw invalid(`the key of an agent has 1 to ${limits.keyLengthMax} characters`);
  return { agent: request.segment('agent'), key };
}

const unstorable = /[\0\p{Surrogate}]/u;
