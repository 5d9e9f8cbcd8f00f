/** `eventspine agents list | show | tell | ask`. */
import type { Duration } from '../../core/duration.js';
import type { AgentView } from '../../protocol/http.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { prettyJson, printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs } from '../table.js';
import { take } from './runs.js';

/** Lists the keys of an agent that have had messages. */
export const listAgents: CommandRun = async (invocation) => {
  const list = clientFor(invocation).agents(invocation.words.one('agent'));
  printList(invocation, await take(list, invocation.flags.number('limit') ?? 50), {
    header: ['KEY', 'RUN', 'GENERATION'],
    row: ({ key, run, generation }) => [key, run, String(generation)],
    empty: 'It has had no message.',
  });
  return exitCodes.ok.code;
};

/** Shows what a key of an agent is at. */
export const showAgent: CommandRun = async (invocation) => {
  const { words } = invocation;
  const view = await clientFor(invocation).agent(words.one('agent'), words.one('key')).status();
  printValue(invocation, view, () => agentText(view));
  return exitCodes.ok.code;
};

/** Sends a message. */
export const tellAgent: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const given = words.maybe('data');
  const data = given === undefined ? null : await jsonArgument(given, 'data', io);
  const id = flags.text('id');
  const agent = clientFor(invocation).agent(words.one('agent'), words.one('key'));
  const answer = await agent.tell(words.one('message'), data, id === undefined ? {} : { id });
  printValue(invocation, answer, () => [`${answer.id}  ${answer.outcome}`]);
  return exitCodes.ok.code;
};

/** Sends a message and prints the answer. */
export const askAgent: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const given = words.maybe('data');
  const data = given === undefined ? null : await jsonArgument(given, 'data', io);
  const timeout = flags.text('timeout');
  const agent = clientFor(invocation).agent(words.one('agent'), words.one('key'));
  const options = timeout === undefined ? {} : { timeout: timeout as Duration };
  const answer: unknown = await agent.ask(words.one('message'), data, options);
  printValue(invocation, answer, () => prettyJson(answer));
  return exitCodes.ok.code;
};

function agentText(view: AgentView): string[] {
  return [
    ...renderPairs([
      ['agent', view.agent],
      ['key', view.key],
      ['status', view.status],
      ['mailbox', String(view.mailbox)],
      ['handled', String(view.handled)],
      ['run', `${view.run} (${view.generation})`],
      ['updated', view.updatedAt],
    ]),
    '',
    ...prettyJson(view.state),
  ];
}
