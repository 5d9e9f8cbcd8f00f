/** `eventspine dead-events list | show | redrive | discard`: events that were given up on and that no run stands for. */
import { SpineError } from '../../core/errors.js';
import type { Client, DeadEventListQuery, DeadEventView } from '../../client/index.js';
import type { CommandRun, Flags, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs } from '../table.js';
import { ago } from '../words.js';
import { take } from './runs.js';

/** Lists them, oldest first. */
export const listDeadEvents: CommandRun = async (invocation) => {
  const { flags } = invocation;
  const now = Date.now();
  const list = clientFor(invocation).deadEvents.list(queryOf(flags));
  printList(invocation, await take(list, flags.number('limit') ?? 50), {
    header: ['DEAD EVENT', 'OF', 'AT', 'EVENT', 'CLASS', 'DELIVERIES', 'AGE', 'MESSAGE'],
    row: (dead) => [
      dead.id,
      dead.source,
      placeText(dead),
      dead.event.id ?? '',
      dead.class,
      String(dead.attempts),
      ago(dead.at, now),
      dead.message,
    ],
    empty: 'No dead events.',
  });
  return exitCodes.ok.code;
};

/** Shows one with its data. */
export const showDeadEvent: CommandRun = async (invocation) => {
  const dead = await clientFor(invocation).deadEvents.get(invocation.words.one('dead-event'));
  printValue(invocation, dead, () => [
    ...renderPairs([
      ['dead event', dead.id],
      ['of', dead.source],
      ['at', placeText(dead)],
      ['event', [dead.event.id, dead.event.type, dead.event.source].map((part) => part ?? '?').join('  ')],
      ['key', dead.event.key ?? ''],
      ['failure', `${dead.class} (${dead.code}): ${dead.message}`],
      ['deliveries', String(dead.attempts)],
      ['since', dead.at],
      ...Object.entries(dead.attributes).map(([name, value]): [string, string] => [name, String(value)]),
    ]),
    '',
    dead.dataref ?? (JSON.stringify(dead.data, null, 2) as string | undefined) ?? '(no data)',
  ]);
  return exitCodes.ok.code;
};

/** Sends them back to where they came from. */
export const redriveDeadEvents: CommandRun = (invocation) =>
  forEach(invocation, 'redriven', async (client, id, options) => {
    await client.deadEvents.redrive(id, options);
  });

/** Gives them up for good. */
export const discardDeadEvents: CommandRun = (invocation) =>
  forEach(invocation, 'discarded', (client, id, options) => client.deadEvents.discard(id, options));

async function forEach(
  invocation: Invocation,
  outcome: 'redriven' | 'discarded',
  act: (client: Client, id: string, options: { readonly reason?: string }) => Promise<void>,
): ReturnType<CommandRun> {
  const client = clientFor(invocation);
  const reason = invocation.flags.text('reason');
  const options = reason === undefined ? {} : { reason };
  for (const id of await meant(invocation, client)) {
    await act(client, id, options);
    printValue(invocation, { id, outcome }, () => [`${id}  ${outcome}`]);
  }
  return exitCodes.ok.code;
}

/** Those of the ids given; without ids, all that are there now and that the flags mean. */
async function meant({ words, flags }: Invocation, client: Client): Promise<readonly string[]> {
  const ids = words.all('dead-event');
  if (ids.length > 0) return ids;
  const query = queryOf(flags);
  if (Object.keys(query).length === 0 && !flags.truth('all'))
    throw new SpineError('COMMAND_INVALID', {
      reason: 'Give ids of dead events, or say which by --source or --class, or --all.',
    });
  const found: string[] = [];
  for await (const dead of client.deadEvents.list(query)) found.push(dead.id);
  return found;
}

function queryOf(flags: Flags): DeadEventListQuery {
  const source = flags.text('source');
  const kind = flags.text('class');
  return { ...(source === undefined ? {} : { source }), ...(kind === undefined ? {} : { class: kind }) };
}

function placeText({ topic, partition, offset }: DeadEventView): string {
  return topic === null ? '' : `${topic}/${partition ?? 0} ${offset ?? ''}`;
}
