/**
 * The body of every agent: takes the next message, has its handler run, commits, and begins again; after some hundreds of
 * messages the key goes on in a new run, which begins with the state and the messages that are left.
 */
import { encodeValue, decodeValue } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { pathOf } from '../../core/paths.js';
import type { MailSource, SendTarget } from '../../core/run/mail.js';
import type { StandardSchema } from '../../core/standard-schema.js';
import { agentKeyFault, isAgentKey } from '../agent-key.js';
import type { Agent, AgentMessage, AgentRef, AgentSelf, EscalatedMessage } from '../agent.js';
import { isStepError, type StepError } from '../step-error.js';
import type { Ctx, EmitOptions } from '../ctx.js';
import type { AnyMessage } from '../message.js';
import type { Topic } from '../topic.js';
import { upcast, writtenAs } from '../topic-versions.js';
import { BodyCtx, mailWait, type IncomingMail } from './body-ctx.js';
import type { BodyRun } from './body-run.js';
import type { Handled, Send } from './handle-work.js';
import type { Scope } from './scope.js';
import { checkedBy } from './wait-work.js';

type Described = Omit<Agent, 'workflow'>;

/** What a run of a key begins with. */
interface AgentInput {
  readonly key: string;
  /** Absent = the key has handled nothing yet. */
  readonly state?: unknown;
  readonly handled?: number;
}

/** The body of the runs of an agent. */
export function agentBody(agent: Described): (ctx: Ctx, input: unknown) => Promise<never> {
  return async (given, input) => {
    const ctx = given as BodyCtx;
    const { key, handled = 0, ...before } = input as AgentInput;
    let state = 'state' in before ? before.state : initialOf(agent, key);
    for (let n = 0; ; n++) {
      if (!ctx.hasAskedForMail(n) && isLongEnough(agent, ctx, n))
        return ctx.continueAsNew({ key, state, handled: handled + n });
      const mail = await ctx.nextMail(n);
      try {
        state = await handle(agent, ctx, n, key, state, mail);
      } catch (error) {
        if (!isStepError(error) || agent.onError === 'park') throw error;
        await ctx.bury(n, mail.seq, error, (path) => consequences(agent, key, mail, error, path));
      }
    }
  };
}

function initialOf({ initial }: Described, key: string): unknown {
  const value: unknown = typeof initial === 'function' ? (initial as (key: string) => unknown)(key) : initial;
  // A copy: one key must not change what the others begin with.
  return decodeValue(encodeValue(value));
}

/** What is carried along should be less than what was done, or a long mailbox would be written again and again. */
function isLongEnough({ continueAfter }: Described, ctx: BodyCtx, n: number): boolean {
  return n >= continueAfter && (ctx.unread <= n || ctx.historyLength > limits.historyEventsMax / 2);
}

function handle(
  agent: Described,
  ctx: BodyCtx,
  n: number,
  key: string,
  state: unknown,
  mail: IncomingMail,
): Promise<unknown> {
  const committed = encodeValue(state);
  return ctx.handle(n, {
    retry: agent.retry,
    // Each attempt begins with what is committed.
    ctx: (body, scope) => new SelfCtx(body, scope, key, decodeValue(committed)),
    run: async (self) => {
      const { state: after, sends } = await handled(agent, self, mail);
      return { next: isLongEnough(agent, ctx, n + 1) ? null : mailWait(n + 1), state: after, sends };
    },
  });
}

async function handled(
  agent: Described,
  self: SelfCtx,
  { id, at, mail, data }: IncomingMail,
): Promise<Omit<Handled, 'next'>> {
  const { type, from } = mail;
  const definition = agent.messages.find((one) => one.name === type);
  const handler = agent.on[type] as ((self: SelfCtx, message: AgentMessage) => unknown) | undefined;
  if (definition === undefined || handler === undefined)
    throw new SpineError('MESSAGE_UNKNOWN', { name: type, agent: agent.name, known: Object.keys(agent.on) });
  const written = from.kind === 'topic' && definition.kind === 'topic' ? (from.schema ?? null) : null;
  const raised = written === null ? data : await upcast(definition as Topic, written, data);
  const message = { id, type, at, data: await checkedBy(type, definition.schema, raised) };
  const returned = await handler(self, message);
  const answer = self.answered === null ? returned : self.answered.value;
  const state = await checkedState(agent, self.state);
  const to = answerTo(from, id);
  if (to === null) return { state, sends: self.sends };
  const schema = definition.kind === 'message' ? definition.reply : null;
  const reply = await checkedBy(`${type} (reply)`, schema, answer);
  return { state, sends: [...self.sends, sending(pathOf(self.path, 'reply'), to, reply)] };
}

