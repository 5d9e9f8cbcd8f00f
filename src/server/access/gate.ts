/**
 * Whether a caller may do what it asks for: the need of the route (`protocol/route-needs.ts`) against the permissions of the
 * principal (`core/access`). Asked once for every request, before its handler; handlers of lists, and of bodies that name
 * more than the path does, ask the same permit for each thing.
 *
 * Invariant: to a caller with a list of permissions, what it may not have and what is not there answer alike, since both are
 * answered here.
 */
import { everyName } from '../../core/access/pattern.js';
import {
  accessOf,
  wholeAccess,
  type Access,
  type AccessAction,
  type AccessKind,
} from '../../core/access/permission.js';
import { isSpineError, SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { accessTopic } from '../../core/manifest.js';
import type { Engine } from '../../engine/api.js';
import type { NeededThing, RouteNeeds } from '../../protocol/route-needs.js';
import type { Route } from '../../protocol/routes.js';
import type { Grant } from './grant.js';
import type { Principal } from '../options.js';
import { decodeSegment } from '../transports/path-segment.js';

/** What of the engine is asked to find out what a thing belongs to. */
export type ThingsOfEngine = Pick<
  Engine,
  'workflowOf' | 'topicOfSubscription' | 'readDeadLetter' | 'readRedrive' | 'readDeadEvent'
>;

/** What one caller may do, as the gate and handlers ask it. */
export class Permit {
  readonly #access: Access;
  readonly #isWarden: boolean;

  constructor(access: Access, roles: readonly string[]) {
    this.#access = access;
    this.#isWarden = roles.includes('admin') || roles.includes('operator');
  }

  /** Whether everything in the tenant is allowed, so that nothing needs to be left out. */
  get isWhole(): boolean {
    return this.#access.isWhole && this.#isWarden;
  }

  /** One of several actions is enough. */
  allows(action: AccessAction | readonly AccessAction[], kind: AccessKind, name: string): boolean {
    if (kind === 'topic' && name === accessTopic.name && !this.#isWarden) return false;
    return listOf(action).some((one) => this.#access.allows(one, kind, name));
  }

  allowsSome(action: AccessAction | readonly AccessAction[], kind: AccessKind): boolean {
    return listOf(action).some((one) => this.#access.allowsSome(one, kind));
  }

  /** Whatever the name is. */
  allowsAll(action: AccessAction | readonly AccessAction[], kind: AccessKind): boolean {
    return listOf(action).some((one) => this.#access.allowsAll(one, kind));
  }

  /** @throws PERMISSION_MISSING */
  require(action: AccessAction | readonly AccessAction[], kind: AccessKind, name: string): void {
    if (!this.allows(action, kind, name)) throw missing(action, kind, name);
  }
}

/** A permit for everything: of what is not asked over the API. */
export const wholePermit = new Permit(wholeAccess, ['admin']);

/** Lists of permissions that are remembered as they were read: an installation has few, and asks at every request. */
const rememberedMax = 1_000;

export class AccessGate {
  readonly #things: ThingsOfEngine;
  readonly #known = new Map<string, Access>();

  constructor(things: ThingsOfEngine) {
    this.#things = things;
  }

  /** @throws Error where `authorize` gave permissions that are none */
  permitOf({ roles, permissions }: Principal): Permit {
    if (permissions === undefined) {
      const isWarden = roles.includes('admin') || roles.includes('operator');
      return isWarden ? wholePermit : tenantPermit;
    }
    const key = permissions.join('\n');
    const found = this.#known.get(key) ?? accessOf(permissions);
    if (!this.#known.has(key)) {
      if (this.#known.size >= rememberedMax) this.#known.delete(String(this.#known.keys().next().value));
      this.#known.set(key, found);
    }
    return new Permit(found, roles);
  }

  /**
   * Refuses what the caller may not do. Not an async function: a caller who may do everything is let through in the same
   * turn, and intake pays for each promise.
   *
   * @throws or rejects with PERMISSION_MISSING, OUT_OF_SCOPE, ROUTE_NOT_FOUND; for things that a path names by an id, with
   * what is said of one that is not there
   */
  check(
    permit: Permit,
    principal: Principal,
    route: Route,
    segments: Readonly<Record<string, string>>,
  ): Promise<void> | null {
    const { needs } = route;
    if (principal.roles.includes('viewer')) checkReads(route);
    if (needs === null || permit.isWhole) return null;
    const { action, kind, segment, of: thing, or } = needs;
    if (segment === undefined) {
      const mayHaveSome =
        permit.allowsSome(action, kind) || (or !== undefined && permit.allowsSome(or.action, or.kind));
      if (!mayHaveSome) throw missing(action, kind, everyName);
      return null;
    }
    const name = decodeSegment(segments[segment] ?? '');
    // What is no name is the business of whoever reads it.
    if (name === null || name.length > limits.keyLengthMax) return null;
    if (thing !== undefined)
      return principal.permissions === undefined && kind !== 'topic'
        ? null
        : this.#checkThing(permit, principal.tenant, needs, thing, name);
    permit.require(action, kind, name);
    return null;
  }

  async #checkThing(
    permit: Permit,
    tenant: string,
    { action, kind }: RouteNeeds,
    thing: NeededThing,
    id: string,
  ): Promise<void> {
    const found = await this.#ownerOf(tenant, thing, id);
    const mayHave =
      found !== null &&
      (found.name === null ? permit.allowsAll(action, kind) : permit.allows(action, kind, found.name));
    if (mayHave) return;
    const error = absent(thing, id);
    if (found !== null) hiddenRefusals.add(error);
    throw error;
  }

  /** What a thing belongs to; `name` null = to several, or to what cannot be told. */
  async #ownerOf(tenant: string, thing: NeededThing, id: string): Promise<{ readonly name: string | null } | null> {
    switch (thing) {
      case 'run':
        return named(await this.#things.workflowOf(tenant, id));
      case 'approval':
        return named(await this.#things.workflowOf(tenant, id.replace(/\.\d+$/, '')));
      case 'subscription':
        return named(await this.#things.topicOfSubscription(tenant, id));
      case 'deadLetter':
        return named((await this.#things.readDeadLetter(tenant, id))?.workflow ?? null);
      case 'redrive': {
        const found = await this.#things.readRedrive(tenant, id);
        return found === null ? null : { name: found.filter.workflow ?? null };
      }
      case 'deadEvent': {
        const found = await this.#things.readDeadEvent(tenant, id);
        return found === null ? null : { name: found.topic };
      }
    }
  }
}

/** Everything but the record of access. */
const tenantPermit = new Permit(wholeAccess, []);

function named(name: string | null): { readonly name: string } | null {
  return name === null ? null : { name };
}

/** What is said of a thing that is not there. The same words as of those who look for it. */
function absent(thing: NeededThing, id: string): SpineError {
  switch (thing) {
    case 'run':
      return new SpineError('RUN_NOT_FOUND', { run: id });
    case 'approval':
      return new SpineError('APPROVAL_NOT_FOUND', { id });
    case 'deadLetter':
      return new SpineError('DEAD_LETTER_NOT_FOUND', { id });
    case 'redrive':
      return new SpineError('REDRIVE_NOT_FOUND', { id });
    case 'subscription':
      return new SpineError('SUBSCRIPTION_NOT_FOUND', { name: id.slice(0, limits.nameLengthMax) });
    case 'deadEvent':
      return new SpineError('DEAD_EVENT_NOT_FOUND', { id });
  }
}

/** Refusals that look like the answer of a thing that is not there. */
const hiddenRefusals = new WeakSet<Error>();

/** The code that a refusal is recorded under; null = the error is none. */
export function refusalCode(error: unknown): string | null {
  if (!isSpineError(error)) return null;
  if (hiddenRefusals.has(error)) return 'PERMISSION_MISSING';
  return error.status === 401 || error.status === 403 ? error.code : null;
}

/** What needs a role is refused to those who have not got it. Narrow grants are no roles. @throws FORBIDDEN */
export function checkRole(grant: Grant, { roles }: Principal, { access }: Route): void {
  if (access === 'public' || access === 'tenant' || (grant.tag !== 'tenant' && grant.tag !== 'page')) return;
  if (!roles.includes(access)) throw new SpineError('FORBIDDEN', { role: access });
}

/** Who only views changes nothing, whatever else it may do. @throws OUT_OF_SCOPE */
function checkReads({ method, access, needs }: Route): void {
  const reads = method === 'GET' && access !== 'worker';
  if (!reads && needs?.reads !== true)
    throw new SpineError('OUT_OF_SCOPE', { what: 'a change: whoever has the role "viewer" only reads' });
}

function missing(action: AccessAction | readonly AccessAction[], kind: AccessKind, name: string): SpineError {
  const [first = '*'] = listOf(action);
  return new SpineError('PERMISSION_MISSING', {
    permission: `${first}:${kind}/${name.slice(0, limits.nameLengthMax)}`,
  });
}

function listOf(action: AccessAction | readonly AccessAction[]): readonly AccessAction[] {
  return typeof action === 'string' ? [action] : action;
}
