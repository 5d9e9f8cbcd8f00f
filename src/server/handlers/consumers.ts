/** Subscriptions as they are shown and made, and the words of consumers that pull. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { subscriptionOptionNames } from '../../core/topics/subscription-options.js';
import type { EventPosition } from '../../core/topics/consume.js';
import type { PageView, SubscriptionView } from '../../protocol/http.js';
import { empty, json } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { membersOf, shownOf, type HandlerContext, type Handlers } from './context.js';

type ConsumerRoutes =
  | 'listSubscriptions'
  | 'readSubscription'
  | 'putSubscription'
  | 'deleteSubscription'
  | 'pullEvents'
  | 'ackEvents'
  | 'nackEvents'
  | 'renewEvents'
  | 'leaveSubscription';

export function consumerHandlers({ engine }: HandlerContext): Handlers<ConsumerRoutes> {
  return {
    listSubscriptions: async (request) => {
      const page: PageView<SubscriptionView> = { items: await engine.listSubscriptions(request.tenant), next: null };
      return json(
        200,
        shownOf(request, page, ['subscribe', 'manage'], 'topic', ({ topic }) => topic),
      );
    },
    readSubscription: async (request) => {
      const name = request.segment('name');
      const view = await engine.readSubscription(request.tenant, name);
      if (view === null) throw new SpineError('SUBSCRIPTION_NOT_FOUND', { name: name.slice(0, limits.nameLengthMax) });
      return json(200, view);
    },
    putSubscription: async (request) => {
      const options = membersOf(request.json(), 'the body', ['topic', 'dead', ...subscriptionOptionNames]);
      const name = newNameOf(request);
      if (!request.permit.isWhole) await checkMayPut(engine, request, name, options);
      return json(200, await engine.putSubscription(request.origin(), name, options));
    },
    deleteSubscription: async (request) => {
      await engine.removeSubscription(request.origin(), request.segment('name'));
      return empty(204);
    },
    pullEvents: async (request) => {
      const { consumer, max, waitMs, leaseMs } = membersOf(request.json(), 'the body', [
        'consumer',
        'max',
        'waitMs',
        'leaseMs',
      ]);
      return json(
        200,
        await engine.pullEvents(request.origin(), request.segment('name'), {
          consumer: consumerOf(consumer),
          max: wholeOf('max', max, 0, limits.pullEventsMax) ?? limits.pullEventsDefault,
          waitMs: wholeOf('waitMs', waitMs, 0, limits.pullWaitMsMax) ?? 0,
          ...leaseOf(leaseMs),
        }),
      );
    },
    ackEvents: async (request) => {
      const { consumer, positions } = membersOf(request.json(), 'the body', ['consumer', 'positions']);
      const said = { consumer: consumerOf(consumer), positions: positionsOf(positions) };
      return json(200, await engine.ackEvents(request.origin(), request.segment('name'), said));
    },
    nackEvents: async (request) => {
      const body = membersOf(request.json(), 'the body', ['consumer', 'positions', 'delayMs', 'reason', 'dead']);
      const delayMs = wholeOf('delayMs', body['delayMs'], 0, limits.nackDelayMsMax);
      const { reason, dead } = body;
      if (reason !== undefined && (typeof reason !== 'string' || reason.length > limits.errorMessageLengthMax))
        throw invalid(`reason is not a text of up to ${limits.errorMessageLengthMax} characters`);
      if (dead !== undefined && typeof dead !== 'boolean') throw invalid('dead is neither true nor false');
      return json(
        200,
        await engine.nackEvents(request.origin(), request.segment('name'), {
          consumer: consumerOf(body['consumer']),
          positions: positionsOf(body['positions']),
          ...(delayMs === undefined ? {} : { delayMs }),
          ...(reason === undefined ? {} : { reason }),
          ...(dead === undefined ? {} : { dead }),
        }),
      );
    },
    renewEvents: async (request) => {
      const { consumer, deliveries, leaseMs } = membersOf(request.json(), 'the body', [
        'consumer',
        'deliveries',
        'leaseMs',
      ]);
      return json(
        200,
        await engine.renewEvents(request.origin(), request.segment('name'), {
          consumer: consumerOf(consumer),
          deliveries: deliveriesOf(deliveries),
          ...leaseOf(leaseMs),
        }),
      );
    },
    leaveSubscription: async (request) => {
      const { consumer } = membersOf(request.json(), 'the body', ['consumer']);
      await engine.leaveSubscription(request.origin(), request.segment('name'), { consumer: consumerOf(consumer) });
      return empty(204);
    },
  };
}

/**
 * The topics of the subscription, as it is and as it is to be, are all to be the caller's to manage; to begin before the newest
 * event is a replay. @throws PERMISSION_MISSING, SUBSCRIPTION_OWNED
 */
