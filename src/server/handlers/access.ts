/** The record of access, for those who are answerable for it. */
import { SpineError } from '../../core/errors.js';
import { json } from '../answer.js';
import type { HandlerContext, Handlers } from './context.js';

export function accessHandlers({ engine }: HandlerContext): Handlers<'listAccessEvents'> {
  return {
    listAccessEvents: async ({ tenant, principal, query }) => {
      const nobody = query.choice('of', ['tenant', 'nobody']) === 'nobody';
      // Callers whom nobody knows are of no tenant, so what they tried is nothing for the admin of one.
      if (nobody && !principal.roles.includes('operator')) throw new SpineError('FORBIDDEN', { role: 'operator' });
      const before = query.integer('cursor', { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? null;
      return json(200, await engine.accessEvents(nobody ? null : tenant, { before, limit: query.limit() }));
    },
  };
}
