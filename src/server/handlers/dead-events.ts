/** Dead events: shown, sent back, given up for good. */
import { SpineError } from '../../core/errors.js';
import { failureClasses } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import { empty, json } from '../answer.js';
import { invalid } from '../api-request.js';
import { commandAnswer, membersOf, shownOf, type HandlerContext, type Handlers } from './context.js';

type DeadEventRoutes = 'listDeadEvents' | 'readDeadEvent' | 'redriveDeadEvent' | 'discardDeadEvent';

export function deadEventHandlers({ engine }: HandlerContext): Handlers<DeadEventRoutes> {
  return {
    listDeadEvents: async (request) => {
      const { tenant, query } = request;
      const source = query.text('source');
      const kind = query.choice('class', failureClasses);
      const cursor = query.text('cursor');
      const page = await engine.listDeadEvents(tenant, {
        ...(source === undefined ? {} : { source }),
        ...(kind === undefined ? {} : { class: kind }),
        ...(cursor === undefined ? {} : { cursor }),
        limit: query.limit(),
      });
      return json(
        200,
        shownOf(request, page, 'manage', 'topic', ({ topic }) => topic),
      );
    },
    readDeadEvent: async (request) => {
      const id = request.segment('id');
      const view = await engine.readDeadEvent(request.tenant, id);
      if (view === null) throw new SpineError('DEAD_EVENT_NOT_FOUND', { id });
      return json(200, view);
    },
    redriveDeadEvent: async (request) => {
      const id = request.segment('id');
      const { reason } = membersOf(request.json() ?? {}, 'the body', ['reason']);
      const outcome = await engine.redriveDeadEvent(request.origin(), id, reasonOf(reason));
      const answer = commandAnswer(id, outcome);
      return json(answer.outcome === 'done' ? 202 : 200, answer);
    },
    discardDeadEvent: async (request) => {
      const id = request.segment('id');
      const reason = reasonOf(request.query.text('reason'));
      commandAnswer(id, await engine.discardDeadEvent(request.origin(), id, reason));
      return empty(204);
    },
  };
}

/** @throws REQUEST_INVALID */
function reasonOf(value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value !== 'string' || value.length > limits.errorMessageLengthMax)
    throw invalid(`reason is not a text of up to ${limits.errorMessageLengthMax} characters`);
  return value;
}
