import { describe, expect, it } from 'vitest';
import { accessActions } from '../core/access/permission.js';
import { routes, type Route, type RouteId } from './routes.js';

const table = Object.entries(routes) as [RouteId, Route][];

describe('what routes need', () => {
  it.each(table)('%s: a permission where any caller of the tenant may come, and none beside a role', (_, route) => {
    expect(route.needs !== null).toBe(route.access === 'tenant');
    if (route.needs === null) return;
    const { action, kind, segment, of: thing } = route.needs;
    for (const one of [action].flat()) expect(accessActions[kind]).toContain(one);
    if (segment !== undefined) expect(route.path).toContain(`{${segment}}`);
    if (thing !== undefined) expect(segment).toBeDefined();
  });

  it('change something unless they say that they only read', () => {
    const reading = table.filter(([, { method, needs }]) => method !== 'GET' && needs?.reads === true);
    expect(reading.map(([id]) => id)).toEqual(['countDeadLetters']);
  });
});
