/**
 * Agents as values: actors with a key each, which take one typed message at a time and keep a state between them. Making
 * one opens and runs nothing.
 */
import type { Duration } from '../core/duration.js';
import { limits } from '../core/limits.js';
import type { ShownValues } from '../core/manifest.js';
import type { PathName } from '../core/paths.js';
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import type { RetryPolicy } from '../core/retry.js';
import type { Ctx } from './ctx.js';
import type { AnyMessage, MessageData, MessageReply } from './message.js';
import { OptionFaults } from './options.js';
import { agentBody } from './replay/agent-body.js';
import { readRetry, type RetryOptions } from './retry-options.js';
import type { Topic } from './topic.js';
import { checkShows, workflow, type AnyWorkflow } from './workflow.js';

/** An agent by its value, or by its name where two agents know each other. */
export type AgentRef = string | Agent;

/** Options of telling an agent something. */
export interface TellOptions {
  /** Name of the message in the run. Default: the name of the message. */
  readonly as?: PathName;
}

/** Options of asking an agent. */
export interface AskOptions extends TellOptions {
  /** How long to wait for the answer; then ASK_TIMEOUT. Default 5 min. */
  readonly timeout?: Duration;
}

/** What a handler gets. */
export interface AgentMessage<Data = unknown> {
  /** Names the message among those to this key. */
  readonly id: string;
  readonly type: string;
  readonly data: Data;
  /** When it came, epoch ms on the store's clock. */
  readonly at: number;
}

/**
 * The context of a handler: all of `ctx`, and the agent itself. What is emitted and told is sent with the commit that
 * makes the message handled, or not at all; a question (`ask`) is sent at once, one time.
 */
export interface AgentSelf<State = unknown> extends Omit<Ctx, 'continueAsNew'> {
  readonly key: string;
  /** The state, to be changed or replaced; committed when the handler returns, thrown away when it throws. */
  state: State;
  /** Answers whoever has asked. Default: what the handler returns. */
  reply(answer: unknown): void;
}

/** What becomes of a message whose attempts are used up. */
export type AgentOnError =
  /** It becomes a dead letter, and the agent goes on with the next. */
  | 'skip'
  /** The agent stops, and its mail waits, until a person redrives its run. */
  | 'park'
  /** As `skip`, and a topic is told of it (`EscalatedMessage`). */
  | { readonly escalate: Topic }
  /** As `skip`, and another agent is told of it: the message's data is an `EscalatedMessage`. */
  | { readonly escalate: AgentRef; readonly key: string; readonly message: AnyMessage };

/** What is told of a message that an agent has given up on. */
export interface EscalatedMessage {
  readonly agent: string;
  readonly key: string;
  /** Id and type of the message, and its data. */
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  /** Why. */
  readonly error: { readonly class: string; readonly code: string; readonly message: string };
}

/** A handler for each message, by its name. */
export type AgentHandlers<State, Messages extends readonly AnyMessage[]> = {
  readonly [Name in Messages[number]['name']]: AgentHandler<State, Extract<Messages[number], { readonly name: Name }>>;
};

/** Handles a message; what it returns is the answer to whoever has asked. */
export type AgentHandler<State, M> = (
  self: AgentSelf<State>,
  message: AgentMessage<MessageData<M>>,
) => MessageReply<M> | Promise<MessageReply<M>> | void | Promise<void>;

/** Options of an agent. */
export interface AgentOptions<S extends StandardSchema, Messages extends readonly AnyMessage[]> {
  /** What it takes: messages that are sent to it, and topics with a key, whose events are messages to their key. */
  readonly messages: Messages;
  /** Schema of the state, which must take what it gives. Checked before each commit; a bad state fails the message. */
  readonly state?: S;
  /** The state before the first message. */
  readonly initial: InferInput<S> | ((key: string) => InferInput<S>);
  /** What is done for each message. */
  readonly on: AgentHandlers<InferOutput<S>, Messages>;
  /** Attempts of a handler. Default: 4 attempts, pauses up to 60 s. */
  readonly retry?: RetryOptions;
  /** When they are used up. Default `skip`. */
  readonly onError?: AgentOnError;
  /** Messages after which a key goes on in a new run, so that its history stays short. Default 200. */
  readonly continueAfter?: number;
  /** How long an ended run of a key is kept, with its dead letters' messages. Default 7 days. */
  readonly retain?: Duration;
  /** Longest time of one activation under one lease, after which a hung worker loses it. Default 10 min. */
  readonly deadline?: Duration;
  /** Higher goes first, 0 to 9. Default 5. */
  readonly priority?: number;
  /** Which of its values everybody may see, where fields of the app are tagged; `output` = its state and its answers. Default: none. */
  readonly shows?: ShownValues;
}

