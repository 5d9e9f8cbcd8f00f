/** `eventspine dead-letters list | show | redrive | discard`. */
import type { CommandAnswer } from '../../protocol/http.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs } from '../table.js';
import { ago } from '../words.js';
import { take } from './runs.js';

/** Lists what ran out of attempts, newest first. */
export const listDeadLetters: CommandRun = async (invocation) => {
  const { flags } = invocation;
  const failureClass = flags.text('class');
  const workflow = flags.text('workflow');
  const list = clientFor(invocation).deadLetters.list({
    ...(failureClass === undefined ? {} : { class: failureClass }),
    ...(workflow === undefined ? {} : { workflow }),
  });
  const now = Date.now();
  printList(invocation, await take(list, flags.number('limit') ?? 50), {
    header: ['DEAD LETTER', 'RUN', 'WORKFLOW', 'STEP', 'CLASS', 'AGE', 'MESSAGE'],
    row: (letter) => [
      letter.id,
      letter.run,
      letter.workflow,
      letter.path ?? '(body)',
      letter.class,
      ago(letter.at, now),
      letter.message,
    ],
    empty: 'No dead letters.',
  });
  return exitCodes.ok.code;
};

/** Shows one: why it died and what to do about it. */
export const showDeadLetter: CommandRun = async (invocation) => {
  const letter = await clientFor(invocation).deadLetters.get(invocation.words.one('dead-letter'));
  printValue(invocation, letter, () =>
    renderPairs([
      ['dead letter', letter.id],
      ['run', letter.run],
      ['workflow', letter.workflow],
      ['step', letter.path ?? '(the body)'],
      ['failure', `${letter.class} (${letter.code}): ${letter.message}`],
      ['attempts', String(letter.attempts)],
      ['since', letter.at],
      ['what to do', letter.remedy.text],
      ['redrive may help', letter.remedy.redriveMayHelp ? 'yes' : 'not by itself'],
    ]),
  );
  return exitCodes.ok.code;
};

/** Sends runs back to work. Stops at the first that is refused. */
export const redriveDeadLetters: CommandRun = async (invocation) => {
  const client = clientFor(invocation);
  for (const id of invocation.words.all('dead-letter')) {
    const answer: CommandAnswer = await client.deadLetters.redrive(id);
    printValue(invocation, answer, () => [`${id}  redriven`]);
  }
  return exitCodes.ok.code;
};

/** Gives up on dead letters. */
export const discardDeadLetters: CommandRun = async (invocation) => {
  const client = clientFor(invocation);
  for (const id of invocation.words.all('dead-letter')) {
    await client.deadLetters.discard(id);
    printValue(invocation, { id, outcome: 'discarded' }, () => [`${id}  discarded`]);
  }
  return exitCodes.ok.code;
};
