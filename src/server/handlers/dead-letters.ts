/** Dead letters, and redrives of many of them. */
import { everyName } from '../../core/access/pattern.js';
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { failureClasses } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import type { LetterFilter } from '../../engine/deadletters/filter.js';
import type { DeadLetterView, RedriveView } from '../../protocol/http.js';
import { empty, json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { commandAnswer, membersOf, shownOf, type HandlerContext, type Handlers } from './context.js';

type DeadLetterRoutes =
  | 'listDeadLetters'
  | 'countDeadLetters'
  | 'readDeadLetter'
  | 'redriveDeadLetter'
  | 'editDeadLetter'
  | 'discardDeadLetter'
  | 'correctDeadLetter'
  | 'beginRedrive'
  | 'listRedrives'
  | 'readRedrive'
  | 'cancelRedrive';

export function deadLetterHandlers(context: HandlerContext): Handlers<DeadLetterRoutes> {
  const { engine } = context;
  return {
    listDeadLetters: async (request) => {
      const cursor = request.query.text('cursor');
      const texts = filterNames.flatMap((name) => {
        const text = request.query.text(name);
        return text === undefined ? [] : [[name, text] as const];
      });
      const query = { ...filterOf(Object.fromEntries(texts)), limit: request.query.limit() };
      const page = await engine.listDeadLetters(request.tenant, cursor === undefined ? query : { ...query, cursor });
      return json(
        200,
        shownOf(request, page, 'read', 'workflow', ({ workflow }) => workflow),
      );
    },
    countDeadLetters: async (request) => {
      const filter = filterOf(request.json());
      checkFilter(request, 'read', filter);
      return json(200, await engine.countDeadLetters(request.tenant, filter));
    },
    readDeadLetter: async (request) => json(200, await letterOf(context, request)),
    redriveDeadLetter: async (request) => {
      const { reason } = membersOf(request.json() ?? {}, 'the body', ['reason']);
      const options = reason === undefined ? {} : { reason: textOf('reason', reason) };
      const { id, run } = await letterOf(context, request);
      return answered(run, await engine.redriveDeadLetter(request.origin(), id, options));
    },
    editDeadLetter: async (request) => {
      const members = membersOf(request.json(), 'the body', ['input', 'reason']);
      if (!('input' in members)) throw invalid('input is missing');
      const edit = { input: payloadOfJson(members['input']), reason: textOf('reason', members['reason']) };
      const { id, run } = await letterOf(context, request);
      return answered(run, await engine.editDeadLetter(request.origin(), id, edit));
    },
    correctDeadLetter: async (request) => {
      const { label, reason } = membersOf(request.json(), 'the body', ['label', 'reason']);
      const known = failureClasses.find((one) => one === label);
      if (known === undefined) throw invalid(`label is none of ${failureClasses.join(', ')}`);
      const said = { label: known, reason: reason === undefined ? null : textOf('reason', reason) };
      const id = request.segment('id');
      return answered(id, await engine.correctDeadLetter(request.origin(), id, said));
    },
    discardDeadLetter: async (request) => {
      commandAnswer(request.segment('id'), await engine.discard(request.origin(), request.segment('id')));
      return empty(204);
    },
    beginRedrive: async (request) => {
      const { filter, ratePerSecond, reason } = membersOf(request.json(), 'the body', [
        'filter',
        'ratePerSecond',
        'reason',
      ]);
      const meant = filterOf(filter);
      checkFilter(request, 'cancel', meant);
      const view = await engine.beginRedrive(request.origin(), {
        filter: meant,
        ratePerSecond: rateOf(ratePerSecond),
        reason: reason === undefined ? null : textOf('reason', reason),
      });
      const answer = json(202, view);
      answer.headers['location'] = `${context.settings.basePath}/v1/redrives/${view.id}`;
      return answer;
    },
    listRedrives: async (request) => {
      const page = await engine.listRedrives(request.tenant);
      return json(
        200,
        shownOf(request, page, 'read', 'workflow', ({ filter }) => filter.workflow ?? null),
      );
    },
    readRedrive: async (request) => json(200, await redriveOf(context, request)),
    cancelRedrive: async (request) => {
      const id = request.segment('id');
      return answered(id, await engine.cancelRedrive(request.origin(), id));
    },
  };
}

const filterNames = ['class', 'workflow', 'step', 'since', 'text'] as const;

/** @throws REQUEST_INVALID */
function filterOf(value: unknown): LetterFilter {
  const members = membersOf(value, 'the filter', filterNames);
  const texts = filterNames.flatMap((name) =>
    members[name] === undefined ? [] : [[name, textOf(name, members[name])] as const],
  );
  const { since, ...rest } = Object.fromEntries(texts) as { [K in (typeof filterNames)[number]]?: string };
  if (rest.class !== undefined && !failureClasses.some((known) => known === rest.class))
    throw invalid(`class is none of ${failureClasses.join(', ')}`);
  if (since === undefined) return rest;
  const at = Date.parse(since);
  if (Number.isNaN(at)) throw invalid('since is not an ISO 8601 instant');
  return { ...rest, since: at };
}

/** Whoever may not have the dead letters of all workflows names one. @throws PERMISSION_MISSING */
function checkFilter({ permit }: ApiRequest, action: 'read' | 'cancel', { workflow }: LetterFilter): void {
  if (!permit.allowsAll(action, 'workflow')) permit.require(action, 'workflow', workflow ?? everyName);
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > limits.errorMessageLengthMax)
    throw invalid(`${name} is not a text of 1 to ${limits.errorMessageLengthMax} characters`);
  return value;
}

function rateOf(value: unknown): number {
  if (value === undefined) return limits.redriveRateDefault;
  if (typeof value !== 'number' || !(value > 0 && value <= limits.redriveRateMax))
    throw invalid(`ratePerSecond is not a number above 0 and up to ${limits.redriveRateMax}`);
  return value;
}

function answered(id: string, outcome: Parameters<typeof commandAnswer>[1]): Answer {
  const answer = commandAnswer(id, outcome);
  return json(answer.outcome === 'done' ? 202 : 200, answer);
}

async function letterOf(context: HandlerContext, request: ApiRequest): Promise<DeadLetterView> {
  const id = request.segment('id');
  const letter = await context.engine.readDeadLetter(request.tenant, id);
  if (letter === null) throw new SpineError('DEAD_LETTER_NOT_FOUND', { id });
  return letter;
}

async function redriveOf(context: HandlerContext, request: ApiRequest): Promise<RedriveView> {
  const id = request.segment('id');
  const view = await context.engine.readRedrive(request.tenant, id);
  if (view === null) throw new SpineError('REDRIVE_NOT_FOUND', { id });
  return view;
}
