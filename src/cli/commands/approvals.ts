/** `eventspine approvals list | show | approve | reject | delegate | comment`, and `eventspine runs signal`. */
import type { SayOptions } from '../../client/index.js';
import type { ApprovalDetail, ApprovalNote } from '../../protocol/http.js';
import type { CommandRun, Flags } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { prettyJson, printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs } from '../table.js';
import { ago } from '../words.js';
import { printAnswer, take } from './runs.js';

/** Sends a signal to a run. */
export const signalRun: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const given = words.maybe('data');
  const data = given === undefined ? undefined : await jsonArgument(given, 'data', io);
  const id = flags.text('id');
  const options = id === undefined ? {} : { id };
  return printAnswer(
    invocation,
    await clientFor(invocation).signal(words.one('run'), words.one('signal'), data, options),
  );
};

/** Lists open approvals, oldest first. */
export const listApprovals: CommandRun = async (invocation) => {
  const { flags } = invocation;
  const to = flags.list('to');
  const list = clientFor(invocation).approvals.list(to.length === 0 ? {} : { to });
  const now = Date.now();
  printList(invocation, await take(list, flags.number('limit') ?? 50), {
    header: ['APPROVAL', 'WORKFLOW', 'TITLE', 'TO', 'AGE', 'EXPIRES'],
    row: (approval) => [
      approval.id,
      approval.workflow,
      approval.title,
      approval.to.join(' '),
      ago(approval.requestedAt, now),
      approval.expiresAt ?? 'never',
    ],
    empty: 'Nothing waits for a word.',
  });
  return exitCodes.ok.code;
};

/** Shows one: what is asked, of whom, and what was said. */
export const showApproval: CommandRun = async (invocation) => {
  const approval = await clientFor(invocation).approvals.get(invocation.words.one('approval'));
  printValue(invocation, approval, () => approvalText(approval));
  return exitCodes.ok.code;
};

/** Approves. */
export const approve: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const given = flags.text('form');
  const form = given === undefined ? {} : { form: await jsonArgument(given, 'form', io) };
  const options = { ...form, ...commentOf(flags), ...spokesmanOf(flags) };
  return printAnswer(invocation, await clientFor(invocation).approvals.approve(words.one('approval'), options));
};

/** Rejects. */
export const reject: CommandRun = async (invocation) => {
  const { flags, words } = invocation;
  const options = { ...commentOf(flags), ...spokesmanOf(flags) };
  return printAnswer(invocation, await clientFor(invocation).approvals.reject(words.one('approval'), options));
};

/** Puts a request to others. */
export const delegate: CommandRun = async (invocation) => {
  const { flags, words } = invocation;
  const { approvals } = clientFor(invocation);
  return printAnswer(
    invocation,
    await approvals.delegate(words.one('approval'), words.all('address'), spokesmanOf(flags)),
  );
};

/** Says something without deciding. */
export const comment: CommandRun = async (invocation) => {
  const { flags, words } = invocation;
  const { approvals } = clientFor(invocation);
  return printAnswer(invocation, await approvals.comment(words.one('approval'), words.one('text'), spokesmanOf(flags)));
};

function commentOf(flags: Flags): { readonly comment?: string } {
  const text = flags.text('comment');
  return text === undefined ? {} : { comment: text };
}

function spokesmanOf(flags: Flags): SayOptions {
  const user = flags.text('as');
  return user === undefined ? {} : { as: { user, roles: flags.list('role') } };
}

function approvalText(approval: ApprovalDetail): string[] {
  return [
    ...renderPairs([
      ['approval', approval.id],
      ['title', approval.title],
      ['state', approval.by === null ? approval.state : `${approval.state} by ${approval.by}`],
      ['run', `${approval.run} (${approval.workflow}, ${approval.path})`],
      ['put to', approval.to.join(', ')],
      ['requested', approval.requestedAt],
      ['expires', approval.expiresAt ?? 'never'],
    ]),
    '',
    ...prettyJson(approval.show),
    ...(approval.form === null ? [] : ['', 'To approve, fill in (--form):', ...prettyJson(approval.form)]),
    '',
    ...approval.notes.map(noteText),
  ];
}

function noteText({ at, what, by, to, text }: ApprovalNote): string {
  return [at, what, ...(by === null ? [] : [`by ${by}`]), ...(to === undefined ? [] : [`to ${to.join(', ')}`])]
    .concat(text === undefined ? [] : [`: ${text}`])
    .join('  ');
}
