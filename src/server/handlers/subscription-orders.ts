/** What operators tell subscriptions to do: pause, resume, begin from another place, replay through a group of their own. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { StartPosition } from '../../core/topics/subscription.js';
import { readStart } from '../../core/topics/subscription-options.js';
import type { ReplayRequest, SeekRequest } from '../../engine/api.js';
import { json } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { commandAnswer, membersOf, type HandlerContext, type Handlers } from './context.js';

type OrderRoutes = 'pauseSubscription' | 'resumeSubscription' | 'seekSubscription' | 'replaySubscription';

export function subscriptionOrderHandlers({ engine }: HandlerContext): Handlers<OrderRoutes> {
  return {
    pauseSubscription: async (request) => {
      const { reason = null } = membersOf(request.json() ?? {}, 'the body', ['reason']);
      if (reason !== null && typeof reason !== 'string') throw invalid('reason is not a text');
      const name = nameOf(request);
      return json(200, commandAnswer(name, await engine.pauseSubscription(request.origin(), name, reason)));
    },
    resumeSubscription: async (request) => {
      const name = nameOf(request);
      return json(200, commandAnswer(name, await engine.resumeSubscription(request.origin(), name)));
    },
    seekSubscription: async (request) =>
      json(200, await engine.seekSubscription(request.origin(), nameOf(request), seekOf(request))),
    replaySubscription: async (request) => {
      const order = replayOf(request);
      if (order.workflow !== undefined) request.permit.require('start', 'workflow', order.workflow);
      const answer = await engine.replaySubscription(request.origin(), nameOf(request), order);
      return json(order.dryRun === true ? 200 : 201, answer);
    },
  };
}

function nameOf(request: ApiRequest): string {
  return request.segment('name').slice(0, limits.nameLengthMax);
}

/** @throws REQUEST_INVALID */
function seekOf(request: ApiRequest): SeekRequest {
  const { to, partition } = membersOf(request.json(), 'the body', ['to', 'partition']);
  const position = startOf(to, 'to');
  if (partition === undefined) return { to: position };
  if (typeof partition !== 'number' || !Number.isInteger(partition) || partition < 0)
    throw invalid('partition is not the number of a partition');
  return { to: position, partition };
}

/** @throws REQUEST_INVALID, SUBSCRIPTION_INVALID */
function replayOf(request: ApiRequest): ReplayRequest {
  const members = membersOf(request.json(), 'the body', ['from', 'into', 'workflow', 'dryRun']);
  const { into, workflow, dryRun = false } = members;
  if (workflow !== undefined && typeof workflow !== 'string') throw invalid('workflow is not a name');
  if (typeof dryRun !== 'boolean') throw invalid('dryRun is neither true nor false');
  if (into !== undefined && typeof into !== 'string') throw invalid('into is not a name');
  if (into !== undefined && (into.length > limits.nameLengthMax || !namePattern.test(into)))
    throw new SpineError('SUBSCRIPTION_INVALID', { name: into.slice(0, limits.nameLengthMax), faults: [badName] });
  return {
    from: startOf(members['from'], 'from'),
    ...(into === undefined ? {} : { into }),
    ...(workflow === undefined ? {} : { workflow }),
    dryRun,
  };
}

function startOf(given: unknown, option: string): StartPosition {
  const faults: string[] = [];
  const position = readStart(given, option, (fault) => faults.push(fault));
  if (faults.length > 0) throw new SpineError('REQUEST_INVALID', { faults });
  return position;
}

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;
const badName = `the name must have 1 to ${limits.nameLengthMax} letters, digits, ".", "-" and "_" and begin with a letter or digit`;
