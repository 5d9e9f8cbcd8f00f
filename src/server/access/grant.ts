/**
 * What a caller may do. `authorize` names people and programs, who may do everything within their tenant, or, behind a
 * mount for pages, little; a read token lets whoever has it read one run or follow one topic. Routes say which of the narrow ones they take.
 *
 * Invariant: a route that does not name a narrow credential refuses it.
 */
import { SpineError } from '../../core/errors.js';
import type { ReadTokenSight } from '../../protocol/http.js';
import { routePaths } from '../../protocol/route-paths.js';
import type { Route } from '../../protocol/routes.js';
import { decodeSegment } from '../transports/path-segment.js';

export type Grant =
  /** Everything within the tenant; what needs a role is asked of the roles. */
  { readonly tag: 'tenant' } | ({ readonly tag: 'page' } & PageScope) | ReadGrant | TopicGrant;

/** What users may do from their pages. */
export interface PageScope {
  /** Names of the workflows that a page may start. */
  readonly start: readonly string[];
  /** Whether users decide from their pages what is put to them. */
  readonly approvals: boolean;
  /** What the read tokens show that a page is given. */
  readonly sees: ReadTokenSight;
}

/** What a read token stands for. */
export interface ReadGrant {
  readonly tag: 'readToken';
  readonly run: string;
  readonly sees: ReadTokenSight;
  /** Whether approvals of the run that are put to its user by name may be decided with it. */
  readonly decides: boolean;
  /** On the store's clock, epoch ms. */
  readonly expiresAt: number;
}

/** What a read token of a topic stands for. */
export interface TopicGrant {
  readonly tag: 'topicToken';
  readonly topic: string;
  /** Events of this key alone; null = all. */
  readonly key: string | null;
  /** Events that were published at or after this instant, epoch ms; null = all that are kept. */
  readonly since: number | null;
  /** On the store's clock, epoch ms. */
  readonly expiresAt: number;
}

export const wholeTenant: Grant = { tag: 'tenant' };

/** What the grant shows of a run that it covers. */
export function sightOf(grant: Grant): ReadTokenSight {
  switch (grant.tag) {
    case 'tenant':
      return 'everything';
    case 'topicToken':
      return 'progress';
    case 'page':
    case 'readToken':
      return grant.sees;
  }
}

/**
 * Refuses what the grant does not cover, as far as the address tells: the route, and the run or workflow in it.
 *
 * @throws OUT_OF_SCOPE
 */
export function checkGrant(grant: Grant, route: Route, segments: Readonly<Record<string, string>>): void {
  if (grant.tag === 'tenant') return;
  if (route.takes?.includes(grant.tag) !== true) {
    throw new SpineError('OUT_OF_SCOPE', { what: `${route.method} ${route.path}` });
  }
  // Decoded as the handlers do it, so that no spelling means one thing here and another there.
  const { id, name } = segments;
  const isOfApprovals = route.path.startsWith(routePaths.listApprovals);
  if (grant.tag === 'readToken') {
    const named = decodeSegment(id ?? '') ?? '';
    if ((isOfApprovals ? named.replace(/\.\d+$/, '') : named) !== grant.run)
      throw new SpineError('OUT_OF_SCOPE', { what: 'anything about another run' });
    if (isOfApprovals && route.method !== 'GET' && !grant.decides)
      throw new SpineError('OUT_OF_SCOPE', { what: 'a word on an approval' });
  }
  if (grant.tag === 'topicToken' && decodeSegment(segments['topic'] ?? '') !== grant.topic)
    throw new SpineError('OUT_OF_SCOPE', { what: 'anything about another topic' });
  if (grant.tag === 'page' && isOfApprovals && !grant.approvals)
    throw new SpineError('OUT_OF_SCOPE', { what: 'approvals, unless the mount has `approvals: true`' });
  if (grant.tag === 'page' && name !== undefined && !grant.start.some((known) => known === decodeSegment(name))) {
    throw new SpineError('OUT_OF_SCOPE', { what: 'a start of this workflow' });
  }
}
