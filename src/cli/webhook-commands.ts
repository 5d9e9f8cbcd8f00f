/** The commands of `eventspine webhooks`, as data. */
import { runEventTypes } from '../core/webhooks/endpoint.js';
import { webhookDeliveryStates } from '../protocol/webhook-views.js';
import type { Command, Flag, Parameter } from './command.js';

const endpoint: Parameter = { name: 'endpoint', says: 'Name of the webhook endpoint.', required: true };
const topicFlag: Flag = { name: 'topic', type: 'text', value: 'name', repeated: true, says: 'Tell it of this topic.' };

/** `overHttp`: the flags of commands that ask a server. */
export function webhookCommands(overHttp: readonly Flag[]): readonly Command[] {
  return [
    {
      words: ['webhooks'],
      says: 'Shows the webhook endpoints, what they are told of, and how far they are behind.',
      parameters: [],
      flags: overHttp,
      examples: ['eventspine webhooks'],
      load: async () => (await import('./commands/webhooks.js')).listWebhooks,
    },
    {
      words: ['webhooks', 'set'],
      says: 'Makes a webhook endpoint or changes it.',
      more: 'It is told of what is recorded from then on, by signed requests that are tried again for some three days.',
      parameters: [endpoint, { name: 'url', says: 'Where it is; https, a public address.', required: true }],
      flags: [
        topicFlag,
        {
          name: 'event',
          type: 'text',
          value: 'type',
          repeated: true,
          says: `Tell it of ends of runs, or of approvals: ${runEventTypes.join(', ')}.`,
        },
        {
          name: 'order',
          type: 'text',
          value: 'order',
          says: 'key (default): in the order of each key; none: at once.',
        },
        { name: 'at-once', type: 'number', value: 'n', says: 'Messages of one partition under way. Default 32.' },
        { name: 'timeout', type: 'text', value: 'time', says: 'Longest time of one attempt. Default 15s.' },
        { name: 'asymmetric', type: 'truth', says: 'Sign with a key pair as well (v1a).' },
        ...overHttp,
      ],
      examples: [
        'eventspine webhooks set shop https://shop.example.com/hooks --topic order.placed --event run.failed',
        'eventspine webhooks set audit https://audit.example.com/in --topic order.placed --order none',
      ],
      load: async () => (await import('./commands/webhooks.js')).setWebhook,
    },
    {
      words: ['webhooks', 'remove'],
      says: 'Removes a webhook endpoint; what is not delivered is given up.',
      parameters: [endpoint],
      flags: overHttp,
      examples: ['eventspine webhooks remove shop'],
      load: async () => (await import('./commands/webhooks.js')).removeWebhook,
    },
    {
      words: ['webhooks', 'secrets'],
      says: 'Prints what a receiver checks signatures with, the newest first.',
      more: 'Without an endpoint: of messages to the addresses that starts are given (`--notify`).',
      parameters: [{ ...endpoint, required: false }],
      flags: overHttp,
      examples: ['eventspine webhooks secrets shop'],
      load: async () => (await import('./commands/webhooks.js')).webhookSecrets,
    },
    {
      words: ['webhooks', 'rotate'],
      says: 'Gives an endpoint a new secret; the one before signs beside it for a while.',
      parameters: [endpoint],
      flags: [{ name: 'overlap', type: 'text', value: 'time', says: 'How long both sign. Default 1d.' }, ...overHttp],
      examples: ['eventspine webhooks rotate shop --overlap 2h'],
      load: async () => (await import('./commands/webhooks.js')).rotateWebhook,
    },
    {
      words: ['webhooks', 'disable'],
      says: 'Shuts an endpoint: nothing more is begun, and events wait for it.',
      parameters: [endpoint],
      flags: [{ name: 'reason', type: 'text', value: 'text', says: 'Why, for the record.' }, ...overHttp],
      examples: ["eventspine webhooks disable shop --reason 'it is being moved'"],
      load: async () => (await import('./commands/webhooks.js')).disableWebhook,
    },
    {
      words: ['webhooks', 'enable'],
      says: 'Opens an endpoint that was shut; what has come meanwhile is sent.',
      parameters: [endpoint],
      flags: overHttp,
      examples: ['eventspine webhooks enable shop'],
      load: async () => (await import('./commands/webhooks.js')).enableWebhook,
    },
    {
      words: ['webhooks', 'ping'],
      says: 'Sends an endpoint a message that says nothing, and tells what came of it.',
      more: 'Ends with code 1 where the endpoint did not take it.',
      parameters: [endpoint],
      flags: overHttp,
      examples: ['eventspine webhooks ping shop'],
      load: async () => (await import('./commands/webhooks.js')).pingWebhook,
    },
    {
      words: ['webhooks', 'deliveries'],
      says: 'Shows messages to an endpoint, the newest first, with attempts and the last failure.',
      parameters: [endpoint],
      flags: [
        { name: 'state', type: 'text', value: 'state', says: `Only those: ${webhookDeliveryStates.join(', ')}.` },
        { name: 'limit', type: 'number', value: 'n', says: 'Most of them. Default 50.' },
        ...overHttp,
      ],
      examples: ['eventspine webhooks deliveries shop --state failed'],
      load: async () => (await import('./commands/webhooks.js')).webhookDeliveries,
    },
    {
      words: ['webhooks', 'redrive'],
      says: 'Sends messages that were given up once more, the oldest first.',
      parameters: [endpoint],
      flags: overHttp,
      examples: ['eventspine webhooks redrive shop'],
      load: async () => (await import('./commands/webhooks.js')).redriveWebhook,
    },
    {
      words: ['webhooks', 'replay'],
      says: 'Sends the events from a place to the end of the topics once more, under the ids that they had.',
      parameters: [endpoint],
      flags: [
        {
          name: 'from',
          type: 'text',
          value: 'place',
          says: 'oldest (default), newest, an offset, or an instant (ISO 8601).',
        },
        { name: 'topic', type: 'text', value: 'name', says: 'Only of this topic.' },
        { name: 'dry-run', type: 'truth', says: 'Only say how many that would be.' },
        ...overHttp,
      ],
      examples: ['eventspine webhooks replay shop --from 2026-01-31T09:00:00Z --dry-run'],
      load: async () => (await import('./commands/webhooks.js')).replayWebhook,
    },
  ];
}
