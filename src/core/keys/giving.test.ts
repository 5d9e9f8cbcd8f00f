import { describe, expect, it } from 'vitest';
import { givingFaults, type Given, type Giver } from './giving.js';

const plain: Given = { roles: [], permissions: null, clearances: null };
const root: Giver = { roles: ['operator', 'worker', 'admin'] };
const admin: Giver = { roles: ['admin'] };
const narrow: Giver = { ...admin, permissions: ['start:workflow/answer', 'read:workflow/**'] };

describe('what the maker of a key may give it', () => {
  it.each<[string, Giver, Partial<Given>]>([
    ['everything in its tenant', admin, {}],
    ['the role that it has', admin, { roles: ['admin'] }],
    ['less than any role', admin, { roles: ['viewer'] }],
    ['permissions, where it has all', admin, { permissions: ['publish:topic/**'] }],
    ['permissions that it has itself', narrow, { permissions: ['start:workflow/answer'] }],
    ['nothing', narrow, { permissions: [] }],
    ['roles of its own, as an operator', root, { roles: ['worker', 'reviewers'] }],
    ['clearances, as an operator', root, { clearances: ['pii'] }],
    ['a clearance that it has itself', { ...admin, clearances: ['pii'] }, { clearances: ['pii'] }],
  ])('is %s', (_, giver, given) => {
    expect(givingFaults(giver, { ...plain, ...given })).toEqual([]);
  });

  it.each<[string, Giver, Partial<Given>]>([
    ['the whole installation', admin, { roles: ['operator'] }],
    ['the work of the installation', admin, { roles: ['worker'] }],
    ['a group that it is not of', admin, { roles: ['finance'] }],
    ['the role of an admin, as a mere operator', { ...root, roles: ['operator'] }, { roles: ['admin'] }],
    ['everything, where it may do little', narrow, {}],
    ['a permission that it has not', narrow, { permissions: ['start:workflow/**'] }],
    ['a wider one than it has', narrow, { permissions: ['*:*'] }],
    ['sight of what is hidden from it', admin, { clearances: ['pii'] }],
    ['more sight than it has, as an operator', { ...root, clearances: ['health'] }, { clearances: ['pii'] }],
  ])('is not %s', (_, giver, given) => {
    expect(givingFaults(giver, { ...plain, ...given })).toHaveLength(1);
  });
});
