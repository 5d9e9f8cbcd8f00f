/** `eventspine webhook-sources list | show | put | delete | add-secret | remove-secret`: webhooks of other systems. */
import type { WebhookSourceRequest, WebhookSourceView } from '../../client/index.js';
import type { Duration } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';

/** Lists sources with what they have brought. */
export const listWebhookSources: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).webhookSources.list(), {
    header: ['SOURCE', 'SCHEME', 'TOPIC', 'SECRETS', 'ACCEPTED', 'REFUSED', 'PATH'],
    row: ({ name, scheme, topic, secrets, seen, path }) => [
      name,
      scheme.kind,
      topic,
      secrets.length === 0 ? 'none yet' : String(secrets.length),
      String(seen.accepted),
      String(seen.refused),
      path,
    ],
    empty: 'No sources of webhooks. Apps declare them; `eventspine webhook-sources put` makes one.',
  });
  return exitCodes.ok.code;
};

/** Shows one with its secrets, by their ids, and why it has refused the last request. */
export const showWebhookSource: CommandRun = async (invocation) => {
  printSource(invocation, await clientFor(invocation).webhookSources.get(invocation.words.one('source')));
  return exitCodes.ok.code;
};

/** Makes one, or changes it. */
export const putWebhookSource: CommandRun = async (invocation) => {
  const { words, io } = invocation;
  const options = await jsonArgument(words.one('options'), 'options', io);
  // What it may lack is found by the server.
  const source = options as WebhookSourceRequest;
  printSource(invocation, await clientFor(invocation).webhookSources.put(words.one('source'), source));
  return exitCodes.ok.code;
};

/** Removes one that was made. */
export const deleteWebhookSource: CommandRun = async (invocation) => {
  const name = invocation.words.one('source');
  await clientFor(invocation).webhookSources.delete(name);
  printValue(invocation, { name }, () => [`${name} is gone, with its secrets.`]);
  return exitCodes.ok.code;
};

/** Gives one a secret, out of the standard input: arguments can be read by every user of the machine. */
export const addWebhookSecret: CommandRun = async (invocation) => {
  const { words, io, flags } = invocation;
  const secret = (await io.readInput()).replace(/\r?\n$/, '');
  if (secret === '')
    throw new SpineError('COMMAND_INVALID', { reason: 'The secret is read from the standard input, which was empty.' });
  const othersExpireIn = flags.text('others-expire-in');
  const view = await clientFor(invocation).webhookSources.addSecret(words.one('source'), secret, {
    // What is no duration is found by the server.
    ...(othersExpireIn === undefined ? {} : { othersExpireIn: othersExpireIn as Duration }),
  });
  printSource(invocation, view);
  return exitCodes.ok.code;
};

/** Takes a secret from one. */
export const removeWebhookSecret: CommandRun = async (invocation) => {
  const name = invocation.words.one('source');
  const secret = invocation.words.one('secret');
  await clientFor(invocation).webhookSources.removeSecret(name, secret);
  printValue(invocation, { name, secret }, () => [`${name} believes ${secret} no more.`]);
  return exitCodes.ok.code;
};

function printSource(invocation: Invocation, view: WebhookSourceView): void {
  printValue(invocation, view, () => {
    const { name, scheme, topic, path, secrets, seen, declared, map, once } = view;
    const last = seen.lastRefusal;
    return [
      ...renderPairs([
        ['source', name],
        ['made', declared ? 'by an app' : 'over the API'],
        ['scheme', JSON.stringify(scheme)],
        ['topic', topic],
        ['map', JSON.stringify(map)],
        ['once', once],
        ['path', path],
        ['seen', `${seen.accepted} accepted, ${seen.duplicates} again, ${seen.refused} refused`],
        ['refused last', last === null ? 'never' : `${last.at}: ${last.fault}`],
      ]),
      '',
      ...(secrets.length === 0
        ? ['No secret yet: nothing is believed. `eventspine webhook-sources add-secret` gives one.']
        : renderTable(
            ['SECRET', 'GIVEN BY', 'AT', 'UNTIL'],
            secrets.map(({ id, by, at, until }) => [id, by, at, until ?? '']),
          )),
    ];
  });
}
