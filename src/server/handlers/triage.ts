/** Triage for operators: what failures are classified by. */
import type { ModelData } from '../../core/triage/model.js';
import type { TriageOrder } from '../../engine/triage/triage-office.js';
import { json } from '../answer.js';
import { invalid } from '../api-request.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

type TriageRoutes = 'readTriage' | 'changeTriage';

export function triageHandlers({ engine }: HandlerContext): Handlers<TriageRoutes> {
  return {
    readTriage: async (request) => json(200, await engine.readTriage(request.origin().tenant)),
    changeTriage: async (request) => json(200, await engine.changeTriage(request.origin(), orderOf(request.json()))),
  };
}

/** Whether a model is one is checked where it is set. */
function orderOf(body: unknown): TriageOrder {
  const { change, model } = membersOf(body, 'the body', ['change', 'model']);
  switch (change) {
    case 'shadow':
      if (typeof model !== 'object') throw invalid('model is no object, and not null');
      return { change, model: model as ModelData | null };
    case 'promote':
    case 'rollback':
      return { change };
    default:
      throw invalid('change is none of shadow, promote and rollback');
  }
}
