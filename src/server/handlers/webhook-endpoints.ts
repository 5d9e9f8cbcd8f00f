/** Webhook endpoints: made, changed, shut, tried out; their secrets, what was delivered to them, and what is sent once more. */
import { everyName } from '../../core/access/pattern.js';
import { durationMs } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { readStart } from '../../core/topics/subscription-options.js';
import type { StartPosition } from '../../core/topics/subscription.js';
import { webhookLabel, webhookWorkflow, type DeliveryOrder } from '../../core/webhooks/delivery-order.js';
import { subscriptionsOf, webhookOptionNames } from '../../core/webhooks/endpoint.js';
import type { RunFilter, WebhookEntry } from '../../engine/api.js';
import type { PageView, ReplayAnswer, RunSummary, RunViewState, SubscriptionView } from '../../protocol/http.js';
import {
  webhookDeliveryStates,
  type WebhookDelivery,
  type WebhookDeliveryState,
  type WebhookRedriveAnswer,
  type WebhookSecrets,
  type WebhookView,
} from '../../protocol/webhook-views.js';
import { empty, json } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { shown } from '../outgoing/address-guard.js';
import { clearanceOf } from '../redaction/redaction.js';
import type { WebhookKeys } from '../webhooks/signing.js';
import type { WebhookHost } from '../webhooks/webhook-host.js';
import { membersOf, shownOf, type HandlerContext, type Handlers } from './context.js';

type WebhookRoutes =
  | 'listWebhooks'
  | 'readWebhook'
  | 'putWebhook'
  | 'deleteWebhook'
  | 'readWebhookSecrets'
  | 'rotateWebhook'
  | 'disableWebhook'
  | 'enableWebhook'
  | 'pingWebhook'
  | 'listWebhookDeliveries'
  | 'redriveWebhook'
  | 'replayWebhook'
  | 'readNotifySecret';

export function webhookEndpointHandlers(
  { engine, settings }: HandlerContext,
  host: WebhookHost,
): Handlers<WebhookRoutes> {
  const entryOf = async (request: ApiRequest): Promise<WebhookEntry> => {
    const entry = await engine.webhooks.find(request.tenant, nameOf(request));
    if (entry === null) throw new SpineError('WEBHOOK_NOT_FOUND', { name: nameOf(request) });
    return entry;
  };
  const viewOf = async (request: ApiRequest, entry: WebhookEntry): Promise<WebhookView> =>
    webhookView(entry, await engine.listSubscriptions(request.tenant));
  return {
    listWebhooks: async (request) => {
      const [entries, subscriptions] = await Promise.all([
        engine.webhooks.list(request.tenant),
        engine.listSubscriptions(request.tenant),
      ]);
      const page: PageView<WebhookView> = { items: entries.map((one) => webhookView(one, subscriptions)), next: null };
      return json(
        200,
        shownOf(request, page, ['read', 'manage'], 'webhook', ({ name }) => name),
      );
    },
    readWebhook: async (request) => json(200, await viewOf(request, await entryOf(request))),
    putWebhook: async (request) => {
      const options = membersOf(request.json(), 'the body', webhookOptionNames);
      checkMayHear(request, options);
      checkMayClear(request, settings, options);
      if (typeof options['url'] === 'string') host.deliverer.check(options['url']);
      const entry = await engine.webhooks.put(request.origin(), request.segment('name'), options);
      return json(200, await viewOf(request, entry));
    },
    deleteWebhook: async (request) => {
      await engine.webhooks.remove(request.origin(), nameOf(request));
      return empty(204);
    },
    readWebhookSecrets: async (request) =>
      json(200, secretsOf(await host.deliverer.keys(request.tenant, await entryOf(request)))),
    rotateWebhook: async (request) => {
      const { overlap = limits.webhookRotationMsDefault } = membersOf(request.json() ?? {}, 'the body', ['overlap']);
      const overlapMs = durationMs(overlap);
      if (overlapMs === null) throw invalid('overlap is not a duration such as 24h, or a number of ms');
      const entry = await engine.webhooks.rotate(request.origin(), nameOf(request), overlapMs);
      return json(200, secretsOf(await host.deliverer.keys(request.tenant, entry)));
    },
    disableWebhook: async (request) => {
      const { reason = null } = membersOf(request.json() ?? {}, 'the body', ['reason']);
      if (reason !== null && typeof reason !== 'string') throw invalid('reason is not a text');
      const entry = await engine.webhooks.disable(
        request.origin(),
        nameOf(request),
        reason?.slice(0, limits.errorMessageLengthMax) ?? null,
      );
      return json(200, await viewOf(request, entry));
    },
    enableWebhook: async (request) =>
      json(200, await viewOf(request, await engine.webhooks.enable(request.origin(), nameOf(request)))),
    pingWebhook: async (request) => json(200, await host.ping(request.tenant, await entryOf(request))),
    listWebhookDeliveries: async (request) => {
      const cursor = request.query.text('cursor');
      const state = request.query.choice('state', webhookDeliveryStates);
      const page = await engine.listRuns(request.tenant, {
        ...deliveriesOf((await entryOf(request)).spec.name),
        limit: request.query.limit(),
        ...(cursor === undefined ? {} : { cursor }),
        ...(state === undefined ? {} : { states: runStates[state] }),
      });
      const items = await Promise.all(page.items.map((run) => deliveryOf(engine, request.tenant, run)));
      return json(200, { ...page, items } satisfies PageView<WebhookDelivery>);
    },
    redriveWebhook: async (request) => {
      const { spec } = await entryOf(request);
      const failed = { ...deliveriesOf(spec.name), states: ['failed'], order: 'oldest', limit: pageRuns } as const;
      const { items, next } = await engine.listRuns(request.tenant, failed);
      let redriven = 0;
      for (const { id } of items) if ((await engine.redrive(request.origin(), id)).tag === 'done') redriven += 1;
      return json(200, { redriven, more: next !== null } satisfies WebhookRedriveAnswer);
    },
    replayWebhook: async (request) => {
      const { from, topic, dryRun } = replayOf(request);
      const { spec } = await entryOf(request);
      const meant = subscriptionsOf(spec).filter((one) => topic === undefined || one.topic === topic);
      if (meant.length === 0) throw invalid('topic is none of the endpoint');
      for (const one of meant) request.permit.require('replay', 'topic', one.topic);
      const items: ReplayAnswer[] = [];
      for (const { name } of meant)
        items.push(await engine.replaySubscription(request.origin(), name, { from, dryRun }));
      return json(dryRun ? 200 : 201, { items, next: null } satisfies PageView<ReplayAnswer>);
    },
    readNotifySecret: async (request) => {
      const { secrets } = await host.deliverer.notifyKeys(request.tenant);
      return json(200, { secrets, publicKeys: [] } satisfies WebhookSecrets);
    },
  };
}

