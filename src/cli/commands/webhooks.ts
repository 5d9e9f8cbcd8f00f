/** `eventspine webhooks`: endpoints that are told of events and of ends of runs. */
import type { StartOption } from '../../core/topics/subscription-options.js';
import type { WebhookOptions } from '../../core/webhooks/endpoint.js';
import type { Duration } from '../../core/duration.js';
import type {
  WebhookDelivery,
  WebhookDeliveryState,
  WebhookSecrets,
  WebhookView,
} from '../../protocol/webhook-views.js';
import type { CommandRun, Flags, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { ago, span } from '../words.js';
import { take } from './runs.js';

/** What there is, and how far each is behind. */
export const listWebhooks: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).webhooks.list(), {
    header: ['ENDPOINT', 'STATE', 'TOLD OF', 'BEHIND', 'OLDEST', 'URL'],
    row: ({ name, disabled, topics, events, lag, ageMs, url }) => [
      name,
      disabled === null ? 'open' : 'shut',
      [...topics, ...events].join(', '),
      String(lag),
      ageMs === null ? '' : span(ageMs),
      url,
    ],
    empty: 'No webhook endpoints. `eventspine webhooks set` makes one.',
  });
  return exitCodes.ok.code;
};

/** Makes an endpoint or changes it. */
export const setWebhook: CommandRun = async (invocation) => {
  const { words } = invocation;
  const view = await clientFor(invocation).webhooks.set(words.one('endpoint'), {
    url: words.one('url'),
    ...optionsOf(invocation.flags),
  });
  printValue(invocation, view, () => [
    `${view.name}  is told of ${[...view.topics, ...view.events].join(', ')} at ${view.url}`,
    `eventspine webhooks secrets ${view.name}    prints what the receiver needs`,
  ]);
  return exitCodes.ok.code;
};

/** Removes an endpoint. */
export const removeWebhook: CommandRun = async (invocation) => {
  const endpoint = invocation.words.one('endpoint');
  await clientFor(invocation).webhooks.remove(endpoint);
  printValue(invocation, { endpoint }, () => [`${endpoint}  is gone; what was not delivered is given up`]);
  return exitCodes.ok.code;
};

/** Prints what a receiver checks signatures with. */
export const webhookSecrets: CommandRun = async (invocation) => {
  const secrets = await clientFor(invocation).webhooks.secrets(invocation.words.maybe('endpoint'));
  printSecrets(invocation, secrets);
  return exitCodes.ok.code;
};

/** Gives an endpoint a new secret. */
export const rotateWebhook: CommandRun = async (invocation) => {
  const overlap = invocation.flags.text('overlap');
  const secrets = await clientFor(invocation).webhooks.rotate(
    invocation.words.one('endpoint'),
    overlap === undefined ? {} : { overlap: overlap as Duration },
  );
  printSecrets(invocation, secrets);
  return exitCodes.ok.code;
};

/** Shuts an endpoint. */
export const disableWebhook: CommandRun = async (invocation) => {
  const reason = invocation.flags.text('reason');
  const view = await clientFor(invocation).webhooks.disable(
    invocation.words.one('endpoint'),
    reason === undefined ? {} : { reason },
  );
  printState(invocation, view);
  return exitCodes.ok.code;
};

/** Opens an endpoint. */
export const enableWebhook: CommandRun = async (invocation) => {
  printState(invocation, await clientFor(invocation).webhooks.enable(invocation.words.one('endpoint')));
  return exitCodes.ok.code;
};

/** Tries an endpoint out; the exit code says whether it took the message. */
export const pingWebhook: CommandRun = async (invocation) => {
  const ping = await clientFor(invocation).webhooks.ping(invocation.words.one('endpoint'));
  printValue(invocation, ping, () => [
    ping.delivered
      ? `${ping.id}  taken with ${ping.status} in ${ping.ms} ms`
      : `${ping.id}  not taken: ${ping.reason ?? ''}`,
  ]);
  return ping.delivered ? exitCodes.ok.code : exitCodes.failed.code;
};

