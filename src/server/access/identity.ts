/**
 * Who asks. The one place where credentials turn into a tenant, a user and what they may do; everything behind it
 * believes what it says, and nothing else reads a credential. Sources are asked in order: read tokens and API keys, which are
 * known by their form, then the `authorize` functions of the installation, of which the first that knows the caller decides.
 *
 * Invariant: a text that begins like a read token or an API key is that or nothing; it is never tried as anything else.
 */
import { SpineError } from '../../core/errors.js';
import { apiKeyPrefix } from '../../core/keys/key-text.js';
import { limits } from '../../core/limits.js';
import { headerNames, type Route } from '../../protocol/routes.js';
import type { ApiKeys } from './api-keys.js';
import type { HttpHead } from '../api-request.js';
import { wholeTenant, type Grant } from './grant.js';
import type { Authorize, Principal, ServerSettings } from '../options.js';
import { readTokenPrefix, type ReadTokens } from './read-tokens.js';

/** A caller: who it is and what it may do. */
export interface Caller {
  readonly principal: Principal;
  readonly grant: Grant;
  /** The tenant that the credential is of: another than that of the principal where an operator is at work elsewhere. */
  readonly home: string;
  /** As `authorize` gave it, or a key: the same object for as long as that is so. */
  readonly presented: Principal;
}

const anonymous: Principal = { tenant: 'default', user: 'anonymous', roles: ['operator', 'worker', 'admin'] };

export class Identity {
  readonly #authorizers: readonly Authorize[];
  readonly #tokens: ReadTokens;
  readonly #keys: ApiKeys;
  /** What those may do whom `authorize` knows. */
  readonly #grant: Grant;

  constructor(settings: Pick<ServerSettings, 'authorize' | 'page'>, tokens: ReadTokens, keys: ApiKeys) {
    this.#authorizers = settings.authorize;
    this.#tokens = tokens;
    this.#keys = keys;
    this.#grant = settings.page === null ? wholeTenant : { tag: 'page', ...settings.page };
  }

  /**
   * The caller of a route. Not an async function: intake pays for each promise.
   *
   * @throws or rejects with UNAUTHENTICATED, REQUEST_INVALID, READ_TOKEN_*, API_KEY_*, or as `authorize` does
   */
  callerOf(route: Route, head: HttpHead): Caller | Promise<Caller> {
    // With the narrow grant of a server for pages, which has nothing that is public.
    if (route.access === 'public') return this.#callerOf(anonymous, anonymous);
    const token = bearerTokenOf(head.header('authorization'));
    if (token?.startsWith(readTokenPrefix) === true)
      return this.#tokens.read(token).then((bearer) => ({
        ...bearer,
        home: bearer.principal.tenant,
        presented: bearer.principal,
      }));
    const isKey = token?.startsWith(apiKeyPrefix) === true;
    if (!isKey && this.#authorizers.length === 0) return this.#admitted(anonymous, head);
    const found = isKey ? this.#keys.read(token) : this.#ask(head, 0);
    return found instanceof Promise
      ? found.then((principal) => this.#admitted(principal, head))
      : this.#admitted(found, head);
  }

  #ask(head: HttpHead, from: number): Principal | null | Promise<Principal | null> {
    for (let i = from; i < this.#authorizers.length; i++) {
      const found = this.#authorizers[i]?.(authorizeRequest(head)) ?? null;
      if (found instanceof Promise) return found.then((principal) => principal ?? this.#ask(head, i + 1));
      if (found !== null) return found;
    }
    return null;
  }

  /** @throws UNAUTHENTICATED, REQUEST_INVALID */
  #admitted(principal: Principal | null, head: HttpHead): Caller {
    if (principal === null) throw new SpineError('UNAUTHENTICATED', {});
    const { tenant, roles } = principal;
    if (tenant === '' || tenant.length > limits.tenantLengthMax) {
      throw new Error(`authorize gave a tenant that has not 1 to ${limits.tenantLengthMax} characters`);
    }
    // Pages give nobody more than is the user's own.
    const visits = roles.includes('operator') && this.#grant.tag === 'tenant';
    const visited = visits ? head.header(headerNames.tenant) : undefined;
    return visited === undefined || visited === tenant
      ? this.#callerOf(principal, principal)
      : this.#callerOf({ ...principal, tenant: checkedTenant(visited) }, principal);
  }

  #callerOf(principal: Principal, presented: Principal): Caller {
    return { principal, grant: this.#grant, home: presented.tenant, presented };
  }
}

/** @throws REQUEST_INVALID */
function checkedTenant(given: string): string {
  if (given !== '' && given.length <= limits.tenantLengthMax && !/[\0\p{Surrogate}]/u.test(given)) return given;
  const fault = `the header ${headerNames.tenant} has not 1 to ${limits.tenantLengthMax} characters`;
  throw new SpineError('REQUEST_INVALID', { faults: [fault] });
}

/** What `authorize` may look at of a request. */
function authorizeRequest(head: HttpHead): Parameters<Authorize>[0] {
  return {
    method: head.method,
    url: head.query === '' ? head.path : `${head.path}?${head.query}`,
    headers: { get: (name) => head.header(name.toLowerCase()) ?? null },
  };
}

const bearer = /^bearer +(\S+)$/i;

/** The bearer token of an `Authorization` header, if it holds one. Addresses are never looked at: they are logged. */
function bearerTokenOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : bearer.exec(header.trim())?.[1];
}