/** Who has an endpoint told of something must be allowed to hear it. @throws PERMISSION_MISSING */
function checkMayHear({ permit }: ApiRequest, { topics, events }: Readonly<Record<string, unknown>>): void {
  for (const topic of Array.isArray(topics) ? (topics as readonly unknown[]) : [])
    if (typeof topic === 'string') permit.require('subscribe', 'topic', topic);
  const asked = Array.isArray(events) ? (events as readonly unknown[]) : [];
  if (asked.some((type) => type !== 'approval.requested')) requireAll(permit, 'workflow');
  if (asked.includes('approval.requested')) requireAll(permit, 'approval');
}

/** Nobody has more sent elsewhere than it is shown itself. @throws OUT_OF_SCOPE */
function checkMayClear(
  { principal }: ApiRequest,
  { redact }: HandlerContext['settings'],
  { clearances }: Readonly<Record<string, unknown>>,
): void {
  const own = clearanceOf(principal, redact.roles);
  const asked = (Array.isArray(clearances) ? (clearances as readonly unknown[]) : []).flatMap((tag) =>
    typeof tag === 'string' ? [tag] : [],
  );
  const missing = own === 'everything' ? undefined : asked.find((tag) => !own.has(tag));
  if (missing !== undefined)
    throw new SpineError('OUT_OF_SCOPE', {
      what: `an endpoint that is sent what is tagged ${missing.slice(0, 64)}`,
    });
}

function requireAll(permit: ApiRequest['permit'], kind: 'workflow' | 'approval'): void {
  if (!permit.allowsAll('read', kind))
    throw new SpineError('PERMISSION_MISSING', { permission: `read:${kind}/${everyName}` });
}

/** Deliveries that one redrive takes. */
const pageRuns = 200;

const runStates: Readonly<Record<WebhookDeliveryState, readonly RunViewState[]>> = {
  pending: ['queued', 'running', 'waiting'],
  delivered: ['succeeded'],
  failed: ['failed'],
  cancelled: ['cancelled'],
};

