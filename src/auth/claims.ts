/**
 * From the claims of a token to a principal. What an installation wants to know of a token is said by its options; a token
 * that does not say it is refused.
 *
 * Invariant: roles that open the installation come from a map that the operator wrote, never from a name in a token.
 */
import { permissionFaults, readPermission } from '../core/access/permission.js';
import { limits } from '../core/limits.js';
import type { Principal } from '../server/index.js';

/** The claims of a token that was found right. */
export type TokenClaims = Readonly<Record<string, unknown>>;

/** A claim of a token: its name, or the way to it in nested objects (`['realm_access', 'roles']`). */
export interface ClaimName {
  readonly claim: string | readonly string[];
}

/** A claim of which each value stands for something. Values that are not in the map stand for nothing. */
export interface MappedClaim<T> extends ClaimName {
  readonly map?: Readonly<Record<string, T>>;
}

/** What a principal is made of. */
export interface ClaimOptions {
  /** The tenant, for all tokens or by a claim; a token without that claim is refused. */
  readonly tenant: string | MappedClaim<string> | ((claims: TokenClaims) => string | null);
  /** Who it is. Default: the claim `sub`. */
  readonly user?: ClaimName | ((claims: TokenClaims) => string | null);
  /**
   * Roles, for all tokens or by a claim: a list of texts, or one text with spaces between. Without `map`, names are taken as they
   * are, except `operator`, `worker` and `admin`, which only `map` gives. Default: none.
   */
  readonly roles?: readonly string[] | MappedClaim<readonly string[]> | ((claims: TokenClaims) => readonly string[]);
  /**
   * Permissions (`action:kind/pattern`), for all tokens or by a claim, such as `scope`; what is no permission is left out, and a
   * token without any may do nothing. Default: everything within the tenant.
   */
  readonly permissions?:
    | readonly string[]
    | MappedClaim<readonly string[]>
    | ((claims: TokenClaims) => readonly string[]);
  /** Tags of fields that are shown in clear, in the same ways. Default: what the roles are shown. */
  readonly clearances?:
    | readonly string[]
    | MappedClaim<readonly string[]>
    | ((claims: TokenClaims) => readonly string[]);
}

/** What is wrong with the options themselves, which may come out of a file. */
export function claimOptionFaults(options: ClaimOptions): string[] {
  const { tenant, user, ...lists } = options;
  const faults: string[] = [];
  if (
    !(
      typeof tenant === 'string' ||
      typeof tenant === 'function' ||
      isClaim(tenant, (value) => typeof value === 'string')
    )
  )
    faults.push('tenant is none of a name, { claim, map } and a function');
  if (!(user === undefined || typeof user === 'function' || isClaim(user, null)))
    faults.push('user is none of { claim } and a function');
  for (const name of ['roles', 'permissions', 'clearances'] as const) {
    const given: unknown = lists[name];
    if (!(given === undefined || typeof given === 'function' || isTexts(given) || isClaim(given, isTexts)))
      faults.push(`${name} is none of a list of texts, { claim, map } and a function`);
  }
  const { permissions } = lists;
  if (isTexts(permissions)) faults.push(...permissionFaults(permissions));
  return faults;
}

/** `mapped`: what a map may hold; null = there is none. */
function isClaim(given: unknown, mapped: ((value: unknown) => boolean) | null): boolean {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false;
  const { claim, map, ...others } = given as { readonly claim?: unknown; readonly map?: unknown };
  const isMap = map === undefined || (mapped !== null && isRecord(map) && Object.values(map).every(mapped));
  return (
    (typeof claim === 'string' || (isTexts(claim) && claim.length > 0)) && isMap && Object.keys(others).length === 0
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** Why claims are refused. */
export interface ClaimFault {
  readonly fault: string;
}

const powers: ReadonlySet<string> = new Set(['operator', 'worker', 'admin']);
/** How users of API keys are called; nobody else may be. */
const keyUserPrefix = 'key:';

/** Whom claims stand for. */
export function principalOf(claims: TokenClaims, options: ClaimOptions): Principal | ClaimFault {
  const tenant = tenantOf(claims, options.tenant);
  if (tenant === null || tenant === '' || tenant.length > limits.tenantLengthMax)
    return { fault: 'it names no tenant of this installation' };
  const user = userOf(claims, options.user);
  if (user === null || user === '' || user.length > limits.nameLengthMax || unprintable.test(user))
    return { fault: 'it names no user, or none that can be kept' };
  if (user.startsWith(keyUserPrefix)) return { fault: `its user begins with "${keyUserPrefix}"` };
  const { permissions, clearances } = options;
  return {
    tenant,
    user,
    roles: rolesOf(claims, options.roles),
    ...(permissions === undefined
      ? {}
      : { permissions: textsOf(claims, permissions).filter((text) => !('fault' in readPermission(text))) }),
    ...(clearances === undefined ? {} : { clearances: textsOf(claims, clearances) }),
  };
}

const unprintable = /[\p{Cc}\p{Surrogate}]/u;

function tenantOf(claims: TokenClaims, given: ClaimOptions['tenant']): string | null {
  if (typeof given === 'string') return given;
  if (typeof given === 'function') return given(claims);
  const value = textOf(claimOf(claims, given.claim));
  if (value === null || given.map === undefined) return value;
  return Object.hasOwn(given.map, value) ? (given.map[value] ?? null) : null;
}

function userOf(claims: TokenClaims, given: ClaimOptions['user'] = { claim: 'sub' }): string | null {
  return typeof given === 'function' ? given(claims) : textOf(claimOf(claims, given.claim));
}

function rolesOf(claims: TokenClaims, given: ClaimOptions['roles'] = []): readonly string[] {
  const roles = textsOf(claims, given);
  const isOfToken = typeof given === 'object' && 'claim' in given && given.map === undefined;
  return isOfToken ? roles.filter((role) => !powers.has(role)) : roles;
}

type Texts = NonNullable<ClaimOptions['roles']>;

/** Each text once, and no more of them than a principal may have. */
function textsOf(claims: TokenClaims, given: Texts): readonly string[] {
  return [...new Set(given instanceof Function ? given(claims) : claimTexts(claims, given))].slice(
    0,
    limits.permissionsMax,
  );
}

function claimTexts(claims: TokenClaims, given: Exclude<Texts, (claims: TokenClaims) => unknown>): readonly string[] {
  if (!('claim' in given)) return given;
  const value = claimOf(claims, given.claim);
  const words =
    typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? (value as readonly unknown[]) : [];
  const texts = words.filter((word) => typeof word === 'string').filter((word) => word !== '');
  const { map } = given;
  return map === undefined ? texts : texts.flatMap((text) => (Object.hasOwn(map, text) ? (map[text] ?? []) : []));
}

function claimOf(claims: TokenClaims, claim: string | readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of typeof claim === 'string' ? [claim] : claim) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
