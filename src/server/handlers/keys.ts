/** API keys of a tenant: made, listed, rotated and revoked by its admins. */
import { durationMs } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import { checkGiving, type Given } from '../../core/keys/giving.js';
import { limits } from '../../core/limits.js';
import { everyTag } from '../../core/redaction/tags.js';
import type { KeyOrder } from '../../engine/api.js';
import type { ApiKeys } from '../access/api-keys.js';
import { json } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { clearanceOf } from '../redaction/redaction.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

export function keyHandlers(
  { engine, settings }: HandlerContext,
  keys: ApiKeys,
): Handlers<'listKeys' | 'createKey' | 'readKey' | 'rotateKey' | 'revokeKey'> {
  return {
    listKeys: async (request) => {
      const cursor = request.query.text('cursor');
      const page = { ...(cursor === undefined ? {} : { cursor }), limit: request.query.limit() };
      return json(200, await engine.listKeys(request.tenant, page));
    },
    createKey: async (request) => {
      const order = orderOf(request);
      checkGiving(request.principal, order);
      checkSight(request, settings, order);
      return json(201, await engine.createKey(request.origin(), order), notKept());
    },
    readKey: async (request) => json(200, await engine.readKey(request.tenant, request.segment('name'))),
    rotateKey: async (request) => {
      const { tenant } = request;
      const overlapMs = overlapOf(request);
      const name = request.segment('name');
      // Whoever gets the new text can do what the key can.
      const known = await engine.readKey(tenant, name);
      checkGiving(request.principal, known);
      checkSight(request, settings, known);
      const made = await engine.rotateKey(tenant, name, overlapMs);
      keys.forget(made.id);
      return json(200, made, notKept());
    },
    revokeKey: async (request) => {
      const ended = await engine.revokeKey(request.origin(), request.tenant, request.segment('name'));
      keys.forget(ended.id);
      return json(200, ended);
    },
  };
}

/** What is hidden from somebody must not be had by a key that it makes, by its clearances or those of its roles. @throws KEY_REFUSED */
function checkSight({ principal }: ApiRequest, { redact }: HandlerContext['settings'], given: Given): void {
  const own = clearanceOf(principal, redact.roles);
  if (own === 'everything') return;
  const { roles, clearances } = given;
  const asked = clearanceOf({ roles, ...(clearances === null ? {} : { clearances }) }, redact.roles);
  const missing = asked === 'everything' ? everyTag : [...asked].find((tag) => !own.has(tag));
  if (missing === undefined) return;
  throw new SpineError('KEY_REFUSED', { faults: [`whoever makes the key is not shown what is tagged "${missing}"`] });
}

/** An answer with a secret in it stays in no cache on its way. */
function notKept(): Record<string, string> {
  return { 'cache-control': 'no-store' };
}

const members = ['name', 'roles', 'permissions', 'clearances', 'expires'];

/** @throws REQUEST_INVALID */
function orderOf(request: ApiRequest): KeyOrder {
  const body = membersOf(request.json(), 'the body', members);
  const { name, expires } = body;
  if (typeof name !== 'string') throw invalid('name is not a text');
  return {
    name,
    tenant: request.tenant,
    roles: textsOf('roles', body['roles']) ?? [],
    permissions: textsOf('permissions', body['permissions']),
    clearances: textsOf('clearances', body['clearances']),
    expiresMs: expires === 'never' ? null : durationOf('expires', expires, limits.apiKeyMsDefault),
  };
}

/** @throws REQUEST_INVALID */
function textsOf(name: string, value: unknown): readonly string[] | null {
  if (value === undefined) return null;
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
    throw invalid(`${name} is not a list of texts`);
  return value;
}

/** @throws REQUEST_INVALID */
function overlapOf(request: ApiRequest): number {
  const { overlap } = membersOf(request.json() ?? {}, 'the body', ['overlap']);
  const ms = durationOf('overlap', overlap, limits.apiKeyOverlapMsDefault);
  if (ms > limits.apiKeyOverlapMsMax)
    throw invalid(`overlap is longer than ${limits.apiKeyOverlapMsMax / 86_400_000} days`);
  return ms;
}

/** Whole ms from 0 on. @throws REQUEST_INVALID */
function durationOf(name: string, value: unknown, otherwise: number): number {
  if (value === undefined) return otherwise;
  const ms = durationMs(value);
  if (ms !== null) return ms;
  throw invalid(`${name} is neither whole milliseconds nor a time like "90d"`);
}
