/** Models for operators, and what users make of their answers. */
import { SpineError } from '../../core/errors.js';
import type { ShadowRule } from '../../core/manifest.js';
import type { ModelWeights } from '../../core/models/settings.js';
import { shadowDefaults } from '../../core/models/shadow.js';
import type { ModelOrder } from '../../engine/models/models-office.js';
import type { ModelView, PageView, TopicEventView } from '../../protocol/http.js';
import { empty, json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

type ModelRoutes = 'listModels' | 'readModel' | 'changeModel' | 'reportModel' | 'readModelEvents' | 'reportOutcome';

export function modelHandlers({ engine }: HandlerContext): Handlers<ModelRoutes> {
  return {
    listModels: async () => json(200, { items: await engine.listModels(), next: null } satisfies PageView<ModelView>),
    readModel: async (request) => json(200, found(await engine.readModel(nameOf(request)), nameOf(request))),
    changeModel: async (request) =>
      json(200, await engine.changeModel(request.origin(), nameOf(request), orderOf(request.json()))),
    reportModel: async (request) => {
      const against = request.query.text('against') ?? null;
      const report = await engine.modelReport(nameOf(request), alphaOf(request), against);
      return json(200, found(report, against === null ? nameOf(request) : `${nameOf(request)} ${against}`));
    },
    readModelEvents: (request) => readEvents(engine, request),
    reportOutcome: async (request) => {
      const { model, score, id = '' } = membersOf(request.json(), 'the body', ['model', 'score', 'id']);
      if (typeof model !== 'string' || typeof score !== 'number' || typeof id !== 'string')
        throw invalid('the body needs a model, a score from 0 to 1, and perhaps an id');
      const said = await engine.reportOutcome(request.origin(), request.segment('id'), { model, score, id });
      return empty(said === 'recorded' ? 201 : 200);
    },
  };
}

function nameOf(request: ApiRequest): string {
  return request.segment('name');
}

function found<T>(view: T | null, name: string): T {
  if (view === null) throw new SpineError('MODEL_UNKNOWN', { name });
  return view;
}

const alphaDefault = 0.05;
const [alphaMin, alphaMax] = [0.0001, 0.5];

function alphaOf(request: ApiRequest): number {
  const given = request.query.text('alpha');
  const alpha = given === undefined ? alphaDefault : Number(given);
  if (!(alpha >= alphaMin && alpha <= alphaMax)) throw invalid(`alpha is not a number from ${alphaMin} to ${alphaMax}`);
  return alpha;
}

/** What it says is checked against the model; here only its form. */
function orderOf(body: unknown): ModelOrder {
  const { change, weights, version, shadow } = membersOf(body, 'the body', ['change', 'weights', 'version', 'shadow']);
  switch (change) {
    case 'weights':
      if (typeof weights !== 'object' || weights === null || Array.isArray(weights))
        throw invalid('weights is no object');
      return { change, weights: weights as ModelWeights };
    case 'promote':
    case 'reset-breaker':
      if (typeof version !== 'string') throw invalid('version is no text');
      return { change, version };
    case 'shadow':
      return { change, shadow: shadow === null ? null : shadowRuleOf(shadow) };
    case 'rollback':
    case 'reset':
      return { change };
    default:
      throw invalid('change is none of weights, promote, shadow, rollback, reset and reset-breaker');
  }
}

function shadowRuleOf(value: unknown): ShadowRule {
  const names = ['version', 'share', 'concurrency', 'perDayMicros'];
  const given: Readonly<Record<string, unknown>> = { ...shadowDefaults, ...membersOf(value, 'shadow', names) };
  const { version, share, concurrency, perDayMicros } = given;
  if (typeof version !== 'string' || typeof share !== 'number' || typeof concurrency !== 'number')
    throw invalid('shadow needs a version, and perhaps a share and a concurrency, which are numbers');
  if (perDayMicros !== null && typeof perDayMicros !== 'number') throw invalid('perDayMicros is no number');
  return { version, share, concurrency, perDayMicros };
}

async function readEvents(engine: HandlerContext['engine'], { query }: ApiRequest): Promise<Answer> {
  const limit = query.limit();
  const after = query.integer('cursor', { min: -1, max: Number.MAX_SAFE_INTEGER }) ?? -1;
  const items = await engine.modelEvents({ after, limit });
  const last = items.at(-1);
  const next = last === undefined || items.length < limit ? null : String(last.offset);
  return json(200, { items, next } satisfies PageView<TopicEventView>);
}