/** An agent. Its types say what can be sent to it. */
export interface Agent<Name extends string = string, Messages extends readonly AnyMessage[] = readonly AnyMessage[]> {
  readonly kind: 'agent';
  readonly name: Name;
  readonly messages: Messages;
  readonly state: StandardSchema | null;
  readonly initial: unknown;
  readonly on: Readonly<Record<string, (self: never, message: never) => unknown>>;
  readonly retry: RetryPolicy;
  readonly onError: AgentOnError;
  readonly continueAfter: number;
  /** Runs a key, message by message. */
  readonly workflow: AnyWorkflow;
}

const optionNames = [
  'messages',
  'state',
  'initial',
  'on',
  'retry',
  'onError',
  'continueAfter',
  'retain',
  'deadline',
  'priority',
  'shows',
] as const;

/** Defines an agent. Fails with OPTIONS_INVALID, naming all faults. */
export function agent<
  const Name extends string,
  const Messages extends readonly AnyMessage[],
  S extends StandardSchema = StandardSchema,
>(name: Name, options: AgentOptions<S, Messages>): Agent<Name, Messages> {
  const faults = new OptionFaults(`agent "${name}"`);
  const { messages, state, initial, onError = 'skip', continueAfter, deadline, retain, priority, shows } = options;
  const on = options.on as Agent['on'];
  faults.name(name);
  faults.unknownNames(options, optionNames);
  faults.schema('state', state);
  faults.integer('continueAfter', continueAfter, { min: 1, max: limits.historyEventsMax / 10 });
  faults.integer('priority', priority, { min: 0, max: limits.priorityMax });
  const retainMs = faults.duration('retain', retain, limits.agentRetainMs);
  const deadlineMs = faults.duration('deadline', deadline, limits.activationDeadlineMs, 1);
  const retry = readRetry(options.retry, faults);
  checkMessages(faults, messages, on);
  checkShows(faults, shows);
  checkOnError(faults, onError);
  if (!('initial' in options)) faults.add('initial is missing: the state before the first message');
  faults.throwIfAny();
  const described = {
    kind: 'agent',
    name,
    messages,
    state: state ?? null,
    initial,
    on,
    retry,
    onError,
    continueAfter: continueAfter ?? limits.agentMessagesMax,
  } as const;
  const body = agentBody(described);
  const bare = workflow(
    name,
    {
      retain: retainMs,
      deadline: deadlineMs,
      ...(priority === undefined ? {} : { priority }),
      ...(shows === undefined ? {} : { shows }),
    },
    body,
  );
  return { ...described, workflow: bare };
}

function checkMessages(faults: OptionFaults, messages: readonly AnyMessage[], on: Agent['on']): void {
  if (!Array.isArray(messages) || !messages.every(isMessage))
    return faults.add('messages must be a list of messages and topics');
  const names = messages.map((one) => one.name);
  for (const twice of new Set(names.filter((one, i) => names.indexOf(one) !== i)))
    faults.add(`message "${twice}" is there twice`);
  for (const one of messages)
    if (one.kind === 'topic' && one.key === null)
      faults.add(`topic "${one.name}" has no key, which would be the agent's`);
  const handlers: unknown = on;
  if (typeof handlers !== 'object' || handlers === null) return faults.add('on must hold a handler for each message');
  for (const name of names) if (typeof on[name] !== 'function') faults.add(`on has no handler for "${name}"`);
  for (const name of Object.keys(on)) if (!names.includes(name)) faults.add(`on["${name}"] is for none of messages`);
}

function checkOnError(faults: OptionFaults, onError: unknown): void {
  if (onError === 'skip' || onError === 'park') return;
  const target: unknown = (onError as Partial<{ escalate: unknown }> | null)?.escalate;
  if (typeof target === 'object' && target !== null && (target as Partial<Topic>).kind === 'topic') return;
  const { key, message } = (onError ?? {}) as Partial<{ key: unknown; message: unknown }>;
  const isAgent = typeof target === 'string' || (target as Partial<Agent> | undefined)?.kind === 'agent';
  if (isAgent && typeof key === 'string' && isMessage(message)) return;
  faults.add('onError must be "skip", "park", { escalate: topic } or { escalate: agent, key, message }');
}

function isMessage(value: unknown): value is AnyMessage {
  const kind: unknown = (value as Partial<AnyMessage> | null | undefined)?.kind;
  return kind === 'message' || kind === 'topic';
}
