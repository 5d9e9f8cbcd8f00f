/** `eventspine limits`: what holds work back, and how it is changed. */
import type { LimitOptions } from '../../core/admission/limit-options.js';
import type { LimitView } from '../../protocol/http.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';
import { span } from '../words.js';

/** Limits in force, and how full the fullest counter of each is. */
export const listLimits: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).limits.list(), {
    header: ['LIMIT', 'ALLOWS', 'BY', 'FULLEST', 'COUNTERS', 'SET'],
    row: (limit) => [
      limit.name,
      allowsText(limit),
      (limit.options.by ?? []).join(', '),
      usedText(limit, limit.counters[0]),
      String(limit.counterCount),
      limit.set === null ? '' : `by ${limit.set.by}`,
    ],
    empty: 'Nothing is limited. Apps declare limits (docs/guides/limits.md); `eventspine limits set` makes one here.',
  });
  return exitCodes.ok.code;
};

/** A limit with its counters. */
export const showLimit: CommandRun = async (invocation) => {
  printLimit(invocation, await clientFor(invocation).limits.get(invocation.words.one('limit')));
  return exitCodes.ok.code;
};

/** Sets a limit in place of what apps declare. */
export const setLimit: CommandRun = async (invocation) => {
  const { words, io } = invocation;
  const options = await jsonArgument(words.one('options'), 'options', io);
  printLimit(invocation, await clientFor(invocation).limits.set(words.one('limit'), options as LimitOptions));
  return exitCodes.ok.code;
};

/** What apps declare holds again. */
export const resetLimit: CommandRun = async (invocation) => {
  const name = invocation.words.one('limit');
  await clientFor(invocation).limits.reset(name);
  printValue(invocation, { name }, () => [`${name} is as apps declare it.`]);
  return exitCodes.ok.code;
};

function printLimit(invocation: Invocation, limit: LimitView): void {
  printValue(invocation, limit, () => {
    const lines = renderPairs([
      ['limit', limit.name],
      ['allows', allowsText(limit)],
      ['counted by', (limit.options.by ?? []).join(', ') || 'nothing: one counter for all'],
      ['holds for', limit.options.scope === 'inferences' ? 'every inference' : 'what names it'],
      ['declared', limit.declared ? 'by an app' : 'by no app'],
      ...(limit.set === null ? [] : [['set', `by ${limit.set.by} at ${limit.set.at}`] as const]),
    ]);
    if (limit.counters.length === 0) return lines;
    const rows = limit.counters.map((one) => [one.key, usedText(limit, one), one.resetAt ?? '']);
    return [...lines, '', ...renderTable(['COUNTER', 'USED', 'FULL AGAIN'], rows)];
  });
}

const microsPerUnit = 1_000_000;

function usedText({ kind }: LimitView, counter: LimitView['counters'][number] | undefined): string {
  if (counter === undefined) return '';
  const { used, limit } = counter;
  return kind === 'budget' ? `${used / microsPerUnit} of ${limit / microsPerUnit}` : `${used} of ${limit}`;
}

function allowsText({ options: { concurrency, rate, budget } }: LimitView): string {
  if (rate !== undefined) {
    const what = rate.tokens === undefined ? `${rate.requests} requests` : `${rate.tokens} tokens`;
    return `${what} in ${span(Number(rate.per))}`;
  }
  if (budget !== undefined) return `${budget.amount} per ${budget.per}`;
  if (typeof concurrency === 'object') return `${concurrency.min ?? concurrency.max} to ${concurrency.max} at a time`;
  return `${concurrency ?? ''} at a time`;
}
