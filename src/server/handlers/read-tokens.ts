/** Handing out read tokens: of a run with the answer to a start and later on demand, and of topics. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { everyTag, isTag } from '../../core/redaction/tags.js';
import { readTokenSights, type ReadTokenSight, type ReadTokenView } from '../../protocol/http.js';
import { checkedKey } from '../../engine/intake/event-request.js';
import { json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { sightOf } from '../access/grant.js';
import type { ServerSettings } from '../options.js';
import { clearanceOf } from '../redaction/redaction.js';
import { membersOf, runOf, type HandlerContext, type Handlers } from './context.js';

export function readTokenHandlers(context: HandlerContext): Handlers<'createReadToken' | 'createTopicToken'> {
  return {
    createReadToken: (request) => createReadToken(context, request),
    createTopicToken: (request) => createTopicToken(context, request),
  };
}

/** A token of a run that the caller of the request may read. `asked` = what the caller asked for. */
export function readTokenFor(
  { tokens, settings }: HandlerContext,
  request: ApiRequest,
  run: string,
  asked: {
    readonly expiresMs?: number | undefined;
    readonly sees?: ReadTokenSight | undefined;
    readonly decides?: boolean;
    readonly clearances?: readonly string[] | undefined;
  },
): Promise<ReadTokenView> {
  const { principal, grant } = request;
  const most = sightOf(grant);
  if (asked.sees === 'everything' && most !== 'everything') {
    throw new SpineError('OUT_OF_SCOPE', { what: 'a token that shows everything' });
  }
  if (asked.decides === true && grant.tag === 'page' && !grant.approvals) {
    throw new SpineError('OUT_OF_SCOPE', { what: 'a token that decides approvals' });
  }
  return tokens.issue({
    tenant: principal.tenant,
    user: principal.user,
    run,
    sees: asked.sees ?? (grant.tag === 'page' ? grant.sees : 'progress'),
    decides: asked.decides ?? false,
    expiresMs: asked.expiresMs ?? settings.readTokens.expiresMs,
    clearances: clearancesFor(settings, request, asked.clearances),
  });
}

/**
 * What a token shows in clear: of what the caller itself is shown. Unless somebody says so a program gives none away; the token of
 * a page is for the user who asks.
 */
function clearancesFor(
  { redact }: ServerSettings,
  { principal, grant }: ApiRequest,
  asked: readonly string[] | undefined,
): readonly string[] {
  const own = clearanceOf(principal, redact.roles);
  if (asked === undefined) return grant.tag !== 'page' ? [] : own === 'everything' ? [everyTag] : [...own];
  const missing = own === 'everything' ? undefined : asked.find((tag) => !own.has(tag));
  if (missing !== undefined)
    throw new SpineError('OUT_OF_SCOPE', { what: `a token that shows what is tagged ${missing}` });
  return asked;
}

/** @throws REQUEST_INVALID */
function askedClearances(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const isList = Array.isArray(value) && value.length <= limits.tokenClearancesMax;
  if (isList && value.every((tag) => tag === everyTag || isTag(tag))) return value as string[];
  throw invalid(`clearances is not a list of up to ${limits.tokenClearancesMax} tags such as "pii"`);
}

async function createReadToken(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const run = runOf(request);
  const asked = askedOf(request);
  if (asked.decides && !request.permit.isWhole) {
    const workflow = await context.engine.workflowOf(request.tenant, run);
    if (workflow !== null) request.permit.require('decide', 'approval', workflow);
  }
  const [first] = (await context.engine.readHistory(request.tenant, run, { after: 0, limit: 1 })) ?? [];
  // A run that somebody else has started is none to a user's page: it must not even learn that there is one.
  const isHidden = request.grant.tag === 'page' && first?.actor !== request.origin().actor;
  if (first === undefined || isHidden) throw new SpineError('RUN_NOT_FOUND', { run });
  return json(201, await readTokenFor(context, request, run, asked));
}

async function createTopicToken({ tokens, settings }: HandlerContext, request: ApiRequest): Promise<Answer> {
  const members = membersOf(request.json() ?? {}, 'the body', ['expiresMs', 'key', 'past', 'clearances']);
  const { expiresMs, key, past = false, clearances } = members;
  if (typeof past !== 'boolean') throw invalid('past is neither true nor false');
  if (key !== undefined && typeof key !== 'string') throw invalid('key is not a text');
  const { tenant, user } = request.principal;
  const topic = request.segment('topic');
  // What the token shows is no more than the caller may see.
  if (past) request.permit.require('replay', 'topic', topic);
  const token = await tokens.issueForTopic({
    tenant,
    user,
    topic,
    key: key === undefined ? null : checkedKey(key),
    past,
    expiresMs: expiresMs === undefined ? settings.readTokens.expiresMs : checkedExpiry(expiresMs),
    clearances: clearancesFor(settings, request, askedClearances(clearances)),
  });
  return json(201, token);
}

function askedOf(request: ApiRequest): {
  readonly expiresMs: number | undefined;
  readonly sees: ReadTokenSight | undefined;
  readonly decides: boolean;
  readonly clearances: readonly string[] | undefined;
} {
  const {
    expiresMs,
    sees,
    decides = false,
    clearances,
  } = membersOf(request.json() ?? {}, 'the body', ['expiresMs', 'sees', 'decides', 'clearances']);
  const sight = readTokenSights.find((known) => known === sees);
  if (sees !== undefined && sight === undefined) throw invalid(`sees is none of ${readTokenSights.join(', ')}`);
  if (typeof decides !== 'boolean') throw invalid('decides is neither true nor false');
  return {
    decides,
    expiresMs: expiresMs === undefined ? undefined : checkedExpiry(expiresMs),
    sees: sight,
    clearances: askedClearances(clearances),
  };
}

/** @throws REQUEST_INVALID */
export function checkedExpiry(ms: unknown): number {
  if (!Number.isInteger(ms) || Number(ms) < 1_000 || Number(ms) > limits.readTokenMsMax) {
    throw invalid(`the time of a read token is not between 1 s and ${limits.readTokenMsMax / 86_400_000} days`);
  }
  return Number(ms);
}
