/** Signals to runs, and approvals: the inbox, one request, and what people say of it. */
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { everybody, isAddress, isAddressed, type Person } from '../../core/run/waits.js';
import type { ApprovalQuery, CommandOutcome, Say } from '../../engine/api.js';
import type { ApprovalDetail } from '../../protocol/http.js';
import { headerNames } from '../../protocol/routes.js';
import { nodePorts } from '../../runtime/index.js';
import { json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { readIdempotencyKey } from '../transports/request-headers.js';
import { commandAnswer, membersOf, runOf, shownOf, type HandlerContext, type Handlers } from './context.js';

type WaitRoutes =
  | 'signalRun'
  | 'listApprovals'
  | 'readApproval'
  | 'approve'
  | 'reject'
  | 'delegateApproval'
  | 'commentApproval';

export function waitHandlers(context: HandlerContext): Handlers<WaitRoutes> {
  const { engine } = context;
  const say = async (request: ApiRequest, words: Words): Promise<Answer> => {
    const id = request.segment('id');
    return answerTo(id, await engine.sayOfApproval(request.origin(), id, words.person, words.say));
  };
  return {
    signalRun: async (request) => {
      const run = runOf(request);
      const value = request.json();
      const id = readIdempotencyKey(request.header(headerNames.idempotencyKey)) ?? newId('event', nodePorts);
      const data = value === undefined ? null : payloadOfJson(value);
      const outcome = await engine.signal(request.origin(), run, { id, name: signalName(request), data });
      return answerTo(run, outcome);
    },
    listApprovals: async (request) => {
      const page = await engine.listApprovals(request.tenant, queryOf(request));
      return json(
        200,
        shownOf(request, page, ['read', 'decide'], 'approval', ({ workflow }) => workflow),
      );
    },
    readApproval: async (request) => {
      const id = request.segment('id');
      const approval = await engine.readApproval(request.tenant, id);
      const shown = approval === null ? null : shownTo(request, approval);
      // What is put to others is none to a user's page: it must not even learn that it is there.
      if (shown === null) throw new SpineError('APPROVAL_NOT_FOUND', { id });
      return json(200, shown);
    },
    approve: (request) => {
      const members = bodyOf(request, ['form', 'comment']);
      const form = 'form' in members ? { form: members['form'] } : {};
      return say(request, wordsOf(request, members, { what: 'approve', ...form, ...commentOf(members) }));
    },
    reject: (request) => {
      const members = bodyOf(request, ['comment']);
      return say(request, wordsOf(request, members, { what: 'reject', ...commentOf(members) }));
    },
    delegateApproval: (request) => {
      const members = bodyOf(request, ['to']);
      return say(request, wordsOf(request, members, { what: 'delegate', to: addressesOf(members['to']) }));
    },
    commentApproval: (request) => {
      const members = bodyOf(request, ['text']);
      const text = textOf(members['text'], 'text');
      return say(request, wordsOf(request, members, { what: 'comment', text }));
    },
  };
}

function answerTo(id: string, outcome: CommandOutcome): Answer {
  const answer = commandAnswer(id, outcome);
  return json(answer.outcome === 'done' ? 202 : 200, answer);
}

function signalName(request: ApiRequest): string {
  const name = request.segment('name');
  // Those that begin with a colon are the engine's own.
  if (name === '' || name.startsWith(':') || name.length > limits.nameLengthMax || unstorable.test(name))
    throw invalid(`the name of a signal has 1 to ${limits.nameLengthMax} characters`);
  return name;
}

const unstorable = /[\0\p{Surrogate}]/u;

// Who is asked

function queryOf(request: ApiRequest): ApprovalQuery {
  const given = request.query.texts('to');
  const cursor = request.query.text('cursor');
  const own = addressesOfCaller(request);
  const to = given.includes(everybody) ? null : given.length > 0 ? given : own;
  if (request.grant.tag !== 'tenant' && !(to ?? [everybody]).every((address) => own?.includes(address) === true))
    throw new SpineError('OUT_OF_SCOPE', { what: 'approvals that are put to others' });
  return { to, limit: request.query.limit(), ...(cursor === undefined ? {} : { cursor }) };
}

/** Null = everything: operators see what is open, whoever is asked. */
function addressesOfCaller(request: ApiRequest): readonly string[] | null {
  const { name, roles } = personOf(request);
  return roles === null ? null : [name, ...roles.map((role) => `role:${role}`)];
}

/**
 * Who decides, as it is compared with addresses and written into the record. Operators may decide everything, but not by
 * their pages, which give nobody more than what is put to them.
 */
function personOf({ principal: { user, roles }, grant }: ApiRequest): Person {
  return { name: `user:${user}`, roles: grant.tag === 'tenant' && roles.includes('operator') ? null : roles };
}

/** An approval as the caller may see it; null = not at all. A token that cannot decide shows that there is a request. */
function shownTo(request: ApiRequest, approval: ApprovalDetail): ApprovalDetail | null {
  const { grant } = request;
  if (grant.tag === 'tenant' || (grant.tag === 'readToken' && grant.sees === 'everything')) return approval;
  const isAsked = isAddressed(approval.to, personOf(request));
  if (grant.tag === 'page') return isAsked ? approval : null;
  return isAsked && grant.tag === 'readToken' && grant.decides
    ? approval
    : { ...approval, by: null, show: null, form: null, notes: [] };
}

// What is said

interface Words {
  readonly person: Person;
  readonly say: Say;
}

type Members = Readonly<Record<string, unknown>>;

function bodyOf(request: ApiRequest, known: readonly string[]): Members {
  return membersOf(request.json() ?? {}, 'the body', [...known, 'as']);
}

/** `as`: an operator passes on the word of somebody else, whom it has asked elsewhere. */
function wordsOf(request: ApiRequest, members: Members, say: Say): Words {
  const { principal, grant } = request;
  if (members['as'] === undefined) return { person: personOf(request), say };
  if (grant.tag !== 'tenant') throw new SpineError('OUT_OF_SCOPE', { what: 'a word in the name of somebody else' });
  if (!principal.roles.includes('operator')) throw new SpineError('FORBIDDEN', { role: 'operator' });
  const { user, roles = [] } = membersOf(members['as'], 'as', ['user', 'roles']);
  if (!Array.isArray(roles) || !roles.every((role) => typeof role === 'string'))
    throw invalid('roles is not a list of texts');
  return { person: { name: `user:${textOf(user, 'user', limits.nameLengthMax)}`, roles: roles as string[] }, say };
}

function commentOf(members: Members): { readonly comment?: string } {
  return members['comment'] === undefined ? {} : { comment: textOf(members['comment'], 'comment') };
}

function textOf(value: unknown, name: string, lengthMax: number = limits.commentLengthMax): string {
  if (typeof value === 'string' && value !== '' && value.length <= lengthMax && !unstorable.test(value)) return value;
  throw invalid(`${name} is not a text of 1 to ${lengthMax} characters`);
}

function addressesOf(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isFine = list.length > 0 && list.length <= limits.approvalAddressesMax && list.every(isAddress);
  if (!isFine) throw invalid(`to is not a list of 1 to ${limits.approvalAddressesMax} addresses such as "role:editor"`);
  return [...new Set(list as readonly string[])];
}
