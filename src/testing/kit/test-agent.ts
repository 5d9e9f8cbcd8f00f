/** One key of an agent under test. */
import { encodeValue } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import type { Payload } from '../../core/payload.js';
import type { AgentFor, MessageDataFor, MessageFor, NamedMessage } from '../../client/agents.js';
import type { AgentAnswer, Engine, Origin } from '../../engine/api.js';
import type { AgentView } from '../../protocol/http.js';
import type { AgentOf, MessageAnswer } from '../../workflow/index.js';
import type { TestDriver } from './test-driver.js';

/** What a message is answered with, as the handler gave it. */
export type TestAnswer<App, Name extends string, Type extends string> = [AgentOf<App, Name>] extends [never]
  ? unknown
  : MessageAnswer<NamedMessage<App, Name, Type>>;

/** One key of an agent under test; see `TestSpine.agent`. */
export interface TestAgent<App, Name extends string> {
  /** Sends a message, and lets it go as far as it comes without time passing. MESSAGE_UNKNOWN, INPUT_INVALID. */
  tell<Type extends MessageFor<App, Name>>(
    type: Type,
    data: MessageDataFor<App, Name, Type>,
    options?: { readonly id?: string },
  ): Promise<{ readonly repeated: boolean }>;
  /**
   * Sends a message and gives its answer; where that takes time, the clock goes on to what is due next. ASK_FAILED where the
   * agent has given up on the message, TEST_STUCK where no answer can come.
   */
  ask<Type extends MessageFor<App, Name>>(
    type: Type,
    data: MessageDataFor<App, Name, Type>,
    options?: { readonly id?: string },
  ): Promise<TestAnswer<App, Name, Type>>;
  /** State, mailbox and run of the key. AGENT_NOT_FOUND where it has had no message. */
  status(): Promise<AgentView>;
}

/** What the key of an agent needs of the app under test. */
export interface TestAgentContext {
  readonly engine: Engine;
  readonly driver: TestDriver;
  readonly origin: Origin;
  /** Names a message that was given no id. */
  readonly nextId: () => string;
  readonly valueOf: (payload: Payload) => Promise<unknown>;
}

/** Makes a handle; asks nothing. */
export function testAgent<App, Name extends AgentFor<App>>(
  { engine, driver, origin, nextId, valueOf }: TestAgentContext,
  agent: Name,
  key: string,
): TestAgent<App, Name> {
  const { tenant } = origin;
  const send = async (type: string, data: unknown, id: string, reply: boolean): Promise<{ repeated: boolean }> => {
    const request = { agent, key, type, id, data: data === undefined ? null : encodeValue(data), reply };
    const outcome = await driver.through(engine.tellAgent(origin, request));
    if (outcome.tag === 'error') throw outcome.error;
    await driver.settle();
    return { repeated: outcome.tag === 'already' };
  };
  const read = async (): Promise<AgentView> => {
    const view = await driver.through(engine.readAgent(tenant, agent, key));
    if (view === null) throw new SpineError('AGENT_NOT_FOUND', { agent, key });
    return view;
  };
  return {
    tell: (type, data, { id = nextId() } = {}) => send(type, data, id, false),
    async ask(type, data, { id = nextId() } = {}) {
      await send(type, data, id, true);
      let answer: AgentAnswer = { tag: 'pending' };
      await driver.skipUntil(
        async () => {
          answer = await driver.through(engine.readAnswer(tenant, { agent, key, id }, 0));
          return answer.tag !== 'pending';
        },
        async () => `the "${key}" of agent "${agent}" is ${(await read()).status}, and gives no answer to "${type}"`,
      );
      // Only the callback above writes it, which the compiler does not see.
      const payload = answeredBy(answer as AgentAnswer, agent, key);
      return (await valueOf(payload)) as never;
    },
    async status() {
      await driver.settle();
      return await read();
    },
  };
}

function answeredBy(answer: AgentAnswer, agent: string, key: string): Payload {
  switch (answer.tag) {
    case 'answered':
      return answer.data;
    case 'failed':
      throw new SpineError('ASK_FAILED', { agent, key, reason: answer.failure.message });
    case 'pending':
      throw new Error('Invariant broken: the answer is there');
    default:
      return answer satisfies never;
  }
}
