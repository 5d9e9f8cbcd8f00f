/** Messages to agents as values, shared by those who send and the agent that takes them. */
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import { OptionFaults } from './options.js';
import type { Topic } from './topic.js';

/** Options of a message. */
export interface MessageOptions<S extends StandardSchema, R extends StandardSchema> {
  /** Schema of the data. Default: anything is taken. */
  readonly schema?: S;
  /** Schema of the answer. Default: anything is taken. */
  readonly reply?: R;
}

/** A message. `In` is what senders give, `Data` what the agent gets, `Reply` what it may answer, `Answer` what the asker gets. */
export interface Message<
  Name extends string = string,
  In = unknown,
  Data = unknown,
  Reply = unknown,
  Answer = unknown,
> {
  readonly kind: 'message';
  readonly name: Name;
  readonly schema: StandardSchema | null;
  readonly reply: StandardSchema | null;
  /** Types only; never set. Methods, so that their parameters may vary both ways. */
  readonly types?: { send(data: In): void; readonly data: Data; answer(reply: Reply): void; readonly answer_: Answer };
}

/** Whatever an agent may take: a message that is sent to it, or a topic whose events are messages to their key. */
export type AnyMessage = Message | Topic;

/** Defines a message. Fails with OPTIONS_INVALID, naming all faults. */
export function message<
  const Name extends string,
  S extends StandardSchema = StandardSchema,
  R extends StandardSchema = StandardSchema,
>(
  name: Name,
  options: MessageOptions<S, R> = {},
): Message<Name, InferInput<S>, InferOutput<S>, InferInput<R>, InferOutput<R>> {
  const faults = new OptionFaults(`message "${name}"`);
  faults.name(name);
  faults.unknownNames(options, ['schema', 'reply']);
  faults.schema('schema', options.schema);
  faults.schema('reply', options.reply);
  faults.throwIfAny();
  return { kind: 'message', name, schema: options.schema ?? null, reply: options.reply ?? null };
}

/** What is sent with a message. */
export type MessageIn<M> = M extends Message<string, infer In> ? In : M extends Topic<string, infer In> ? In : never;

/** What the agent gets of it. */
export type MessageData<M> =
  M extends Message<string, never, infer Data> ? Data : M extends Topic<string, never, infer Data> ? Data : never;

/** What the agent may answer. */
export type MessageReply<M> = M extends Message<string, never, unknown, infer Reply> ? Reply : unknown;

/** What whoever asks gets. */
export type MessageAnswer<M> = M extends Message<string, never, unknown, never, infer Answer> ? Answer : unknown;
