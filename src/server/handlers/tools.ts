/** Tools of models: what apps say of them, and what operators order over it. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { empty, json } from '../answer.js';
import type { ApiRequest } from '../api-request.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

export function toolHandlers({ engine }: HandlerContext): Handlers<'readTools' | 'putToolOrder' | 'dropToolOrder'> {
  return {
    readTools: async () => json(200, await engine.readTools()),
    putToolOrder: async (request) => {
      const order = membersOf(request.json(), 'the body', orderMembers);
      return json(200, await engine.putToolOrder(request.origin(), request.segment('name'), order, isAdmin(request)));
    },
    dropToolOrder: async (request) => {
      const name = request.segment('name');
      const was = await engine.dropToolOrder(request.origin(), name, isAdmin(request));
      if (!was) throw new SpineError('TOOL_ORDER_UNKNOWN', { name: name.slice(0, limits.nameLengthMax) });
      return empty(204);
    },
  };
}

const orderMembers = ['tools', 'verdict', 'by', 'tenants', 'limits', 'perRun', 'approve', 'tainted', 'reason'] as const;

function isAdmin({ principal }: ApiRequest): boolean {
  return principal.roles.includes('admin');
}
