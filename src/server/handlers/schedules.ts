/** Schedules: made, changed and read over HTTP. What an app defines can be read, paused and started from here. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { readSchedule, scheduleOptionNames, type ScheduleSpec } from '../../core/schedule/spec.js';
import type { ScheduleView } from '../../protocol/http.js';
import { headerNames } from '../../protocol/routes.js';
import { empty, json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { readIdempotencyKey } from '../transports/request-headers.js';
import { commandAnswer, linksOf, membersOf, shownOf, type HandlerContext, type Handlers } from './context.js';

type ScheduleRoutes =
  | 'listSchedules'
  | 'readSchedule'
  | 'putSchedule'
  | 'pauseSchedule'
  | 'resumeSchedule'
  | 'triggerSchedule'
  | 'deleteSchedule';

export function scheduleHandlers(context: HandlerContext): Handlers<ScheduleRoutes> {
  const { engine } = context;
  return {
    listSchedules: async (request) => {
      const cursor = request.query.text('cursor');
      const query = { limit: request.query.limit(), ...(cursor === undefined ? {} : { cursor }) };
      const page = await engine.listSchedules(request.tenant, query);
      return json(
        200,
        shownOf(request, page, 'read', 'schedule', ({ name }) => name),
      );
    },
    readSchedule: async (request) => json(200, await viewOf(context, request)),
    putSchedule: async (request) => {
      const spec = specOf(request);
      // Whoever sets a schedule starts runs by it.
      request.permit.require('start', 'workflow', spec.workflow);
      const outcome = await engine.putSchedule(request.origin(), nameOf(request), spec);
      if (outcome.tag === 'error') throw outcome.error;
      return json(outcome.tag === 'created' ? 201 : 200, await viewOf(context, request));
    },
    pauseSchedule: async (request) => {
      const { reason } = membersOf(request.json() ?? {}, 'the body', ['reason']);
      if (reason !== undefined && typeof reason !== 'string') throw invalid('reason is not a text');
      const options = reason === undefined ? {} : { reason };
      return json(
        200,
        commandAnswer(nameOf(request), await engine.pauseSchedule(request.origin(), nameOf(request), options)),
      );
    },
    resumeSchedule: async (request) =>
      json(200, commandAnswer(nameOf(request), await engine.resumeSchedule(request.origin(), nameOf(request)))),
    triggerSchedule: (request) => triggerSchedule(context, request),
    deleteSchedule: async (request) => {
      commandAnswer(nameOf(request), await engine.removeSchedule(request.origin(), nameOf(request)));
      return empty(204);
    },
  };
}

async function triggerSchedule(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const idempotencyKey = readIdempotencyKey(request.header(headerNames.idempotencyKey));
  const options = idempotencyKey === undefined ? {} : { idempotencyKey };
  const outcome = await context.engine.triggerSchedule(request.origin(), nameOf(request), options);
  if (outcome.tag === 'error') throw outcome.error;
  const repeated = outcome.tag === 'repeated';
  const state = repeated ? await context.engine.waitForEnd(request.tenant, outcome.run, 0) : 'queued';
  if (state === null) throw new SpineError('RUN_NOT_FOUND', { run: outcome.run });
  const links = linksOf(context.settings.basePath, outcome.run);
  const answer = json(202, { id: outcome.run, state, repeated, links });
  answer.headers['location'] = links.self;
  return answer;
}

async function viewOf(context: HandlerContext, request: ApiRequest): Promise<ScheduleView> {
  const name = nameOf(request);
  const view = await context.engine.readSchedule(request.tenant, name);
  if (view === null) throw new SpineError('SCHEDULE_NOT_FOUND', { name });
  return view;
}

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;

/** What cannot be the name of a schedule is none. @throws SCHEDULE_NOT_FOUND */
function nameOf(request: ApiRequest): string {
  const name = request.segment('name');
  if (name.length <= limits.nameLengthMax && namePattern.test(name)) return name;
  if (request.head.method !== 'PUT')
    throw new SpineError('SCHEDULE_NOT_FOUND', { name: name.slice(0, limits.nameLengthMax) });
  const fault = `the name must have 1 to ${limits.nameLengthMax} letters, digits, ".", "-" and "_" and begin with a letter or digit`;
  throw new SpineError('SCHEDULE_INVALID', { name: name.slice(0, limits.nameLengthMax), faults: [fault] });
}

/** @throws SCHEDULE_INVALID */
function specOf(request: ApiRequest): ScheduleSpec {
  const { start, ...options } = membersOf(request.json(), 'the body', ['start', ...scheduleOptionNames]);
  const faults: string[] = [];
  if (typeof start !== 'string' || start === '') faults.push('start is not the name of a workflow');
  const spec = readSchedule(String(start), options, (fault) => faults.push(fault));
  if (faults.length > 0) throw new SpineError('SCHEDULE_INVALID', { name: nameOf(request), faults });
  return spec;
}
