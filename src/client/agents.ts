/** Agents over the client: messages to a key, questions, and what the key is at. */
import { parseDuration, type Duration } from '../core/duration.js';
import { clientError } from '../core/client-errors.js';
import { clientLimits } from '../core/client-limits.js';
import type { AgentReply, AgentSummary, AgentView, MessageAnswer } from '../protocol/http.js';
import { headerNames, pathOf } from '../protocol/route-paths.js';
import type { Agent, AgentNameOf, AgentOf, MessageAnswer as AnswerTo, MessageIn } from '../workflow/index.js';
import type { JsonOf } from './json-of.js';
import { pageList, type PageList } from './pages.js';
import { randomId } from './random-id.js';
import { command, get, type CallOptions } from './run-handle.js';
import type { Transport } from './transport.js';

/** Options of a message. */
export interface TellCallOptions extends CallOptions {
  /** A second message of the same id to the same key is the same message. Default: random. */
  readonly id?: string;
}

/** Options of a question. */
export interface AskCallOptions extends TellCallOptions {
  /** How long to wait for the answer; then ASK_TIMEOUT. Default 5 min. */
  readonly timeout?: Duration;
}

/** Names of the agents of an app; any where the app is not known. */
export type AgentFor<App> = unknown extends App ? string : AgentNameOf<App>;

type MessagesOf<App, Name extends string> =
  AgentOf<App, Name> extends Agent<string, infer Messages> ? Messages[number] : never;

/** Names of the messages that an agent takes; any where the agent is not known. */
export type MessageFor<App, Name extends string> = [AgentOf<App, Name>] extends [never]
  ? string
  : MessagesOf<App, Name>['name'];

/** The message of that name. */
export type NamedMessage<App, Name extends string, Type extends string> = Extract<
  MessagesOf<App, Name>,
  { readonly name: Type }
>;

/** What is sent with a message. */
export type MessageDataFor<App, Name extends string, Type extends string> = [AgentOf<App, Name>] extends [never]
  ? unknown
  : MessageIn<NamedMessage<App, Name, Type>>;

/** What the answer to a message is, as plain JSON. */
export type AnswerFor<App, Name extends string, Type extends string> = [AgentOf<App, Name>] extends [never]
  ? unknown
  : JsonOf<AnswerTo<NamedMessage<App, Name, Type>>>;

/** One key of an agent. Keeps no connection and no state. */
export interface AgentHandle<App, Name extends string> {
  /** Sends a message; resolves when it is recorded. AGENT_UNKNOWN, MESSAGE_UNKNOWN, INPUT_INVALID, MAILBOX_FULL. */
  tell<Type extends MessageFor<App, Name>>(
    type: Type,
    data: MessageDataFor<App, Name, Type>,
    options?: TellCallOptions,
  ): Promise<MessageAnswer>;
  /** Sends a message and waits for its answer. Rejects with ASK_TIMEOUT, and with ASK_FAILED where the agent has given up. */
  ask<Type extends MessageFor<App, Name>>(
    type: Type,
    data: MessageDataFor<App, Name, Type>,
    options?: AskCallOptions,
  ): Promise<AnswerFor<App, Name, Type>>;
  /** State, mailbox and run of the key. AGENT_NOT_FOUND where it has had no message. */
  status(options?: CallOptions): Promise<AgentView>;
}

/** Makes a handle; asks nothing. */
export function agentHandle<App, Name extends string>(
  transport: Transport,
  agent: Name,
  key: string,
): AgentHandle<App, Name> {
  const send = (
    type: string,
    data: unknown,
    id: string,
    reply: boolean,
    options: CallOptions,
  ): Promise<MessageAnswer> => {
    const request = command(pathOf('tellAgent', { agent, key, type }), data, true, options);
    const headers = { [headerNames.idempotencyKey]: id };
    return transport.json({ ...request, headers, ...(reply ? { query: { reply: true } } : {}) });
  };
  return {
    tell: (type, data, { id = randomId(), ...options } = {}) => send(type, data, id, false, options),
    ask: async (type, data, { id = randomId(), timeout, ...options } = {}) => {
      let leftMs = timeout === undefined ? clientLimits.askTimeoutMs : parseDuration(timeout);
      await send(type, data, id, true, options);
      const path = pathOf('readAnswer', { agent, key, id });
      for (;;) {
        const waitSeconds = Math.ceil(Math.min(leftMs, askRoundMs) / 1_000);
        const headers = { [headerNames.prefer]: `wait=${waitSeconds}` };
        const answer = await transport.json<AgentReply>({ ...get(path, options), headers });
        if (answer.state === 'failed')
          throw clientError('ASK_FAILED', { agent, key, reason: answer.error?.message ?? '' });
        // What the server gives is what the message says that it is.
        if (answer.state === 'answered') return answer.value as never;
        leftMs -= waitSeconds * 1_000;
        if (leftMs <= 0) throw clientError('ASK_TIMEOUT', { path: type, agent, key });
      }
    },
    status: (options) => transport.json(get(pathOf('readAgent', { agent, key }), options)),
  };
}

/** Keys of an agent that have had messages. */
export function agentKeys(
  transport: Transport,
  agent: string,
  { signal, ...query }: CallOptions & { readonly limit?: number } = {},
): PageList<AgentSummary> {
  return pageList((cursor) =>
    transport.json(get(pathOf('listAgents', { agent }), signal === undefined ? {} : { signal }, { ...query, cursor })),
  );
}

/** Below the time after which a client gives up on one answer. */
const askRoundMs = 20_000;