function nameOf(request: ApiRequest): string {
  return request.segment('name').slice(0, limits.webhookNameLengthMax + 1);
}

function deliveriesOf(name: string): Pick<RunFilter, 'workflow' | 'label'> {
  return { workflow: webhookWorkflow.name, label: { name: webhookLabel, value: name } };
}

function secretsOf({ secrets, pairs }: WebhookKeys): WebhookSecrets {
  return { secrets, publicKeys: pairs.map(({ publicKey }) => publicKey) };
}

function webhookView(entry: WebhookEntry, subscriptions: readonly SubscriptionView[]): WebhookView {
  const { spec, disabled, secrets, by, at } = entry;
  const names = new Set(subscriptionsOf(spec).map(({ name }) => name));
  const own = subscriptions.filter(({ name }) => names.has(name));
  const ages = own.flatMap(({ ageMs }) => ageMs ?? []);
  return {
    name: spec.name,
    url: shown(spec.url),
    topics: spec.topics,
    events: spec.events,
    filter: spec.filter,
    order: spec.order,
    window: spec.windowMax,
    timeoutMs: spec.timeoutMs,
    retry: spec.retry,
    asymmetric: spec.asymmetric,
    clearances: spec.clearances ?? [],
    disabled: disabled === null ? null : { ...disabled, at: isoOf(disabled.at) },
    secrets: secrets.map((one) => ({ ...one, at: isoOf(one.at), until: one.until === null ? null : isoOf(one.until) })),
    lag: own.reduce((sum, { lag }) => sum + lag, 0),
    ageMs: ages.length === 0 ? null : Math.max(...ages),
    by,
    at: isoOf(at),
  };
}

/** What the first event of the run says, and the last ones. */
async function deliveryOf(
  engine: HandlerContext['engine'],
  tenant: string,
  { id: run, state, startedAt, endedAt, events }: RunSummary,
): Promise<WebhookDelivery> {
  const [start, last] = await Promise.all([
    engine.readHistory(tenant, run, { after: 0, limit: 1 }),
    engine.readHistory(tenant, run, { after: Math.max(0, events - tailEvents), limit: tailEvents }),
  ]);
  const order = (start?.[0]?.data as { readonly delivery?: DeliveryOrder } | undefined)?.delivery;
  const ends = (last ?? []).filter(({ type }) => type.startsWith('call.') && type !== 'call.requested');
  const latest = ends.at(-1);
  const data = (latest?.data ?? {}) as AttemptData;
  return {
    run,
    state: stateOf(state),
    message: order?.id ?? '',
    type: order?.type ?? '',
    event: order?.event === undefined ? null : { topic: order.event.topic, id: order.event.id },
    attempts: data.attempt ?? 0,
    failure:
      data.failure === undefined
        ? null
        : { class: data.failure.class, code: data.failure.code, message: data.failure.message },
    nextAt: latest?.type === 'call.retrying' && data.retryAt !== undefined ? isoOf(data.retryAt) : null,
    at: startedAt,
    endedAt,
  };
}

const tailEvents = 4;

/** Of the events of a call that say what became of an attempt. */
interface AttemptData {
  readonly attempt?: number;
  readonly retryAt?: number;
  readonly failure?: { readonly class: string; readonly code: string; readonly message: string };
}

function stateOf(state: RunViewState): WebhookDeliveryState {
  switch (state) {
    case 'succeeded':
      return 'delivered';
    case 'failed':
    case 'refused':
      return 'failed';
    case 'cancelled':
      return 'cancelled';
    default:
      return 'pending';
  }
}

/** @throws REQUEST_INVALID */
function replayOf(request: ApiRequest): {
  readonly from: StartPosition;
  readonly topic: string | undefined;
  readonly dryRun: boolean;
} {
  const { from, topic, dryRun = false } = membersOf(request.json(), 'the body', ['from', 'topic', 'dryRun']);
  if (topic !== undefined && typeof topic !== 'string') throw invalid('topic is not a name');
  if (typeof dryRun !== 'boolean') throw invalid('dryRun is neither true nor false');
  const faults: string[] = [];
  const position = readStart(from, 'from', (fault) => faults.push(fault));
  if (faults.length > 0) throw new SpineError('REQUEST_INVALID', { faults });
  return { from: position, topic, dryRun };
}
