/** API keys of a tenant: made, listed, rotated and revoked by its admins. */
import { durationMs } from '../../core/duration.js';
import { checkGiving } from '../../core/keys/giving.js';
import { limits } from '../../core/limits.js';
import type { KeyOrder } from '../../engine/api.js';
import type { ApiKeys } from '../access/api-keys.js';
import { json } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

export function keyHandlers(
  { engine }: HandlerContext,
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
      return json(201, await engine.createKey(request.origin(), order), notKept());
    },
    readKey: async (request) => json(200, await engine.readKey(request.tenant, request.segment('name'))),
    rotateKey: async (request) => {
      const { tenant } = request;
      const overlapMs = overlapOf(request);
      const name = request.segment('name');
      // Whoever gets the new text can do what the key can.
      checkGiving(request.principal, await engine.readKey(tenant, name));
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
