/**
 * Webhooks of others: the door at which they arrive, and the sources with their secrets.
 *
 * Invariant: nothing of a request is read but its headers and raw bytes before its signature was checked, and a request for a
 * source that is not there is answered as one with a wrong signature.
 */
import { durationMs } from '../../core/duration.js';
import { hasCode, SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { webhookOptionNames } from '../../core/webhooks/source.js';
import type { WebhookDoor } from '../../engine/api.js';
import type { PageView, WebhookAnswer, WebhookSourceFacts, WebhookSourceView } from '../../protocol/http.js';
import { webhookVerdict, type ReceivedWebhook, type Verdict } from '../../webhooks/index.js';
import { empty, json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { isLoopback } from '../options.js';
import { eventOf, readBody, type WebhookBody, type WebhookContent } from '../webhooks/webhook-event.js';
import { membersOf, shownOf, type HandlerContext, type Handlers } from './context.js';

type WebhookRoutes =
  | 'receiveWebhook'
  | 'listWebhookSources'
  | 'readWebhookSource'
  | 'putWebhookSource'
  | 'deleteWebhookSource'
  | 'addWebhookSecret'
  | 'deleteWebhookSecret';

export function webhookHandlers(context: HandlerContext): Handlers<WebhookRoutes> {
  const { engine, webhooks } = context;
  const viewOf = (tenant: string, facts: WebhookSourceFacts): WebhookSourceView => ({
    ...facts,
    path: context.settings.basePath + facts.path,
    seen: webhooks.seen(tenant, facts.name),
  });
  return {
    receiveWebhook: (request) => receive(context, request),
    listWebhookSources: async (request) => {
      const { tenant } = request;
      const items = (await engine.listWebhookSources(tenant)).map((facts) => viewOf(tenant, facts));
      const page: PageView<WebhookSourceView> = { items, next: null };
      return json(
        200,
        shownOf(request, page, ['read', 'manage'], 'webhook', ({ name }) => name),
      );
    },
    readWebhookSource: async (request) =>
      json(200, viewOf(request.tenant, await engine.readWebhookSource(request.tenant, request.segment('name')))),
    putWebhookSource: async (request) => {
      const options = membersOf(request.json(), 'the body', ['topic', ...webhookOptionNames]);
      // Whoever says where webhooks go publishes by them.
      if (typeof options['topic'] === 'string') request.permit.require('publish', 'topic', options['topic']);
      const facts = await engine.putWebhookSource(request.origin(), request.segment('name'), options);
      return json(200, viewOf(request.tenant, facts));
    },
    deleteWebhookSource: async (request) => {
      await engine.removeWebhookSource(request.origin(), request.segment('name'));
      return empty(204);
    },
    addWebhookSecret: async (request) => {
      const name = request.segment('name');
      const { secret, othersExpireIn } = membersOf(request.json(), 'the body', ['secret', 'othersExpireIn']);
      const ms = othersExpireIn === undefined ? null : durationMs(othersExpireIn);
      if (othersExpireIn !== undefined && ms === null) throw invalid('othersExpireIn is not a duration such as "24h"');
      const { scheme } = await engine.readWebhookSource(request.tenant, name);
      const checked = secretOf(scheme, secret);
      const facts = await engine.addWebhookSecret(request.origin(), name, {
        secret: checked,
        ...(ms === null ? {} : { othersUntil: engine.now() + ms }),
      });
      return json(201, viewOf(request.tenant, facts));
    },
    deleteWebhookSecret: async (request) => {
      await engine.removeWebhookSecret(request.origin(), request.segment('name'), request.segment('secret'));
      return empty(204);
    },
  };
}

/** A text that the scheme can check with. @throws REQUEST_INVALID, which does not tell it */
function secretOf(scheme: WebhookSourceFacts['scheme'], secret: unknown): string {
  if (typeof secret !== 'string' || secret === '' || secret.length > secretLengthMax)
    throw invalid(`secret is not a text of 1 to ${secretLengthMax} characters`);
  try {
    webhookVerdict(scheme, secret, { headers: {}, body: '' }, 0);
  } catch (error) {
    if (hasCode(error, 'OPTIONS_INVALID')) throw invalid(`secret is none of the scheme "${scheme.kind}"`);
    throw error;
  }
  return secret;
}

const secretLengthMax = 2_000;

async function receive(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { engine, webhooks } = context;
  const tenant = request.segment('tenant');
  const found = engine.webhookDoor(tenant, request.segment('source'));
  const door = found instanceof Promise ? await found : found;
  const header = (name: string): string | null => request.header(name) ?? null;
  const content: WebhookContent = { header, bytes: request.body };
  if (door === null) {
    webhooks.refuse(null, 'unknown', engine.now());
    throw new SpineError('WEBHOOK_REFUSED', {});
  }
  const { source } = door;
  const place = { tenant, name: source.name };
  const verdict = verdictOf(door, request, content, engine.now());
  if (verdict.tag === 'refused') {
    webhooks.refuse(place, verdict.fault, engine.now());
    throw new SpineError('WEBHOOK_REFUSED', {});
  }
  let body: WebhookBody;
  try {
    body = readBody(content);
  } catch (error) {
    webhooks.refuse(place, 'unreadable', engine.now());
    throw error;
  }
  const asked = questionOf(door, content, body);
  if (asked !== null) return asked;
  const event = eventOf(source, verdict, content, body);
  const origin = { ...request.origin(), tenant, actor: `webhook:${source.name}` };
  const [outcome] = await engine.publish(origin, [event]);
  if (outcome === undefined) throw new Error('The engine gave no outcome for an event');
  if (outcome.tag === 'error') {
    webhooks.refuse(place, 'unpublished', engine.now());
    throw outcome.error;
  }
  webhooks.count(place, outcome.tag === 'duplicate' ? 'duplicate' : 'accepted');
  // It shows whatever the answer says to the person who has typed the command, and takes 200 only.
  if (source.scheme.kind === 'slack') return empty(200);
  const answer: WebhookAnswer = { id: event.id, topic: event.topic, duplicate: outcome.tag === 'duplicate' };
  return json(202, answer);
}

function verdictOf(door: WebhookDoor, request: ApiRequest, content: WebhookContent, nowMs: number): Verdict {
  const { head } = request;
  const host = content.header('host') ?? '';
  const scheme = isLoopback(host.replace(/:\d*$/, '')) ? 'http' : 'https';
  const received: ReceivedWebhook = {
    headers: { get: content.header },
    body: content.bytes,
    method: head.method,
    url: `${scheme}://${host}${head.path}${head.query === '' ? '' : `?${head.query}`}`,
  };
  try {
    return webhookVerdict(door.source.scheme, door.secrets, received, nowMs);
  } catch (error) {
    // The scheme was changed after the secret was given.
    if (hasCode(error, 'OPTIONS_INVALID')) return { tag: 'refused', fault: 'wrong' };
    throw error;
  }
}

/** The answer to what a sender asks when a webhook is set up, which is no event; null = it is one. */
function questionOf({ source }: WebhookDoor, { header }: WebhookContent, body: WebhookBody): Answer | null {
  if (source.scheme.kind === 'github' && header('x-github-event') === 'ping') return json(200, { ping: true });
  if (source.scheme.kind !== 'slack' || !('value' in body)) return null;
  const { value } = body;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const { type, challenge } = value as Readonly<Record<string, unknown>>;
  if (type !== 'url_verification' || typeof challenge !== 'string') return null;
  return json(200, { challenge: challenge.slice(0, limits.nameLengthMax) });
}
