/** `eventspine subscriptions list | show | put | delete | consume`: what there is, how far it is behind, and a consumer. */
import type { SubscriptionDetail, SubscriptionRequest, SubscriptionView } from '../../client/index.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';
import { span } from '../words.js';

/** Lists subscriptions with their lag. */
export const listSubscriptions: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).subscriptions.list(), {
    header: ['SUBSCRIPTION', 'TOPIC', 'HANDLED BY', 'LAG', 'OLDEST', 'STATE'],
    row: (one) => [
      one.name,
      one.topic,
      one.workflow ?? '(pulled)',
      String(one.lag),
      one.ageMs === null ? '' : span(one.ageMs),
      stateText(one),
    ],
    empty: 'No subscriptions. Apps declare them; `eventspine subscriptions put` makes one whose events are pulled.',
  });
  return exitCodes.ok.code;
};

/** Shows one with its partitions and consumers. */
export const showSubscription: CommandRun = async (invocation) => {
  printSubscription(invocation, await clientFor(invocation).subscriptions.get(invocation.words.one('subscription')));
  return exitCodes.ok.code;
};

/** Makes one whose events are pulled, or changes it. */
export const putSubscription: CommandRun = async (invocation) => {
  const { words, io } = invocation;
  const options = await jsonArgument(words.one('options'), 'options', io);
  const name = words.one('subscription');
  // What it may lack is found by the server.
  printSubscription(invocation, await clientFor(invocation).subscriptions.put(name, options as SubscriptionRequest));
  return exitCodes.ok.code;
};

/** Removes one that was made. */
export const deleteSubscription: CommandRun = async (invocation) => {
  const name = invocation.words.one('subscription');
  await clientFor(invocation).subscriptions.delete(name);
  printValue(invocation, { name }, () => [`${name} is gone.`]);
  return exitCodes.ok.code;
};

/** Prints events as JSON lines, each of which is settled when it is printed. */
export const consumeSubscription: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const most = flags.number('limit');
  const enough = new AbortController();
  let seen = 0;
  await clientFor(invocation).subscriptions.consume(
    words.one('subscription'),
    ({ event }) => {
      io.out(JSON.stringify(event));
      seen += 1;
      if (most !== undefined && seen >= most) enough.abort();
    },
    {
      signal: AbortSignal.any([io.signal, enough.signal]),
      concurrency: 1,
      max: most === undefined ? 50 : Math.min(50, most),
    },
  );
  return exitCodes.ok.code;
};

function stateText({ paused, behind }: SubscriptionView): string {
  if (paused !== null) return 'paused';
  return behind === null ? '' : 'refuses publishers';
}

function printSubscription(invocation: Invocation, view: SubscriptionDetail): void {
  printValue(invocation, view, () => {
    const pairs = renderPairs([
      ['subscription', view.name],
      ['topic', view.topic],
      ['handled by', view.workflow ?? 'consumers that pull'],
      ['filter', view.filter === null ? 'none: every event' : JSON.stringify(view.filter)],
      ['order', view.order],
      ['declared', view.declared ? 'by an app' : 'no: it was made over the API'],
      ['lag', view.ageMs === null ? String(view.lag) : `${view.lag}, the oldest for ${span(view.ageMs)}`],
      ...(view.behind === null ? [] : [['publishers', `are refused: it ${view.behind}`] as const]),
      ...(view.paused === null ? [] : [['paused', `by ${view.paused.by} at ${view.paused.at}`] as const]),
      ...(view.dead === null ? [] : [['dead events', `are told to ${view.dead}`] as const]),
      ...(view.deliveries === null ? [] : [['deliveries', `${view.deliveries} of an event, at most`] as const]),
    ]);
    const rows = view.partitions.map((one) => [
      String(one.partition),
      String(one.next),
      String(one.head),
      String(one.lag),
      one.consumer ?? '',
      String(one.inHand),
    ]);
    const consumers = view.consumers.map(({ consumer, until }) => [consumer, until]);
    return [
      ...pairs,
      ...(rows.length === 0
        ? []
        : ['', ...renderTable(['PARTITION', 'NEXT', 'HEAD', 'LAG', 'CONSUMER', 'IN HAND'], rows)]),
      ...(consumers.length === 0 ? [] : ['', ...renderTable(['CONSUMER', 'LIVES UNTIL'], consumers)]),
    ];
  });
}