async function checkMayPut(
  engine: HandlerContext['engine'],
  { tenant, permit }: ApiRequest,
  name: string,
  { topic, dead, from = 'newest' }: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (typeof topic === 'string') {
    permit.require('manage', 'topic', topic);
    if (from !== 'newest') permit.require('replay', 'topic', topic);
  }
  if (typeof dead === 'string') permit.require('publish', 'topic', dead);
  const before = await engine.topicOfSubscription(tenant, name);
  if (before !== null && !permit.allows('manage', 'topic', before))
    throw new SpineError('SUBSCRIPTION_OWNED', { name });
}

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;

/** @throws SUBSCRIPTION_INVALID */
function newNameOf(request: ApiRequest): string {
  const name = request.segment('name');
  if (name.length <= limits.nameLengthMax && namePattern.test(name)) return name;
  const fault = `the name must have 1 to ${limits.nameLengthMax} letters, digits, ".", "-" and "_" and begin with a letter or digit`;
  throw new SpineError('SUBSCRIPTION_INVALID', { name: name.slice(0, limits.nameLengthMax), faults: [fault] });
}

function consumerOf(value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > limits.consumerLengthMax || value.includes('\0'))
    throw invalid(`consumer is not a text of 1 to ${limits.consumerLengthMax} characters`);
  return value;
}

function leaseOf(value: unknown): { readonly leaseMs?: number } {
  const leaseMs = wholeOf('leaseMs', value, limits.consumerLeaseMsMin, limits.consumerLeaseMsMax);
  return leaseMs === undefined ? {} : { leaseMs };
}

function positionsOf(value: unknown): readonly EventPosition[] {
  return listOf('positions', value).map((item) => {
    const { partition, offset, token } = membersOf(item, 'a position', ['partition', 'offset', 'token']);
    return {
      partition: partitionOf(partition),
      offset: wholeOf('offset', offset, 0, Number.MAX_SAFE_INTEGER) ?? missing('offset'),
      token: tokenOf(token),
    };
  });
}

function deliveriesOf(value: unknown): readonly { readonly partition: number; readonly token: string }[] {
  return listOf('deliveries', value).map((item) => {
    const { partition, token } = membersOf(item, 'a delivery', ['partition', 'token']);
    return { partition: partitionOf(partition), token: tokenOf(token) };
  });
}

function listOf(name: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length > limits.batchItemsMax)
    throw invalid(`${name} is not a list of up to ${limits.batchItemsMax}`);
  return value as readonly unknown[];
}

function partitionOf(value: unknown): number {
  return wholeOf('partition', value, 0, limits.topicPartitionsMax - 1) ?? missing('partition');
}

function tokenOf(value: unknown): string {
  if (typeof value !== 'string' || value.length > limits.keyLengthMax) throw invalid('token is not a text');
  return value;
}

function wholeOf(name: string, value: unknown, min: number, max: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalid(`${name} is not a whole number from ${min} to ${max}`);
}

function missing(name: string): never {
  throw invalid(`${name} is missing`);
}