/** Messages to an endpoint, the newest first. */
export const webhookDeliveries: CommandRun = async (invocation) => {
  const { flags, words } = invocation;
  const state = flags.text('state');
  // What is no state the server refuses.
  const query = state === undefined ? {} : { state: state as WebhookDeliveryState };
  const list = clientFor(invocation).webhooks.deliveries(words.one('endpoint'), query);
  const now = Date.now();
  printList(invocation, await take(list, flags.number('limit') ?? 50), {
    header: ['RUN', 'STATE', 'ATTEMPTS', 'TYPE', 'AT', 'LAST FAILURE'],
    row: (one) => [one.run, one.state, String(one.attempts), one.type, ago(one.at, now), failureText(one)],
    empty: 'Nothing was sent to it yet.',
  });
  return exitCodes.ok.code;
};

/** Sends messages that were given up once more. */
export const redriveWebhook: CommandRun = async (invocation) => {
  const endpoint = invocation.words.one('endpoint');
  const { webhooks } = clientFor(invocation);
  let redriven = 0;
  for (;;) {
    const answer = await webhooks.redrive(endpoint);
    redriven += answer.redriven;
    if (!answer.more || answer.redriven === 0) break;
  }
  printValue(invocation, { endpoint, redriven }, () => [`${endpoint}  ${redriven} messages are sent once more`]);
  return exitCodes.ok.code;
};

/** Sends events that were through once more. */
export const replayWebhook: CommandRun = async (invocation) => {
  const { flags, words } = invocation;
  const topic = flags.text('topic');
  const isDry = flags.truth('dry-run');
  const items = await clientFor(invocation).webhooks.replay(words.one('endpoint'), startOf(flags.text('from')), {
    dryRun: isDry,
    ...(topic === undefined ? {} : { topic }),
  });
  printValue(invocation, { items }, () =>
    items.map(({ name, into, events, wanted }) =>
      into === null
        ? `${name}  would send ${wanted ?? 0} of ${events} events`
        : `${into}  sends up to ${events} events once more`,
    ),
  );
  return exitCodes.ok.code;
};

function optionsOf(flags: Flags): Omit<WebhookOptions, 'url'> {
  const [order, timeout, window] = [flags.text('order'), flags.text('timeout'), flags.number('at-once')];
  const [topics, events] = [flags.list('topic'), flags.list('event')];
  // Whatever they are, the server says what is wrong with them.
  return {
    ...(topics.length === 0 ? {} : { topics }),
    ...(events.length === 0 ? {} : { events: events as WebhookOptions['events'] & object }),
    ...(order === undefined ? {} : { order: order as 'key' | 'none' }),
    ...(window === undefined ? {} : { window }),
    ...(timeout === undefined ? {} : { timeout: timeout as Duration }),
    ...(flags.truth('asymmetric') ? { asymmetric: true } : {}),
  };
}

/** `oldest`, `newest`, an offset, or an instant. */
function startOf(text = 'oldest'): StartOption {
  if (text === 'oldest' || text === 'newest') return text;
  return /^\d+$/.test(text) ? { offset: Number(text) } : { at: text };
}

function printSecrets(invocation: Invocation, secrets: WebhookSecrets): void {
  printValue(invocation, secrets, () => [...secrets.secrets, ...secrets.publicKeys]);
}

function printState(invocation: Invocation, view: WebhookView): void {
  printValue(invocation, view, () => [
    view.disabled === null
      ? `${view.name}  is open, ${view.lag} events behind`
      : `${view.name}  is shut by ${view.disabled.by}${view.disabled.reason === null ? '' : `: ${view.disabled.reason}`}`,
  ]);
}

function failureText({ failure, nextAt }: WebhookDelivery): string {
  const next = nextAt === null ? '' : ` (again at ${nextAt})`;
  return failure === null ? '' : `${failure.code}: ${failure.message}${next}`;
}
