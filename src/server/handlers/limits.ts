/** Limits: shown, and set by operators in place of what apps declare. */
import { SpineError } from '../../core/errors.js';
import { limitOptionNames } from '../../core/admission/limit-options.js';
import { limits } from '../../core/limits.js';
import type { LimitView, PageView } from '../../protocol/http.js';
import { empty, json } from '../answer.js';
import type { ApiRequest } from '../api-request.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

export function limitHandlers({
  engine,
}: HandlerContext): Handlers<'listLimits' | 'readLimit' | 'putLimit' | 'resetLimit'> {
  return {
    listLimits: async () => {
      const page: PageView<LimitView> = { items: await engine.listLimits(), next: null };
      return json(200, page);
    },
    readLimit: async (request) => {
      const name = request.segment('name');
      const view = await engine.readLimit(name);
      if (view === null) throw new SpineError('LIMIT_NOT_FOUND', { name: name.slice(0, limits.nameLengthMax) });
      return json(200, view);
    },
    putLimit: async (request) => {
      const options = membersOf(request.json(), 'the body', limitOptionNames);
      return json(200, await engine.putLimit(request.origin(), nameOf(request), options));
    },
    resetLimit: async (request) => {
      await engine.resetLimit(request.origin(), nameOf(request));
      return empty(204);
    },
  };
}

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;

/** @throws LIMIT_INVALID */
function nameOf(request: ApiRequest): string {
  const name = request.segment('name');
  if (name.length <= limits.nameLengthMax && namePattern.test(name)) return name;
  const fault = `the name must have 1 to ${limits.nameLengthMax} letters, digits, ".", "-" and "_" and begin with a letter or digit`;
  throw new SpineError('LIMIT_INVALID', { name: name.slice(0, limits.nameLengthMax), faults: [fault] });
}
