/**
 * What whoever makes a key may give it: nothing that they have not themselves. An admin of a tenant cannot make an operator of
 * the installation, and one with few permissions cannot make a key with more.
 */
import { SpineError } from '../errors.js';

/** Whoever makes a key, as far as it matters. */
export interface Giver {
  readonly roles: readonly string[];
  readonly permissions?: readonly string[];
  readonly clearances?: readonly string[];
}

/** What a key is to have; null = no bound. */
export interface Given {
  readonly roles: readonly string[];
  readonly permissions: readonly string[] | null;
  readonly clearances: readonly string[] | null;
}

/** Roles that open what belongs to the installation as a whole, or to those who run it. */
const rolesOfPower = ['operator', 'worker', 'admin'];

/** What the giver may not give, in words; empty = all of it. */
export function givingFaults(giver: Giver, given: Given): string[] {
  const isOperator = giver.roles.includes('operator');
  const faults: string[] = [];
  for (const role of given.roles) {
    // Less than none can be had by anybody: it takes away.
    if (role === 'viewer') continue;
    // Other roles are names in an installation, of groups whose approvals may be decided with the key.
    if (!giver.roles.includes(role) && (rolesOfPower.includes(role) || !isOperator))
      faults.push(`whoever makes the key has not the role "${role}"`);
  }
  faults.push(...beyond('permission', giver.permissions, given.permissions));
  // What is hidden from somebody must not be had by making a key that sees it.
  if (!isOperator || giver.clearances !== undefined)
    faults.push(...beyond('clearance', giver.clearances ?? [], given.clearances ?? []));
  return faults;
}

/** Texts are compared, not what they mean: a narrower pattern has to be one that the giver was given. */
function beyond(what: string, own: readonly string[] | undefined, given: readonly string[] | null): string[] {
  if (own === undefined) return [];
  if (given === null) return [`whoever makes the key has not every ${what}; name those that it is to have`];
  return given.filter((one) => !own.includes(one)).map((one) => `whoever makes the key has not the ${what} "${one}"`);
}

/** @throws KEY_REFUSED */
export function checkGiving(giver: Giver, given: Given): void {
  const faults = givingFaults(giver, given);
  if (faults.length > 0) throw new SpineError('KEY_REFUSED', { faults });
}
