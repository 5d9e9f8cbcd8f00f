/** `eventspine endpoints`: functions that tasks are sent to. */
import { parseDuration, type Duration } from '../../core/duration.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { span } from '../words.js';

/** What is registered, and how it is. */
export const listEndpoints: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).endpoints.list(), {
    header: ['APP', 'STATE', 'SLOTS', 'TIMEOUT', 'URL', 'REASON'],
    row: ({ app, state, slots, concurrency, timeoutMs, url, reason, pausedForMs }) => [
      app,
      state === 'paused' ? `paused ${span(pausedForMs)}` : state,
      `${slots ?? '?'}/${concurrency}`,
      span(timeoutMs),
      url,
      reason ?? '',
    ],
    empty: 'Tasks are sent to no endpoint.',
  });
  return exitCodes.ok.code;
};

/** Registers an endpoint, or moves it. */
export const setEndpoint: CommandRun = async (invocation) => {
  const { flags, words } = invocation;
  const concurrency = flags.number('concurrency');
  const timeout = flags.text('timeout');
  const view = await clientFor(invocation).endpoints.set(words.one('app'), {
    url: words.one('url'),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout as Duration) }),
  });
  printValue(invocation, view, () => [`Tasks of ${view.app} are sent to ${view.url}.`]);
  return exitCodes.ok.code;
};

/** Sends an endpoint nothing more. */
export const removeEndpoint: CommandRun = async (invocation) => {
  const app = invocation.words.one('app');
  await clientFor(invocation).endpoints.remove(app);
  printValue(invocation, { app }, () => [`Nothing more is sent to the endpoint of ${app}.`]);
  return exitCodes.ok.code;
};

/** Prints a secret, for the configuration of the function. */
export const endpointSecret: CommandRun = async (invocation) => {
  const secret = await clientFor(invocation).endpoints.secret(invocation.words.one('app'));
  printValue(invocation, { secret }, () => [secret]);
  return exitCodes.ok.code;
};