async function checkedState({ name, state: schema }: Described, state: unknown): Promise<unknown> {
  if (schema === null) return state;
  const result = await (schema as StandardSchema)['~standard'].validate(state);
  if (result.issues === undefined) return result.value;
  const faults = result.issues.slice(0, faultsMax).map((issue) => issue.message);
  throw new SpineError('STATE_INVALID', { agent: name, faults });
}

const faultsMax = 20;

/** Where an answer goes; null = nobody has asked. */
function answerTo(from: MailSource, id: string): Exclude<SendTarget, { kind: 'agent' }> | null {
  if (from.kind === 'run' && from.reply !== null)
    return { kind: 'run', run: from.run, name: from.reply, failure: null };
  return from.kind === 'caller' && from.reply ? { kind: 'caller', id, failure: null } : null;
}

function sending(path: string, to: SendTarget, data: unknown): Send {
  return {
    data: encodeValue(data, limits.payloadBytesMax),
    command: (stored) => ({ op: 'send', path, to, data: stored }),
  };
}

/** What goes out when an agent gives up on a message. */
function consequences(
  { name, onError }: Described,
  key: string,
  { id, mail, data }: IncomingMail,
  { failure }: StepError,
  path: string,
): Send[] {
  const sends: Send[] = [];
  const asker = answerTo(mail.from, id);
  if (asker !== null) sends.push(sending(pathOf(path, 'reply'), { ...asker, failure }, null));
  if (typeof onError === 'string') return sends;
  const { class: kind, code, message } = failure;
  const told: EscalatedMessage = { agent: name, key, id, type: mail.type, data, error: { class: kind, code, message } };
  const at = pathOf(path, 'escalated');
  if ('key' in onError) {
    const agent = typeof onError.escalate === 'string' ? onError.escalate : onError.escalate.name;
    sends.push(sending(at, { kind: 'agent', agent, key: onError.key, type: onError.message.name, reply: null }, told));
  } else {
    const topic = onError.escalate.name;
    sends.push({
      data: encodeValue(told, limits.payloadBytesMax),
      command: (stored) => ({ op: 'emit', path: at, topic, event: { data: stored } }),
    });
  }
  return sends;
}

/** The context of one attempt of a handler: what it sends is kept until the handler has returned. */
class SelfCtx extends BodyCtx implements AgentSelf {
  readonly key: string;
  readonly path: string;
  state: unknown;
  readonly sends: Send[] = [];
  answered: { readonly value: unknown } | null = null;

  constructor(body: BodyRun, scope: Scope, key: string, state: unknown) {
    super(body, scope);
    this.key = key;
    this.path = scope.path;
    this.state = state;
  }

  reply(answer: unknown): void {
    this.answered = { value: answer };
  }

  override async tell(agent: AgentRef, key: string, message: AnyMessage, data: unknown): Promise<void> {
    const name = typeof agent === 'string' ? agent : agent.name;
    if (!isAgentKey(key)) throw new SpineError('OPTIONS_INVALID', { what: `tell "${name}"`, faults: [agentKeyFault] });
    const path = this.#next();
    const send = sending(path, { kind: 'agent', agent: name, key, type: message.name, reply: null }, data);
    this.sends.push(send);
    await checkedBy(message.name, message.schema, data);
  }

  override async emit<In>(topic: Topic<string, In>, data: In, options: EmitOptions = {}): Promise<void> {
    const { id, key } = options;
    const named = { ...(id === undefined ? {} : { id }), ...(key === undefined ? {} : { key }), ...writtenAs(topic) };
    const path = this.#next();
    this.sends.push({
      data: encodeValue(data, limits.payloadBytesMax),
      command: (stored) => ({ op: 'emit', path, topic: topic.name, event: { ...named, data: stored } }),
    });
    await checkedBy(topic.name, topic.schema, data);
  }

  override continueAsNew(): Promise<never> {
    throw new SpineError('OPTIONS_INVALID', {
      what: 'self.continueAsNew',
      faults: ['an agent goes on in new runs by itself; see continueAfter'],
    });
  }

  /** All of them are committed at one time, one time: their order is enough to tell them apart. */
  #next(): string {
    if (this.sends.length >= limits.agentSendsMax)
      throw new SpineError('OPTIONS_INVALID', {
        what: 'the handler of an agent',
        faults: [`it sends more than ${limits.agentSendsMax} messages and events for one message`],
      });
    return pathOf(this.path, ['sent', this.sends.length]);
  }
}
